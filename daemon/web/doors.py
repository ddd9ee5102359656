"""Log in, log out, and who may pass: the dependencies that every other route stands on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from daemon.errors import LoginRefusedError
from daemon.people import Person
from daemon.web.office import Office
from daemon.web.render import page
from daemon.web.sessions import LONGEST, Session

router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)


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
    if office.proxy is not None and session.how == "proxy" and office.proxy.name_in(request) != person.name:
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
def login_form(request: Request, to: str = "/") -> Response:
    """Show the log-in; whom a trusted proxy names is logged in at once."""
    office: Office = request.app.state.office
    named = office.people.find(office.proxy.name_in(request)) if office.proxy is not None else None
    if named is not None:
        return entered(office, request, named, to, office.clock(), "proxy")
    return login_page(request, to)


def login_page(request: Request, to: str, *, status: int = 200, problem: str = "", name: str = "") -> HTMLResponse:
    """Return the log-in, with what went wrong."""
    office: Office = request.app.state.office
    return page(
        request,
        "login.html",
        now=office.clock(),
        status=status,
        to=local_path(to),
        problem=problem,
        name=name,
        sign_on=office.sign_on is not None,
    )


def entered(office: Office, request: Request, person: Person, to: str, now: datetime, how: str) -> Response:
    """Return the answer to somebody who was recognised: a new session under a new token, whatever they had before."""
    office.sessions.end(request.cookies.get(office.cookie, ""))
    answer = RedirectResponse(local_path(to), status_code=303)
    answer.set_cookie(office.cookie, office.begin(person, now, how), **cookie_rules(office))
    return answer


def cookie_rules(office: Office) -> dict[str, Any]:
    """Return how the cookie of a session is set."""
    return {
        "max_age": int(LONGEST.total_seconds()),
        "path": "/",
        "secure": office.secure,
        "httponly": True,
        "samesite": "strict",
    }


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
        person = office.log_in(name.strip(), password, now)
    except LoginRefusedError as error:
        return login_page(request, to, status=403, problem=str(error), name=name.strip())
    return entered(office, request, person, to, now, "password")


@router.post("/logout")
def logout(request: Request, visitor: FormVisitor) -> Response:
    """End the session."""
    visitor.office.sessions.end(request.cookies.get(visitor.office.cookie, ""))
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(
        visitor.office.cookie, path="/", secure=visitor.office.secure, httponly=True, samesite="strict"
    )
    return answer
