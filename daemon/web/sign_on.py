"""The way to a single sign-on and back.

What ties an answer of the issuer to the browser that asked is a cookie of its own, which alone may come along from
another site; the session's cookie may not, so the last step is a page that leads on.
"""

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from daemon.errors import LoginRefusedError
from daemon.identities import admit
from daemon.sign_on import OPEN_S
from daemon.web.doors import cookie_rules, local_path, login_page
from daemon.web.office import Office
from daemon.web.render import page

router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)
ASK, ANSWER = "/login/sso", "/login/sso/answer"


def _cookie(office: Office) -> str:
    return office.cookie + "-sso"


@router.get(ASK)
def ask(request: Request, to: str = "/") -> Response:
    """Send the browser to the single sign-on."""
    office: Office = request.app.state.office
    if office.sign_on is None:
        return login_page(request, to, status=404, problem="no single sign-on is configured here")
    browser = office.tokens()
    try:
        url = office.sign_on.begin(browser, local_path(to), office.clock())
    except LoginRefusedError as error:
        return login_page(request, to, status=502, problem=str(error))
    answer = RedirectResponse(url, status_code=303)
    rules = {**cookie_rules(office), "max_age": int(OPEN_S), "samesite": "lax"}
    answer.set_cookie(_cookie(office), browser, **rules)
    return answer


@router.get(ANSWER)
def answer(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
    """Take the answer of the single sign-on; a good one begins a new session."""
    office: Office = request.app.state.office
    if office.sign_on is None:
        return login_page(request, "/", status=404, problem="no single sign-on is configured here")
    if error or not code:
        said = f"the single sign-on said {quote(error[:60]) or 'nothing'}; begin again"
        return login_page(request, "/", status=403, problem=said)
    now = office.clock()
    try:
        identity, to = office.sign_on.finish(state, code, request.cookies.get(_cookie(office), ""), now)
        person = admit(office.ledger, identity, now, all_from_issuer=office.sign_on.all_accounts)
    except LoginRefusedError as refused:
        return login_page(request, "/", status=403, problem=str(refused))
    office.sessions.end(request.cookies.get(office.cookie, ""))
    done = page(request, "signed_on.html", now=now, name=person.name, to=to, waits=identity.roles - person.roles)
    done.set_cookie(office.cookie, office.begin(person, now, "sign-on"), **cookie_rules(office))
    done.delete_cookie(_cookie(office), path="/", secure=office.secure, httponly=True, samesite="lax")
    return done
