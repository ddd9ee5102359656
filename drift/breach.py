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


def breaches(summary: LumisectionSummary, layout: Layout, reference: NDArray[np.float64]) -> tuple[Breach, ...]:
    """Return every contract breach of one lumisection.

    Args:
        summary: Its counts.
        layout: Where the histograms lie.
        reference: Flat table of the reference, all lumisections added.
    """
    if summary.events < LEAST_EVENTS:
        return ()
    found = []
    for one in layout.histograms:
        if one.rank:
            seen, usual = summary.counts[one.bins].astype(np.float64), reference[one.bins]
            text = _column(one, seen / summary.events, usual / max(usual.sum(), 1.0), summary.events)
            if text:
                found.append(Breach(one.name, one.object, text))
    broken = {one.feature for one in found}
    for kind in dict.fromkeys(one.object for one in layout.histograms):
        columns = [one for one in layout.histograms if one.object == kind and one.quantity == "pt" and one.rank]
        if columns and not any(one.name in broken for one in columns):
            text = _unit(columns, summary.counts.astype(np.float64), reference)
            if text:
                found.append(Breach(f"{kind}_pt", kind, f"{kind} pt {text}"))
    return tuple(found)


def _column(one: Histogram, seen: NDArray[np.float64], usual: NDArray[np.float64], events: int) -> str:
    outside = float(seen[0] + seen[-1])
    if outside > OUT_OF_RANGE:
        return f"{one.name} is out of its range in {outside:.0%} of events"
    top = int(seen.argmax())
    if seen[top] > 1 - 1e-9 and events * np.log(min(max(float(usual[top]), 1e-12), 1.0)) < CHANCE_LOG:
        return f"{one.name} is constantly {one.low - 1 + top}"
    if one.width > 2 and seen[-2] > SATURATED > 10 * usual[-2] and one.quantity == "pt":
        return f"{one.name} is saturated in {float(seen[-2]):.0%} of events"
    return ""


def _unit(columns: list[Histogram], counts: NDArray[np.float64], reference: NDArray[np.float64]) -> str:
    ratios, odd, usual_odd = [], 0.0, 0.0
    present = 0.0
    for one in columns:
        value = np.arange(one.low, one.low + one.width)
        seen, usual = counts[one.regular] * (value > 0), reference[one.regular] * (value > 0)
        if seen.sum() >= LEAST_PRESENT and usual.sum() > 0:
            ratios.append(_median(value, seen) / max(_median(value, usual), 1.0))
            present += seen.sum()
            odd += seen[value % 2 == 1].sum()
            usual_odd += usual[value % 2 == 1].sum() / usual.sum() * seen.sum()
    if not ratios:
        return ""
    middle = float(np.median(ratios))
    if DOUBLED[0] <= middle <= DOUBLED[1] and odd == 0 and usual_odd > LEAST_PRESENT / 2:
        return "is twice what it was and always even: its unit was halved"
    if HALVED[0] <= middle <= HALVED[1] and max(ratios) < 0.65:
        return "is half of what it was in every rank: its unit was doubled"
    return ""


def _median(value: NDArray[np.int64], weight: NDArray[np.float64]) -> float:
    running = np.cumsum(weight)
    place = int(np.searchsorted(running, running[-1] / 2))
    before = running[place] - weight[place]
    return float(value[place] - 0.5 + (running[-1] / 2 - before) / max(weight[place], 1e-12))
