"""Whether an alarm is what a declared change of unknown scope does: then nobody is called and nothing is retrained.

Only what began with the change is its doing.  A glitch and a broken contract stay what they are: the first is over, and
scores of wrong columns are wrong whoever meant the change.  Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from drift.conditions import DeclaredChange
from drift.conditions.declared import Place
from drift.diagnose import SHIFT, Diagnosis
from drift.ladder import ACTIONS, BROKEN, EXPECTED, Rung

NEAR = 3
"""Lumisections between the onset of an alarm and the first of a change."""
MOST_CHANGES = 16


def remembered(known: Sequence[DeclaredChange], more: Iterable[DeclaredChange]) -> list[DeclaredChange]:
    """Return the changes to be remembered, the newest last; a declaration that was mended replaces itself."""
    fresh = {one.id: one for one in more}
    return [*(one for one in known if one.id not in fresh), *fresh.values()][-MOST_CHANGES:]


def explained(found: Diagnosis, trail: Sequence[tuple[int, int, int]], changes: Iterable[DeclaredChange]) -> Diagnosis:
    """Return a diagnosis, as an expected change where one of unknown scope was declared when it began.

    Args:
        found: The diagnosis.
        trail: Clock, run and lumisection of what was taken in, in order.
        changes: Declared changes of unknown scope that were in force lately.
    """
    if found.verdict not in {BROKEN, SHIFT}:
        return found
    near = [(abs(away), one) for one in changes if (away := _away(found.onset, trail, one.first)) is not None]
    near = [pair for pair in near if pair[0] <= NEAR]
    if not near:
        return found
    _, change = min(near, key=lambda pair: (pair[0], pair[1].id))
    text = f"{found.text}; {change.kind} {change.id} was declared then ({change.words}, by {change.by})"
    fault = f"nobody declared what it touches: a fault that began with it would be called so too; {found.against}"
    return replace(
        found,
        verdict=EXPECTED,
        cause=EXPECTED,
        rung=Rung.NOTHING,
        action=ACTIONS[EXPECTED],
        text=text,
        against=fault,
    )


def _away(onset: int, trail: Sequence[tuple[int, int, int]], first: Place) -> int | None:
    """Return how many lumisections lie between an onset and the first of a change; None when that is not known."""
    after = next((one for one in trail if one[1:] >= first), None)
    if after is None:
        return None
    if after is trail[0] and after[1:] != first and (after[1] != first[0] or after[2] - first[1] > NEAR):
        return None  # it began before anything that is remembered
    return onset - after[0]
