"""How people answer, for the coordinator: a page and its figures for programs."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from daemon import fatigue
from daemon.drills import given_answers
from daemon.fatigue import CATCH_TARGET, RATIO_OVER, SHORTEST_READING_S, Figures
from daemon.web.access import Who, roles_of
from daemon.web.api import PREFIX, TROUBLES
from daemon.web.doors import Visitor
from daemon.web.office import Office
from daemon.web.render import page

router = APIRouter()


@dataclass(frozen=True)
class Watch:
    """Every approver's figures, whom a drill is due to, and the limits."""

    people: tuple[Figures, ...]
    due: tuple[str, ...]
    catch_rate: float | None


def watch(office: Office, now: Any) -> Watch:
    """Return the figures of everybody who may approve or ever answered."""
    given = given_answers(office.ledger)
    needed = roles_of(Who.APPROVER, office.policy) or frozenset()
    approvers = {name for name, held in office.people.roles().items() if held & needed}
    people = tuple(fatigue.figures(name, given) for name in sorted(approvers | {one.person for one in given}))
    drills = [one for one in given if one.drill]
    caught = sum(not one.approved for one in drills) / len(drills) if drills else None
    return Watch(people, fatigue.due(approvers, given, now), caught)


LIMITS = {"shortest_reading_s": SHORTEST_READING_S, "ratio_over": RATIO_OVER, "catch_target": CATCH_TARGET}


@router.get("/fatigue", tags=["pages"], response_class=HTMLResponse)
def fatigue_page(request: Request, visitor: Visitor) -> HTMLResponse:
    """Show how people answer, and to whom a drill is due."""
    seen = watch(visitor.office, visitor.now)
    return page(request, "fatigue.html", now=visitor.now, session=visitor.session, seen=seen, limits=LIMITS)


@router.get(f"{PREFIX}/fatigue", tags=["read"], responses=TROUBLES)
def fatigue_figures(visitor: Visitor) -> dict[str, Any]:
    """Give how people answer, the limits, and to whom a drill is due."""
    seen = watch(visitor.office, visitor.now)
    people = [{**vars(one), "last_drill": one.last_drill, "alarms": list(one.alarms)} for one in seen.people]
    return {"limits": LIMITS, "catch_rate": seen.catch_rate, "drill_due": list(seen.due), "people": people}
