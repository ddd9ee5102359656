"""What the declared changes in force keep from being compared, in words for status.

The rule itself is `drift.standing`'s; here it is only told, with the verb that ends the silence.
"""

from collections.abc import Iterable
from typing import Any

from drift.conditions.declared import DeclaredChange, Place, Region
from drift.reference import Reference


def in_force(changes: Iterable[DeclaredChange], place: Place, reference: Reference) -> tuple[dict[str, Any], ...]:
    """Return each declared change that holds in a lumisection: its id, what it silences, and a sentence of both."""
    return tuple(_told(one, place, reference) for one in changes if one.holds(place))


def _told(change: DeclaredChange, place: Place, reference: Reference) -> dict[str, Any]:
    own = any(one.id == change.id and one.holds(place) for one in reference.rebaselined)
    settled = change.id in reference.settled
    muted = [one for one in change.objects if change.region is None or one != change.region.object]
    silences = [] if settled or own else muted
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


def _region_words(region: Region) -> str:
    eta, phi = (f"{low:+.2f} to {high:+.2f}" for low, high in (region.eta, region.phi))
    return f"{region.object} at eta {eta}, phi {phi}"
