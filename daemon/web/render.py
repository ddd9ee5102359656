"""From values to HTML: one strict template environment, everything escaped."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from daemon.ledger import Outcome
from daemon.templating import strict_templates
from daemon.web import drawing, evidence, explained, heat, words
from daemon.web.office import Office
from daemon.web.sessions import Session

TEMPLATES = strict_templates()
TEMPLATES.filters.update(
    short=words.short,
    moment=words.moment,
    span=words.span,
    figure=words.figure,
    plain=words.plain_name,
    sentence=words.sentence,
)
KINDS = {"watched": "fine", "quiet": "fine", "warn": "blind", "alarm": "loud", "excluded": "off", "late": "off"}


def strip_of(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    """Return class and words of each lumisection for `drawing.strip`."""
    return [
        (
            KINDS.get(one.result, "blind"),
            f"{one.run}:{one.lumisection} {words.plain_name(one.result)} {one.reason}".strip(),
        )
        for one in outcomes
    ]


def strip_legend(outcomes: Sequence[Outcome]) -> list[tuple[str, str, int]]:
    """Return word, class and number of each result that occurs, the commonest first."""
    counted = Counter(one.result for one in outcomes)
    return [(word, KINDS.get(word, "blind"), number) for word, number in counted.most_common()]


TEMPLATES.globals.update(
    words=words,
    drawing=drawing,
    evidence=evidence,
    explained=explained,
    heat=heat,
    listed=words.listed,
    strip_of=strip_of,
    strip_legend=strip_legend,
)


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
        has_passkey=bool(session and office.passkeys.possible and office.passkeys.of(session.person)),
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
