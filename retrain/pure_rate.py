"""What a threshold costs that nobody else pays: the rate of events that no other seed of the prescale set passes.

A seed with prescale p keeps one of p events, so an event that seeds i fire is pure with probability
``prod (1 - 1/p_i)``: events carry weights, and sums of weights have intervals of their own.  Seeds that are off take
nothing.  Where decisions are those after prescales, every prescale is one and weights are nought or one.  Nothing here
reads a disk.

References:
    F. Garwood, Biometrika 28 (1936) 437, doi:10.1093/biomet/28.3-4.437 (Poisson intervals).
    G. Bohm, G. Zech, Nucl. Instrum. Meth. A 748 (2014) 1, doi:10.1016/j.nima.2014.02.021 (sums of weights).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from retrain.errors import DatasetError
from retrain.fixed_point import Integers
from retrain.working_point import REVOLUTION_HZ, STRATUM_WIDTH, share, strata

Weights = NDArray[np.float64]


def pure_weights(fired: NDArray[np.bool_], prescales: Sequence[int], names: Sequence[str]) -> Weights:
    """Return with which probability no other seed keeps each event, shape ``(n_events,)``.

    Args:
        fired: Decisions of the other seeds before their prescales, shape ``(n_seeds, n_events)``.
        prescales: One per seed; 0 is off.
        names: Of the seeds, for messages.

    Raises:
        DatasetError: The shapes do not fit, a prescale is negative, or an unprescaled seed fires in every event: the
            zero-bias seed itself, beside which nothing is pure.
    """
    if fired.ndim != 2 or not len(fired) == len(prescales) == len(names):
        raise DatasetError(
            f"decisions of other seeds have shape {fired.shape} for {len(names)} seeds and {len(prescales)} prescales; "
            "expected one row and one prescale a seed"
        )
    out: Weights = np.ones(fired.shape[1])
    for name, row, prescale in zip(names, fired, prescales, strict=True):
        if prescale < 0:
            raise DatasetError(f"seed {name} has prescale {prescale}; expected 0 (off) or more")
        if prescale == 1 and len(row) and row.all():
            raise DatasetError(f"seed {name} fires unprescaled in every event, so nothing is pure; leave it out")
        if prescale:
            out[row] *= 1.0 - 1.0 / prescale
    return out


def weighted_interval(total: float, squares: float, confidence: float) -> tuple[float, float]:
    """Return the central interval of an expected sum of weights at most one.

    The sum is taken as ``scale`` times a Poisson count of its effective number, ``total**2 / squares``; with weights
    of nought and one it is Garwood's exact interval.

    Args:
        total: Sum of the weights seen.
        squares: Sum of their squares.
        confidence: Of the interval.
    """
    tail = 0.5 * (1.0 - confidence)
    scale = squares / total if total > 0 else 1.0
    count = total / scale
    low = 0.0 if count <= 0 else 0.5 * float(stats.chi2.ppf(tail, 2 * count))
    return scale * low, scale * 0.5 * float(stats.chi2.ppf(1.0 - tail, 2 * count + 2))


def threshold_for_weights(scores: Integers, weights: Weights, allowed: float) -> int:
    """Return the smallest integer threshold at which the passing events' weights sum to no more than ``allowed``."""
    values, place = np.unique(scores, return_inverse=True)
    above = np.cumsum(np.bincount(place.reshape(-1), weights, len(values))[::-1])
    over = np.flatnonzero(above > allowed + 1e-9)
    return 0 if not len(over) else int(values[::-1][over[0]]) + 1


def choose_pure(
    scores: Integers,
    weights: Weights,
    *,
    target_rate_hz: float,
    bunches: int,
    confidence: float,
    minimum_passing: int,
) -> dict[str, Any]:
    """Return threshold, rate and interval for a target pure rate, in the form of `working_point.choose`.

    ``passing`` is the effective number of events, rounded down: so many unweighted ones would know the rate as well.

    Args:
        scores: Integer scores of events the model has not learned from.
        weights: Of these events, from `pure_weights`.
        target_rate_hz: Pure rate aimed at, in Hz.
        bunches: Colliding bunches.
        confidence: Of the interval.
        minimum_passing: Effective events below which the answer is called inconclusive.
    """
    crossings, events = bunches * REVOLUTION_HZ, len(scores)
    fraction = min(target_rate_hz / crossings, 1.0)
    threshold = threshold_for_weights(scores, weights, fraction * events)
    passed = scores >= threshold
    total, squares = float(weights[passed].sum()), float(np.square(weights[passed]).sum())
    low, high = weighted_interval(total, squares, confidence)
    effective = math.floor(total**2 / squares + 1e-9) if squares else 0
    everything = share(int(passed.sum()), events, confidence)
    return {
        "rate": "pure",
        "threshold": threshold,
        "target_rate_hz": target_rate_hz,
        "target_fraction": fraction,
        "bunches": bunches,
        "revolution_hz": REVOLUTION_HZ,
        "confidence": confidence,
        "minimum_passing": minimum_passing,
        "enough": effective >= minimum_passing,
        "events": events,
        "passing": effective,
        "weight": total,
        "fraction": total / events,
        "low": low / events,
        "high": min(high / events, 1.0),
        "rate_hz": total / events * crossings,
        "low_hz": low / events * crossings,
        "high_hz": min(high / events, 1.0) * crossings,
        "one_below_hz": float(weights[scores >= threshold - 1].sum()) / events * crossings,
        "total": {**asdict(everything), **everything.rates(bunches)},
    }


def pure_strata(
    passed: NDArray[np.bool_], weights: Weights, pileup: NDArray[np.float64], bunches: int, confidence: float
) -> list[dict[str, Any]]:
    """Return the strata of `working_point.strata` with pure rates and their intervals in place of total ones."""
    rows = strata(passed, pileup, bunches, confidence)
    for row in rows:
        inside = np.isnan(pileup) if row["pileup_from"] is None else _inside(pileup, row["pileup_from"])
        kept = weights[inside & passed]
        total, squares = float(kept.sum()), float(np.square(kept).sum())
        scale = bunches * REVOLUTION_HZ / row["events"]
        low, high = weighted_interval(total, squares, confidence)
        row |= {"rate_hz": total * scale, "low_hz": low * scale, "high_hz": high * scale, "weight": total}
    return rows


def _inside(pileup: NDArray[np.float64], edge: float) -> NDArray[np.bool_]:
    return np.asarray((pileup >= edge) & (pileup < edge + STRATUM_WIDTH))
