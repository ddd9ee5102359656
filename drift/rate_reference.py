"""What rate every seed has in health, learnt from certified lumisections of several fills, and how it wanders.

A seed's deviation in a lumisection is a residual stream of family ``rate``, like those of `drift.streams`, and its
benign spreads come from fills that had no part in its fit, at pileups where two fills have been: beyond, a held-out
curve only extrapolates.  Frozen, with a digest; a seed with too few counts is listed as inconclusive.  Saved as JSON,
whole or not at all.  Nothing here remembers what was watched.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from drift.benign import Benign, Swell, fit_benign
from drift.conditions import Conditions
from drift.counter_forms import LUMISECTION_S
from drift.counters import SeedCount
from drift.errors import RatesUnfitError
from drift.growth import Floats, Ints, RatePoints
from drift.rates import RateModel, folds
from drift.streams import StreamLabel
from drift.succession import fill_of
from drift.tails import LEAST_COUNTS
from drift.text_forms import json_of

REVOLUTION_HZ = 11245.8
LEAST_FILLS = 3
LEAST_LUMISECTIONS = 60
DEGREE = 2
"""Of the pileup polynomial whose doubt `drift.benign` allows for; f has two or three parameters."""
APART = 6.0
"""A reference lumisection that far off, in standard deviations, is a fault and not wander."""
VERSION = 2


def exposure(conditions: Conditions, count: SeedCount) -> tuple[float, str]:
    """Return colliding bunches times live seconds over prescale, and why it is 0 when it is."""
    if count.prescale == 0:
        return 0.0, "prescale 0"
    if count.crossings is not None:
        return count.crossings / REVOLUTION_HZ / count.prescale, ""
    dead = conditions.dead_time if count.dead_time is None else count.dead_time
    if dead is None:
        return 0.0, "dead time is unknown"
    if conditions.bunches is None:
        return 0.0, "colliding bunches are unknown"
    if conditions.bunches == 0:
        return 0.0, "no bunches collide"
    return conditions.bunches * LUMISECTION_S * (1.0 - dead) / count.prescale, ""


@dataclass(frozen=True, eq=False)
class RateReference:
    """What every seed's rate is expected to be; see `fit`.

    Attributes:
        models: One for each seed that can be watched.
        benign: Benign spreads of their streams.
        inconclusive: Seeds that cannot be watched, and why.
        lumisections: Lumisections fitted to.
        fills: Fills among them.
        digest: SHA-256 of all of the above.
    """

    models: tuple[RateModel, ...]
    benign: Benign
    inconclusive: tuple[tuple[str, str], ...]
    lumisections: int
    fills: int
    digest: str

    @classmethod
    def fit(
        cls, pairs: Iterable[tuple[Conditions, Mapping[str, SeedCount]]], *, least_counts: int = LEAST_COUNTS
    ) -> "RateReference":
        """Fit from usable and certified lumisections.

        Args:
            pairs: Conditions and counts by seed, one pair a lumisection, in order within each fill.
            least_counts: Below it a seed is inconclusive.

        Raises:
            RatesUnfitError: Too few fills or lumisections, or no seed with enough counts.
        """
        sample = _Sample.gather(pairs)
        fills = len(np.unique(sample.fill))
        if fills < LEAST_FILLS or len(sample.fill) < LEAST_LUMISECTIONS:
            raise RatesUnfitError(
                f"rates need {LEAST_FILLS} fills and {LEAST_LUMISECTIONS} usable, certified lumisections with counts; "
                f"found {fills} fills and {len(sample.fill)} lumisections ({sample.refused}); give more counts, or "
                "conditions that certify them"
            )
        models, residuals, inconclusive = [], [], []
        for place, seed in enumerate(sample.seeds):
            try:
                models.append(RateModel.fit(seed, sample.points(place), least_counts=least_counts))
            except RatesUnfitError as reason:
                why = sample.why.get(seed)
                words = str(reason).removeprefix(f"{seed} is ")
                inconclusive.append((seed, f"{words}; {why}" if why else words))
                continue
            residuals.append(_held_out(models[-1], sample, place))
        if not models:
            raise RatesUnfitError(f"no seed can be watched; {' is '.join(inconclusive[0])}; give more lumisections")
        groups = [f"rate:{one.seed}" for one in models]
        spoken = np.stack([(one.pileup_low <= sample.pileup) & (sample.pileup <= one.pileup_high) for one in models], 1)
        streams, at = np.where(spoken, np.stack(residuals, axis=1), 0.0), spoken.any(axis=1)
        benign = fit_benign(streams[at], sample.fill[at], sample.pileup[at], groups, DEGREE)
        benign = _with_luminosity(benign, models)
        body = cls(tuple(models), benign, tuple(inconclusive), len(sample.fill), fills, "")
        return replace(body, digest=_digest(body.to_json()))

    @property
    def labels(self) -> tuple[StreamLabel, ...]:
        """One stream for each seed."""
        return tuple(StreamLabel("rate", one.seed, k, f"{one.seed} rate") for k, one in enumerate(self.models))

    def to_json(self) -> dict[str, Any]:
        """Return the reference as JSON knows it."""
        swell = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self.benign.swell).items()}
        arrays = {name: getattr(self.benign, name).tolist() for name in ("noise", "wander", "offset", "kappa", "still")}
        return {
            "version": VERSION,
            "models": [one.to_json() for one in self.models],
            "benign": arrays | {"swell": swell},
            "inconclusive": [list(one) for one in self.inconclusive],
            "lumisections": self.lumisections,
            "fills": self.fills,
            "digest": self.digest,
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "RateReference":
        """Return the reference that `to_json` took apart.

        Raises:
            RatesUnfitError: It is of another version, or does not match its digest.
        """
        if tree.get("version") != VERSION or _digest(tree) != tree.get("digest"):
            raise RatesUnfitError(f"this is no rate reference of version {VERSION}, or it was altered; fit it again")
        stored = dict(tree["benign"])
        swell: dict[str, Any] = {k: np.array(v) if isinstance(v, list) else v for k, v in stored.pop("swell").items()}
        benign = Benign(**{k: np.array(v) for k, v in stored.items()}, swell=Swell(**swell))
        models = tuple(RateModel.from_json(one) for one in tree["models"])
        inconclusive = tuple((seed, why) for seed, why in tree["inconclusive"])
        return cls(models, benign, inconclusive, tree["lumisections"], tree["fills"], tree["digest"])

    def save(self, path: Path) -> None:
        """Write it to a file in one step."""
        partial = path.with_suffix(path.suffix + ".part")
        try:
            partial.write_text(json.dumps(self.to_json(), sort_keys=True, indent=1) + "\n", encoding="utf-8")
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: Path) -> "RateReference":
        """Read what `save` wrote.

        Raises:
            RatesUnfitError: The file cannot be read, is of another version, or does not match its digest.
        """
        try:
            tree = json_of(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as cause:
            reason = cause.strerror if isinstance(cause, OSError) else cause
            if isinstance(cause, UnicodeDecodeError):
                reason = "it is no text"
            raise RatesUnfitError(
                f"{path} cannot be read as a rate reference ({reason}); make one with: retrigger reference rates"
            ) from cause
        try:
            return cls.from_json(tree)
        except (RatesUnfitError, KeyError, TypeError, AttributeError, ValueError) as cause:
            raise RatesUnfitError(f"{path}: {cause}; make one with: retrigger reference rates") from cause


def _digest(tree: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps({**tree, "digest": ""}, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class _Sample:
    """Usable, certified lumisections: counts and exposures by lumisection and seed, exposure 0 where nothing was."""

    seeds: tuple[str, ...]
    counts: Floats
    bunch_s: Floats
    pileup: Floats
    fill: Ints
    why: Mapping[str, str]
    refused: str

    @classmethod
    def gather(cls, pairs: Iterable[tuple[Conditions, Mapping[str, SeedCount]]]) -> "_Sample":
        refused: dict[str, int] = {}
        kept: list[tuple[Conditions, Mapping[str, SeedCount]]] = []
        for conditions, counts in pairs:
            reason = conditions.obstacle or ("" if conditions.certified is True else "not certified")
            if reason:
                refused[reason] = refused.get(reason, 0) + 1
            elif counts:
                kept.append((conditions, counts))
        seeds = tuple(sorted({seed for _, counts in kept for seed in counts}))
        column = {seed: k for k, seed in enumerate(seeds)}
        tables, why = np.zeros((2, len(kept), len(seeds))), {}
        for row, (conditions, counts) in enumerate(kept):
            for seed, one in counts.items():
                bunch_s, reason = exposure(conditions, one)
                tables[:, row, column[seed]] = one.counts, bunch_s
                if reason:
                    why[seed] = reason
        pileup = np.array([one.pileup for one, _ in kept], dtype=np.float64)
        fill = np.array([fill_of(one) for one, _ in kept], dtype=np.int64)
        words = ", ".join(f"{number} {reason}" for reason, number in sorted(refused.items())) or "none refused"
        return cls(seeds, tables[0], tables[1], pileup, fill, why, words)

    def points(self, place: int) -> RatePoints:
        """Return the points of one seed."""
        return RatePoints(self.counts[:, place], self.bunch_s[:, place], self.pileup, self.fill)


def _with_luminosity(benign: Benign, models: Sequence[RateModel]) -> Benign:
    """Return spreads that allow every seed at least what luminosity does to all of them.

    Luminosity that is off by d moves a seed by d times its steepness.  d^2 is the mean of what the seeds' wanders say,
    weighted by how well each can say it, so that a seed too rare to show it in the reference is not held to less.
    """
    moved = np.array([one.steepness / one.sharpest for one in models]) ** 2
    if not moved.any():
        return benign
    shared = [float((spread * moved).sum() / (moved**2).sum()) for spread in (benign.wander, benign.offset)]
    wander, offset = (
        np.maximum(spread, one * moved) for spread, one in zip((benign.wander, benign.offset), shared, strict=True)
    )
    return replace(benign, wander=wander, offset=offset)


def _held_out(model: RateModel, sample: _Sample, place: int) -> Floats:
    """Return the residuals of every lumisection from fits without its fill; 0 where silent or an outlier."""
    points = sample.points(place)
    measured = points.bunch_s > 0
    safe = np.where(measured, points.bunch_s, 1.0)
    apart = np.abs(model.deviation(points.counts, safe, points.pileup))
    clean = measured & (apart < APART)
    out = np.zeros(len(points.counts))
    for group in folds(points.fill):
        held = np.isin(points.fill, group)
        if (clean & ~held).sum() < len(model.coefficients) + 2:
            continue
        fitted = model.without(points.where(clean & ~held))
        out[held] = fitted.deviation(points.counts[held], safe[held], points.pileup[held])
    return np.where(clean, out, 0.0)
