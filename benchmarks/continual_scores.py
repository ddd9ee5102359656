"""What a campaign's rows say about each learner: means over seeds with intervals, and which gains are real.

Nothing here trains or writes a page.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

Row = dict[str, Any]
CONFIDENCE = 0.95
TOLERANCE = 0.25
"""A rate is in tolerance within this share of its target."""
KEPT = -0.02
"""A policy keeps the old when it loses no more than this share of the efficiency there."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with Student's interval.

    Attributes:
        mean: Over the seeds.
        half: Half the width of the 95 % interval; infinite for one seed.
        seeds: How many.
    """

    mean: float
    half: float
    seeds: int

    @property
    def surely_positive(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.mean - self.half > 0

    @property
    def surely_negative(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.mean + self.half < 0

    def text(self, form: str = ".3f", factor: float = 1.0, sign: str = "") -> str:
        """Return mean and half width in words."""
        width = "?" if np.isinf(self.half) else format(self.half * factor, form)
        return f"{format(self.mean * factor, sign + form)} ± {width}"


def estimate(values: Iterable[float]) -> Estimate:
    """Return mean and interval of one number a seed (Student's t)."""
    found = np.array(list(values), np.float64)
    if len(found) < 2:
        return Estimate(float(found.mean()), float("inf"), len(found))
    quantile = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(found) - 1))
    return Estimate(float(found.mean()), quantile * float(found.std(ddof=1)) / np.sqrt(len(found)), len(found))


def read(path: Path) -> list[Row]:
    """Return the rows of a campaign."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def by_seed(rows: Sequence[Row], degradation: str, learner: str) -> dict[int, Row]:
    """Return one learner's rows under one degradation, by seed."""
    return {row["seed"]: row for row in rows if row["degradation"] == degradation and row["learner"] == learner}


def paired(
    rows: Sequence[Row], degradation: str, learner: str, against: str, value: Callable[[Row], float]
) -> Estimate:
    """Return the difference of two learners on the same seeds."""
    ours, theirs = by_seed(rows, degradation, learner), by_seed(rows, degradation, against)
    return estimate(value(ours[seed]) - value(theirs[seed]) for seed in sorted(set(ours) & set(theirs)))


def now(row: Row, name: str = "efficiency") -> float:
    """Return the last model's value on the last fill."""
    return float(row[name][-1][-1])


def old(row: Row, name: str = "efficiency") -> float:
    """Return the last model's value on the healthy fill."""
    return float(row[name][-1][0])


def kept(row: Row) -> float:
    """Return the relative change of efficiency on the healthy fill, from the model after it to the last."""
    return old(row) / float(row["efficiency"][0][0]) - 1.0


def forgetting(row: Row) -> float | None:
    """Return by how much the last model falls below the best before it on each earlier fill, averaged; None for gaps.

    References:
        A. Chaudhry et al., ECCV 2018, arXiv:1801.10112.
    """
    matrix = row["efficiency"]
    last = len(matrix) - 1
    if any(matrix[after][stratum] is None for after in range(last + 1) for stratum in range(after + 1)):
        return None
    falls = [
        max(matrix[after][stratum] for after in range(stratum, last)) - matrix[last][stratum] for stratum in range(last)
    ]
    return float(np.mean(falls))


def in_tolerance(row: Row, threshold: str, fraction: float) -> float:
    """Return the share of intervals whose rate is within tolerance, with the ``fixed`` threshold or one that follows.

    Args:
        row: Of one cell.
        threshold: ``fixed`` or ``follows``.
        fraction: Share of crossings that is to pass.
    """
    good = [
        abs(passes / events / fraction - 1.0) <= TOLERANCE
        for fill in row["rates"]
        for passes, events in zip(fill[threshold], fill["events"], strict=True)
    ]
    return float(np.mean(good))


def best_possible(events: int, fraction: float) -> float:
    """Return the share of intervals in tolerance when the threshold is exact and only counting moves the rate."""
    high = np.floor(events * fraction * (1 + TOLERANCE) + 1e-9)
    low = np.ceil(events * fraction * (1 - TOLERANCE) - 1e-9)
    return float(stats.binom.cdf(high, events, fraction) - stats.binom.cdf(low - 1, events, fraction))


def matrix_of(rows: Mapping[int, Row]) -> list[list[float | None]]:
    """Return the mean over seeds of efficiency after each fill on each stratum; None where it was not measured."""
    every = [row["efficiency"] for row in rows.values()]
    size = len(every[0])

    def cell(after: int, stratum: int) -> float | None:
        values = [one[after][stratum] for one in every]
        return None if any(value is None for value in values) else float(np.mean(values))

    return [[cell(after, stratum) for stratum in range(size)] for after in range(size)]
