"""The page as one application: routes, errors and the guard around them."""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from daemon.decisions import Looks
from daemon.errors import PeopleError, RefusedError, RetriggerError
from daemon.ledger import Ledger
from daemon.lifecycle import Policy
from daemon.passkeys import Passkeys
from daemon.people import People
from daemon.sign_on import SignOn, SignOnRules
from daemon.web import account, api, api_daemon, api_keys, api_words, doors, fatigue, forms, pages, quiet, sign_on
from daemon.web.access import NotAllowedError, may_pass
from daemon.web.challenges import Challenges
from daemon.web.doors import NotLoggedInError, WrongFormError
from daemon.web.guard import SAFE_METHODS, Guard
from daemon.web.office import Office, Proxy
from daemon.web.problems import problem, status_of, wants_json
from daemon.web.render import trouble
from daemon.web.sessions import Sessions
from daemon.web.watching import router as watching

log = logging.getLogger("retrigger.web")


def new_token() -> str:
    """Return 256 unguessable bits as text."""
    return secrets.token_urlsafe(32)


class _Page(FastAPI):
    """An application whose every answer passes the guard, the one to an error of ours included."""

    def build_middleware_stack(self) -> ASGIApp:
        office: Office = self.state.office
        return Guard(super().build_middleware_stack(), office.public_url)


def create_app(
    ledger: Ledger,
    people: People,
    looks: Looks,
    policy: Policy,
    *,
    stream: str,
    slot: str,
    public_url: str,
    clock: Callable[[], datetime],
    tokens: Callable[[], str] = new_token,
    explanations: Path | None = None,
    sign_on_rules: SignOnRules | None = None,
    proxy: Proxy | None = None,
    places: tuple[str, ...] = (),
) -> FastAPI:
    """Return the page over one ledger.

    Args:
        ledger: The record; the page appends to it through `daemon.decisions` alone.
        people: Who may log in.
        looks: Sees bundle, board and certification: a `daemon.sight.Sight`.
        policy: In force.
        stream: Whose alarms and lumisections are shown.
        slot: Whose model.
        public_url: How people reach the page; requests under another name are refused, https makes cookies secure.
        clock: Returns the time, UTC.
        tokens: Returns unguessable text; given by tests.
        explanations: Folder of the explanations of alarms.
        sign_on_rules: A single sign-on; None for local accounts alone.
        proxy: A proxy whose header names people; None trusts no header.
        places: Where the record goes outside this host, by name.
    """
    guarded = [Depends(may_pass)]
    app = _Page(title="retrigger", version="1", docs_url=None, redoc_url=None, openapi_url=None, dependencies=guarded)
    callback = public_url.rstrip("/") + sign_on.ANSWER
    app.state.office = Office(
        ledger=ledger,
        people=people,
        looks=looks,
        policy=policy,
        stream=stream,
        slot=slot,
        public_url=public_url,
        clock=clock,
        sessions=Sessions(tokens),
        tokens=tokens,
        challenges=Challenges(tokens),
        passkeys=Passkeys(ledger, public_url),
        sign_on=SignOn(sign_on_rules, callback, tokens) if sign_on_rules else None,
        proxy=proxy,
        explanations=explanations,
        places=places,
    )
    for part in (doors, sign_on, pages, account, fatigue, forms, quiet, api, api_keys, api_words, api_daemon):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=str(files("daemon").joinpath("static"))), name="static")
    app.include_router(watching)
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, answer)
    return app


def _log_in_first(request: Request, error: Exception) -> Response:  # noqa: ARG001  # Starlette hands both
    if wants_json(request):
        return problem(401, "Nobody is logged in", "log in on the page first")
    target = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"/login?to={target}", status_code=303)


def _wrong_form(request: Request, error: Exception) -> Response:  # noqa: ARG001  # Starlette hands both
    what = "this form was not made for your present log-in"
    if wants_json(request):
        return problem(403, "Wrong token", f"{what}; read X-Form-Token from /api/v1/session")
    remedy = "Nothing was recorded. Go to the overview, open the candidate again and repeat what you meant to do."
    return trouble(request, 403, "This form is too old", what, remedy)


def _not_allowed(request: Request, error: Exception) -> Response:
    if wants_json(request):
        return problem(403, "Not for your roles", str(error))
    remedy = "Nothing was recorded. Ask the coordinator if you should have one of these roles."
    return trouble(request, 403, "Not for your roles", str(error), remedy)


def _not_so(request: Request, error: Exception) -> Response:
    if wants_json(request):
        return problem(status_of(error), "Not as asked", str(error))
    return trouble(
        request, status_of(error), "Not as asked", str(error), "Nothing was recorded. Go back and try again."
    )


def _no_such_thing(request: Request, error: Exception) -> Response:
    if wants_json(request):
        return problem(404, "Not found", str(error))
    return trouble(request, 404, "Nothing here", str(error), "Go to the overview; it lists what there is.")


def _cannot(request: Request, error: Exception) -> Response:
    log.error("the page cannot answer %s: %s", request.url.path, error)
    if wants_json(request):
        return problem(503, "The record cannot be read or written", str(error))
    remedy = (
        f"{_recorded(request)}, and what runs goes on running. Reload in a minute. If it stays, call the ML expert on "
        "call; `retrigger doctor` on the host says what is wrong. Approving by command line works without this page."
    )
    return trouble(request, 503, "The record cannot be read or written", str(error), remedy)


def _unreadable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    detail = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
    if wants_json(request):
        return problem(422, "The request cannot be understood", detail)
    return trouble(
        request, 422, "The form cannot be understood", detail, "Nothing was recorded. Go back and try again."
    )


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if wants_json(request):
        return problem(error.status_code, str(error.detail), f"{request.method} {request.url.path}")
    remedy = "Go to the overview; it lists what there is."
    return trouble(request, error.status_code, str(error.detail), f"{request.method} {request.url.path}", remedy)


def _recorded(request: Request) -> str:
    """Say what became of a request that broke: a word may have been recorded before its answer broke."""
    if request.method in SAFE_METHODS:
        return "Nothing was recorded"
    return "It is not known whether this was recorded (look before you say it again)"


def _broken(request: Request, error: Exception) -> Response:
    log.error("the page broke at %s: %r", request.url.path, error)  # the server logs the traceback
    if wants_json(request):
        return problem(500, "The page broke", f"{_recorded(request)}; the log of retrigger-web has the details")
    remedy = (
        f"{_recorded(request)}, and what runs goes on running. Reload; if it breaks again, use the command line "
        "(`retrigger candidates`, `retrigger show ID`) and send the ML expert the time shown here."
    )
    what = f"an error of ours, at {request.url.path}"
    return trouble(request, 500, "The page broke", what, remedy)


_ANSWERS: dict[type[Exception], Callable[[Request, Exception], Response]] = {
    NotLoggedInError: _log_in_first,
    WrongFormError: _wrong_form,
    NotAllowedError: _not_allowed,
    PeopleError: _not_so,
    RefusedError: _no_such_thing,
    RetriggerError: _cannot,
    RequestValidationError: _unreadable,
    HTTPException: _http,
    Exception: _broken,
}
