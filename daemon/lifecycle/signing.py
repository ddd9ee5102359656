"""Over which bytes a person's word is signed, and whether a signature holds.

The bytes are canonical JSON under a heading of their own, so that a signature of one thing is none of another.  A
word is signed by Ed25519 (RFC 8032) or by a passkey (`daemon.lifecycle.assertions`).  Nothing here reads a key's file.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from daemon.lifecycle.assertions import WEBAUTHN
from daemon.lifecycle.assertions import verifies as asserted
from daemon.lifecycle.codec import canonical
from daemon.lifecycle.fact import Signature

ED25519 = "ed25519"
HEADING = b"retrigger statement 1\n"
PUBLIC_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class PersonKey:
    """A registered key that speaks for one person and was not revoked."""

    key_id: str
    person: str
    public: str
    kind: str = ED25519


def key_id_of(public: str) -> str:
    """Return the name of a public key given in hex: the SHA-256 of its bytes.

    Raises:
        ValueError: It is not the hex of 32 bytes.
    """
    raw = bytes.fromhex(public)
    if len(raw) != PUBLIC_BYTES:
        raise ValueError(f"a public Ed25519 key has {PUBLIC_BYTES} bytes, found {len(raw)}")
    return hashlib.sha256(raw).hexdigest()


def approval(candidate: str, request_id: str, person: str, role: str, reason: str) -> bytes:
    """Return the bytes whose signature says: I approve this request, in this role, for this reason."""
    return _statement("approve", candidate, request_id, person, role, reason)


def confirmation(candidate: str, request_id: str, person: str, role: str, reason: str) -> bytes:
    """Return the bytes whose signature says: what I saw in shadow may go live."""
    return _statement("confirm", candidate, request_id, person, role, reason)


def glass(candidate: str, request_id: str, person: str, role: str, reason: str) -> bytes:
    """Return the bytes whose signature says: break the glass for this request."""
    return _statement("break glass", candidate, request_id, person, role, reason)


OF_A_REQUEST = {"approve": approval, "confirm": confirmation, "break-glass": glass}
"""What says each verb whose signature stands in the record beside its request."""


def one_form(reason: str) -> str:
    """Return a reason as it is signed and recorded: one kind of line end, nothing around it."""
    return reason.replace("\r\n", "\n").strip()


def waiver(
    candidate: str, evidence_root: str, gate: str, person: str, role: str, reason: str, expires_at: datetime
) -> bytes:
    """Return the bytes whose signature says: this gate of this evidence counts as passed until then."""
    about = {"gate": gate, "expires_at": expires_at}
    return _statement("waive", candidate, evidence_root, person, role, reason, about)


def word(says: str, subject: str, about: str, person: str, reason: str) -> bytes:
    """Return the bytes of a word that is not recorded as a signature: a passkey signs them to say who is there."""
    return _statement(says, subject, about, person, "", reason)


def _statement(
    says: str, candidate: str, about: str, person: str, role: str, reason: str, more: Mapping[str, object] | None = None
) -> bytes:
    said = {"says": says, "candidate": candidate, "about": about, "person": person, "role": role, "reason": reason}
    return HEADING + canonical({**said, **(more or {})})


def sign(key: Ed25519PrivateKey, message: bytes) -> Signature:
    """Return the Ed25519 signature of a message, with the id of its key."""
    public = key.public_key().public_bytes_raw().hex()
    return Signature(kind=ED25519, key_id=key_id_of(public), value=key.sign(message).hex())


def trouble(signature: Signature | None, person: str, message: bytes, keys: Mapping[str, PersonKey]) -> str:
    """Return why a signature does not hold now, empty if it does; no signature at all is nobody's trouble here.

    Args:
        signature: As recorded; None for a word that rests on a session.
        person: Who is said to have signed.
        message: The bytes that must have been signed.
        keys: Every key that speaks for somebody now, by its id.
    """
    if signature is None:
        return ""
    key = keys.get(signature.key_id)
    if key is None or key.person != person:
        return f"the key {signature.key_id[:16]} does not speak for {person} now"
    checks = {ED25519: verifies, WEBAUTHN: asserted}
    if signature.kind != key.kind or signature.kind not in checks:
        return f"a signature of kind {signature.kind!r} cannot be checked here"
    if not checks[signature.kind](key.public, signature.value, message):
        return f"the signature of {person} is not of these bytes"
    return ""


@lru_cache(maxsize=4096)
def verifies(public: str, value: str, message: bytes) -> bool:
    """Return whether this is the Ed25519 signature of a message; key and signature in hex."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(value), message)
    except (InvalidSignature, ValueError):
        return False
    return True
