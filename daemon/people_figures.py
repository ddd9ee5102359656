"""How people answer requests, as a whole and without names, for metrics; the page shows each of them to coordinators.

Nothing here says who: what a dashboard shows is seen by everybody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from daemon import fatigue
from daemon.fatigue import RATIO_OVER
from daemon.ledger import Ledger
from daemon.lifecycle import Fact, fold
from daemon.lifecycle.drill_facts import DrillSeeded
from daemon.lifecycle.facts import CandidateRequested

DRILLS = "drills"


@dataclass(frozen=True, kw_only=True)
class PeopleFigures:
    """The answers of everybody.

    Attributes:
        caught: Drills that were rejected, once an answer.
        missed: Drills that were approved.
        yes_ratio: Share of yes among the last answers to real requests; None before the first.
        reading_s: Median seconds on the page before one of the last answers; None if no reading is known.
        out_of_limits: People whose own figures say an alarm.
    """

    caught: int = 0
    missed: int = 0
    yes_ratio: float | None = None
    reading_s: float | None = None
    out_of_limits: int = 0


def people_figures(ledger: Ledger, stories: Iterable[Sequence[Fact]]) -> PeopleFigures:
    """Return how people answer, from the facts of every candidate; a drill counts when it is over, not before."""
    told = [story for story in stories if not _secret(story)]
    given = fatigue.answers(told, ledger.doors.readings(), seeders(ledger))
    real, drills = [one for one in given if not one.drill][-RATIO_OVER:], [one for one in given if one.drill]
    read = [one.read_s for one in given[-RATIO_OVER:] if one.read_s is not None]
    people = {one.person for one in given}
    return PeopleFigures(
        caught=sum(not one.approved for one in drills),
        missed=sum(one.approved for one in drills),
        yes_ratio=sum(one.approved for one in real) / len(real) if real else None,
        reading_s=median(read) if read else None,
        out_of_limits=sum(bool(fatigue.figures(name, given).alarms) for name in people),
    )


def _secret(story: Sequence[Fact]) -> bool:
    """Whether this is a drill that somebody may still be asked for."""
    first = next((fact for fact in story if isinstance(fact, CandidateRequested)), None)
    return first is not None and first.drill and not fold(story).terminal


def seeders(ledger: Ledger) -> dict[str, str]:
    """Return who seeded which drill, by the candidate's id."""
    stored = [one.fact for one in ledger.facts(subject=DRILLS)]
    return {fact.candidate: fact.person for fact in stored if isinstance(fact, DrillSeeded)}
