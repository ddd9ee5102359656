"""The API's part about passkeys: make one, list them, revoke one, and what to ask one to sign.

A session alone registers nothing: it takes the password again, a passkey that is registered already, or a single
sign-on of the last five minutes.
"""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from daemon.errors import LoginRefusedError, RefusedError
from daemon.ledger.doors import Passkey
from daemon.web import words_said
from daemon.web.answers import KeyHeader, once
from daemon.web.api import PREFIX, TROUBLES, Writer
from daemon.web.bodies import Asked, NewPasskey, Wanted
from daemon.web.doors import Visit, Visitor
from daemon.web.problems import problem, refusal
from daemon.web.proof import Proof, Word, ask, prove

router = APIRouter(prefix=PREFIX, tags=["passkeys"], responses=TROUBLES)
JUST_NOW = timedelta(minutes=5)
MAKE = "make a passkey"
REVOKED = "revoked by its owner"


@router.post("/challenges")
def challenge(body: Asked, visitor: Writer) -> Response:
    """Give what a browser needs to let a passkey sign one word; it stands for five minutes and is used once."""
    try:
        role = words_said.role_in(visitor, body.says, body.subject, body.role)
        return JSONResponse(ask(visitor, Word(body.says, body.subject, body.about, role, body.reason)))
    except RefusedError as error:
        return refusal(error)


@router.get("/passkeys")
def passkeys(visitor: Visitor) -> list[dict[str, Any]]:
    """List one's own passkeys."""
    return [told(one) for one in visitor.office.passkeys.of(visitor.person.name)]


@router.post("/passkey-options")
def options(body: Wanted, visitor: Writer) -> Response:
    """Give what a browser needs to make a passkey."""
    office, person = visitor.office, visitor.person.name
    if not office.passkeys.possible:
        return problem(
            409, "No passkeys at this address", f"a browser allows them by https, or at {office.passkeys.origin}"
        )
    try:
        _recognised(visitor, Proof(body.password, body.assertion))
    except LoginRefusedError as error:
        return refusal(error)
    nonce = office.challenges.ask(visitor.session.form_token, MAKE, b"", visitor.now)
    return JSONResponse(office.passkeys.registration(person, nonce))


@router.post("/passkeys", status_code=201)
def register(body: NewPasskey, visitor: Writer, key: KeyHeader = "") -> Response:
    """Keep the passkey that a browser just made."""

    def do() -> Response:
        office, person = visitor.office, visitor.person.name
        nonce = office.challenges.take(visitor.session.form_token, MAKE, b"", visitor.now)
        if nonce is None:
            return problem(403, "Not asked for", "ask for the options first; they stand for five minutes and once")
        made = office.passkeys.register(person, body.credential, nonce, body.label, visitor.now)
        return JSONResponse(told(made), status_code=201)

    return once(visitor, key, "register", body, do)


@router.delete("/passkeys/{key_id}", status_code=204)
def revoke(key_id: str, visitor: Writer, key: KeyHeader = "") -> Response:
    """Let one of one's own passkeys speak for nobody any more."""

    def do() -> Response:
        name = visitor.person.name
        visitor.office.passkeys.revoke(name, key_id, REVOKED, by=name, now=visitor.now)
        return Response(status_code=204)

    return once(visitor, key, f"revoke {key_id}", None, do)


def told(passkey: Passkey) -> dict[str, Any]:
    """Return a passkey as its owner sees it."""
    return {
        "key_id": passkey.key_id,
        "label": passkey.label,
        "added_at": passkey.added_at.isoformat(),
        "sign_count": passkey.sign_count,
    }


def _recognised(visitor: Visit, proof: Proof) -> None:
    fresh = visitor.session.how == "sign-on" and visitor.now - visitor.session.begun <= JUST_NOW
    if not fresh:
        prove(visitor, proof, Word(MAKE, visitor.person.name, "", "", ""))
