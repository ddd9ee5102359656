"""The form by which people take an alarm on, or ask for quiet about it; Alertmanager hears of it by the outbox."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from daemon import quieting
from daemon.errors import RefusedError
from daemon.web.doors import FormVisitor
from daemon.web.forms import Text
from daemon.web.overview import overview
from daemon.web.problems import status_of
from daemon.web.render import page
from daemon.web.words import ROLES

router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)


@router.post("/alarms/{alarm_id}/quiet")
def quiet(
    request: Request,
    alarm_id: str,
    visitor: FormVisitor,
    reason: Text = "",
    hours: Annotated[float, Form()] = 0.0,
) -> Response:
    """Take an alarm on for a shift (0 hours), or ask for quiet for some hours."""
    office = visitor.office
    said: dict[str, Any] = {"stream": office.stream, "alarm_id": alarm_id, "reason": reason, "now": visitor.now}
    try:
        if hours:
            quieting.silence(office.ledger, office.policy, person=visitor.person, hours=hours, **said)
        else:
            quieting.acknowledge(office.ledger, office.policy, person=visitor.person, **said)
    except RefusedError as error:
        return page(
            request,
            "overview.html",
            now=visitor.now,
            session=visitor.session,
            status=status_of(error),
            view=overview(office, visitor.person, visitor.now),
            roles=[ROLES.get(role, role) for role in sorted(visitor.person.roles)],
            policy=office.policy,
            oversees=False,
            problem=f"Nothing was recorded: {error}.",
        )
    return RedirectResponse("/", status_code=303)
