"""How one lumisection follows another: how many were lost between them, and whether a fill goes on.

A wander goes on while nobody looks, so evidence has to know for how long nobody did; and a fill that one source is
silent about for a lumisection has not ended.  Pure.
"""

from drift.conditions import Conditions
from drift.conditions.declared import Place

MOST = 5_000
"""Lumisections after which nothing is remembered of any wander."""


def lost(before: Place | None, place: Place) -> int:
    """Return how many lumisections lie between two that were taken in one after the other.

    Between two runs only those count that the later one has lost: how long a stop was nobody says.

    Args:
        before: The one before; None when this is the first.
        place: This one.
    """
    if before is None:
        return 0
    between = place[1] - before[1] - 1 if place[0] == before[0] else place[1] - 1
    return min(max(between, 0), MOST)


def late(before: Place | None, place: Place) -> str:
    """Return in words that a lumisection comes again or after a later one; empty when it does not."""
    if before is None or place > before:
        return ""
    came = f"run {place[0]} lumisection {place[1]} came after run {before[0]} lumisection {before[1]}"
    return f"{came}; evidence is counted once, in order of time"


def told_fill(before: tuple[int, int] | None, conditions: Conditions) -> tuple[int, int] | None:
    """Return run and fill as last told, a lumisection later.

    Args:
        before: The same before this lumisection; None when no fill was told yet.
        conditions: Of this one.
    """
    return before if conditions.fill is None else (conditions.run, conditions.fill)


def fill_of(conditions: Conditions, told: tuple[int, int] | None = None) -> int:
    """Return the fill of a lumisection: its own, or the one told of its run, or the run's number where nobody says.

    Args:
        conditions: Of the lumisection.
        told: Run and fill as last told, by whoever takes one lumisection after another; see `told_fill`.
    """
    if conditions.fill is not None:
        return conditions.fill
    return told[1] if told is not None and told[0] == conditions.run else conditions.run


def begins(known: int | None, fill: int, run: int) -> bool:
    """Return whether a fill begins; one that only now gets its number does not.

    Args:
        known: Fill of the lumisection before; None when this is the first.
        fill: Of this one.
        run: Of this one.
    """
    return known not in {fill, run}
