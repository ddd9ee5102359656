"""Whether a column still keeps its contract: in range, alive, not saturated, in the declared unit.

These are facts of one lumisection, not statistics: a column that is one constant where entries by the dozen are due, or
whose every pt is even, is wrong.  What is due follows pileup, so the promise does too: the tenth jet is there in one
crossing of a hundred at low pileup and in one of two at high.  Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.profile import Histogram, Layout, LumisectionSummary
from drift.streams import Floats, Ints, Template

LEAST_EVENTS = 100
OUT_OF_RANGE = 0.01
SATURATED = 0.10
DUE = 50.0
"""Entries elsewhere that must be due before a constant column is no accident: half of them suffice for exp(-25)."""
CHANCE_LOG = -25.0
"""Log probability below which a constant that is not the usual one is no accident."""
HALVED = (0.45, 0.56)
DOUBLED = (1.75, 2.25)
LEAST_PRESENT = 30
HALVED_MOST = 0.65
MOST_RANKS = 2
STRATA = 6
LEAST_IN_STRATUM = 10

Sparse = Sequence[tuple[NDArray[np.int32], NDArray[np.int64]]]


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


@dataclass(frozen=True, eq=False)
class Promises:
    """What every column promised at each pileup, learnt once from a reference.

    Attributes:
        usual: Place of the most frequent value of every feature column among its bins.
        elsewhere: Share of events with another value, by pileup, one column each.
        pileups: Mean pileup of each stratum of the reference, rising, shape ``(n_strata,)``.
        medians: Median pt of each leading pt column where the object is there, shape ``(n_strata, n_scales)``.
    """

    usual: Ints
    elsewhere: Template
    pileups: Floats
    medians: Floats

    @classmethod
    def fit(
        cls,
        layout: Layout,
        counts: Floats,
        sparse: Sparse,
        events: Floats,
        pileup: Floats,
        members: Floats | None = None,
    ) -> "Promises":
        """Learn them.

        Args:
            layout: Where the histograms lie.
            counts: Flat table summed over the reference.
            sparse: Places and values of each lumisection's flat table.
            events: Of each lumisection.
            pileup: Of each lumisection.
            members: Of strata, see `Template.fit`.
        """
        columns, scales = _columns(layout), _scales(layout)
        usual = np.array([int(counts[one.bins].argmax()) for one in columns], dtype=np.int64)
        column_of = np.full(layout.size, -1, dtype=np.int64)
        for number, one in enumerate(columns):
            column_of[one.bins] = number
            column_of[one.offset + usual[number]] = -1
        rest = np.zeros((len(sparse), len(columns)))
        for row, (places, values) in enumerate(sparse):
            target = column_of[places]
            rest[row] = np.bincount(target[target >= 0], weights=values[target >= 0], minlength=len(columns))
        degree = 2 if np.ptp(pileup) > 0.05 * pileup.mean() else 1
        elsewhere = Template.fit(rest, events, pileup, degree, members)
        strata = np.array_split(np.argsort(pileup, kind="stable"), max(1, min(STRATA, len(sparse) // LEAST_IN_STRATUM)))
        medians = np.zeros((len(strata), len(scales)))
        for row, chosen in enumerate(strata):
            table = np.zeros(layout.size)
            for places, values in (sparse[member] for member in chosen):
                table[places] += values
            medians[row] = [_median(_value(one), table[one.regular] * (_value(one) > 0)) for one in scales]
        return cls(usual, elsewhere, np.array([pileup[one].mean() for one in strata]), medians)


class Contract:
    """Asks whether lumisections keep the promises; `breaches` asks one."""

    def __init__(self, layout: Layout, counts: Floats, promises: Promises) -> None:
        """Take where histograms lie, a reference's summed counts and what was promised."""
        self._columns = _columns(layout)
        self._usual = [counts[one.bins] / max(float(counts[one.bins].sum()), 1.0) for one in self._columns]
        self._scales = _scales(layout)
        self._odd = [_odd_share(one, counts) for one in self._scales]
        self._promises = promises

    def breaches(
        self, summary: LumisectionSummary, pileup: float, promises: Promises | None = None
    ) -> tuple[Breach, ...]:
        """Return every breach of one lumisection; none when it has too few events to tell.

        Args:
            summary: Its counts.
            pileup: Mean collisions per crossing, inside the reference's range.
            promises: Those of the lumisection's standing, when not the reference's own.
        """
        if summary.events < LEAST_EVENTS:
            return ()
        found = []
        due = (promises or self._promises).elsewhere.at(pileup) * summary.events
        for number, one in enumerate(self._columns):
            text = self._column(number, one, summary.counts[one.bins], summary.events, float(due[number]))
            if text:
                found.append(Breach(one.name, one.object, text))
        spoilt = {one.object for one in found}
        for kind in dict.fromkeys(one.object for one in self._scales):
            text = self._unit(kind, summary.counts, pileup) if kind not in spoilt else ""
            if text:
                found.append(Breach(f"{kind}_pt", kind, f"{kind} pt {text}"))
        return tuple(found)

    def _column(self, number: int, one: Histogram, seen: NDArray[np.int64], events: int, due: float) -> str:
        outside = int(seen[0] + seen[-1])
        if outside > OUT_OF_RANGE * events:
            return f"{one.name} is out of its range in {outside / events:.0%} of events"
        usual = self._usual[number]
        top = int(seen.argmax())
        if seen[top] == events:
            strange = events * np.log(max(float(usual[top]), 1e-12)) < CHANCE_LOG
            if due > DUE if top == self._promises.usual[number] else strange:
                return f"{one.name} is constantly {one.low - 1 + top}"
        if one.quantity == "pt" and seen[-2] > SATURATED * events and usual[-2] < SATURATED / 10:
            return f"{one.name} is saturated in {seen[-2] / events:.0%} of events"
        return ""

    def _unit(self, kind: str, counts: NDArray[np.int64], pileup: float) -> str:
        ratios, odd, usual_odd, promises = [], 0.0, 0.0, self._promises
        for number, one in enumerate(self._scales):
            value = _value(one)
            seen = counts[one.regular] * (value > 0)
            present = float(seen.sum())
            usual = float(np.interp(pileup, promises.pileups, promises.medians[:, number]))
            if one.object == kind and present >= LEAST_PRESENT and usual > 0:
                ratios.append(_median(value, seen.astype(np.float64)) / max(usual, 1.0))
                odd += float(seen[value % 2 == 1].sum())
                usual_odd += self._odd[number] * present
        if not ratios:
            return ""
        if DOUBLED[0] <= float(np.median(ratios)) <= DOUBLED[1] and odd == 0 and usual_odd > LEAST_PRESENT / 2:
            return "is twice what it was and always even: its unit was halved"
        if HALVED[0] <= float(np.median(ratios)) <= HALVED[1] and max(ratios) < HALVED_MOST:
            return "is half of what it was in every rank: its unit was doubled"
        return ""


def _odd_share(one: Histogram, counts: Floats) -> float:
    value = _value(one)
    seen = counts[one.regular] * (value > 0)
    return float(seen[value % 2 == 1].sum()) / max(float(seen.sum()), 1.0)


def elsewhere(layout: Layout, usual: Ints, counts: NDArray[np.int64]) -> Floats:
    """Return the entries of every feature column that are not at its usual value, in one flat table."""
    return np.array(
        [
            float(counts[one.bins].sum() - counts[one.offset + place])
            for one, place in zip(_columns(layout), usual, strict=True)
        ]
    )


def column_objects(layout: Layout) -> tuple[str, ...]:
    """Return the object type of every feature column."""
    return tuple(one.object for one in _columns(layout))


def _columns(layout: Layout) -> list[Histogram]:
    return [one for one in layout.histograms if one.rank]


def _scales(layout: Layout) -> list[Histogram]:
    return [one for one in layout.histograms if one.quantity == "pt" and 0 < one.rank <= MOST_RANKS]


def _value(one: Histogram) -> NDArray[np.int64]:
    return np.arange(one.low, one.low + one.width)


def _median(value: NDArray[np.int64], weight: Floats) -> float:
    running = np.cumsum(weight)
    if running[-1] <= 0:
        return 0.0
    place = int(np.searchsorted(running, running[-1] / 2))
    before = running[place] - weight[place]
    return float(value[place] - 0.5 + (running[-1] / 2 - before) / max(float(weight[place]), 1e-12))
