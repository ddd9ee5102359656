"""The API's writes about candidates and faults.

A decision carries ``If-Match: "REQUEST_ID"`` and the code of what was seen; without the first the answer is 428, with
an old one of either 412.  With an ``Idempotency-Key`` it may be sent twice.  The person shows that they are there: by
password, or by passkey; with the password may come their key's signature of the statement.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from daemon.errors import LoginRefusedError, RefusedError
from daemon.lifecycle import Candidate
from daemon.lifecycle.fact import Signature
from daemon.lifecycle.signing import ED25519
from daemon.web import words_said as say
from daemon.web.answers import KeyHeader, once
from daemon.web.api import PREFIX, TROUBLES, MatchHeader, Writer, shown
from daemon.web.bodies import No, Said, Signable, Waiver, Yes
from daemon.web.doors import Visit
from daemon.web.problems import problem, refusal
from daemon.web.proof import Proof

router = APIRouter(prefix=PREFIX, tags=["decide"], responses=TROUBLES)


@router.post("/candidates/{candidate_id}/approve")
def approve(
    candidate_id: str, body: Yes, visitor: Writer, if_match: MatchHeader = None, key: KeyHeader = ""
) -> Response:
    """Say yes to the request that If-Match names."""

    def word(request: str) -> Candidate:
        return say.approve(visitor, _proof(body), candidate_id, request, body.role, body.code, body.reason)

    return _decide(visitor, f"approve {candidate_id}", key, if_match, body, word)


@router.post("/candidates/{candidate_id}/reject")
def reject(candidate_id: str, body: No, visitor: Writer, if_match: MatchHeader = None, key: KeyHeader = "") -> Response:
    """Say no to the request that If-Match names."""

    def word(request: str) -> Candidate:
        return say.reject(visitor, _proof(body), candidate_id, request, body.role, body.klass, body.code, body.reason)

    return _decide(visitor, f"reject {candidate_id}", key, if_match, body, word)


@router.post("/candidates/{candidate_id}/revoke")
def revoke(
    candidate_id: str, body: Said, visitor: Writer, if_match: MatchHeader = None, key: KeyHeader = ""
) -> Response:
    """Take one's own yes to the request that If-Match names back."""

    def word(request: str) -> Candidate:
        return say.revoke(visitor, _proof(body), candidate_id, request, body.reason)

    return _decide(visitor, f"revoke {candidate_id}", key, if_match, body, word)


@router.post("/candidates/{candidate_id}/rollback")
def roll_back(candidate_id: str, body: Said, visitor: Writer, key: KeyHeader = "") -> Response:
    """Ask for the model that ran before; needs no If-Match, since going back is always allowed."""

    def word(_: str) -> Candidate:
        return say.roll_back(visitor, _proof(body), candidate_id, body.reason)

    return _decide(visitor, f"rollback {candidate_id}", key, "*", body, word)


@router.post("/candidates/{candidate_id}/confirm")
def confirm(
    candidate_id: str, body: Signable, visitor: Writer, if_match: MatchHeader = None, key: KeyHeader = ""
) -> Response:
    """Say a second time that what If-Match names, now in shadow, may go live."""

    def word(request: str) -> Candidate:
        return say.confirm(visitor, _proof(body), candidate_id, request, body.code, body.reason)

    return _decide(visitor, f"confirm {candidate_id}", key, if_match, body, word)


@router.post("/candidates/{candidate_id}/break-glass")
def break_glass(
    candidate_id: str, body: Signable, visitor: Writer, if_match: MatchHeader = None, key: KeyHeader = ""
) -> Response:
    """Say that the request that If-Match names must be written now; it takes two people."""

    def word(request: str) -> Candidate:
        return say.break_glass(visitor, _proof(body), candidate_id, request, body.code, body.reason)

    return _decide(visitor, f"break-glass {candidate_id}", key, if_match, body, word)


@router.post("/candidates/{candidate_id}/waive")
def waive(candidate_id: str, body: Waiver, visitor: Writer, key: KeyHeader = "") -> Response:
    """Let one inconclusive gate count as passed for a while; the body names the evidence that was read."""

    def word(_: str) -> Candidate:
        about = (body.evidence_root, body.gate, body.code, body.hours, body.reason, body.expires_at)
        return say.waive(visitor, _proof(body), candidate_id, *about)

    return _decide(visitor, f"waive {candidate_id}", key, "*", body, word)


@router.post("/candidates/{candidate_id}/review")
def review(candidate_id: str, body: Said, visitor: Writer, key: KeyHeader = "") -> Response:
    """Say what was found on why the glass was broken."""

    def word(_: str) -> Candidate:
        return say.review(visitor, _proof(body), candidate_id, body.reason)

    return _decide(visitor, f"review {candidate_id}", key, "*", body, word)


@router.post("/faults/{alarm_id}/close")
def close_fault(alarm_id: str, body: Said, visitor: Writer, key: KeyHeader = "") -> Response:
    """Say that a fault is mended, a shift answered, or that it was nothing."""

    def do() -> Response:
        try:
            closed = say.close_fault(visitor, _proof(body), alarm_id, body.reason)
        except (RefusedError, LoginRefusedError) as error:
            return refusal(error)
        told: dict[str, Any] = {"alarm": alarm_id, "closed_by": closed.person, "at": closed.at.isoformat()}
        return JSONResponse(told)

    return once(visitor, key, f"close {alarm_id}", body, do)


def _proof(body: Said) -> Proof:
    given = body.signature if isinstance(body, Signable) else None
    signature = Signature(kind=ED25519, key_id=given.key_id, value=given.value) if given else None
    return Proof(body.password, body.assertion, signature)


def _decide(
    visitor: Visit, what: str, key: str, if_match: str | None, body: Said, word: Callable[[str], Candidate]
) -> Response:
    if not if_match:
        return problem(428, "Say which request", 'send If-Match: "REQUEST_ID" of the request that you read')
    request = if_match.strip().removeprefix("W/").strip('"')

    def do() -> Response:
        try:
            return shown(word(request), visitor)
        except (RefusedError, LoginRefusedError) as error:
            return refusal(error)

    return once(visitor, key, f"{what} {request}", body, do)
