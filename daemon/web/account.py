"""One's own page: which roles one holds, which passkeys speak for one, and how one's own answers were."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from daemon.web.api_keys import REVOKED
from daemon.web.doors import FormVisitor, Visitor
from daemon.web.render import page
from daemon.web.words import ROLES

router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)


@router.get("/account")
def account(request: Request, visitor: Visitor) -> HTMLResponse:
    """Show one's roles and passkeys."""
    office = visitor.office
    return page(
        request,
        "account.html",
        now=visitor.now,
        session=visitor.session,
        roles=[ROLES.get(role, role) for role in sorted(visitor.person.roles)],
        passkeys=office.passkeys.of(visitor.person.name),
        possible=office.passkeys.possible,
        origin=office.passkeys.origin,
        how=visitor.session.how,
    )


@router.post("/account/passkeys/{key_id}/revoke")
def revoke(key_id: str, visitor: FormVisitor) -> Response:
    """Let one of one's own passkeys speak for nobody any more."""
    name = visitor.person.name
    visitor.office.passkeys.revoke(name, key_id, REVOKED, by=name, now=visitor.now)
    return RedirectResponse("/account", status_code=303)
