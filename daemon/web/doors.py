"""Log in, log out, and who may pass: the dependencies that every other route stands on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from daemon.errors import LoginRefusedError
from daemon.people import Person
from daemon.web.office import Office
from daemon.web.render import page
from daemon.web.sessions import LONGEST, Session

router = APIRouter(include_in_schema=False)


class NotLoggedInError(Exception):
    """Nobody is logged in; a page sends them to the log-in, the API answers 401."""


class WrongFormError(Exception):
    """A form came without the token of its session."""


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is logged in: who, with which roles now, when."""

    office: Office
    session: Session
    person: Person
    now: datetime


def visit(request: Request) -> Visit:
    """Return who asks; their roles are those of this moment, not of their log-in.

    Raises:
        NotLoggedInError: There is no session, it ended, or the account was closed.
    """
    office: Office = request.app.state.office
    now = office.clock()
    token = request.cookies.get(office.cookie, "")
    session = office.sessions.find(token, now) if token else None
    person = office.person_of(session) if session else None
    if session is None or person is None:
        raise NotLoggedInError
    return Visit(office, session, person, now)


Visitor = Annotated[Visit, Depends(visit)]


def form_visit(visitor: Visitor, form_token: Annotated[str, Form(max_length=200)] = "") -> Visit:
    """Return who sends a form, after its token was checked.

    Raises:
        WrongFormError: The form is not one that this session was given.
    """
    if not visitor.session.fits(form_token):
        raise WrongFormError
    return visitor


FormVisitor = Annotated[Visit, Depends(form_visit)]


def local_path(target: str) -> str:
    """Return where to go after the log-in: a path of this page, never another site."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain and "\\" not in target else "/"


@router.get("/login")
def login_form(request: Request, to: str = "/") -> HTMLResponse:
    """Show the log-in."""
    office: Office = request.app.state.office
    return page(request, "login.html", now=office.clock(), to=local_path(to), problem="", name="")


@router.post("/login")
def login(
    request: Request,
    name: Annotated[str, Form(max_length=100)] = "",
    password: Annotated[str, Form(max_length=2000)] = "",
    to: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Check name and password; a right one begins a new session under a new token."""
    office: Office = request.app.state.office
    now = office.clock()
    try:
        person = office.check_password(name.strip(), password, now)
    except LoginRefusedError as error:
        return page(
            request, "login.html", now=now, status=403, to=local_path(to), problem=str(error), name=name.strip()
        )
    office.sessions.end(request.cookies.get(office.cookie, ""))
    answer = RedirectResponse(local_path(to), status_code=303)
    answer.set_cookie(
        office.cookie,
        office.sessions.begin(person.name, now),
        max_age=int(LONGEST.total_seconds()),
        path="/",
        secure=office.secure,
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post("/logout")
def logout(request: Request, visitor: FormVisitor) -> Response:
    """End the session."""
    visitor.office.sessions.end(request.cookies.get(visitor.office.cookie, ""))
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(
        visitor.office.cookie, path="/", secure=visitor.office.secure, httponly=True, samesite="strict"
    )
    return answer
