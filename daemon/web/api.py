"""The same verbs for programs: JSON in, JSON out, problems as RFC 9457 `application/problem+json`.

A decision carries ``If-Match: "REQUEST_ID"``; without it the answer is 428, with an old one 412.  The session cookie
says who asks, the header ``X-Form-Token`` that the request is theirs, and the password is given again.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from daemon import decisions
from daemon.errors import LoginRefusedError, RefusedError
from daemon.lifecycle import Candidate
from daemon.lifecycle.codec import plain
from daemon.web.doors import Visit, Visitor, WrongFormError
from daemon.web.forms import status_of
from daemon.web.pages import read_candidate

router = APIRouter(prefix="/api/v1")
MatchHeader = Annotated[str | None, Header(alias="If-Match", max_length=200)]
TokenHeader = Annotated[str, Header(alias="X-Form-Token", max_length=200)]


class Yes(BaseModel):
    """An approval."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field(max_length=200)
    reason: str = Field(max_length=2000)
    password: str = Field(max_length=2000)
    role: str = Field("", max_length=50)


class No(BaseModel):
    """A rejection."""

    model_config = ConfigDict(extra="forbid")
    klass: str = Field(max_length=50)
    reason: str = Field(max_length=2000)
    password: str = Field(max_length=2000)
    role: str = Field("", max_length=50)


def problem(status: int, title: str, detail: str) -> JSONResponse:
    """Return a problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


@router.get("/session")
def session(visitor: Visitor) -> dict[str, Any]:
    """Say who is logged in and give the token that decisions need."""
    return {
        "person": visitor.person.name,
        "roles": sorted(visitor.person.roles),
        "form_token": visitor.session.form_token,
    }


@router.get("/candidates")
def candidates(visitor: Visitor) -> list[dict[str, Any]]:
    """List every candidate, oldest first."""
    return [summary(one) for one in visitor.office.looks.candidates()]


@router.get("/candidates/{candidate_id}")
def candidate(candidate_id: str, visitor: Visitor) -> JSONResponse:
    """Show one candidate; its ETag is the open request."""
    try:
        found, _ = read_candidate(visitor.office, candidate_id)
    except RefusedError as error:
        return problem(404, "No such candidate", str(error))
    return _shown(found)


@router.post("/candidates/{candidate_id}/approve")
def approve(
    candidate_id: str, body: Yes, visitor: Visitor, if_match: MatchHeader = None, token: TokenHeader = ""
) -> JSONResponse:
    """Say yes to the request that If-Match names."""

    def say(request_id: str) -> Candidate:
        office = visitor.office
        return decisions.approve(
            office.ledger,
            office.looks,
            office.policy,
            candidate_id=candidate_id,
            request_id=request_id,
            person=visitor.person.name,
            role=body.role,
            code=body.code,
            reason=body.reason,
            now=visitor.now,
        )

    return _decide(visitor, if_match, token, body.password, say)


@router.post("/candidates/{candidate_id}/reject")
def reject(
    candidate_id: str, body: No, visitor: Visitor, if_match: MatchHeader = None, token: TokenHeader = ""
) -> JSONResponse:
    """Say no to the request that If-Match names."""

    def say(request_id: str) -> Candidate:
        office = visitor.office
        return decisions.reject(
            office.ledger,
            office.looks,
            office.policy,
            candidate_id=candidate_id,
            request_id=request_id,
            person=visitor.person.name,
            role=body.role,
            klass=body.klass,
            reason=body.reason,
            now=visitor.now,
        )

    return _decide(visitor, if_match, token, body.password, say)


def summary(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate as the API shows it."""
    request = candidate.request
    return {
        "id": candidate.id,
        "slot": candidate.slot,
        "phase": str(candidate.phase),
        "reason": candidate.reason,
        "bundle_digest": candidate.bundle_digest,
        "code": decisions.code_of(candidate),
        "request": None if request is None else plain(request),
        "missing_roles": list(decisions.missing_roles(candidate)),
        "approvals": [{"person": one.person, "role": one.role, "reason": one.reason} for one in candidate.approvals],
        "closing": candidate.closing,
    }


def _shown(candidate: Candidate) -> JSONResponse:
    tag = {"etag": f'"{candidate.request.request_id}"'} if candidate.request else {}
    return JSONResponse(summary(candidate), headers=tag)


def _decide(visitor: Visit, if_match: str | None, token: str, password: str, say: Any) -> JSONResponse:
    if not visitor.session.fits(token):
        raise WrongFormError
    if not if_match:
        return problem(428, "Say which request", 'send If-Match: "REQUEST_ID" of the request that you read')
    try:
        visitor.office.check_password(visitor.person.name, password, visitor.now)
        return _shown(say(if_match.strip().removeprefix("W/").strip('"')))
    except (RefusedError, LoginRefusedError) as error:
        titles = {412: "The request changed", 403: "Not you, or not now", 409: "Refused by the rules"}
        status = status_of(error)
        return problem(status, titles[status], str(error))


def wants_json(request: Request) -> bool:
    """Return whether an error should be told as JSON."""
    return request.url.path.startswith("/api/")
