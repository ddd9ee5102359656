"""From values to HTML: one strict template environment, everything escaped."""

from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from daemon.web import drawing, words
from daemon.web.office import Office
from daemon.web.sessions import Session

TEMPLATES = Environment(
    loader=PackageLoader("daemon", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters.update(
    short=words.short, moment=words.moment, span=words.span, figure=words.figure, plain=words.plain_name
)
TEMPLATES.globals.update(words=words, drawing=drawing, listed=words.listed)


def page(
    request: Request,
    template: str,
    *,
    now: datetime,
    session: Session | None = None,
    status: int = 200,
    **context: Any,
) -> HTMLResponse:
    """Return one page; `session` gives it a name to greet and a token for its forms."""
    office: Office = request.app.state.office
    text = TEMPLATES.get_template(template).render(
        now=now,
        ago=lambda at: words.ago(at, now),
        person=session.person if session else "",
        form_token=session.form_token if session else "",
        slot=office.slot,
        stream=office.stream,
        **context,
    )
    return HTMLResponse(text, status_code=status)


def trouble(
    request: Request, status: int, title: str, problem: str, remedy: str, session: Session | None = None
) -> HTMLResponse:
    """Return a page that says what is wrong and what to do now."""
    office: Office = request.app.state.office
    return page(
        request,
        "trouble.html",
        now=office.clock(),
        session=session,
        status=status,
        title=title,
        problem=problem,
        remedy=remedy,
    )
