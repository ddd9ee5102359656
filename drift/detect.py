"""How much evidence has gathered that the detector is not what it was, at a stated rate of false alarms.

An e-value is a non-negative number whose mean is at most one while all is well.  For every possible start of a change,
every residual stream, several sizes and both signs, the likelihood ratio of "a step began there" is such a number; the
Poisson ratio of every eta-phi cell is another.  Their Shiryaev-Roberts sum over starts, averaged over alternatives,
exceeds A on average at most once in A lumisections, whatever the dependence between streams (J. Shin, A. Ramdas,
A. Rinaldo, arXiv:2203.03532).  The guarantee is as good as the benign model.  Pure: no clock, no files, no randomness.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drift.benign import CLIP, FORGETS, SHIFTS, Benign, FillFilter
from drift.cells import RATIOS, CellModel
from drift.ramps import Ramps, ramp_places
from drift.streams import DIRECTED, ONE_SIDED, StreamLabel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RECENT = 48
SPARSE = 16
"""Start times kept: the last 48 lumisections but for every 16th, and every 16th of the last 256: 61 in all."""
FAMILY_WEIGHTS = {
    "scale": 0.15,
    "noise": 0.03,
    "mix": 0.08,
    "rate": 0.10,
    "phi": 0.09,
    "eta": 0.08,
    "chi2": 0.08,
    "pc": 0.05,
    "t2": 0.0,
    "score": 0.012,
    "pass": 0.004,
}
UPWARD = (*ONE_SIDED, "mix")
"""Families that only speak upward: nothing makes missing momentum follow its recoil better than it did."""
CELL_WEIGHT = 0.26
RAMP_WEIGHT = 0.06
LOG_CAP = 80.0
RATIO_CAP = 1e30
NEVER = -700.0
UNMEASURED = 1e12
"""Noise factor of a stream of which a lumisection says nothing: a measurement so bad that it moves nothing."""


@dataclass(frozen=True, eq=False)
class Weights:
    """The share of the mixture each alternative has; they sum to at most one.

    Attributes:
        streams: Shape ``(2, n_streams)``, upward and downward, summed over sizes.
        cells: Of one alternative of every cell, by object type, shape ``(n_cells,)``: each level of the pyramid has the
            same share, so that a dead tower and a dead half of the detector are looked for alike.
        ramps: Of all lines of a stream that is asked for slow change, shape ``(n_asked,)``.
    """

    streams: Floats
    cells: tuple[Floats, ...]
    ramps: Floats

    @classmethod
    def of(
        cls,
        labels: tuple[StreamLabel, ...],
        cells: tuple[CellModel, ...],
        sound: NDArray[np.bool_] | None = None,
    ) -> "Weights":
        """Share the families' weights among their members; those that are not sound get none and leave it to nobody."""
        families = [one.family for one in labels]
        weight = np.array([FAMILY_WEIGHTS[one] / families.count(one) for one in families])
        weight = weight if sound is None else np.where(sound, weight, 0.0)
        upward_only = np.array([one in UPWARD for one in families])
        streams = np.stack([np.where(upward_only, weight, weight / 2), np.where(upward_only, 0.0, weight / 2)])
        shares = []
        for one in cells:
            each = CELL_WEIGHT / len(cells) / len(one.active) / len(RATIOS)
            shares.append(
                np.concatenate([np.where(level, each / max(int(level.sum()), 1), 0.0) for level in one.active])
            )
        places = ramp_places(labels)
        asked = np.ones(places.size) if sound is None else sound[places].astype(np.float64)
        return cls(streams, tuple(shares), RAMP_WEIGHT / max(places.size, 1) * asked)


@dataclass(frozen=True)
class Contributor:
    """One part of the evidence.

    Attributes:
        name: Stream, or region in words.
        object: Object type, empty when it is about all.
        kind: Family of the stream, ``cell``, or ``seed`` (`drift.rate_evidence`).
        index: Place of the stream among those in use, or of the cell in its flat pyramid.
        sign: 1 for more, -1 for less, 0 when the stream has no direction.
        log_evidence: Natural log of its part of the mixture.
        start: Lumisection count at which its strongest alternative began.
    """

    name: str
    object: str
    kind: str
    index: int
    sign: int
    log_evidence: float
    start: int


@dataclass(eq=False)
class Evidence:
    """The running mixture; `update` once a lumisection.

    Attributes:
        clock: Lumisections taken in so far.
        filter: Kalman filter of the current fill.
        ratio: Log likelihood ratio by start, size, sign and stream.
        response: What the filter has absorbed of a unit step, by start.
        start: The clock at which each start slot began.
        cells: Shiryaev-Roberts statistic of every cell and ratio, by object type.
        ramps: Evidence for slow change.
        shifts: Sizes of steps that are looked for, in units of the measurement noise of one lumisection.
    """

    clock: int
    filter: FillFilter
    ratio: Floats
    response: Floats
    start: Ints
    cells: list[Floats]
    ramps: Ramps = field(default_factory=Ramps.nothing)
    shifts: tuple[float, ...] = SHIFTS

    @classmethod
    def fresh(
        cls,
        benign: Benign,
        cells: tuple[CellModel, ...],
        labels: tuple[StreamLabel, ...] = (),
        shifts: tuple[float, ...] = SHIFTS,
    ) -> "Evidence":
        """Return evidence before the first lumisection; slow change is looked for where labels say what streams are."""
        streams = benign.noise.size
        slots = RECENT + SPARSE
        return cls(
            0,
            FillFilter.fresh(benign),
            np.full((slots, len(shifts), 2, streams), NEVER),
            np.zeros((slots, 3, streams)),
            np.zeros(slots, dtype=np.int64),
            [np.zeros((len(RATIOS), sum(level.size for level in one.active))) for one in cells],
            Ramps.fresh(ramp_places(labels)),
            shifts,
        )

    def forget(self) -> None:
        """Drop all evidence, keeping what the filter knows of the fill."""
        self.ratio[:] = NEVER
        self.ramps.forget()
        for one in self.cells:
            one[:] = 0.0

    def drop(self, streams: NDArray[np.bool_], benign: Benign, pileup: float | None = None) -> None:
        """Drop all evidence of some streams, and what the filter knows of the fill in them: they start anew."""
        if not streams.any():
            return
        fresh = FillFilter.fresh(benign, pileup)
        self.ratio[..., streams] = NEVER
        self.response[..., streams] = 0.0
        self.ramps.drop(streams)
        self.filter = FillFilter(
            np.where(streams, fresh.state, self.filter.state),
            np.where(streams, fresh.covariance, self.filter.covariance),
        )

    def new_fill(self, benign: Benign, pileup: float | None = None) -> None:
        """Start a fill at a pileup: a fresh filter, and alternatives that begin to show anew."""
        self.filter = FillFilter.fresh(benign, pileup)
        self.response[:] = 0.0
        self.ramps.new_fill()

    def wait(self, benign: Benign, lost: int, pileup: float | None = None) -> None:
        """Let lumisections pass of which nothing can be taken in.

        A filter that takes them for no time at all holds an old wander against the detector.

        Args:
            benign: Spreads of the streams.
            lost: How many; none changes nothing.
            pileup: Mean collisions per crossing now.
        """
        if lost:
            self.filter.wait(benign, lost, pileup)
            self.response *= (FORGETS**lost)[:, None]
            self.ramps.wait(lost)

    def update(
        self,
        benign: Benign,
        value: Floats,
        noise_factor: float | Floats,
        cell_factors: list[Floats],
        pileup: float | None = None,
    ) -> None:
        """Take one lumisection in.

        Args:
            benign: Spreads of the streams.
            value: Standardised residual streams, scaled to the reference's events.
            noise_factor: Reference events over this lumisection's events; `UNMEASURED` for streams that are silent,
                whose evidence then stands still while their wander goes on.
            cell_factors: Log e-values of the cells by object type, shape ``(n_ratios, n_cells)``.
            pileup: Mean collisions per crossing, on which benign wander depends; None for its mean over the reference.
        """
        slot = RECENT + self.clock // SPARSE % SPARSE if self.clock % SPARSE == 0 else self.clock % RECENT
        self.ratio[slot] = 0.0
        self.response[slot] = 0.0
        self.start[slot] = self.clock
        innovation, spread, gain = self.filter.step(benign, value, noise_factor, pileup)
        score = np.clip(innovation / benign.kappa, -CLIP, CLIP)
        self.ramps.update(self.clock, benign, score, spread, gain)
        shows = 1.0 - self.response.sum(axis=1)
        unit = shows * (np.sqrt(benign.noise) / (spread * benign.kappa))
        for place, shift in enumerate(self.shifts):
            step = shift * unit
            half = step**2 / 2
            self.ratio[:, place, 0] += step * score - half
            self.ratio[:, place, 1] -= step * score + half
        np.maximum(self.ratio, NEVER, out=self.ratio)
        self.response = (self.response + gain * shows[:, None]) * FORGETS[:, None]
        for statistic, factor in zip(self.cells, cell_factors, strict=True):
            np.minimum((statistic + 1.0) * np.exp(np.clip(factor, -LOG_CAP, LOG_CAP)), RATIO_CAP, out=statistic)
        self.clock += 1

    def by_stream(self, weights: Weights) -> Floats:
        """Return each stream's part of the mixture, shape ``(n_streams,)``."""
        summed = np.exp(np.minimum(self.ratio, LOG_CAP)).sum(axis=(0, 1)) / len(self.shifts)
        parts = np.asarray((summed * weights.streams).sum(axis=0))
        if self.ramps.places.size:
            parts[self.ramps.places] += self.ramps.by_stream(weights.ramps)
        return parts

    def by_cells(self, weights: Weights) -> Floats:
        """Return each object type's part of the mixture."""
        return np.array([(one @ share).sum() for one, share in zip(self.cells, weights.cells, strict=True)])

    def _strongest(self, place: int) -> tuple[int, int]:
        """Return sign and start of the strongest alternative of a stream, a step or a line."""
        one = self.ratio[:, :, :, place]
        slot, _, sign = np.unravel_index(int(one.argmax()), one.shape)
        line = np.flatnonzero(self.ramps.places == place)
        if line.size:
            height, lean, start = self.ramps.strongest(int(line[0]))
            if height > float(one.max()):
                return lean, start
        return 1 - 2 * int(sign), int(self.start[slot])

    def log_total(self, weights: Weights) -> float:
        """Return the natural log of the mixture."""
        total = float(self.by_stream(weights).sum() + self.by_cells(weights).sum())
        return float(np.log(max(total, 1e-300)))

    def contributors(
        self, weights: Weights, labels: tuple[StreamLabel, ...], cells: tuple[CellModel, ...], most: int = 8
    ) -> tuple[Contributor, ...]:
        """Return the strongest parts, directed streams and cells before generic ones.

        A generic stream wins on very large shifts and names nothing; it comes first only where nothing directed speaks.
        """
        found = []
        parts = self.by_stream(weights)
        for place, label in enumerate(labels):
            sign, start = self._strongest(place)
            direction = 0 if label.family in (*ONE_SIDED, "pc") else sign
            log_part = float(np.log(max(parts[place], 1e-300)))
            found.append(Contributor(label.name, label.object, label.family, place, direction, log_part, start))
        for one, statistic, share in zip(cells, self.cells, weights.cells, strict=True):
            part = statistic * share
            ratio, cell = (int(k) for k in np.unravel_index(int(part.argmax()), part.shape))
            log_part = float(np.log(max(float(part.sum()), 1e-300)))
            toward = 1 if RATIOS[ratio] > 1 else -1
            found.append(Contributor(f"{one.name} cells", one.object, "cell", cell, toward, log_part, -1))
        named = {*DIRECTED, "cell"}
        loudest = max((one.log_evidence for one in found if one.kind in named), default=-np.inf)
        speaks = loudest > 3.0
        found.sort(key=lambda one: (not (speaks and one.kind in named), -one.log_evidence))
        return tuple(one for place, one in enumerate(found[:most]) if place == 0 or one.log_evidence > 0)
