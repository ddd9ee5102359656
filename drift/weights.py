"""Sums of weights that do not depend on the order they were added in.

Floating-point addition rounds, so sums of the same weights in another order differ in their last bits.  Here every
weight w is rounded to whole steps of 2^-15 of the summary's weight scale s, and w² to whole steps of 2^-14 s², before
anything is added.  While Σw² stays below 2^36 s² and events below 2^36, |Σw| stays there too (Cauchy and Schwarz), so
every partial sum is a whole number of steps below 2^53, which float64 holds: no addition rounds, and any order gives
the same bits.  What the limits are compared with only grows, so whether they are passed does not depend on the order
either.  Nothing here knows what is weighted.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.errors import SummaryError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STEP = 2.0**-15
SQUARE_STEP = 2.0**-14
"""Finer steps cost bytes that say nothing: this one is 9e-6 of the spread that one event of weight 1 adds."""
LARGEST_WEIGHT = 2.0**10
SMALL_WEIGHT, JUDGED_FROM = 2.0**-6, 100
"""A scale is called wrong when so many events have only weights below this part of it: w² would be a few steps."""
MOST_SQUARES = 2.0**36
MOST_EVENTS = 2**36
SCALE_EXPONENT = 200
_FRACTION_BITS = 16


def checked_scale(scale: float) -> float:
    """Return a weight scale that steps can be counted in.

    Raises:
        SummaryError: It is not a power of two, or beyond what squares can hold.
    """
    if not (math.isfinite(scale) and scale > 0 and math.frexp(scale)[0] == 0.5):
        raise SummaryError(
            f"weight scale {scale!r} is not a power of two; give one near the typical weight, as 2.0**-7"
        )
    if abs(math.log2(scale)) > SCALE_EXPONENT:
        raise SummaryError(f"weight scale {scale!r} is beyond 2**±{SCALE_EXPONENT}; divide the weights by a constant")
    return float(scale)


def steps(scale: float) -> Floats:
    """Return what one step of Σw and one of Σw² is, shape ``(2, 1)``."""
    return np.array([[STEP * scale], [SQUARE_STEP * scale * scale]])


def rounded(weights: Floats, scale: float, where: str) -> Floats:
    """Return weights and their squares in whole steps, shape ``(2, n_events)``.

    Args:
        weights: Shape ``(n_events,)``; negative ones are allowed.
        scale: A power of two near the typical weight.
        where: Which lumisection, for messages.

    Raises:
        SummaryError: A weight is no number, or the scale is wrong for these weights.
    """
    if not np.isfinite(weights).all():
        raise SummaryError(
            f"{where} has {np.count_nonzero(~np.isfinite(weights))} weights that are not finite; mend them"
        )
    if not weights.size:
        return np.zeros((2, 0))
    largest = float(np.abs(weights).max())
    if largest > LARGEST_WEIGHT * scale:
        raise SummaryError(
            f"{where} has a weight of {largest:g}, scale {scale:g} takes up to {LARGEST_WEIGHT * scale:g}; "
            f"{_advice(weights, largest)}"
        )
    if weights.size >= JUDGED_FROM and 0 < largest < SMALL_WEIGHT * scale:
        raise SummaryError(
            f"{where} has {weights.size} weights, the largest {largest:g}, too small for scale {scale:g}; "
            f"{_advice(weights, largest)}"
        )
    exact = np.stack([weights, np.square(weights)])
    step = steps(scale)
    return np.rint(exact / step) * step + 0.0  # no negative zeros, whose bits would differ


def _advice(weights: Floats, largest: float) -> str:
    typical = largest * math.sqrt(float(np.square(weights / largest).mean()))
    return f"count with Summariser(..., weight_scale=2.0**{math.floor(math.log2(typical))})"


@dataclass(frozen=True, eq=False)
class Weighted:
    """Σw and Σw² beside every integer count.

    Attributes:
        scale: The weight scale it was counted in.
        sums: Shape ``(2, 1 + cells)``: Σw and Σw² of all events, then of every cell in the order of the counts.
    """

    scale: float
    sums: Floats

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weighted) and self.scale == other.scale and np.array_equal(self.sums, other.sums)

    def __hash__(self) -> int:
        return hash(self.scale)

    @property
    def total(self) -> Floats:
        """Σw and Σw² of all events, shape ``(2,)``."""
        return self.sums[:, 0]

    def __add__(self, other: "Weighted") -> "Weighted":
        """Add exactly.

        Raises:
            SummaryError: They were counted in other scales.
        """
        if self.scale != other.scale:
            raise SummaryError(
                f"summaries of weight scale {self.scale:g} and {other.scale:g} cannot be added; count both in one scale"
            )
        return Weighted(self.scale, self.sums + other.sums)

    def checked(self, events: int) -> "Weighted":
        """Return itself while its sums are exact.

        Raises:
            SummaryError: So much was added that a sum may have been rounded.
        """
        squares = float(self.sums[1, 0]) / self.scale**2
        if squares > MOST_SQUARES or events > MOST_EVENTS:
            raise SummaryError(
                f"{events} events with a sum of squared weights of {squares:g} scale² are more than add exactly, at "
                f"most {MOST_EVENTS} and {MOST_SQUARES:g}; keep them in several summaries"
            )
        return self

    def squeeze(self, counts: Integers) -> tuple[list[int], Integers]:
        """Return the sums as small integers: what the counts cannot predict of them; `expand` undoes it.

        Args:
            counts: The counts beside the sums, events first, shape ``(1 + cells,)``.
        """
        whole = np.rint(self.sums / steps(self.scale)).astype(np.int64)
        shifts = [_common_zeros(row) for row in whole]
        first, second = (row >> shift for row, shift in zip(whole, shifts, strict=True))
        mean = round(int(first[0]) / max(int(counts[0]), 1))
        by_count, by_sum = _line(counts, first, second)
        notes = [*shifts, mean, by_count, by_sum]
        return notes, _zigzag(np.stack([first - mean * counts, second - _predicted(counts, first, by_count, by_sum)]))

    @classmethod
    def expand(cls, scale: float, counts: Integers, notes: list[int], small: Integers) -> "Weighted":
        """Return the sums that `squeeze` made small."""
        shift, shift_squared, mean, by_count, by_sum = notes
        rest = (small.view(np.uint64) >> np.uint64(1)).view(np.int64) ^ -(small & 1)
        first = rest[0] + mean * counts
        second = rest[1] + _predicted(counts, first, by_count, by_sum)
        whole = np.stack([first << shift, second << shift_squared])
        return cls(scale, whole.astype(np.float64) * steps(scale))


def _zigzag(values: Integers) -> Integers:
    return (values << 1) ^ (values >> 63)


def _common_zeros(row: Integers) -> int:
    together = int(np.bitwise_or.reduce(row))
    return (together & -together).bit_length() - 1 if together else 0


def _predicted(counts: Integers, first: Integers, by_count: int, by_sum: int) -> Integers:
    """Σw² as counts and Σw suggest it; wraps alike on the way out and in, so it may be any guess."""
    return (by_count * counts + by_sum * first) >> _FRACTION_BITS


def _line(counts: Integers, first: Integers, second: Integers) -> tuple[int, int]:
    """Weighted least squares of Σw² on counts and Σw; only the size of the bytes depends on it."""
    columns = np.stack([counts, first], axis=1).astype(np.float64) / np.sqrt(np.maximum(counts, 1))[:, None]
    found, *_ = np.linalg.lstsq(columns, second / np.sqrt(np.maximum(counts, 1)), rcond=1e-9)
    by_count, by_sum = np.clip(np.rint(found * 2**_FRACTION_BITS), -(2.0**40), 2.0**40)
    return int(by_count), int(by_sum)
