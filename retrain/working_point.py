"""Which integer threshold gives a wanted trigger rate, and how well that is known.

Rate is pass fraction times colliding bunches times the revolution frequency.  A few passing zero-bias events do
not make a rate: the interval is always there, and too few events are called too few.  Nothing here trains,
compiles or reads a disk.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from retrain.fixed_point import Integers

REVOLUTION_HZ = 11_245.8  # of the LHC at 6.8 TeV
STRATUM_WIDTH = 5.0  # units of pileup
MINIMUM_CELL = 5.0  # expected events below which a chi-square cell says nothing


@dataclass(frozen=True)
class Share:
    """A binomial share with its interval.

    Attributes:
        events: Trials.
        passing: Successes.
        fraction: ``passing / events``; 0 when there are no events.
        low: Lower end of the Clopper-Pearson interval.
        high: Upper end.
    """

    events: int
    passing: int
    fraction: float
    low: float
    high: float

    def rates(self, bunches: int) -> dict[str, float]:
        """Return value and interval as rates in Hz."""
        scale = bunches * REVOLUTION_HZ
        return {"rate_hz": self.fraction * scale, "low_hz": self.low * scale, "high_hz": self.high * scale}


def clopper_pearson(passing: int, events: int, confidence: float) -> tuple[float, float]:
    """Return the exact central interval of a binomial share; it covers at least ``confidence``, whatever the share.

    References:
        C. Clopper, E. Pearson, Biometrika 26 (1934) 404, doi:10.1093/biomet/26.4.404.
    """
    tail = 0.5 * (1.0 - confidence)
    low = 0.0 if passing == 0 else float(stats.beta.ppf(tail, passing, events - passing + 1))
    high = 1.0 if passing == events else float(stats.beta.ppf(1.0 - tail, passing + 1, events - passing))
    return low, high


def share(passing: int, events: int, confidence: float) -> Share:
    """Return a share with its interval; without events it may be anything from 0 to 1."""
    low, high = clopper_pearson(passing, events, confidence) if events else (0.0, 1.0)
    return Share(events, passing, passing / events if events else 0.0, low, high)


def threshold_for(scores: Integers, fraction: float) -> int:
    """Return the smallest integer threshold at which no more than ``fraction`` of events pass (score >= threshold)."""
    allowed = math.floor(fraction * len(scores) + 1e-9)
    ordered = np.sort(scores)[::-1]
    if allowed >= len(ordered):
        return 0
    return int(ordered[allowed]) + 1


def choose(
    scores: Integers,
    *,
    target_rate_hz: float,
    bunches: int,
    confidence: float,
    minimum_passing: int,
) -> dict[str, Any]:
    """Return threshold, rate and interval for a target total rate, as plain JSON values.

    Args:
        scores: Integer scores of events the model has not learned from.
        target_rate_hz: Total rate aimed at, in Hz.
        bunches: Colliding bunches.
        confidence: Of the interval.
        minimum_passing: Passing events below which the answer is called inconclusive.
    """
    fraction = min(target_rate_hz / (bunches * REVOLUTION_HZ), 1.0)
    threshold = threshold_for(scores, fraction)
    got = share(int((scores >= threshold).sum()), len(scores), confidence)
    below = share(int((scores >= threshold - 1).sum()), len(scores), confidence)
    return {
        "threshold": threshold,
        "target_rate_hz": target_rate_hz,
        "target_fraction": fraction,
        "bunches": bunches,
        "revolution_hz": REVOLUTION_HZ,
        "confidence": confidence,
        "minimum_passing": minimum_passing,
        "enough": got.passing >= minimum_passing,
        **asdict(got),
        **got.rates(bunches),
        "one_below_hz": below.rates(bunches)["rate_hz"],
    }


def strata(
    passed: NDArray[np.bool_], pileup: NDArray[np.float64], bunches: int, confidence: float
) -> list[dict[str, Any]]:
    """Return the rate in steps of five units of pileup; events of unknown pileup stand last, under None."""
    lower = np.floor(pileup / STRATUM_WIDTH) * STRATUM_WIDTH
    out: list[dict[str, Any]] = []
    for edge in [*np.unique(lower[~np.isnan(lower)]).tolist(), None]:
        inside = np.isnan(lower) if edge is None else lower == edge
        if not inside.any():
            continue
        got = share(int(passed[inside].sum()), int(inside.sum()), confidence)
        out.append({"pileup_from": edge, **asdict(got), **got.rates(bunches)})
    return out


def stability(passed: NDArray[np.bool_], pileup: NDArray[np.float64], group: NDArray[np.int64]) -> dict[str, Any]:
    """Return whether the rate follows pileup smoothly: a chi-square of (group, pileup) cells about a fitted curve.

    The rate of an anomaly trigger grows with pileup; what must not be is that two fills at one pileup differ.  The
    curve is a Poisson regression of the log rate on pileup, quadratic.

    Args:
        passed: Which events pass, shape ``(n_events,)``.
        pileup: Of each event; NaN when unknown.
        group: A number of the fill or run of each event.
    """
    known = ~np.isnan(pileup)
    cells: dict[tuple[int, float], tuple[int, int, float]] = {}
    lower = np.floor(pileup[known] / STRATUM_WIDTH)
    for name, edge in sorted(set(zip(group[known].tolist(), lower.tolist(), strict=True))):
        inside = (group[known] == name) & (lower == edge)
        cells[name, edge] = (
            int(passed[known][inside].sum()),
            int(inside.sum()),
            float(pileup[known][inside].mean()),
        )
    overall = float(passed[known].mean()) if known.any() else 0.0
    used = [cell for cell in cells.values() if cell[1] * overall >= MINIMUM_CELL]
    degree = min(2, len({round(cell[2] / STRATUM_WIDTH) for cell in used}) - 1)
    if len(used) < degree + 2 or overall in {0.0, 1.0}:
        return {"cells": len(used), "tested": False, "chi_square": 0.0, "degrees": 0, "p_value": 1.0}
    counts, events, mean = (np.array(column, np.float64) for column in zip(*used, strict=True))
    expected = _poisson_fit(counts, events, mean, degree)
    chi_square = float((np.square(counts - expected) / expected).sum())
    degrees = len(used) - degree - 1
    p_value = float(stats.chi2.sf(chi_square, degrees))
    return {"cells": len(used), "tested": True, "chi_square": chi_square, "degrees": degrees, "p_value": p_value}


def _poisson_fit(
    counts: NDArray[np.float64], events: NDArray[np.float64], mean: NDArray[np.float64], degree: int
) -> NDArray[np.float64]:
    centred = (mean - mean.mean()) / max(float(mean.std()), 1e-9)
    design = np.stack([centred**power for power in range(degree + 1)], axis=1)
    beta = np.zeros(degree + 1)
    beta[0] = math.log(counts.sum() / events.sum())
    for _ in range(50):
        expected = events * np.exp(np.clip(design @ beta, -50.0, 50.0))
        curvature = design.T @ (design * expected[:, None]) + 1e-9 * np.eye(degree + 1)
        step = np.linalg.solve(curvature, design.T @ (counts - expected))
        beta = beta + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    out: NDArray[np.float64] = events * np.exp(np.clip(design @ beta, -50.0, 50.0))
    return out


def same_share(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Return the two-sided p-value that two (passing, events) samples share one fraction (Fisher's exact test)."""
    table = [[first[0], first[1] - first[0]], [second[0], second[1] - second[0]]]
    return float(stats.fisher_exact(table)[1])


def against_champion(
    candidate: NDArray[np.bool_], champion: NDArray[np.bool_], bunches: int, confidence: float
) -> dict[str, Any]:
    """Return both rates on the same events, the overlap, and what the candidate gains and loses."""
    events = len(candidate)
    both = int((candidate & champion).sum())
    either = int((candidate | champion).sum())
    old = share(int(champion.sum()), events, confidence)
    return {
        "champion": {**asdict(old), **old.rates(bunches)},
        "both": both,
        "gained": int((candidate & ~champion).sum()),
        "lost": int((champion & ~candidate).sum()),
        "overlap": both / either if either else 1.0,
    }
