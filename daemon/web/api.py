"""The same verbs for programs: JSON in, JSON out, problems as RFC 9457 `application/problem+json`.  Here: reading.

The session cookie says who asks; the header ``X-Form-Token`` of a write shows that it is theirs.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse, Response

from daemon import decisions
from daemon.errors import LoginRefusedError, RefusedError
from daemon.lifecycle import Candidate
from daemon.lifecycle.codec import plain
from daemon.stories import story
from daemon.web import words_said
from daemon.web.bodies import LogIn, Session, Shown, Told, Voice
from daemon.web.doors import Visit, Visitor, WrongFormError, entered
from daemon.web.dossier import revealed
from daemon.web.office import Office
from daemon.web.overview import overview
from daemon.web.pages import read_candidate
from daemon.web.problems import Problem, problem

PREFIX = "/api/v1"
TROUBLES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "content": {"application/problem+json": {}}}
    for status in (401, 403, 404, 409, 412, 422, 428, 503)
}
router = APIRouter(prefix=PREFIX, tags=["read"], responses=TROUBLES)
TokenHeader = Annotated[str, Header(alias="X-Form-Token", max_length=200)]
MatchHeader = Annotated[str | None, Header(alias="If-Match", max_length=200)]


def writer(visitor: Visitor, token: TokenHeader = "") -> Visit:
    """Return who writes, after their token was checked.

    Raises:
        WrongFormError: The token is not that of this session.
    """
    if not visitor.session.fits(token):
        raise WrongFormError
    return visitor


Writer = Annotated[Visit, Depends(writer)]


@router.get("/openapi.json")
def schema(request: Request) -> dict[str, Any]:
    """Describe every route, as OpenAPI."""
    found: dict[str, Any] = request.app.openapi()
    return found


@router.post("/session", response_model=Session)
def log_in(request: Request, body: LogIn) -> Response:
    """Log in; the answer sets the session's cookie."""
    office: Office = request.app.state.office
    now = office.clock()
    try:
        person = office.log_in(body.name.strip(), body.password, now)
    except LoginRefusedError as error:
        return problem(403, "Not logged in", str(error))
    begun = entered(office, request, person, "/", now, "password")
    token = next(
        one.split("=", 1)[1] for one in begun.headers["set-cookie"].split("; ") if one.startswith(office.cookie)
    )
    session = office.sessions.find(token, now)
    assert session is not None
    told = {"person": person.name, "roles": sorted(person.roles), "form_token": session.form_token}
    return JSONResponse(told, headers={"set-cookie": begun.headers["set-cookie"]})


@router.get("/session")
def session(visitor: Visitor) -> Session:
    """Say who is logged in and give the token that writes need."""
    person = visitor.person
    return Session(person=person.name, roles=sorted(person.roles), form_token=visitor.session.form_token)


@router.delete("/session", status_code=204)
def log_out(request: Request, visitor: Writer) -> Response:
    """End the session."""
    visitor.office.sessions.end(request.cookies.get(visitor.office.cookie, ""))
    return Response(status_code=204)


@router.get("/overview")
def first(visitor: Visitor) -> dict[str, Any]:
    """Say what runs, who must act, and what is stopped."""
    seen = overview(visitor.office, visitor.person, visitor.now)
    slot = seen.snapshot.slots[visitor.office.slot]
    return {
        "slot": visitor.office.slot,
        "stream": visitor.office.stream,
        "running": slot.running_digest,
        "board_agrees": slot.board_agrees,
        "asked": [
            {"candidate": one.id, "missing_roles": list(missing), "your_role": yours}
            for one, missing, yours in seen.asked
        ],
        "open_faults": [fault.alarm_id for fault in seen.faults],
        "paused": seen.paused,
        "frozen": seen.frozen,
        "silent_s": seen.silent_s,
    }


@router.get("/alarms")
def alarms(visitor: Visitor) -> list[dict[str, Any]]:
    """List the alarms of the stream, oldest first, in their public form: who closed them, which are open faults."""
    stored = [one.fact for one in visitor.office.ledger.facts(subject=visitor.office.stream)]
    return decisions.alarms_told(stored)


@router.get("/record")
def record(visitor: Visitor) -> dict[str, Any]:
    """Give the head of the chain, to be written down elsewhere."""
    head = visitor.office.ledger.head()
    return {"sequence": head.sequence, "hash": head.hash}


@router.get("/candidates")
def candidates(visitor: Visitor) -> list[Shown]:
    """List every candidate, oldest first."""
    return [summary(one, visitor.person.name) for one in visitor.office.looks.candidates()]


@router.get("/candidates/{candidate_id}", response_model=Told)
def candidate(candidate_id: str, visitor: Visitor) -> Response:
    """Show one candidate; its ETag is the open request."""
    try:
        found, _ = read_candidate(visitor.office, candidate_id)
    except RefusedError as error:
        return problem(404, "No such candidate", str(error))
    return shown(found, visitor)


def summary(candidate: Candidate, person: str) -> Shown:
    """Return a candidate as the API shows it to a person: that it is a drill, only once they answered."""
    request = candidate.request
    return Shown(
        id=candidate.id,
        slot=candidate.slot,
        phase=str(candidate.phase),
        trigger=candidate.trigger,
        reason=candidate.reason,
        bundle_digest=candidate.bundle_digest,
        code=decisions.code_of(candidate),
        request=None if request is None else plain(request),
        missing_roles=list(decisions.missing_roles(candidate)),
        approvals=[
            Voice(
                person=one.person, role=one.role, reason=one.reason, signed=one.signature.kind if one.signature else ""
            )
            for one in candidate.approvals
        ],
        closing=candidate.closing,
        drill=revealed(candidate, person),
    )


def shown(candidate: Candidate, visitor: Visit) -> JSONResponse:
    """Return one candidate with all that is said of it, its open request as the ETag."""
    office, person = visitor.office, visitor.person.name
    tag = {"etag": f'"{candidate.request.request_id}"'} if candidate.request else {}
    told = Told(
        **summary(candidate, person).model_dump(),
        roles=words_said.roles_in(visitor, candidate),
        story=story(office.looks, office.policy, candidate, visitor.now),
    )
    return JSONResponse(told.model_dump(mode="json"), headers=tag)
