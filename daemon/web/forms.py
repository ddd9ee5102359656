"""The forms people send: approve, reject, revoke, roll back, and the rarer words; close a fault.

Who sends one comes from the session, and from the password given again or a passkey; what they saw comes as
`request_id`, and a form for another request is refused.  Each ends in `daemon.web.words_said`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from daemon.errors import LoginRefusedError, RefusedError, StalePageError
from daemon.lifecycle import Candidate
from daemon.web import words_said as say
from daemon.web.doors import FormVisitor, Visit
from daemon.web.overview import overview
from daemon.web.pages import show_candidate
from daemon.web.problems import status_of
from daemon.web.proof import Proof, assertion_of
from daemon.web.render import page
from daemon.web.words import ROLES

router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)

Text = Annotated[str, Form(max_length=2000)]
Word = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True)
class Filled:
    """What every form holds: the request that was read, one reason, and what shows who sends it."""

    request_id: str
    reason: str
    password: str
    assertion: str

    @property
    def proof(self) -> Proof:
        """What shows that the person is there."""
        return Proof(self.password, assertion_of(self.assertion))


def filled(
    request_id: Word = "",
    reason: Text = "",
    password: Text = "",
    assertion: Annotated[str, Form(max_length=20_000)] = "",
) -> Filled:
    """Return the common fields of a form."""
    return Filled(request_id, reason, password, assertion)


Form_ = Annotated[Filled, Depends(filled)]


@router.post("/candidates/{candidate_id}/approve")
def approve(request: Request, candidate_id: str, visitor: FormVisitor, form: Form_, code: Word = "") -> Response:
    """Say yes: needs the code of this request, one reason and the password again, or a passkey."""
    return _answer(
        request,
        visitor,
        candidate_id,
        form,
        lambda: say.approve(visitor, form.proof, candidate_id, form.request_id, "", code, form.reason),
    )


@router.post("/candidates/{candidate_id}/reject")
def reject(
    request: Request, candidate_id: str, visitor: FormVisitor, form: Form_, klass: Word = "", code: Word = ""
) -> Response:
    """Say no: needs a class, one reason and the password again, or a passkey."""
    return _answer(
        request,
        visitor,
        candidate_id,
        form,
        lambda: say.reject(visitor, form.proof, candidate_id, form.request_id, "", klass, code, form.reason),
    )


@router.post("/candidates/{candidate_id}/revoke")
def revoke(request: Request, candidate_id: str, visitor: FormVisitor, form: Form_) -> Response:
    """Take one's own yes back while the board is unwritten."""
    return _answer(
        request,
        visitor,
        candidate_id,
        form,
        lambda: say.revoke(visitor, form.proof, candidate_id, form.request_id, form.reason),
    )


@router.post("/candidates/{candidate_id}/rollback")
def roll_back(request: Request, candidate_id: str, visitor: FormVisitor, form: Form_) -> Response:
    """Ask for the model that ran before; always allowed to those who may."""
    return _answer(
        request,
        visitor,
        candidate_id,
        form,
        lambda: say.roll_back(visitor, form.proof, candidate_id, form.reason),
    )


@router.post("/candidates/{candidate_id}/confirm")
def confirm(request: Request, candidate_id: str, visitor: FormVisitor, form: Form_, code: Word = "") -> Response:
    """Say a second time that what is in shadow may go live."""
    return _answer(
        request,
        visitor,
        candidate_id,
        form,
        lambda: say.confirm(visitor, form.proof, candidate_id, form.request_id, code, form.reason),
    )


@router.post("/candidates/{candidate_id}/break-glass")
def break_glass(request: Request, candidate_id: str, visitor: FormVisitor, form: Form_, code: Word = "") -> Response:
    """Say that the open request must be written now, without its quorum; it takes two."""
    return _answer(
        request,
        visitor,
        candidate_id,
        form,
        lambda: say.break_glass(visitor, form.proof, candidate_id, form.request_id, code, form.reason),
    )


@router.post("/candidates/{candidate_id}/review")
def review(request: Request, candidate_id: str, visitor: FormVisitor, form: Form_) -> Response:
    """Say what was found on why the glass was broken."""
    return _answer(
        request,
        visitor,
        candidate_id,
        form,
        lambda: say.review(visitor, form.proof, candidate_id, form.reason),
    )


@router.post("/candidates/{candidate_id}/waive")
def waive(
    request: Request,
    candidate_id: str,
    visitor: FormVisitor,
    form: Form_,
    gate: Word = "",
    code: Word = "",
    hours: Annotated[float, Form(gt=0, le=24 * 366)] = 24.0,
) -> Response:
    """Let one inconclusive gate count as passed for a while; `request_id` names the evidence that was read."""
    return _answer(
        request,
        visitor,
        candidate_id,
        form,
        lambda: say.waive(visitor, form.proof, candidate_id, form.request_id, gate, code, hours, form.reason),
    )


@router.post("/faults/{alarm_id}/close")
def close_fault(request: Request, alarm_id: str, visitor: FormVisitor, form: Form_) -> Response:
    """Say that a detector fault is mended or was none."""
    try:
        say.close_fault(visitor, form.proof, alarm_id, form.reason)
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
            oversees=False,
            problem=_sentence(error),
        )
    return RedirectResponse("/", status_code=303)


def _answer(
    request: Request, visitor: Visit, candidate_id: str, form: Filled, word: Callable[[], Candidate]
) -> Response:
    try:
        word()
    except (RefusedError, LoginRefusedError) as error:
        return show_candidate(
            request, visitor, candidate_id, status=status_of(error), problem=_sentence(error), kept=form.reason
        )
    return RedirectResponse(f"/candidates/{candidate_id}", status_code=303)


def _sentence(error: Exception) -> str:
    if isinstance(error, StalePageError):
        return f"Nothing was recorded: this page was out of date. {error}. What you see now is the present state."
    if isinstance(error, LoginRefusedError):
        return f"Nothing was recorded: it was not shown that it is you. {error}."
    return f"Nothing was recorded: {error}."
