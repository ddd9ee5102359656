"""Whether an alarm is what a declared change does: then nobody is called and nothing is retrained.

Of the inputs only a change of unknown scope can be asked: what a change names takes no part anyway.  Seed rates are
moved by any.  Where one that the whole reference was taken under is over, its end is asked too.

Only what began with the change is its doing.  A glitch and a broken contract stay what they are: the first is over, and
scores of wrong columns are wrong whoever meant the change.  Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from drift.conditions import Conditions, DeclaredChange
from drift.conditions.declared import OBJECTS, Place
from drift.detect import Contributor
from drift.diagnose import SHIFT, Diagnosis
from drift.ladder import ACTIONS, BROKEN, EXPECTED, Rung

NEAR = 3
"""Lumisections between the onset of an alarm and the first of a change."""
MOST_CHANGES = 64
SPEAKS = 1.0
"""Natural log of the evidence beyond which a part of it names an object."""


def remembered(known: Sequence[DeclaredChange], more: Iterable[DeclaredChange]) -> list[DeclaredChange]:
    """Return the changes to be remembered, the newest last; a declaration that was mended replaces itself."""
    fresh = {one.id: one for one in more}
    return [*(one for one in known if one.id not in fresh), *fresh.values()][-MOST_CHANGES:]


def news(conditions: Conditions, settled: Iterable[str]) -> list[DeclaredChange]:
    """Return the declared changes that may explain an alarm: those in force, and those the reference had that are over.

    Args:
        conditions: Of a lumisection.
        settled: Changes that all of the reference was taken under.
    """
    known = {*settled}
    ends = [one for one in conditions.elsewhere if one.id in known and one.last is not None]
    over = [one for one in ends if one.last is not None and one.last < (conditions.run, conditions.lumisection)]
    return [*conditions.declared, *(_end_of(one) for one in over)]


def _end_of(change: DeclaredChange) -> DeclaredChange:
    assert change.last is not None
    first = (change.last[0], change.last[1] + 1)
    return replace(change, id=f"{change.id} (over)", first=first, last=None, words=f"the end of: {change.words}")


def blamed(
    found: Diagnosis, trail: Sequence[tuple[int, int, int]], changes: Iterable[DeclaredChange]
) -> DeclaredChange | None:
    """Return the declared change that began when a diagnosis did; None when none did.

    Args:
        found: The diagnosis.
        trail: Clock, run and lumisection of what was taken in, in order.
        changes: Declared changes that may have caused it.
    """
    if found.verdict not in {BROKEN, SHIFT, EXPECTED}:
        return None
    near = [(abs(away), one) for one in changes if (away := _away(found.onset, trail, one.first)) is not None]
    near = [pair for pair in near if pair[0] <= NEAR]
    return min(near, key=lambda pair: (pair[0], pair[1].id))[1] if near else None


def explained(found: Diagnosis, trail: Sequence[tuple[int, int, int]], changes: Iterable[DeclaredChange]) -> Diagnosis:
    """Return a diagnosis, as an expected change where one was declared that began when it did.

    Args:
        found: The diagnosis.
        trail: Clock, run and lumisection of what was taken in, in order.
        changes: Declared changes that may have caused it.
    """
    change = blamed(found, trail, changes)
    if change is None:
        return found
    text = f"{found.text}; {change.kind} {change.id} was declared then ({change.words}, by {change.by})"
    whose = "nobody declared what it touches: " if change.unscoped else ""
    return replace(
        found,
        verdict=EXPECTED,
        cause=EXPECTED,
        rung=Rung.NOTHING,
        action=ACTIONS[EXPECTED],
        text=text,
        against=f"{whose}a fault that began with it would be called so too; {found.against}",
    )


def learn(
    learnt: dict[str, tuple[str, ...]],
    found: Diagnosis,
    trail: Sequence[tuple[int, int, int]],
    changes: Iterable[DeclaredChange],
    parts: Iterable[Contributor],
) -> tuple[str, ...]:
    """Note which object types an expected change moved, as far as evidence names them, and return them.

    Only holes are looked for in them from here on, as if it had named them; the rest stays armed.

    Args:
        learnt: Object types by change, which is added to.
        found: The diagnosis.
        trail: Clock, run and lumisection of what was taken in, in order.
        changes: Declared changes that may have caused it.
        parts: Of the evidence.
    """
    change = blamed(found, trail, changes) if found.verdict == EXPECTED else None
    named = {one.object for one in parts if one.log_evidence > SPEAKS} | {found.object}
    objects = tuple(one for one in OBJECTS if one in named)
    if change is None or not objects:
        return ()
    learnt[change.id] = tuple(sorted({*learnt.get(change.id, ()), *objects}))
    return objects


def _away(onset: int, trail: Sequence[tuple[int, int, int]], first: Place) -> int | None:
    """Return how many lumisections lie between an onset and the first of a change; None when that is not known."""
    after = next((one for one in trail if one[1:] >= first), None)
    if after is None:
        return None
    if after is trail[0] and after[1:] != first and (after[1] != first[0] or after[2] - first[1] > NEAR):
        return None  # it began before anything that is remembered
    return onset - after[0]
