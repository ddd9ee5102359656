"""The forms people send: approve, reject, revoke, roll back, close a fault.

Who sends one comes from the session and from the password given again; what they saw comes as `request_id`, and a form
for another request is refused.  Each ends in `daemon.decisions`.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from daemon import decisions
from daemon.errors import LoginRefusedError, RefusedError, StalePageError
from daemon.lifecycle import Candidate
from daemon.web.doors import FormVisitor, Visit
from daemon.web.overview import overview
from daemon.web.pages import show_candidate
from daemon.web.render import page
from daemon.web.words import ROLES

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Form(max_length=2000)]
Word = Annotated[str, Form(max_length=200)]


@router.post("/candidates/{candidate_id}/approve")
def approve(
    request: Request,
    candidate_id: str,
    visitor: FormVisitor,
    request_id: Word = "",
    code: Word = "",
    reason: Text = "",
    password: Text = "",
) -> Response:
    """Say yes: needs the code of this request, one reason and the password again."""

    def say() -> Candidate:
        _same_person(visitor, password)
        return decisions.approve(
            visitor.office.ledger,
            visitor.office.looks,
            visitor.office.policy,
            candidate_id=candidate_id,
            request_id=request_id,
            person=visitor.person.name,
            role="",
            code=code,
            reason=reason,
            now=visitor.now,
        )

    return _answer(request, visitor, candidate_id, say, kept=reason)


@router.post("/candidates/{candidate_id}/reject")
def reject(
    request: Request,
    candidate_id: str,
    visitor: FormVisitor,
    request_id: Word = "",
    klass: Word = "",
    reason: Text = "",
    password: Text = "",
) -> Response:
    """Say no: needs a class, one reason and the password again."""

    def say() -> Candidate:
        _same_person(visitor, password)
        return decisions.reject(
            visitor.office.ledger,
            visitor.office.looks,
            visitor.office.policy,
            candidate_id=candidate_id,
            request_id=request_id,
            person=visitor.person.name,
            role="",
            klass=klass,
            reason=reason,
            now=visitor.now,
        )

    return _answer(request, visitor, candidate_id, say, kept=reason)


@router.post("/candidates/{candidate_id}/revoke")
def revoke(
    request: Request,
    candidate_id: str,
    visitor: FormVisitor,
    request_id: Word = "",
    reason: Text = "",
    password: Text = "",
) -> Response:
    """Take one's own yes back while the board is unwritten."""

    def say() -> Candidate:
        _same_person(visitor, password)
        return decisions.revoke(
            visitor.office.ledger,
            visitor.office.looks,
            candidate_id=candidate_id,
            request_id=request_id,
            person=visitor.person.name,
            reason=reason,
            now=visitor.now,
        )

    return _answer(request, visitor, candidate_id, say, kept=reason)


@router.post("/candidates/{candidate_id}/rollback")
def roll_back(
    request: Request, candidate_id: str, visitor: FormVisitor, reason: Text = "", password: Text = ""
) -> Response:
    """Ask for the model that ran before; always allowed to those who may."""

    def say() -> Candidate:
        _same_person(visitor, password)
        return decisions.roll_back(
            visitor.office.ledger,
            visitor.office.looks,
            visitor.office.policy,
            candidate_id=candidate_id,
            person=visitor.person.name,
            reason=reason,
            now=visitor.now,
        )

    return _answer(request, visitor, candidate_id, say, kept=reason)


@router.post("/faults/{alarm_id}/close")
def close_fault(
    request: Request, alarm_id: str, visitor: FormVisitor, reason: Text = "", password: Text = ""
) -> Response:
    """Say that a detector fault is mended or was none."""
    try:
        _same_person(visitor, password)
        decisions.close_fault(
            visitor.office.ledger,
            visitor.office.policy,
            stream=visitor.office.stream,
            alarm_id=alarm_id,
            person=visitor.person.name,
            roles=visitor.person.roles,
            reason=reason,
            now=visitor.now,
        )
    except (RefusedError, LoginRefusedError) as error:
        return page(
            request,
            "overview.html",
            now=visitor.now,
            session=visitor.session,
            status=status_of(error),
            view=overview(visitor.office, visitor.person, visitor.now),
            roles=[ROLES.get(role, role) for role in sorted(visitor.person.roles)],
            policy=visitor.office.policy,
            problem=_sentence(error),
        )
    return RedirectResponse("/", status_code=303)


def status_of(error: Exception) -> int:
    """Return the HTTP status of a refusal: 412 for a stale page, 403 for a person, 409 for the rules."""
    if isinstance(error, StalePageError):
        return 412
    return 403 if isinstance(error, LoginRefusedError) else 409


def _same_person(visitor: Visit, password: str) -> None:
    visitor.office.check_password(visitor.person.name, password, visitor.now)


def _answer(
    request: Request, visitor: Visit, candidate_id: str, say: Callable[[], Candidate], *, kept: str
) -> Response:
    try:
        say()
    except (RefusedError, LoginRefusedError) as error:
        return show_candidate(
            request, visitor, candidate_id, status=status_of(error), problem=_sentence(error), kept=kept
        )
    return RedirectResponse(f"/candidates/{candidate_id}", status_code=303)


def _sentence(error: Exception) -> str:
    if isinstance(error, StalePageError):
        return f"Nothing was recorded: this page was out of date. {error}. What you see now is the present state."
    if isinstance(error, LoginRefusedError):
        return f"Nothing was recorded: your password was not accepted again. {error}."
    return f"Nothing was recorded: {error}."
