"""How a count grows with pileup: one family of curves fitted to counts, with outliers set aside.

A count is expected to be f(PU) times its exposure, which holds colliding bunches, live seconds and the prescale.  It
scatters like a Poisson count about that, and by a relative spread besides: luminosity is measured to some per mille.
Which family suits a seed is `drift.rates`' question.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FAMILIES = ("linear", "quadratic", "sinh", "exponential")
"""RateMon's shapes (cms-tsg-fog/RateMon, FitFinder.py), simplest first: a + b x, a + b x + c x^2, a + b sinh(c x),
a + b exp(c x)."""
LEAST_POINTS = 10
REJECT = 4.0
LEAST_EXPECTED = 4.0
"""Below this expectation a count has the spread of this one, so that a single rare firing is no alarm."""
BENDS = np.geomspace(0.3, 16.0, 12)
"""Tried curvatures c, over the highest pileup."""
STEPS = 40
FLOOR = 1e-3
"""Least expectation within a fit, as a share of the mean."""


@dataclass(frozen=True, eq=False)
class RatePoints:
    """Counts of one seed.

    Attributes:
        counts: Shape ``(n,)``.
        bunch_s: Exposure: colliding bunches times live seconds over prescale.
        pileup: Mean collisions a crossing.
        fill: Of every point; all alike where fills are not known.
    """

    counts: Floats
    bunch_s: Floats
    pileup: Floats
    fill: Ints

    def where(self, chosen: NDArray[np.bool_]) -> "RatePoints":
        """Return some of the points."""
        return RatePoints(self.counts[chosen], self.bunch_s[chosen], self.pileup[chosen], self.fill[chosen])


def shape_of(family: str, bend: float, pileup: Floats) -> Floats:
    """Return the terms of a family at each pileup, shape ``(n, terms)``; the bend is that of sinh and exponential."""
    one = np.ones_like(pileup)
    if family == "linear":
        return np.stack([one, pileup], axis=1)
    if family == "quadratic":
        return np.stack([one, pileup, pileup**2], axis=1)
    return np.stack([one, np.sinh(bend * pileup) if family == "sinh" else np.exp(bend * pileup)], axis=1)


def slopes_of(family: str, bend: float, pileup: Floats, beta: Floats) -> Floats:
    """Return the derivatives of f by coefficients, and by the bend where there is one."""
    shape = shape_of(family, bend, pileup)
    if family in {"linear", "quadratic"}:
        return shape
    bent = np.cosh(bend * pileup) if family == "sinh" else np.exp(bend * pileup)
    return np.concatenate([shape, (beta[1] * pileup * bent)[:, None]], axis=1)


def deviance_of(counts: Floats, mean: Floats, spread: float) -> float:
    """Return the deviance of counts whose variance is mu + (spread mu)^2: negative binomial, Poisson without spread."""
    ratio = np.where(counts > 0, counts * np.log(np.maximum(counts, 1e-300) / mean), 0.0)
    if spread < 1e-6:
        return float(2 * (ratio - counts + mean).sum())
    size = spread**-2
    return float(2 * (ratio - (counts + size) * np.log1p((counts - mean) / (mean + size))).sum())


def _solve(points: RatePoints, shape: Floats, spread: float) -> tuple[Floats, float]:
    """Return coefficients and deviance, by Fisher scoring with an identity link among positive expectations."""
    design = shape * points.bunch_s[:, None]
    scale = np.abs(design).max(axis=0)
    design = design / scale
    rate = points.counts.sum() / points.bunch_s.sum()
    least = FLOOR * rate * points.bunch_s
    beta = np.zeros(shape.shape[1])
    beta[0] = rate * scale[0]
    mean = design @ beta
    best = deviance_of(points.counts, mean, spread)
    for _ in range(STEPS):
        root = 1 / np.sqrt(mean + (spread * mean) ** 2)
        step = np.linalg.lstsq(design * root[:, None], points.counts * root, rcond=None)[0] - beta
        before, length = best, 1.0
        while length > 1e-3:
            mean = design @ (beta + length * step)
            now = deviance_of(points.counts, mean, spread) if (mean > least).all() else np.inf
            if now <= best:
                beta, best = beta + length * step, now
                break
            length /= 2
        mean = design @ beta
        if before - best <= 1e-7 * (1 + best):
            break
    return beta / scale, best


def fit_family(points: RatePoints, family: str, spread: float) -> tuple[float, Floats, float]:
    """Return bend, coefficients and deviance of one family."""
    if family in {"linear", "quadratic"}:
        return (1.0, *_solve(points, shape_of(family, 1.0, points.pileup), spread))
    bends = BENDS / float(points.pileup.max())

    def deviance(log_bend: float) -> float:
        return _solve(points, shape_of(family, float(np.exp(log_bend)), points.pileup), spread)[1]

    tried = [deviance(float(np.log(one))) for one in bends]
    place = int(np.argmin(tried))
    around = np.log(bends[[max(place - 1, 0), min(place + 1, len(bends) - 1)]])
    bend = float(np.exp(minimize_scalar(deviance, bounds=tuple(around), method="bounded", options={"xatol": 1e-4}).x))
    return (bend, *_solve(points, shape_of(family, bend, points.pileup), spread))


def clean_of(points: RatePoints, family: str) -> tuple[NDArray[np.bool_], float]:
    """Return which points are no outliers of a family, and their relative spread beyond Poisson."""
    kept = np.ones(len(points.counts), dtype=np.bool_)
    spread = 0.0
    for turn in range(6):
        clean = points.where(kept)
        bend, beta, _ = fit_family(clean, family, spread)
        mean = np.maximum(points.bunch_s * (shape_of(family, bend, points.pileup) @ beta), 1e-12)
        away = points.counts - mean
        spread = _spread(
            away[kept], mean[kept], slopes_of(family, bend, points.pileup[:1], beta).shape[1], robust=turn == 0
        )
        now = np.abs(away) < REJECT * np.sqrt(np.maximum(mean, LEAST_EXPECTED) + (spread * mean) ** 2)
        if turn and (now == kept).all():
            break
        if now.sum() >= LEAST_POINTS:
            kept = now
    return kept, spread


def _spread(away: Floats, mean: Floats, parameters: int, *, robust: bool) -> float:
    """Return the relative spread at which residuals scatter by one, by their median while outliers are among them."""

    def excess(spread: float) -> float:
        square = away**2 / (np.maximum(mean, LEAST_EXPECTED if robust else 0.0) + (spread * mean) ** 2)
        if robust:
            return float(np.median(square)) / 0.4549 - 1.0
        return float(square.sum()) / max(len(away) - parameters, 1) - 1.0

    return float(brentq(excess, 0.0, 10.0, xtol=1e-6)) if excess(0.0) > 0 > excess(10.0) else 0.0
