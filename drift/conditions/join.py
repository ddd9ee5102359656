"""How rows about the same lumisection from several sources become one.

A silent source never overrules one that speaks.  When two speak and disagree, the answer is the one that keeps a
lumisection out of a comparison: unknown pileup, no stable beams, the larger dead time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from drift.conditions.formats import Row
from drift.conditions.record import STABLE_BEAMS

PILEUP_TOLERANCE = 0.5
PILEUP_RELATIVE = 0.05
"""Two luminometers differ by this much, and one quotes the mean of the lumisection, another its start."""
DEAD_TIME_TOLERANCE = 0.05

Value = TypeVar("Value")


@dataclass(frozen=True)
class Joined:
    """All rows by (run, lumisection).

    Attributes:
        rows: One row per lumisection.
        spans: Lumisections per run, both ascending.
        duplicates: Rows that repeated what was known.
        conflicts: Lumisections on which sources disagree.
    """

    rows: Mapping[tuple[int, int], Row]
    spans: Mapping[int, Sequence[int]]
    duplicates: int
    conflicts: frozenset[tuple[int, int]]

    def arrived_late(self, before: "Joined") -> int:
        """Return how many lumisections are new since `before` although a later one of their run was known then."""
        return sum(
            lumisection < before.spans[run][-1]
            for run, lumisection in self.rows.keys() - before.rows.keys()
            if run in before.spans
        )


def join(sources: Iterable[Sequence[Row]]) -> Joined:
    """Join the rows of several sources, the first of which is preferred where they agree."""
    rows: dict[tuple[int, int], Row] = {}
    conflicts: set[tuple[int, int]] = set()
    duplicates = 0
    for source in sources:
        for row in source:
            key = (row.run, row.lumisection)
            known = rows.setdefault(key, row)
            if known is row:
                continue
            rows[key], agree = _both(known, row)
            if not agree:
                conflicts.add(key)
            elif rows[key] == known:
                duplicates += 1
    spans: dict[int, list[int]] = {}
    for run, lumisection in sorted(rows):
        spans.setdefault(run, []).append(lumisection)
    return Joined(rows, spans, duplicates, frozenset(conflicts))


def _both(one: Row, two: Row) -> tuple[Row, bool]:
    disagree: list[str] = []

    def merged(
        name: str, mine: Value | None, other: Value | None, cautious: Value | None, *, close: bool = False
    ) -> Value | None:
        if mine is None or other is None:
            return other if mine is None else mine
        if mine == other or close:
            return mine
        disagree.append(name)
        return cautious

    mode = two.beam_mode if one.beam_mode == STABLE_BEAMS else one.beam_mode
    row = Row(
        one.run,
        one.lumisection,
        fill=merged("fill", one.fill, two.fill, None),
        pileup=merged("pileup", one.pileup, two.pileup, None, close=_close_pileup(one.pileup, two.pileup)),
        bunches=merged("bunches", one.bunches, two.bunches, None),
        filling_scheme=merged("filling scheme", one.filling_scheme, two.filling_scheme, None),
        prescale_column=merged("prescale column", one.prescale_column, two.prescale_column, None),
        beam_mode=merged("beam mode", one.beam_mode, two.beam_mode, mode),
        stable=merged("stable beams", one.stable, two.stable, cautious=False),
        dcs_ok=merged("detector control", one.dcs_ok, two.dcs_ok, cautious=False),
        dead_time=merged(
            "dead time",
            one.dead_time,
            two.dead_time,
            max(one.dead_time or 0.0, two.dead_time or 0.0),
            close=abs((one.dead_time or 0.0) - (two.dead_time or 0.0)) <= DEAD_TIME_TOLERANCE,
        ),
    )
    if (row.beam_mode == STABLE_BEAMS and row.stable is False) and not disagree:
        disagree.append("stable beams")
    return row, not disagree


def _close_pileup(one: float | None, two: float | None) -> bool:
    if one is None or two is None:
        return False
    return abs(one - two) <= PILEUP_TOLERANCE + PILEUP_RELATIVE * max(one, two)
