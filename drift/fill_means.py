"""What the mean of a whole fill may be while all is well: the unit in which ageing is counted.

A detector that ages by less in a fill than healthy fills differ shows in no fill, and in the means of many.  One mean a
fill is gathered as sums; its null variance is the benign model's, followed through the very lumisections that were
watched, and never less than the held-out fills of the reference have shown.  Nothing here remembers another fill.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from drift.benign import FORGETS, Benign, Swell
from drift.streams import StreamLabel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FAMILIES = ("scale", "noise", "mix", "rate", "phi", "eta")
"""Streams that take part: those with a direction, of the inputs; a score ages because they do."""
LEAST_FILLS = 15
"""Fills whose means tell how far healthy ones lie apart; with fewer the slow path is off."""
LEAST_LUMISECTIONS = 10
"""Of a fill, for its mean to count."""
UPPER = 0.95
"""Confidence of the upper limit at which the spread of so few fill means is taken, as Student's factor would be."""
CLIP = 3.0
"""Spreads that one fill may count: three fills at least make an alarm, a single bad one never."""
STEPS = (0.7, 1.4, 2.8)
"""Alternatives: a step that stays, in spreads of a typical fill mean."""
RAMPS = (0.1, 0.25, 0.6)
"""Alternatives: what grows by so many spreads every fill."""
MOST_E_VALUE = 1.1


@dataclass(eq=False)
class FillMean:
    """Sums over one fill, each lumisection weighed by its events.

    Attributes:
        count: Lumisections in it.
        total: Weighted sum of every stream, shape ``(n_streams,)``.
        wander: Variance now, covariance with the sum and variance in the sum, each of the fast wander, the slow one and
            what stays all fill, shape ``(3, 3, n_streams)``.
        powers: Weighted sums of the template's polynomial terms; the first is the weight itself.
    """

    count: int
    total: Floats
    wander: Floats
    powers: Floats

    @classmethod
    def fresh(cls, benign: Benign) -> "FillMean":
        """Return the sums before a fill's first lumisection."""
        streams = benign.noise.size
        return cls(0, np.zeros(streams), np.zeros((3, 3, streams)), np.zeros(len(benign.swell.doubt)))

    def add(self, benign: Benign, value: Floats, noise_factor: float, pileup: float, lost: int = 0) -> None:
        """Take one lumisection in.

        The wanders start at stationarity and go on as in `drift.benign.FillFilter`; the variance of the sum S of weight
        w times wander a follows step by step: var(S + w a) = var(S) + 2 w cov(a, S) + w² var(a).

        Args:
            benign: Spreads.
            value: Standardised residual streams, scaled to the reference's events.
            noise_factor: Reference events over this lumisection's events.
            pileup: Mean collisions per crossing.
            lost: Lumisections since the one before that nobody measured.
        """
        weight, rho, stationary = 1.0 / noise_factor, FORGETS[:, None] ** (1 + lost), benign.starts(pileup)
        now, both, summed = self.wander
        now = stationary if self.count == 0 else now * rho**2 + stationary * (1 - rho**2)
        both = both * rho
        summed = summed + 2 * weight * both + weight**2 * now
        self.wander = np.stack([now, both + weight * now, summed])
        self.total = self.total + weight * value
        self.powers = self.powers + weight * _powers(benign.swell, pileup)
        self.count += 1

    @property
    def mean(self) -> Floats:
        """Mean of every stream."""
        return np.asarray(self.total / self.powers[0])

    def noise(self, benign: Benign) -> Floats:
        """Return the variance that measurement gives the mean."""
        return np.asarray(benign.noise / self.powers[0])

    @property
    def wandering(self) -> Floats:
        """Variance that the wanders and what stays give the mean."""
        return np.asarray(self.wander[2].sum(axis=0) / self.powers[0] ** 2)

    def doubt(self, benign: Benign) -> float:
        """Return the template's variance at this fill's pileups, per unit variance of fill means."""
        powers = self.powers / self.powers[0]
        return float(powers @ benign.swell.doubt @ powers)


def _powers(swell: Swell, pileup: float) -> Floats:
    z = float(np.clip((pileup - swell.centre) / swell.half, -1.1, 1.1))
    return np.asarray(z ** np.arange(len(swell.doubt)), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class FillModel:
    """How far the mean of a healthy fill may lie from its expectation.

    Attributes:
        fills: Held-out fills it was learnt from; below `LEAST_FILLS` the slow path is off.
        used: Streams that take part, shape ``(n_streams,)``: directed ones that passed.
        floor: Least variance by wander: that of the reference's typical fill, for longer ones have not been seen.
        extra: Variance that held-out fill means have beyond the benign model.
        typical: Spread of a typical fill mean, the unit of the alternatives.
        doubt: The template's own variance in a typical fill, per unit variance of fill means; common to all fills.
        e_value: Largest mean e-value of held-out fill means over the alternatives.
        looser: What the constants of a stratum or interval leave open beyond that, per unit variance of fill means, by
            stream; empty when nothing.
    """

    fills: int
    used: NDArray[np.bool_]
    floor: Floats
    extra: Floats
    typical: Floats
    doubt: float
    e_value: Floats
    looser: Floats = field(default_factory=lambda: np.zeros(0))

    def loosened(self, variance: Floats) -> "FillModel":
        """Return it where an expectation leaves so much more open, per unit variance of fill means, by stream."""
        return replace(self, looser=variance + self.looser if self.looser.size else variance)

    @classmethod
    def off(cls, fills: int, streams: int) -> "FillModel":
        """Return a model under which nothing is said of ageing."""
        zero = np.zeros(streams)
        return cls(fills, np.zeros(streams, dtype=bool), zero, zero, np.ones(streams), 0.0, zero)

    @classmethod
    def fit(
        cls,
        benign: Benign,
        streams: Floats,
        noise_factor: Floats,
        fill: Ints,
        pileup: Floats,
        groups: Sequence[str],
        labels: tuple[StreamLabel, ...],
        sound: NDArray[np.bool_],
    ) -> "FillModel":
        """Learn from residuals of fills that had no part in their template.

        Args:
            benign: Spreads of lumisections.
            streams: Standardised residuals, shape ``(n_lumisections, n_streams)``, in time order within each fill.
            noise_factor: Reference events over each lumisection's events.
            fill: Fill of every lumisection.
            pileup: Of every lumisection.
            groups: Family of every stream; members are pooled.
            labels: Of the streams; only `FAMILIES` take part: a square does not average out.
            sound: Which streams passed their check by lumisections.
        """
        fills = fill_means(benign, streams, noise_factor, fill, pileup)
        if len(fills) < LEAST_FILLS:
            return cls.off(len(fills), streams.shape[1])
        means = np.stack([one.mean for one in fills])
        floor = np.median([one.wandering for one in fills], axis=0)
        doubt = np.array([one.doubt(benign) for one in fills])
        model = np.stack([one.noise(benign) + np.maximum(one.wandering, floor) for one in fills])
        expected = model * (1 + doubt)[:, None]
        upper = len(fills) / float(chi2.ppf(1 - UPPER, len(fills)))
        extra = np.zeros(streams.shape[1])
        for group in set(groups):
            member = np.array([one == group for one in groups])
            extra[member] = max(0.0, upper * float((means[:, member] ** 2).mean()) - float(expected[:, member].mean()))
        e_value = _mean_e_values(means / np.sqrt(expected + extra))
        most = MOST_E_VALUE + 2 / np.sqrt(2 * len(fills))
        used = np.array([one.family in FAMILIES for one in labels]) & sound & (e_value <= most)
        typical = np.sqrt(np.median(model, axis=0) + extra)
        return cls(len(fills), used, floor, extra, typical, float(np.median(doubt)), e_value)

    def variance(self, benign: Benign, one: FillMean) -> Floats:
        """Return the null variance of a fill's mean, without what the template leaves open in every fill alike."""
        own = one.noise(benign) + np.maximum(one.wandering, self.floor) + self.extra
        return np.asarray(own * (1 + max(one.doubt(benign) - self.doubt, 0.0)))

    def advice(self, labels: tuple[StreamLabel, ...]) -> tuple[str, ...]:
        """Return what would make it better, in sentences; empty when all streams take part."""
        if self.fills < LEAST_FILLS:
            few = (
                f"{self.fills} held-out fills of {LEAST_LUMISECTIONS} lumisections do not tell how far healthy ones lie"
            )
            return (f"ageing from fill to fill is not watched: {few} apart; {LEAST_FILLS} do",)
        off = [one.name for one, on in zip(labels, self.used, strict=True) if one.family in FAMILIES and not on]
        if not off:
            return ()
        named = ", ".join(off[:4]) + (f" and {len(off) - 4} more" if len(off) > 4 else "")
        return (f"not watched for ageing because their held-out fill means failed their check: {named}",)


def fill_means(benign: Benign, streams: Floats, noise_factor: Floats, fill: Ints, pileup: Floats) -> list[FillMean]:
    """Return the means of all fills that are long enough, in order of fill number."""
    found = []
    for one in np.unique(fill):
        mean = FillMean.fresh(benign)
        for place in np.flatnonzero(fill == one):
            mean.add(benign, streams[place], float(noise_factor[place]), float(pileup[place]))
        if mean.count >= LEAST_LUMISECTIONS:
            found.append(mean)
    return found


def _mean_e_values(scores: Floats) -> Floats:
    z = np.clip(scores, -CLIP, CLIP)
    means = [np.exp(sign * step * z - step**2 / 2).mean(axis=0) for step in STEPS for sign in (1.0, -1.0)]
    return np.asarray(np.max(means, axis=0))
