"""Whether the person in a session is there now: the password once more, or a passkey over the very words they say.

A session alone never decides anything.  A passkey's assertion over an approval is its electronic signature, and goes
into the record; over other words it only shows who is there, and bears a nonce.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.errors import LoginRefusedError
from daemon.lifecycle import signing
from daemon.lifecycle.fact import Signature
from daemon.web.doors import Visit

SIGN = "sign"
SIGNED = frozenset({"approve", "confirm", "break-glass"})
"""Words of which a passkey's assertion is the signature; a key of the person's own also signs a waiver."""


@dataclass(frozen=True)
class Word:
    """What somebody says.

    Attributes:
        says: The verb.
        subject: Of what: a candidate's or an alarm's name.
        about: The request, or the evidence; empty where there is none.
        role: In which role; empty where none is named.
        reason: In their words.
    """

    says: str
    subject: str
    about: str
    role: str
    reason: str

    def message(self, person: str) -> bytes:
        """Return the bytes that say so."""
        reason = signing.one_form(self.reason)
        if self.says in signing.OF_A_REQUEST:
            return signing.OF_A_REQUEST[self.says](self.subject, self.about, person, self.role, reason)
        return signing.word(self.says, self.subject, self.about, person, reason)


@dataclass(frozen=True)
class Proof:
    """What somebody gives to show that it is them: a password, or what their browser made of a passkey.

    With the password may come a signature by a key of their own; the rule checks it, over the bytes that it records.
    """

    password: str = ""
    assertion: Mapping[str, Any] | None = None
    signature: Signature | None = None


def ask(visitor: Visit, word: Word) -> dict[str, Any]:
    """Return the question that a browser puts to the person's passkey.

    Raises:
        PeopleError: They have none.
    """
    office, message = visitor.office, word.message(visitor.person.name)
    signed = office.challenges.ask(
        visitor.session.form_token, SIGN, message, visitor.now, fresh=word.says not in SIGNED
    )
    return office.passkeys.question(visitor.person.name, signed)


def prove(visitor: Visit, proof: Proof, word: Word) -> Signature | None:
    """Return the signature with which a word is recorded; None for a word without.

    Raises:
        LoginRefusedError: The password is wrong, or the assertion is not theirs, not of these words, or not fresh.
    """
    office, person = visitor.office, visitor.person.name
    if proof.assertion is None:
        office.check_password(person, proof.password, visitor.now)
        return proof.signature
    signed = office.challenges.take(visitor.session.form_token, SIGN, word.message(person), visitor.now)
    if signed is None:
        raise LoginRefusedError(
            "the passkey signed something else, too long ago, or twice; read the page and try again"
        )
    signature = office.passkeys.check(person, proof.assertion, signed)
    return signature if word.says in SIGNED else None


def assertion_of(text: str) -> Mapping[str, Any] | None:
    """Return the assertion in a form's field; None when the field is empty.

    Raises:
        LoginRefusedError: It is no JSON object.
    """
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise LoginRefusedError("the passkey's answer cannot be read; try again, or give the password")
    return found
