"""A bounded sample of certified events at every pileup, on which faults are replayed when a reference is made.

The counts of a lumisection are all that is kept of it elsewhere; a fault operator needs events, with every candidate of
each.  Files hold candidates flat, without their event: it is found again from the leading ones, which are inputs.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drift.events import LumisectionEvents, ObjectColumns
from drift.faults import Candidates, Recorded, joined
from drift.schema import FeatureSchema

EVENTS = 500
"""Kept of one lumisection, the first ones."""
WIDTH = 2.0
"""Width of a stratum, in pileup."""
STRATUM = 8
GROUP = 4000
"""Events wanted at one pileup."""
LEAST_GROUP = 300
PLACES = (0.15, 0.5, 0.85)
"""Where, between the lowest and the highest pileup, faults are replayed."""


@dataclass(frozen=True, eq=False)
class Group:
    """Events at about one pileup.

    Attributes:
        pileup: Their mean collisions per crossing.
        recorded: The events.
    """

    pileup: float
    recorded: Recorded


@dataclass(eq=False)
class Specimens:
    """Keeps up to 500 events of each of eight lumisections at each 2 of pileup, drawn alike from all it was given.

    Attributes:
        schema: What was read.
        rng: Chooses lumisections.
        strata: Pileup and events of each kept one, by stratum.
        given: How many each stratum was ever given.
    """

    schema: FeatureSchema
    rng: np.random.Generator
    strata: dict[int, list[tuple[float, Recorded]]] = field(default_factory=dict)
    given: dict[int, int] = field(default_factory=dict)

    def add(self, events: LumisectionEvents, pileup: float) -> None:
        """Take in a certified lumisection (reservoir sampling: J. Vitter, ACM TOMS 11 (1985) 37)."""
        key = int(pileup // WIDTH)
        kept = self.strata.setdefault(key, [])
        given = self.given[key] = self.given.get(key, 0) + 1
        place = len(kept) if len(kept) < STRATUM else int(self.rng.integers(given))
        if place < STRATUM and events.events:
            one = (pileup, with_owners(events, self.schema, EVENTS))
            kept[place : place + 1] = [one]

    def groups(self, low: float, high: float) -> tuple[Group, ...]:
        """Return up to 4 000 events near each of three pileups of a range; a group that stays too small is left out."""
        every = [one for key in sorted(self.strata) for one in self.strata[key]]
        found = []
        for place in PLACES:
            wanted = low + place * (high - low)
            chosen: list[tuple[float, Recorded]] = []
            for one in sorted(every, key=lambda one: abs(one[0] - wanted)):
                near = abs(one[0] - wanted) <= WIDTH or not chosen
                if near and sum(two[1].events for two in chosen) < GROUP:
                    chosen.append(one)
            if sum(one[1].events for one in chosen) >= LEAST_GROUP:
                weight = [one[1].events for one in chosen]
                mean = float(np.average([one[0] for one in chosen], weights=weight))
                found.append(Group(mean, joined([one[1] for one in chosen])))
        return tuple(found)


def with_owners(events: LumisectionEvents, schema: FeatureSchema, most: int) -> Recorded:
    """Return the first events with all their candidates, not only those that are inputs.

    An event with fewer candidates than inputs has just those.  One with as many may have more: they end where the next
    event's leading ones begin.  Where the columns do not fit together, the inputs alone are taken.

    Args:
        events: One lumisection.
        schema: It was read under.
        most: Events to take.
    """
    few = LumisectionEvents(events.run, events.lumisection, np.ascontiguousarray(events.features[:, :most]), {})
    recorded = Recorded.of(few, schema)
    whole = {
        kind: _completed(one, events.objects[kind], schema.objects[kind].most)
        for kind, one in recorded.objects.items()
        if kind in events.objects
    }
    return recorded.with_objects(**whole)


def _completed(lead: Candidates, flat: ObjectColumns, most: int) -> Candidates:
    ranks = lead.pt.shape[1]
    wanted = np.stack([lead.pt, lead.eta, lead.phi], axis=2).astype(np.int64)
    counts = (lead.pt > 0).sum(axis=1)
    columns = np.stack([flat.pt, flat.eta, flat.phi], axis=1).astype(np.int64)
    table = np.zeros((len(wanted), max(most, ranks), 3), dtype=np.int16)
    place = 0
    for event, count in enumerate(counts):
        if not np.array_equal(columns[place : place + count], wanted[event, :count]):
            return lead
        end = place + int(count)
        if count == ranks:
            following = next((k for k in range(event + 1, len(counts)) if counts[k]), None)
            end = _end(
                columns, end, most - ranks, None if following is None else wanted[following, : counts[following]]
            )
        table[event, : end - place] = columns[place:end]
        place = end
    pt, eta, phi = (np.ascontiguousarray(table[:, :, k]) for k in range(3))
    return Candidates(pt, eta, phi, lead.turn, lead.high).ordered()


def _end(columns: NDArray[np.int64], begin: int, most: int, following: NDArray[np.int64] | None) -> int:
    """Return where an event's further candidates end: at the first place at which the next event's leading ones are."""
    if following is None:
        return begin
    for extra in range(most + 1):
        if np.array_equal(columns[begin + extra : begin + extra + len(following)], following):
            return begin + extra
    return begin
