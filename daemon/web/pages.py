"""The pages people read: the overview, an alarm's explanation, a candidate's dossier.  Reading changes nothing."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse

from daemon import explanations
from daemon.errors import ExplanationError, RefusedError
from daemon.ledger import StoredFact
from daemon.lifecycle import Candidate, Phase, Policy, fold
from daemon.lifecycle import facts as f
from daemon.people import Person
from daemon.web.doors import Visit, Visitor
from daemon.web.dossier import dossier, quorum_words
from daemon.web.office import Office
from daemon.web.overview import overview
from daemon.web.render import page
from daemon.web.words import ROLES

OVERSEERS = frozenset({"coordinator", "root"})
router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)


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
        oversees=bool(visitor.person.roles & OVERSEERS),
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
    if status == 200 and candidate.request is not None and candidate.phase is Phase.PENDING_APPROVAL:
        office.ledger.doors.note_reading(visitor.person.name, candidate.request.request_id, visitor.now)
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
        may=rarer_words(candidate, visitor.person, office.policy),
        problem=problem,
        kept=kept,
    )


def rarer_words(candidate: Candidate, person: Person, policy: Policy) -> dict[str, Any]:
    """Return what this person could say in the rarer cases: gates to waive, and whether to confirm, break, review."""
    held, name, phase = person.roles, person.name, candidate.phase
    tier = policy.tiers.get(candidate.request.tier) if candidate.request else None
    waivable = [one.name for one in candidate.gates.gates if one.verdict == "inconclusive"] if candidate.gates else []
    own = {one.gate for one in candidate.waivers if one.person == name}
    waits = phase is Phase.NEEDS_EXPERT and bool(held & set(policy.waiver_roles)) and name != candidate.initiator
    confirmed = any(one.person == name for one in candidate.confirmations)
    breaks = phase in {Phase.PENDING_APPROVAL, Phase.APPROVED} and bool(held & set(policy.glass_roles))
    return {
        "waive": [one for one in waivable if one not in own] if waits else [],
        "confirm": phase is Phase.SHADOW and bool(tier and held & set(tier.confirm_roles)) and not confirmed,
        "break_glass": breaks and name not in {one.person for one in candidate.glass},
        "review": candidate.review_owed
        and bool(held & set(policy.review_roles))
        and name not in {one.person for one in candidate.glass},
    }


def read_candidate(office: Office, candidate_id: str) -> tuple[Candidate, list[StoredFact]]:
    """Return a candidate and its facts.

    Raises:
        RefusedError: There is none of that name.
    """
    stored = office.ledger.facts(subject=candidate_id)
    if not stored or not isinstance(stored[0].fact, f.CandidateRequested):
        raise RefusedError(f"there is no candidate {candidate_id!r}; the overview and `retrigger candidates` list them")
    return fold(one.fact for one in stored), stored
