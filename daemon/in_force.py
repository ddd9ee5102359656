"""What the declared changes in force keep from being compared, in words for status.

The rule itself is `drift.standing`'s; here it is only told, with the verb that ends the silence.
"""

from collections.abc import Iterable
from typing import Any

from drift.boxes import Box
from drift.conditions.declared import DeclaredChange, Place, Region
from drift.reference import Reference


def in_force(changes: Iterable[DeclaredChange], place: Place, reference: Reference) -> tuple[dict[str, Any], ...]:
    """Return each declared change that matters in a lumisection: its id, what it silences, and a sentence of both.

    Those that hold there; and those that do not although all of the reference was taken under them.
    """
    return tuple(
        _told(one, place, reference) if one.holds(place) else _undone(one)
        for one in changes
        if one.holds(place) or (one.id in reference.settled and one.moves)
    )


def _told(change: DeclaredChange, place: Place, reference: Reference) -> dict[str, Any]:
    own = any(one.id == change.id and one.holds(place) for one in reference.rebaselined)
    settled = change.id in reference.settled
    silences = [] if settled or own else _muted(change)
    if change.region is not None and not settled:
        silences = [*silences, _region_words(change.region)]
    if settled:
        told = "all of the reference was taken under it, so it silences nothing"
    elif own:
        told = "the reference has constants of its own for it"
        told += f", only {silences[0]} is not compared" if silences else ", so it silences nothing"
    elif silences:
        told = (
            f"not compared: {', '.join(silences)}; `retrigger reference rebaseline --change {change.id}` gives it "
            "constants of its own"
        )
    elif change.unscoped:
        told = "nobody said what it touches, so it silences nothing; an alarm that begins with it is an expected change"
    else:
        told = "it moves no input, so it silences nothing"
    since = f"since {change.first[0]}:{change.first[1]}"
    words = f"{change.id} ({change.kind} by {change.by}, {since}: {change.words}): {told}"
    return {"id": change.id, "silences": silences, "words": words}


def _undone(change: DeclaredChange) -> dict[str, Any]:
    """Return what is silent where a change is over, or not yet there, that the reference expects."""
    silences = _muted(change) + ([] if change.region is None else [_region_words(change.region)])
    what = f"not compared: {', '.join(silences)}" if silences else "its end may be an expected change"
    words = (
        f"{change.id} ({change.kind} by {change.by}: {change.words}) does not hold here, and all of the reference was "
        f"taken under it: {what}; fit a reference without it"
    )
    return {"id": change.id, "silences": silences, "words": words}


def _muted(change: DeclaredChange) -> list[str]:
    return [one for one in change.objects if change.region is None or one != change.region.object]


def _region_words(region: Region) -> str:
    seen = region.reached
    return f"{seen.object} in {Box(seen.object, seen.eta, seen.phi).words()}"
