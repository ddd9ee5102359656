"""What rate a seed has at a pileup: n_b f(PU), with f chosen by data among the shapes that trigger groups use.

Pure: numbers in, a frozen model out, which knows the pileups of which it may speak, and refuses a handful of counts.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import norm

from drift.errors import RatesUnfitError
from drift.growth import (
    FAMILIES,
    FLOOR,
    LEAST_EXPECTED,
    LEAST_POINTS,
    Floats,
    Ints,
    RatePoints,
    clean_of,
    deviance_of,
    fit_family,
    shape_of,
    slopes_of,
)
from drift.tails import LEAST_COUNTS

FILLS_TO_HOLD_OUT = 4
MOST_FOLDS = 5
SAME_AIC = 2.0
"""Differences of the information criterion below this say nothing (Burnham and Anderson, 2002, section 2.6)."""
SUPPORT = (0.01, 0.99)


@dataclass(frozen=True)
class Prediction:
    """What rate is expected.

    Attributes:
        rate_hz: Expected rate before the prescale.
        low_hz: Lower end of where one measurement is expected.
        high_hz: Upper end.
    """

    rate_hz: float
    low_hz: float
    high_hz: float


@dataclass(frozen=True)
class RateModel:
    """A fitted f(PU) in Hz a colliding bunch; see `fit`.

    Attributes:
        seed: Name of the seed.
        family: Member of `FAMILIES`.
        bend: Curvature c of ``sinh`` and ``exponential``, 1 for the others.
        coefficients: Of the constant and the other terms.
        covariance: Of coefficients, and of the bend where there is one.
        spread: Relative scatter beyond Poisson.
        sharpest: Relative scatter of the most precise twentieth of the points.
        pileup_low: Below it the model may not speak.
        pileup_high: Above it the model may not speak.
        counts: Counts fitted to.
        points: Points fitted to.
        rejected: Points more than four standard deviations away, left out.
        fills: Fills among the points.
        chosen_by: ``held-out fills`` or ``AICc``.
        scores: Of every family, smaller is better, in the order of `FAMILIES`.
    """

    seed: str
    family: str
    bend: float
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    spread: float
    sharpest: float
    pileup_low: float
    pileup_high: float
    counts: int
    points: int
    rejected: int
    fills: int
    chosen_by: str
    scores: tuple[float, ...]

    @classmethod
    def fit(cls, seed: str, points: RatePoints, *, least_counts: int = LEAST_COUNTS) -> "RateModel":
        """Choose a family and fit it, by quasi-likelihood of variance mu + (spread mu)^2.

        With four fills or more the family is the simplest that predicts held-out fills as well as the best (within one
        standard error); otherwise the simplest within 2 of the smallest AICc.

        Raises:
            RatesUnfitError: Too few counts, points or pileups; the answer is inconclusive then.
        """
        points = points.where(points.bunch_s > 0)
        total = int(points.counts.sum())
        if total < least_counts or len(points.counts) < LEAST_POINTS or np.unique(points.pileup).size < LEAST_POINTS:
            raise RatesUnfitError(
                f"{seed} is inconclusive: {total} counts in {len(points.counts)} lumisections at "
                f"{np.unique(points.pileup).size} pileups; needed are {least_counts}, {LEAST_POINTS} and {LEAST_POINTS}"
            )
        cleaned = [clean_of(points, family) for family in FAMILIES]
        kept, spread = min(cleaned, key=lambda one: one[1])
        clean = points.where(kept)
        fills = np.unique(clean.fill)
        chosen_by, scores, best = _choose(clean, spread, fills)
        bend, beta, _ = fit_family(clean, FAMILIES[best], spread)
        low, high = _support(clean, fills)
        mean = clean.bunch_s * (shape_of(FAMILIES[best], bend, clean.pileup) @ beta)
        noise = np.sqrt(1 / np.maximum(mean, LEAST_EXPECTED) + spread**2)
        covariance = _covariance(clean, FAMILIES[best], bend, beta, spread)
        return cls(
            seed,
            FAMILIES[best],
            bend,
            tuple(float(one) for one in beta),
            tuple(tuple(float(one) for one in row) for row in covariance),
            spread,
            float(np.quantile(noise, 0.05)),
            low,
            high,
            total,
            len(clean.counts),
            int((~kept).sum()),
            len(fills),
            chosen_by,
            scores,
        )

    def hz_per_bunch(self, pileup: float | Floats) -> Floats:
        """Return f at one pileup or several, never negative."""
        at = np.atleast_1d(np.asarray(pileup, dtype=np.float64))
        return np.asarray(np.maximum(shape_of(self.family, self.bend, at) @ np.array(self.coefficients), 0.0))

    @property
    def steepness(self) -> float:
        """Relative change of the rate per relative change of pileup, in the middle of the support."""
        middle = (self.pileup_low + self.pileup_high) / 2
        below, at, above = self.hz_per_bunch(middle * np.array([0.99, 1.0, 1.01]))
        return float((above - below) / 0.02 / at) if at > 0 else 0.0

    def speaks(self, pileup: float) -> bool:
        """Whether the pileup is inside the support."""
        return self.pileup_low <= pileup <= self.pileup_high

    def predict(self, pileup: float, bunches: int, live_s: float, confidence: float = 0.95) -> Prediction:
        """Return the rate expected of one measurement, with an interval for it.

        Args:
            pileup: Mean collisions a crossing.
            bunches: Colliding bunches.
            live_s: Live seconds of the measurement, over the prescale.
            confidence: Of the interval, which holds fit, spread and Poisson scatter.
        """
        rate = float(self.hz_per_bunch(pileup)[0]) * bunches
        at = np.array([pileup])
        slope = slopes_of(self.family, self.bend, at, np.array(self.coefficients))[0] * bunches
        fit = float(slope @ np.array(self.covariance) @ slope)
        scatter = (self.spread * rate) ** 2 + max(rate, LEAST_EXPECTED / live_s) / live_s
        wide = float(norm.ppf(0.5 + confidence / 2)) * float(np.sqrt(fit + scatter))
        return Prediction(rate, max(rate - wide, 0.0), rate + wide)

    def deviation(self, counts: float | Floats, bunch_s: float | Floats, pileup: float | Floats) -> Floats:
        """Return counts minus expectation over their scatter, in standard deviations.

        A measurement is never taken to be more precise than the most precise of the reference: a lower prescale would
        otherwise show, as new, a wander that the reference had no means to see.
        """
        mean = self.hz_per_bunch(pileup) * bunch_s
        scatter = np.sqrt(np.maximum(mean, LEAST_EXPECTED) + (self.spread * mean) ** 2)
        return np.asarray((counts - mean) / np.maximum(scatter, self.sharpest * mean))

    def scatter(self, bunch_s: float, pileup: float) -> float:
        """Return the relative standard deviation of one measurement; infinite where nothing is expected."""
        mean = float(self.hz_per_bunch(pileup)[0]) * bunch_s
        return float(np.hypot(np.sqrt(max(mean, LEAST_EXPECTED)) / mean, self.spread)) if mean > 0 else float("inf")

    def without(self, points: RatePoints) -> "RateModel":
        """Return the model of the same family and spread fitted to these points, for residuals of the others."""
        bend, beta, _ = fit_family(points, self.family, self.spread)
        return replace(self, bend=bend, coefficients=tuple(float(one) for one in beta))

    def to_json(self) -> dict[str, Any]:
        """Return the model as JSON knows it."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> "RateModel":
        """Return the model that `to_json` took apart."""
        lists = {name: tuple(tree[name]) for name in ("coefficients", "scores")}
        return cls(**(tree | lists | {"covariance": tuple(tuple(row) for row in tree["covariance"])}))


def folds(fill: Ints) -> list[Ints]:
    """Return groups of fills to hold out in turn."""
    fills = np.unique(fill)
    return [fills[start::MOST_FOLDS] for start in range(min(MOST_FOLDS, len(fills)))]


def _choose(points: RatePoints, spread: float, fills: Ints) -> tuple[str, tuple[float, ...], int]:
    """Return by what the family was chosen, the scores, and the place of the chosen."""
    if len(fills) < FILLS_TO_HOLD_OUT:
        scores = []
        for family in FAMILIES:
            count = 2 if family == "linear" else 3
            room = max(len(points.counts) - count - 1, 1)
            scores.append(fit_family(points, family, spread)[2] + 2 * count * len(points.counts) / room)
        return "AICc", tuple(scores), next(k for k, one in enumerate(scores) if one <= min(scores) + SAME_AIC)
    held = np.zeros((len(FAMILIES), len(fills)))
    for group in folds(points.fill):
        inside = np.isin(points.fill, group)
        train = points.where(~inside)
        for place, family in enumerate(FAMILIES):
            bend, beta, _ = fit_family(train, family, spread)
            mean = points.bunch_s * (shape_of(family, bend, points.pileup) @ beta)
            mean = np.maximum(mean, FLOOR * train.counts.sum() / train.bunch_s.sum() * points.bunch_s)
            for one in group:
                at = points.fill == one
                held[place, fills == one] = deviance_of(points.counts[at], mean[at], spread)
    total = held.sum(axis=1)
    worse = held - held[int(total.argmin())]
    error = worse.std(axis=1, ddof=1) * np.sqrt(len(fills))
    good = worse.sum(axis=1) <= error
    return "held-out fills", tuple(float(one) for one in total), int(np.argmax(good))


def _support(points: RatePoints, fills: Ints) -> tuple[float, float]:
    """Return the pileups of which a model may speak: the inner 98 %, and where at least two fills have been."""
    low, high = (float(one) for one in np.quantile(points.pileup, SUPPORT))
    if len(fills) < 2:
        return low, high
    ends = np.array([np.quantile(points.pileup[points.fill == one], SUPPORT) for one in fills])
    return max(low, float(np.sort(ends[:, 0])[1])), min(high, float(np.sort(ends[:, 1])[-2]))


def _covariance(points: RatePoints, family: str, bend: float, beta: Floats, spread: float) -> Floats:
    """Return the parameters' covariance; clustered by fill where there are enough (Liang and Zeger, 1986, eq. 7)."""
    slopes = slopes_of(family, bend, points.pileup, beta) * points.bunch_s[:, None]
    mean = points.bunch_s * (shape_of(family, bend, points.pileup) @ beta)
    weight = 1 / (mean + (spread * mean) ** 2)
    size = np.abs(slopes).max(axis=0)
    scaled = slopes / size
    bread = np.linalg.pinv((scaled * weight[:, None]).T @ scaled, rcond=1e-10)
    fills = np.unique(points.fill)
    if len(fills) >= FILLS_TO_HOLD_OUT:
        score = scaled * (weight * (points.counts - mean))[:, None]
        sums = np.stack([score[points.fill == one].sum(axis=0) for one in fills])
        bread = bread @ (sums.T @ sums) @ bread * len(fills) / (len(fills) - 1)
    return np.asarray(bread / np.outer(size, size))
