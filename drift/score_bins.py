"""How the trigger's integer scores are counted: a histogram fine enough for any quantile, and exact pass counts.

A score is unsigned fixed point, so an integer below 2^18.  Small scores are counted one by one and large ones in 64
steps an octave, which knows every quantile to 1/64; what a threshold lets through is counted exactly beside it.
Nothing here knows what model made a score.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drift.errors import SummaryError

Counts = NDArray[np.int64]

SCORE_BITS = 18
"""Bits of ap_ufixed<18,14>; the integer of the menu is the score times 16."""
EXACT_BITS = 10
OCTAVE_STEPS = 64
SCORE_BINS = 2**EXACT_BITS + (SCORE_BITS - EXACT_BITS) * OCTAVE_STEPS
SCORE_CELLS = SCORE_BINS + 2
"""One below and one above hold what no score can be."""
MOST_THRESHOLDS = 64


class Threshold(NamedTuple):
    """A named working point: an event passes when its integer score is not below it."""

    name: str
    score: int


def checked_thresholds(pairs: Iterable[tuple[str, int]]) -> tuple[Threshold, ...]:
    """Return thresholds in one order, so that the order they were named in does not matter.

    Raises:
        SummaryError: Too many, a name twice or empty, or a score that the hardware cannot send.
    """
    found = sorted((Threshold(name, int(score)) for name, score in pairs), key=lambda one: (one.score, one.name))
    if len(found) > MOST_THRESHOLDS:
        raise SummaryError(f"{len(found)} thresholds were named, at most {MOST_THRESHOLDS} are counted; name fewer")
    names = [one.name for one in found]
    for one in found:
        if not one.name or names.count(one.name) > 1:
            raise SummaryError(f"threshold {one.name!r} is named {names.count(one.name)} times; give each its own name")
        if not 0 <= one.score < 2**SCORE_BITS:
            raise SummaryError(f"threshold {one.name} is {one.score}, a score is 0 to {2**SCORE_BITS - 1}; correct it")
    return tuple(found)


@lru_cache(maxsize=1)
def score_edges() -> Counts:
    """Return the lower edge of every regular bin and, last, the end; shape ``(SCORE_BINS + 1,)``."""
    octaves = range(EXACT_BITS, SCORE_BITS)
    steps = [2**octave + np.arange(OCTAVE_STEPS) * (2**octave // OCTAVE_STEPS) for octave in octaves]
    return np.concatenate([np.arange(2**EXACT_BITS), *steps, [2**SCORE_BITS]]).astype(np.int64)


@lru_cache(maxsize=1)
def _bin_of_score() -> NDArray[np.int16]:
    bins = np.repeat(np.arange(SCORE_BINS), np.diff(score_edges()))
    return np.concatenate([[-1], bins, [SCORE_BINS]]).astype(np.int16)


def bins_of(scores: Counts) -> NDArray[np.int16]:
    """Return the bin of every score: -1 below zero, ``SCORE_BINS`` above the largest score."""
    return _bin_of_score()[np.clip(scores, -1, 2**SCORE_BITS) + 1]


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """The scores of the events of one or more lumisections.

    Attributes:
        thresholds: In rising order.
        counts: Events by score bin, shape ``(SCORE_CELLS,)``: one below, `SCORE_BINS`, one above.
        passed: Events at or above each threshold, exact.
        scorer: Digest of the model whose scores they are; empty when nobody said.
    """

    thresholds: tuple[Threshold, ...]
    counts: Counts
    passed: Counts
    scorer: str = ""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ScoreCounts)
            and (self.thresholds, self.scorer) == (other.thresholds, other.scorer)
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(self.passed, other.passed)
        )

    def __hash__(self) -> int:
        return hash(self.thresholds)

    def __add__(self, other: "ScoreCounts") -> "ScoreCounts":
        """Add exactly.

        Raises:
            SummaryError: They are scores of another model, or were counted at other thresholds.
        """
        if self.scorer != other.scorer:
            raise SummaryError(
                f"scores of model {self.scorer[:12] or '(unnamed)'} and of {other.scorer[:12] or '(unnamed)'} cannot "
                "be added; count both with one model"
            )
        if self.thresholds != other.thresholds:
            raise SummaryError(
                f"summaries with thresholds {_words(self.thresholds)} and {_words(other.thresholds)} cannot be added; "
                "count both at the same thresholds"
            )
        return ScoreCounts(self.thresholds, self.counts + other.counts, self.passed + other.passed, self.scorer)

    def quantile(self, share: float) -> tuple[int, int]:
        """Return the smallest and largest score that the quantile can be; the same number below 1 024.

        Args:
            share: Part of the events with at most this score, above 0 and at most 1.

        Raises:
            SummaryError: There is no event, or the share is no such part.
        """
        total = int(self.counts.sum())
        if not total or not 0 < share <= 1:
            raise SummaryError(f"there is no quantile {share:g} of {total} scores; ask for a share in (0, 1] of some")
        place = int(np.searchsorted(np.cumsum(self.counts), math.ceil(share * total - 1e-9))) - 1
        edges = score_edges()
        place = min(max(place, 0), SCORE_BINS - 1)
        return int(edges[place]), int(edges[place + 1]) - 1


def _words(thresholds: tuple[Threshold, ...]) -> str:
    return ", ".join(f"{one.name}={one.score}" for one in thresholds) or "(none)"
