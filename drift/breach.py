"""Whether a column still keeps its contract: in range, alive, not saturated, in the declared unit.

These are facts of one lumisection, not statistics: a column that is one constant, or whose every pt is even, is wrong
whatever the pileup.  Pure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.profile import Histogram, Layout, LumisectionSummary

LEAST_EVENTS = 100
OUT_OF_RANGE = 0.01
SATURATED = 0.10
CHANCE_LOG = -25.0
"""Log probability below which a constant column is no accident."""
HALVED = (0.45, 0.56)
DOUBLED = (1.75, 2.25)
LEAST_PRESENT = 30
HALVED_MOST = 0.65
MOST_RANKS = 2


@dataclass(frozen=True)
class Breach:
    """One broken promise.

    Attributes:
        feature: Column, or object type when it is about all its pt.
        object: Object type.
        text: What is wrong, in words.
    """

    feature: str
    object: str
    text: str


class Contract:
    """What every column promised, learnt once from a reference's counts; `breaches` asks one lumisection."""

    def __init__(self, layout: Layout, reference: NDArray[np.float64]) -> None:
        self._columns = [one for one in layout.histograms if one.rank]
        self._usual = [reference[one.bins] / max(float(reference[one.bins].sum()), 1.0) for one in self._columns]
        self._scales: dict[str, list[_Scale]] = {}
        for one in self._columns:
            if one.quantity == "pt" and one.rank <= MOST_RANKS:
                value = np.arange(one.low, one.low + one.width)
                usual = reference[one.regular] * (value > 0)
                if usual.sum() > 0:
                    odd = float(usual[value % 2 == 1].sum() / usual.sum())
                    self._scales.setdefault(one.object, []).append(_Scale(one, value, _median(value, usual), odd))

    def breaches(self, summary: LumisectionSummary) -> tuple[Breach, ...]:
        """Return every breach of one lumisection; none when it has too few events to tell."""
        if summary.events < LEAST_EVENTS:
            return ()
        found = []
        for one, usual in zip(self._columns, self._usual, strict=True):
            text = _column(one, summary.counts[one.bins], usual, summary.events)
            if text:
                found.append(Breach(one.name, one.object, text))
        spoilt = {one.object for one in found}
        for kind, scales in self._scales.items():
            text = _unit(scales, summary.counts) if kind not in spoilt else ""
            if text:
                found.append(Breach(f"{kind}_pt", kind, f"{kind} pt {text}"))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class _Scale:
    column: Histogram
    value: NDArray[np.int64]
    median: float
    odd: float


def _column(one: Histogram, seen: NDArray[np.int64], usual: NDArray[np.float64], events: int) -> str:
    outside = int(seen[0] + seen[-1])
    if outside > OUT_OF_RANGE * events:
        return f"{one.name} is out of its range in {outside / events:.0%} of events"
    top = int(seen.argmax())
    if seen[top] == events and events * np.log(min(max(float(usual[top]), 1e-12), 1.0)) < CHANCE_LOG:
        return f"{one.name} is constantly {one.low - 1 + top}"
    if one.quantity == "pt" and seen[-2] > SATURATED * events and usual[-2] < SATURATED / 10:
        return f"{one.name} is saturated in {seen[-2] / events:.0%} of events"
    return ""


def _unit(scales: list[_Scale], counts: NDArray[np.int64]) -> str:
    ratios, odd, usual_odd = [], 0.0, 0.0
    for one in scales:
        seen = counts[one.column.regular] * (one.value > 0)
        present = float(seen.sum())
        if present >= LEAST_PRESENT:
            ratios.append(_median(one.value, seen.astype(np.float64)) / max(one.median, 1.0))
            odd += float(seen[one.value % 2 == 1].sum())
            usual_odd += one.odd * present
    if not ratios:
        return ""
    if DOUBLED[0] <= float(np.median(ratios)) <= DOUBLED[1] and odd == 0 and usual_odd > LEAST_PRESENT / 2:
        return "is twice what it was and always even: its unit was halved"
    if HALVED[0] <= float(np.median(ratios)) <= HALVED[1] and max(ratios) < HALVED_MOST:
        return "is half of what it was in every rank: its unit was doubled"
    return ""


def _median(value: NDArray[np.int64], weight: NDArray[np.float64]) -> float:
    running = np.cumsum(weight)
    place = int(np.searchsorted(running, running[-1] / 2))
    before = running[place] - weight[place]
    return float(value[place] - 0.5 + (running[-1] / 2 - before) / max(float(weight[place]), 1e-12))
