"""Passkeys: who registered which, and whether an assertion is theirs, fresh, and counted up.

A passkey speaks for one person; a person may hold several and still counts once.  Registering and revoking are facts
in the record.  Which challenge belongs to which session is the business of `daemon.web.challenges`.
"""

import ipaddress
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from webauthn import generate_authentication_options, generate_registration_options, verify_registration_response
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json_dict
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from daemon.errors import LedgerError, LoginRefusedError, PeopleError
from daemon.ledger import Ledger
from daemon.ledger.doors import Passkey
from daemon.lifecycle.assertions import WEBAUTHN, asserted_count, challenge_of, key_id_of, public_text, value_of
from daemon.lifecycle.fact import Signature
from daemon.lifecycle.key_facts import SigningKeyAdded, SigningKeyRevoked

MOST_OF_ONE_PERSON = 10
LONGEST_LABEL = 60
REFUSAL = "the passkey was not accepted; use one that you registered here, or your password"


class Passkeys:
    """The passkeys in one ledger, for one page."""

    def __init__(self, ledger: Ledger, public_url: str) -> None:
        """Take the page's address: a passkey is bound to its name, and an address that is a number cannot have any."""
        self._ledger = ledger
        address = urlsplit(public_url)
        host = address.hostname or ""
        self.rp_id = "localhost" if _loopback(host) else host
        port = f":{address.port}" if address.port else ""
        self.origin = f"{address.scheme}://{self.rp_id}{port}"

    @property
    def possible(self) -> bool:
        """Whether browsers allow passkeys at this address: a name, reached by https or on this very machine."""
        return not _number(self.rp_id) and (self.origin.startswith("https://") or self.rp_id == "localhost")

    def of(self, person: str) -> list[Passkey]:
        """Return the passkeys that speak for a person now: the record decides, whatever a row says."""
        kept = [one for one in self._ledger.doors.passkeys(person) if one.revoked_at is None]
        if not kept:
            return []
        stored = self._ledger.facts(subject="people", kind=SigningKeyRevoked.kind)
        revoked = {one.fact.key_id for one in stored if isinstance(one.fact, SigningKeyRevoked)}
        return [one for one in kept if one.key_id not in revoked]

    def registration(self, person: str, challenge: bytes) -> dict[str, Any]:
        """Return what a browser needs to make a passkey for this person."""
        made = generate_registration_options(
            rp_id=self.rp_id,
            rp_name="retrigger",
            user_name=person,
            user_id=challenge_of(b"retrigger person " + person.encode()),
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=self._descriptors(person),
        )
        return options_to_json_dict(made)

    def register(
        self, person: str, credential: Mapping[str, Any], challenge: bytes, label: str, now: datetime
    ) -> Passkey:
        """Keep a passkey that a browser just made for this person.

        Raises:
            PeopleError: It does not answer this challenge at this page, is registered already, or is one too many.
        """
        if len(self.of(person)) >= MOST_OF_ONE_PERSON:
            raise PeopleError(f"{person} has {MOST_OF_ONE_PERSON} passkeys already; revoke one first")
        try:
            found = verify_registration_response(
                credential=json.dumps(dict(credential)),
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=self.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise PeopleError(f"the passkey cannot be registered: {error}; reload the page and try again") from error
        public = public_text(found.credential_public_key, self.rp_id, self.origin)
        passkey = Passkey(
            credential_id=bytes_to_base64url(found.credential_id),
            person=person,
            key_id=key_id_of(public),
            public=public,
            label=label.strip()[:LONGEST_LABEL] or "passkey",
            sign_count=found.sign_count,
            added_at=now,
        )
        fact = SigningKeyAdded(
            at=now, actor=person, person=person, key_id=passkey.key_id, public=public, key_kind=WEBAUTHN
        )
        try:
            self._ledger.doors.add_passkey(passkey, fact)
        except LedgerError as error:
            raise PeopleError(str(error)) from error
        return passkey

    def question(self, person: str, message: bytes) -> dict[str, Any]:
        """Return what a browser needs to let this person sign a message with one of their passkeys.

        Raises:
            PeopleError: They have none.
        """
        if not self.of(person):
            raise PeopleError(f"{person} has no passkey here; register one under Your account, or give the password")
        made = generate_authentication_options(
            rp_id=self.rp_id,
            challenge=challenge_of(message),
            allow_credentials=self._descriptors(person),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json_dict(made)

    def check(self, person: str, credential: Mapping[str, Any], message: bytes) -> Signature:
        """Return the signature that an assertion is, after its count was moved on.

        Raises:
            LoginRefusedError: It is not an assertion over this message, by a passkey that speaks for this person now,
                or its count went back, as that of a copied authenticator does.
        """
        name = credential.get("id")
        passkey = next((one for one in self.of(person) if one.credential_id == name), None)
        if passkey is None:
            raise LoginRefusedError(REFUSAL)
        try:
            value = value_of(credential)
        except ValueError as error:
            raise LoginRefusedError(REFUSAL) from error
        count = asserted_count(passkey.public, value, message)
        if count is None:
            raise LoginRefusedError(REFUSAL)
        counts = count > 0 or passkey.sign_count > 0
        if counts and count <= passkey.sign_count:
            raise LoginRefusedError(
                f"the passkey {passkey.label!r} counts {count}, last seen was {passkey.sign_count}: it may have been "
                "copied; revoke it under Your account and tell the coordinator"
            )
        if not self._ledger.doors.count_up(passkey.credential_id, passkey.sign_count, count):
            raise LoginRefusedError("the passkey was used twice at once; try again")
        return Signature(kind=WEBAUTHN, key_id=passkey.key_id, value=value)

    def revoke(self, person: str, key_id: str, reason: str, *, by: str, now: datetime) -> None:
        """Let one of a person's passkeys speak for nobody any more; approvals signed with it are void.

        Raises:
            PeopleError: They have no such passkey.
        """
        if not any(one.key_id == key_id for one in self.of(person)):
            raise PeopleError(f"{person} has no passkey {key_id[:16]!r}; the page Your account lists them")
        fact = SigningKeyRevoked(at=now, actor=by, person=person, key_id=key_id, reason=reason)
        self._ledger.doors.revoke_key(key_id, now, fact)

    def _descriptors(self, person: str) -> list[PublicKeyCredentialDescriptor]:
        return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.credential_id)) for one in self.of(person)]


def _number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return not host
    return True


def _loopback(host: str) -> bool:
    return host == "localhost" or (_number(host) and bool(host) and ipaddress.ip_address(host).is_loopback)
