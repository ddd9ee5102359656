"""Whether an assertion of a passkey is a person's word: the WebAuthn counterpart of an Ed25519 signature.

The challenge is the SHA-256 of the signed statement, which names the request digest, the person, the role and the
reason.  So an assertion can be checked from the record for ever, with the public key alone and no server.  The
count of signatures, which needs memory, is the business of `daemon.passkeys`.

References:
    W3C, Web Authentication Level 3, §7.2 (verifying an authentication assertion).
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from webauthn import verify_authentication_response
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException

from daemon.errors import FactError
from daemon.lifecycle.codec import canonical, parse

WEBAUTHN = "webauthn"
PARTS = {"authenticator": "authenticatorData", "client": "clientDataJSON", "signature": "signature"}


def challenge_of(message: bytes) -> bytes:
    """Return the challenge whose assertion signs this message: its SHA-256, 32 bytes."""
    return hashlib.sha256(message).digest()


def public_text(cose: bytes, rp_id: str, origin: str) -> str:
    """Return a passkey's public key as the record keeps it: COSE bytes, for which site, at which address."""
    return canonical({"cose": bytes_to_base64url(cose), "origin": origin, "rp": rp_id}).decode()


def key_id_of(public: str) -> str:
    """Return the name of a passkey's public key: the SHA-256 of its text in the record."""
    return hashlib.sha256(public.encode()).hexdigest()


def value_of(credential: Mapping[str, Any]) -> str:
    """Return what the record keeps of an assertion, from the JSON that a browser makes of it.

    Raises:
        ValueError: It is no assertion.
    """
    response = credential.get("response")
    if not isinstance(response, dict) or any(not isinstance(response.get(name), str) for name in PARTS.values()):
        raise ValueError("this is no assertion of a passkey: authenticator data, client data or signature is missing")
    return canonical({short: response[name] for short, name in PARTS.items()}).decode()


@lru_cache(maxsize=4096)
def verifies(public: str, value: str, message: bytes) -> bool:
    """Return whether this is an assertion over a message, by a present and verified user, at the key's own site.

    Args:
        public: As `public_text` gave it.
        value: As `value_of` gave it.
        message: The statement that must have been signed.
    """
    return asserted_count(public, value, message) is not None


def asserted_count(public: str, value: str, message: bytes) -> int | None:
    """Return the sign count that a good assertion bears; None when the assertion does not hold."""
    try:
        key, parts = parse(public), parse(value)
        response = {name: parts[short] for short, name in PARTS.items()}
        credential = {"id": "AA", "rawId": "AA", "type": "public-key", "response": response}
        found = verify_authentication_response(
            credential=json.dumps(credential),
            expected_challenge=challenge_of(message),
            expected_rp_id=key["rp"],
            expected_origin=key["origin"],
            credential_public_key=base64url_to_bytes(key["cose"]),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, FactError, ValueError, KeyError, TypeError, IndexError):
        return None
    return found.new_sign_count
