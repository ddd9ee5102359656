"""Failure modes that users bring: entry points of the group ``retrigger.faults``.

An entry point names a `FailureMode`, several of them, or a function that returns either.  One that cannot be used is
left out and named, with what is wrong: a foreign package must not keep a detector from being watched.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import numpy as np

from drift.errors import LibraryError
from drift.faults import Recorded
from drift.library import SHIPPED, FailureMode
from drift.schema import FeatureSchema

GROUP = "retrigger.faults"


@dataclass(frozen=True)
class Modes:
    """All failure modes in use, and what could not be used.

    Attributes:
        modes: Shipped ones first.
        refused: One sentence for each entry point that was left out.
    """

    modes: tuple[FailureMode, ...]
    refused: tuple[str, ...]


def installed() -> Modes:
    """Return the shipped modes and those of every installed package."""
    return gathered(entry_points(group=GROUP))


def gathered(points: Iterable[EntryPoint]) -> Modes:
    """Return the shipped modes and those of these entry points, in order of their names."""
    modes, refused = list(SHIPPED), []
    for point in sorted(points, key=lambda one: (one.name, one.value)):
        try:
            new = _modes_of(point)
            _check_names([one.name for one in (*modes, *new)])
        except Exception as cause:  # noqa: BLE001 foreign code may raise anything
            refused.append(
                f"failure modes of entry point {point.name!r} ({GROUP}, {point.value}) are left out: "
                f"{type(cause).__name__}: {cause}; mend or remove that package"
            )
            continue
        modes += new
    return Modes(tuple(modes), tuple(refused))


def tried(found: Modes, recorded: Recorded, schema: FeatureSchema, pileup: float, rng: np.random.Generator) -> Modes:
    """Return the modes that can be replayed: foreign code that raises on events, or changes nothing, is left out.

    Args:
        found: From `installed`.
        recorded: Some events.
        schema: They were read under.
        pileup: Of them.
        rng: Which events and objects a partial fault hits.
    """
    modes, refused = [], list(found.refused)
    for mode in found.modes:
        wrong = "" if mode in SHIPPED else _wrong_of(mode, recorded, schema, pileup, rng)
        if wrong:
            refused.append(f"failure mode {mode.name!r} is left out: {wrong}; mend or remove its package ({GROUP})")
        else:
            modes.append(mode)
    return Modes(tuple(modes), tuple(refused))


def _wrong_of(
    mode: FailureMode, recorded: Recorded, schema: FeatureSchema, pileup: float, rng: np.random.Generator
) -> str:
    """Return what is wrong with a mode that is replayed at its trial size; empty when nothing is."""
    try:
        with np.errstate(invalid="raise"):
            after, said = mode.replayed(recorded, pileup, rng)
            after.as_events(schema, 1, 1)
    except Exception as cause:  # noqa: BLE001 foreign code may raise anything
        return f"replayed at size {mode.trial:g} it raises {type(cause).__name__}: {cause}"
    if after.objects.keys() != recorded.objects.keys() or after.events != recorded.events:
        return f"its operator gives {after.events} events of {', '.join(after.objects)}; keep events and object types"
    same = all(np.array_equal(one.pt, after.objects[kind].pt) for kind, one in recorded.objects.items())
    same &= all(np.array_equal(one.eta, after.objects[kind].eta) for kind, one in recorded.objects.items())
    same &= all(np.array_equal(one.phi, after.objects[kind].phi) for kind, one in recorded.objects.items())
    same &= np.array_equal(recorded.met_pt, after.met_pt) and np.array_equal(recorded.met_phi, after.met_phi)
    nothing = f"at its trial size {mode.trial:g} it changes nothing in {recorded.events} events"
    return nothing if same and said == pileup else ""


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise LibraryError(f"there is a failure mode named {', '.join(twice)} already; choose another name")


def _modes_of(point: EntryPoint) -> tuple[FailureMode, ...]:
    found = point.load()
    if callable(found):
        found = found()
    several = (found,) if isinstance(found, FailureMode) else tuple(found)
    wrong = next((one for one in several if not isinstance(one, FailureMode)), None)
    if wrong is not None or not several:
        what = "nothing" if wrong is None else f"a {type(wrong).__name__}"
        raise LibraryError(f"it gives {what}; give a drift.library.FailureMode or several")
    return several
