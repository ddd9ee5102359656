"""A signed text: DSSE envelopes with one Ed25519 signature, written in exactly one way.

An envelope that means the same in other bytes is refused, so that no bit of one can be changed unseen.
"""

import copy
from collections.abc import Iterable
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import Signature  # type: ignore[attr-defined]  # exported without __all__

from daemon.errors import SignatureRefusedError
from daemon.record.keys import OwnKey, PublicKey, Use


def sign(payload: bytes, payload_type: str, key: OwnKey) -> dict[str, Any]:
    """Return the envelope of a text, signed, as JSON values.

    References:
        Dead Simple Signing Envelope, https://github.com/secure-systems-lab/dsse
    """
    signatures: dict[str, Signature] = {}
    envelope = Envelope(payload, payload_type, signatures)
    envelope.sign(key.signer)
    tree: dict[str, Any] = envelope.to_dict()
    return tree


def opened(tree: Any, payload_type: str, keys: Iterable[PublicKey], use: Use) -> tuple[bytes, str]:
    """Return what an envelope holds and the id of the key that signed it.

    Raises:
        SignatureRefusedError: It is malformed, of another type, or not signed by one of these keys for this use.
    """
    try:
        envelope = Envelope.from_dict(copy.deepcopy(tree))
        same = envelope.to_dict() == tree and [set(one) for one in tree["signatures"]] == [{"keyid", "sig"}]
    except (KeyError, ValueError, TypeError, AttributeError, FormatError) as error:
        raise SignatureRefusedError(f"is no signed envelope ({error!r})") from error
    if not same or set(tree) != {"payload", "payloadType", "signatures"}:
        raise SignatureRefusedError("is not written as it was signed, or has not exactly one signature")
    if envelope.payload_type != payload_type:
        raise SignatureRefusedError(f"holds a {envelope.payload_type}, expected {payload_type}")
    known = [one.key for one in keys if one.use == use]
    (keyid,) = envelope.signatures
    if keyid not in {one.keyid for one in known}:
        raise SignatureRefusedError(f"is signed by {keyid[:16]}, which is not among the {use} keys that were given")
    try:
        envelope.verify(known, 1)
    except (VerificationError, ValueError) as error:
        raise SignatureRefusedError(f"bears a signature of {keyid[:16]} that does not hold") from error
    return envelope.payload, keyid
