"""What a scan made of every lumisection: watched or not and why, what declared changes silenced, what was heard.

A scan that watched nothing must not look like one that found nothing.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from drift.conditions import Conditions
from drift.conditions.declared import Place
from drift.reference import Reference
from drift.sequential import Taken

UNWATCHED = ("excluded", "out_of_support", "data_gap")
"""States of lumisections of which the reference says nothing; all others were watched."""
MOST_NOTES = 5
"""Sentences of one kind that are told; of the others, how many."""
_VARYING = (
    (re.compile(r"^pileup \S+ is outside"), "pileup is outside"),
    (re.compile(r"^\d+ events, "), "too few events, "),
    (re.compile(r"^dead time is \S+$"), "dead time is too high"),
)
"""Reasons that name the number of one lumisection, and what they have in common."""


@dataclass
class _Why:
    """Why some lumisections were not watched."""

    state: str
    reason: str
    first: Place
    lumisections: int = 0


@dataclass
class _Silenced:
    """What one declared change keeps from being compared with the reference."""

    parts: tuple[str, ...]
    first: Place
    lumisections: int = 0


@dataclass
class Tally:
    """Counts of one scan, lumisection by lumisection.

    Attributes:
        reference: What lumisections are compared with; it knows which changes have constants of their own.
        counters: Whether seed counters are heard.
        states: Lumisections by what was decided of them.
        events: Events in all.
        alarms: Alarms that were told.
        heard: Lumisections for which a counter of a watched seed was heard.
    """

    reference: Reference
    counters: bool = False
    states: Counter[str] = field(default_factory=Counter)
    events: int = 0
    alarms: int = 0
    heard: int = 0
    _why: dict[tuple[str, str], _Why] = field(default_factory=dict)
    _silenced: dict[str, _Silenced] = field(default_factory=dict)

    def take(self, decision: Taken, at: Conditions, events: int, *, heard: bool) -> bool:
        """Count one lumisection; return whether it was watched."""
        self.states[decision.state] += 1
        self.events += events
        self.heard += heard
        if decision.state not in UNWATCHED:
            self._note_silence(at)
            return True
        reason = _without_numbers(decision.reason)
        why = self._why.setdefault((decision.state, reason), _Why(decision.state, reason, (at.run, at.lumisection)))
        why.lumisections += 1
        return False

    def _note_silence(self, at: Conditions) -> None:
        known = {*self.reference.settled, *self.reference.standing(at).rebaselined}
        undone = [one for one in at.elsewhere if one.id in self.reference.settled]
        for change in (*(one for one in at.declared if one.id not in known), *undone):
            objects = [one for one in change.objects if change.region is None or one != change.region.object]
            parts = (*objects, *(() if change.region is None else (f"a region of {change.region.object}",)))
            if parts:
                self._silenced.setdefault(change.id, _Silenced(parts, (at.run, at.lumisection))).lumisections += 1

    @property
    def lumisections(self) -> int:
        """Lumisections in all."""
        return self.states.total()

    @property
    def watched(self) -> int:
        """Lumisections of which the reference said something."""
        return sum(number for state, number in self.states.items() if state not in UNWATCHED)

    def to_json(self) -> dict[str, Any]:
        """Return the counts as the summary of a scan has them."""
        return {
            "lumisections": self.lumisections,
            "watched": self.watched,
            **{state: self.states[state] for state in UNWATCHED},
            "states": dict(sorted(self.states.items())),
            "not_watched": [
                {
                    "state": one.state,
                    "reason": one.reason,
                    "lumisections": one.lumisections,
                    "first": {"run": one.first[0], "lumisection": one.first[1]},
                }
                for one in sorted(self._why.values(), key=lambda one: -one.lumisections)
            ],
            "silenced": [
                {
                    "change": name,
                    "parts": list(one.parts),
                    "lumisections": one.lumisections,
                    "first": {"run": one.first[0], "lumisection": one.first[1]},
                    "text": f"{name} silenced {', '.join(one.parts)} in {one.lumisections} lumisections from "
                    f"{one.first[0]}:{one.first[1]}; give it constants with `retrigger reference rebaseline`",
                }
                for name, one in self._silenced.items()
            ],
            **({"counters": {"heard": self.heard, "lumisections": self.lumisections}} if self.counters else {}),
            "alarms": self.alarms,
            "events": self.events,
        }


def notes(what: str, faults: Iterable[str]) -> list[str]:
    """Return what is to be told of faults of one kind: a few of them, and how many more there are."""
    told = [f"{what}: {one}" for one in faults]
    more = len(told) - MOST_NOTES
    return [*told[:MOST_NOTES], f"{what}: and {more} more"] if more > 0 else told


def _without_numbers(reason: str) -> str:
    """Return a reason without the number of the one lumisection, so that equal ones can be counted."""
    for pattern, words in _VARYING:
        reason = pattern.sub(words, reason)
    return reason
