"""Whether the detector ages over fills by what no single fill shows, against a reference that never follows it.

The e-detector of `drift.detect` with a fill as its unit: for every start fill, stream, sign, several steps and several
ramps, the likelihood ratio of the fill means since then; their Shiryaev-Roberts sum, each start counting as the
lumisections of its fill, has a mean of at most the lumisections watched while all is well (J. Shin, A. Ramdas,
A. Rinaldo, arXiv:2203.03532).  What the template leaves open is alike in all fills; a filter takes it out, up to a
limit that a detector which ages passes.  Pure: no clock, no files, no randomness.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.benign import Benign
from drift.boxes import CellBox, physical
from drift.detect import FAMILY_WEIGHTS, LOG_CAP, UPWARD, Contributor
from drift.diagnose import SHIFT, Diagnosis
from drift.fill_means import CLIP, FAMILIES, LEAST_LUMISECTIONS, RAMPS, STEPS, FillMean, FillModel
from drift.ladder import BROKEN
from drift.profile import layout_of
from drift.reference import Reference
from drift.streams import ETA_RINGS, PHI_SECTORS, StreamLabel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WINDOW = 64
"""Start fills kept."""
SHARE = 0.1
"""Of the false alarms of the fast path, how many the slow path may add: one in 1.1 million lumisections at 9e-6."""
LEAST_SINCE = 3
"""Fills an alternative must have lasted before it says anything."""
BIAS = 2.0
"""Standard deviations of what the template leaves open that are taken for the template's."""
SAID = 3.0
"""Log likelihood ratio from which a stream beside the leading one is named."""
MOST = 8


@dataclass(frozen=True)
class Aged:
    """What the slow path tells.

    Attributes:
        found: The verdict; its onset is the lumisection count of the first fill's first.
        parts: The strongest parts of the evidence.
        log_evidence: Natural log of the evidence, in lumisections.
        onset: Run and lumisection at which the first fill of the strongest alternative began.
    """

    found: Diagnosis
    parts: tuple[Contributor, ...]
    log_evidence: float
    onset: tuple[int, int]


@dataclass(eq=False)
class SlowEvidence:
    """The running mixture over fills; `add` once a lumisection, `close` at the end of each fill.

    Only streams that take part (`FillModel.used`) have columns, m of them; forms are a step and a ramp, in this order.

    Attributes:
        fills: Fills counted so far.
        until: Lumisection count up to which they reach.
        shut: Whether the current fill is over, so that lumisections of it that come late say nothing.
        first: Lumisection count, run and lumisection of the current fill's first, shape ``(3,)``.
        current: Sums of the current fill.
        bias: What is taken for the template's own, and its variance, shape ``(2, m)``.
        pull: Sum of shape times score over spread, by start and form, shape ``(64, 2, m)``.
        weight: Sum of squares of shape over spread; ln Λ of size r is r pull - r² weight / 2.
        absorbed: What the filter has absorbed of a unit step and of a unit ramp.
        means: Mean of each start fill, shape ``(64, m)``.
        start: Lumisection count, run, lumisection and number of lumisections of each start fill, shape ``(64, 4)``.
    """

    fills: int
    until: int
    shut: bool
    first: Ints
    current: FillMean
    bias: Floats
    pull: Floats
    weight: Floats
    absorbed: Floats
    means: Floats
    start: Ints

    @classmethod
    def fresh(cls, model: FillModel, benign: Benign) -> "SlowEvidence":
        """Return evidence before the first fill."""
        m = int(model.used.sum())
        pull, weight, absorbed = (np.zeros((WINDOW, 2, m)) for _ in range(3))
        bias = np.stack([np.zeros(m), _open(model)])
        nothing, start = np.zeros(3, dtype=np.int64), np.zeros((WINDOW, 4), dtype=np.int64)
        current, means = FillMean.fresh(benign), np.zeros((WINDOW, m))
        return cls(0, -1, False, nothing, current, bias, pull, weight, absorbed, means, start)

    def add(
        self,
        reference: Reference,
        value: Floats,
        noise_factor: float,
        pileup: float,
        place: tuple[int, int, int],
        lost: int = 0,
    ) -> None:
        """Take one watched lumisection in: its count, run and number, and how many were lost before it."""
        if self.shut or not reference.slow.used.any():
            return
        if self.current.count == 0:
            self.first[:] = place
        self.current.add(reference.benign, value, noise_factor, pileup, lost)

    def drop(self, benign: Benign) -> None:
        """Leave what was gathered of the current fill out."""
        self.current = FillMean.fresh(benign)

    def forget(self, reference: Reference, onset: int | None = None) -> None:
        """Leave the current fill out, and all fills before it when a cause began in one of them.

        Args:
            reference: What is expected.
            onset: Lumisection count at which the cause began; None forgets everything.
        """
        if onset is not None and onset > self.until:
            self.drop(reference.benign)
            return
        shut = self.shut
        self.restore({"fills": 0, "until": -1, "shut": shut}, _arrays(self.fresh(reference.slow, reference.benign)))

    def close(self, reference: Reference, clock: int) -> bool:
        """End the current fill; say whether it was long enough to count.

        Args:
            reference: What is expected.
            clock: Lumisection count now.
        """
        one = self.current
        counts = one.count >= LEAST_LUMISECTIONS and bool(reference.slow.used.any())
        if counts:
            self._count(reference, one)
            self.fills, self.until = self.fills + 1, clock - 1
        self.drop(reference.benign)
        return counts

    def _count(self, reference: Reference, one: FillMean) -> None:
        used, slot = reference.slow.used, self.fills % WINDOW
        for table in (self.pull, self.weight, self.absorbed):
            table[slot] = 0.0
        self.means[slot] = one.mean[used]
        self.start[slot] = (*self.first, one.count)
        bias, uncertain = self.bias
        variance = uncertain + reference.slow.variance(reference.benign, one)[used]
        spread = np.sqrt(variance)
        score = np.clip((one.mean[used] - bias) / spread, -CLIP, CLIP)
        age = _ages(self.fills)
        shape = np.stack([np.ones(WINDOW), age], axis=1) * (self.start[:, 3] > 0)[:, None]
        shows = shape[:, :, None] - self.absorbed
        self.pull += shows * score / spread
        self.weight += shows**2 / variance
        gain = uncertain / variance
        self.absorbed += gain * shows
        most = BIAS * np.sqrt(_open(reference.slow))
        self.bias = np.stack([np.clip(bias + gain * spread * score, -most, most), uncertain * (1 - gain)])

    def alternatives(self, model: FillModel) -> Floats:
        """Return ln Λ by start, form, size, sign and stream, shape ``(64, 2, 3, 2, m)``; -inf where none speaks yet."""
        size = np.array([STEPS, RAMPS])[None, :, :, None, None] * model.typical[model.used]
        sign = np.array([1.0, -1.0])[:, None]
        pull, weight = self.pull[:, :, None, None], self.weight[:, :, None, None]
        speaks = (self.start[:, 3] > 0) & (_ages(self.fills - 1) >= LEAST_SINCE)
        return np.where(speaks[:, None, None, None, None], sign * size * pull - size**2 / 2 * weight, -np.inf)

    def by_stream(self, reference: Reference) -> Floats:
        """Return each stream's part of the mixture, in lumisections, shape ``(m,)``."""
        ratio = np.exp(np.minimum(self.alternatives(reference.slow), LOG_CAP))
        lumisections = self.start[:, 3].astype(np.float64)
        each = np.einsum("k,kfsgm->gm", lumisections, ratio) / (len(STEPS) + len(RAMPS))
        return np.asarray((each * _shares(reference.streams.labels)[:, reference.slow.used]).sum(axis=0))

    def log_total(self, reference: Reference) -> float:
        """Return the natural log of the mixture, in lumisections."""
        return float(np.log(max(float(self.by_stream(reference).sum()), 1e-300)))

    def told(self, reference: Reference, limit: float) -> Aged | None:
        """Return what there is to tell, when the evidence has passed a limit.

        Args:
            reference: What is expected.
            limit: Natural log of the mean number of lumisections between false alarms.
        """
        level = self.log_total(reference) if self.fills >= LEAST_SINCE else -np.inf
        if level < limit:
            return None
        parts, ratio = self.by_stream(reference), self.alternatives(reference.slow)
        order = [int(k) for k in np.argsort(-parts, kind="stable")]
        loud = [k for k in order if k == order[0] or ratio[..., k].max() > SAID][:MOST]
        slot, form, _, _ = _place(ratio[..., order[0]])
        said = [
            (self._part(reference, k, float(parts[k]), ratio[..., k]), self._size(reference, k, slot, form))
            for k in loud
        ]
        since = int(_ages(self.fills - 1)[slot])
        found = _verdict(reference, said, since, int(self.start[slot, 0]), limit)
        return Aged(found, tuple(one for one, _ in said), level, (int(self.start[slot, 1]), int(self.start[slot, 2])))

    def _part(self, reference: Reference, column: int, part: float, ratio: Floats) -> Contributor:
        index = int(np.flatnonzero(reference.slow.used)[column])
        label, (slot, _, _, sign) = reference.streams.labels[index], _place(ratio)
        log_part, start = float(np.log(max(part, 1e-300))), int(self.start[slot, 0])
        return Contributor(label.name, label.object, label.family, index, 1 - 2 * sign, log_part, start)

    def _size(self, reference: Reference, column: int, slot: int, form: int) -> float:
        """Return by how much a stream has moved since a start fill, relative, by least squares on the fill means."""
        since = int(_ages(self.fills - 1)[slot])
        means = self.means[(slot + np.arange(since)) % WINDOW, column]
        shape = np.arange(1.0, since + 1) if form else np.ones(since)
        moved = float(means @ shape / (shape @ shape)) * float(shape[-1])
        return moved * float(effects(reference)[np.flatnonzero(reference.slow.used)[column]])

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return everything, as numbers by name and arrays by name."""
        return {"fills": self.fills, "until": self.until, "shut": self.shut}, _arrays(self)

    def restore(self, numbers: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        self.fills, self.until, self.shut = numbers["fills"], numbers["until"], numbers["shut"]
        count = int(arrays["count"][0])
        self.current = FillMean(count, arrays["total"], arrays["wander"], arrays["powers"])
        for name in _TABLES:
            setattr(self, name, arrays[name])


_TABLES = ("first", "bias", "pull", "weight", "absorbed", "means", "start")


def _arrays(one: SlowEvidence) -> dict[str, NDArray[Any]]:
    current = {"count": np.array([one.current.count]), "total": one.current.total}
    current |= {"wander": one.current.wander, "powers": one.current.powers}
    return current | {name: getattr(one, name) for name in _TABLES}


def _ages(last: int) -> Ints:
    """Return how many fills each start has seen when the last one counted has this number; slots are reused."""
    return np.asarray((last - np.arange(WINDOW)) % WINDOW + 1, dtype=np.int64)


def _place(ratio: Floats) -> tuple[int, ...]:
    """Return start slot, form, size and sign of a stream's strongest alternative."""
    return tuple(int(one) for one in np.unravel_index(int(ratio.argmax()), ratio.shape))


def _open(model: FillModel) -> Floats:
    """Return the variance of what the template leaves open, alike in all fills."""
    doubt = model.doubt + (model.looser[model.used] if model.looser.size else 0.0)
    return np.asarray(model.typical[model.used] ** 2 * doubt)


def _shares(labels: tuple[StreamLabel, ...]) -> Floats:
    """Return each stream's share, up and down, ``(2, n_streams)``: the families' of `drift.detect`, made one."""
    families = [one.family for one in labels]
    whole = sum(FAMILY_WEIGHTS[one] for one in FAMILIES)
    share = [FAMILY_WEIGHTS[one] / whole / families.count(one) if one in FAMILIES else 0.0 for one in families]
    up = np.array([1.0 if one in UPWARD else 0.5 for one in families])
    return np.asarray(np.array(share) * np.stack([up, 1 - up]))


def effects(reference: Reference) -> Floats:
    """Return the relative change that one unit of each stream means in the middle of the reference; 0 where none does.

    Of pt scale, of objects per event, and of the share of a sector or ring.
    """
    streams, swell = reference.streams, reference.benign.swell
    rates, shares = streams.rates.at(swell.centre), streams.sectors.at(swell.centre)
    out = np.zeros(len(streams.labels))
    for place, one in enumerate(streams.labels):
        if one.family == "scale":
            out[place] = streams.spread[place] / (streams.response[one.index] * np.sqrt(reference.events))
        elif one.family in {"rate", "phi", "eta"}:
            kind = streams.objects.index(one.object)
            count = float(rates[kind]) * reference.events
            part = kind * (PHI_SECTORS + ETA_RINGS) + one.index + (PHI_SECTORS if one.family == "eta" else 0)
            share = 1.0 if one.family == "rate" else float(shares[part])
            rest = 1.0 if one.family == "rate" else 1 - min(share, 0.95)
            out[place] = streams.spread[place] * np.sqrt(rest / max(share * count, 1e-9))
    return out


def _verdict(
    reference: Reference, said: list[tuple[Contributor, float]], since: int, onset: int, limit: float
) -> Diagnosis:
    """Say what ages: one azimuthal sector is a broken detector, what is alike all around a real shift."""
    over = f"over the last {since} fills, too slow for any one fill"
    lead = said[0][0]
    sector = next((pair for pair in said if pair[0].kind == "phi" and pair[0].log_evidence >= limit), None)
    if lead.kind == "phi" or sector is not None:
        one, size = said[0] if sector is None else sector
        label = reference.streams.labels[one.index]
        grid = next(grid for grid in layout_of(reference.schema).maps if grid.name == one.object)
        width = grid.shape[1] // PHI_SECTORS
        box = physical(CellBox(0, grid.shape[0], label.index * width, width, 1.0, 0.0), grid)
        text = f"{one.object} in {label.name.split(' ', 1)[1]} {size:+.1%} against the other sectors {over}"
        against = "a beam spot that moved lifts one side and lowers the other, over many sectors"
        return Diagnosis(BROKEN, one.object, onset, box, text, against, 0.0)
    if lead.kind == "mix" and lead.sign > 0:
        text = f"missing momentum follows its recoil less and less {over}, as events mixed up would give"
        return Diagnosis(BROKEN, "MET", onset, None, text, "no part of the map stands out", 0.0)
    words = [_words(one, size) for one, size in said[:4]]
    kind = lead.object if len({one.object for one, _ in said}) == 1 else ""
    against = f"{since} fills speak for it; how fills differ is known from {reference.slow.fills}"
    return Diagnosis(SHIFT, kind, onset, None, f"{', '.join(words)} {over}", against, 0.0)


def _words(one: Contributor, size: float) -> str:
    return f"{one.name} {size:+.1%}" if size else f"{one.name} {'up' if one.sign > 0 else 'down'}"
