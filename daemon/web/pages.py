"""The pages people read: the overview, an alarm's explanation, a candidate's dossier.  Reading changes nothing."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse

from daemon import explanations
from daemon.errors import ExplanationError, RefusedError
from daemon.ledger import StoredFact
from daemon.lifecycle import Candidate, fold
from daemon.lifecycle import facts as f
from daemon.web.doors import Visit, Visitor
from daemon.web.dossier import dossier, quorum_words
from daemon.web.office import Office
from daemon.web.overview import overview
from daemon.web.render import page
from daemon.web.words import ROLES

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def healthz(request: Request) -> PlainTextResponse:
    """Say that the page can read its record; for machines, without a log-in and without a detail."""
    office: Office = request.app.state.office
    office.ledger.head()
    return PlainTextResponse("ok\n")


@router.get("/")
def first_page(request: Request, visitor: Visitor) -> HTMLResponse:
    """Show what runs, who must act and what came in."""
    return page(
        request,
        "overview.html",
        now=visitor.now,
        session=visitor.session,
        view=overview(visitor.office, visitor.person, visitor.now),
        roles=[ROLES.get(role, role) for role in sorted(visitor.person.roles)],
        policy=visitor.office.policy,
        problem="",
    )


@router.get("/alarms/{alarm_id}")
def alarm_page(request: Request, alarm_id: str, visitor: Visitor) -> HTMLResponse:
    """Show why an alarm was raised, or, where no explanation is kept, what its fact says."""
    office = visitor.office
    raised = explanations.raised(office.ledger, office.stream, alarm_id)
    told, problem = None, ""
    try:
        told = explanations.read(office.explanations, alarm_id, raised.alarm)
    except ExplanationError as error:
        problem = str(error)
    return page(
        request,
        "alarm_page.html",
        now=visitor.now,
        session=visitor.session,
        alarm_id=alarm_id,
        alarm=raised.alarm,
        at=raised.at,
        told=told,
        problem=problem,
    )


@router.get("/candidates/{candidate_id}")
def candidate_page(request: Request, candidate_id: str, visitor: Visitor) -> HTMLResponse:
    """Show everything an approver has to see, and the forms to say yes or no."""
    return show_candidate(request, visitor, candidate_id)


def show_candidate(
    request: Request,
    visitor: Visit,
    candidate_id: str,
    *,
    status: int = 200,
    problem: str = "",
    kept: str = "",
) -> HTMLResponse:
    """Return the page of a candidate, with what went wrong or was just done on top.

    Raises:
        RefusedError: There is no such candidate.
    """
    office = visitor.office
    candidate, stored = read_candidate(office, candidate_id)
    world = office.looks.world(candidate, office.looks.candidates(), visitor.now)
    seen = dossier(office.ledger, candidate, world, office.policy, visitor.person, office.stream, visitor.now)
    return page(
        request,
        "candidate.html",
        now=visitor.now,
        session=visitor.session,
        status=status,
        d=seen,
        c=candidate,
        policy=office.policy,
        quorum=quorum_words(candidate, seen.missing),
        story=stored,
        may_reject=bool(visitor.person.roles & set(office.policy.reject_roles)),
        may_roll_back=bool(visitor.person.roles & set(office.policy.rollback_roles)),
        problem=problem,
        kept=kept,
    )


def read_candidate(office: Office, candidate_id: str) -> tuple[Candidate, list[StoredFact]]:
    """Return a candidate and its facts.

    Raises:
        RefusedError: There is none of that name.
    """
    stored = office.ledger.facts(subject=candidate_id)
    if not stored or not isinstance(stored[0].fact, f.CandidateRequested):
        raise RefusedError(f"there is no candidate {candidate_id!r}; the overview lists them all")
    return fold(one.fact for one in stored), stored
