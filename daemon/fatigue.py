"""Whether people still read what they approve: times, ratios and caught drills, from facts and readings.

Pure: the caller gives everything.  A drill shows whether somebody looks; the ratio of yes leaves drills out, so that a
caught one does not hide a habit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from daemon.ledger.doors import Reading
from daemon.lifecycle import Fact
from daemon.lifecycle import facts as f

SHORTEST_READING_S = 30.0
RATIO_OVER = 20
CATCH_TARGET = 0.95
SAME_SITTING = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One yes or no.

    Attributes:
        person: Whose.
        candidate: To which candidate.
        approved: Whether it was yes.
        drill: Whether the candidate was a drill.
        at: When.
        waited_s: Seconds since the request was opened.
        read_s: Seconds since the page was first opened in the half hour before; None if it was not opened.
    """

    person: str
    candidate: str
    approved: bool
    drill: bool
    at: datetime
    waited_s: float
    read_s: float | None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How one person answers.

    Attributes:
        person: Who.
        answers: How many, drills left out.
        decide_s: Median seconds from the request to the answer; None without answers.
        read_s: Median seconds on the page before an answer; None if none is known.
        yes_ratio: Share of yes among the last `RATIO_OVER` answers to real requests; None without any.
        counted: How many answers that share is over.
        caught: Drills that they rejected.
        missed: Drills that they approved.
        last_drill: When they last answered one; None if never.
    """

    person: str
    answers: int
    decide_s: float | None
    read_s: float | None
    yes_ratio: float | None
    counted: int
    caught: int
    missed: int
    last_drill: datetime | None

    @property
    def alarms(self) -> tuple[str, ...]:
        """What is out of its limit, a sentence each."""
        said = []
        if self.read_s is not None and self.read_s < SHORTEST_READING_S:
            said.append(f"half of the answers came within {self.read_s:.0f} s; the limit is {SHORTEST_READING_S:.0f} s")
        if self.counted >= RATIO_OVER and self.yes_ratio == 1.0:
            said.append(f"each of the last {self.counted} answers was yes")
        drills = self.caught + self.missed
        if drills and self.caught / drills < CATCH_TARGET:
            said.append(f"{self.missed} of {drills} drills were approved; {100 * CATCH_TARGET:.0f} % should be caught")
        return tuple(said)


def answers(
    candidates: Iterable[Iterable[Fact]], readings: Iterable[Reading], seeders: Mapping[str, str]
) -> list[Answer]:
    """Return every yes and no, oldest first.

    Args:
        candidates: The facts of each candidate, in order.
        readings: Who opened which request's page when.
        seeders: Who seeded which drill, by the candidate's id; their answer to it is left out.
    """
    opened: dict[tuple[str, str], list[datetime]] = {}
    for one in readings:
        opened.setdefault((one.person, one.request_id), []).append(one.at)
    found = [answer for facts in candidates for answer in _of_one(facts, opened)]
    return sorted((one for one in found if seeders.get(one.candidate) != one.person), key=lambda one: one.at)


def _of_one(facts: Iterable[Fact], opened: Mapping[tuple[str, str], list[datetime]]) -> Iterable[Answer]:
    name, drill = "", False
    asked: dict[str, datetime] = {}
    for fact in facts:
        match fact:
            case f.CandidateRequested():
                name, drill = fact.candidate, fact.drill
            case f.Proposed():
                asked[fact.request_id] = fact.at
            case f.Approved() | f.Rejected() if fact.request_id in asked:
                before = [
                    at
                    for at in opened.get((fact.person, fact.request_id), [])
                    if timedelta(0) <= fact.at - at <= SAME_SITTING
                ]
                yield Answer(
                    person=fact.person,
                    candidate=name,
                    approved=isinstance(fact, f.Approved),
                    drill=drill,
                    at=fact.at,
                    waited_s=(fact.at - asked[fact.request_id]).total_seconds(),
                    read_s=(fact.at - min(before)).total_seconds() if before else None,
                )
            case _:
                pass


def figures(person: str, given: Iterable[Answer]) -> Figures:
    """Return how one person answers."""
    own = [one for one in given if one.person == person]
    real, drills = [one for one in own if not one.drill], [one for one in own if one.drill]
    read = [one.read_s for one in own if one.read_s is not None]
    last = real[-RATIO_OVER:]
    return Figures(
        person=person,
        answers=len(real),
        decide_s=median(one.waited_s for one in own) if own else None,
        read_s=median(read) if read else None,
        yes_ratio=sum(one.approved for one in last) / len(last) if last else None,
        counted=len(last),
        caught=sum(not one.approved for one in drills),
        missed=sum(one.approved for one in drills),
        last_drill=max((one.at for one in drills), default=None),
    )


def quarter(at: datetime) -> tuple[int, int]:
    """Return year and quarter of a time."""
    return at.year, (at.month - 1) // 3 + 1


def due(approvers: Iterable[str], given: Iterable[Answer], now: datetime) -> tuple[str, ...]:
    """Return the approvers who have answered no drill in this quarter, by name."""
    drilled = {one.person for one in given if one.drill and quarter(one.at) == quarter(now)}
    return tuple(sorted(set(approvers) - drilled))
