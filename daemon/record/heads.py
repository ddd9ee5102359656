"""A signed head: what the record was at one moment, in a hundred bytes and a signature.

Whoever keeps a head can later tell whether a record still begins with what the head covers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.errors import FactError, SignatureRefusedError
from daemon.lifecycle.codec import build, canonical, parse
from daemon.record.envelope import opened, sign
from daemon.record.keys import OwnKey, PublicKey

PAYLOAD_TYPE = "application/vnd.retrigger.head+json"


@dataclass(frozen=True, kw_only=True)
class TreeHead:
    """How the record stood.

    Attributes:
        size: How many facts it had.
        root: Merkle root over the chain hashes of these facts, in hex.
        chain: Chain hash of the last of them, in hex.
        at: When this was said.
    """

    size: int
    root: str
    chain: str
    at: datetime


def sign_head(head: TreeHead, key: OwnKey) -> dict[str, Any]:
    """Return the head in an envelope signed by the record key."""
    return sign(canonical(head), PAYLOAD_TYPE, key)


def open_head(tree: Any, keys: Iterable[PublicKey]) -> tuple[TreeHead, str]:
    """Return the head in an envelope, and the id of the key that signed it.

    Raises:
        SignatureRefusedError: It is not signed by a record key among these, or is no head.
    """
    payload, keyid = opened(tree, PAYLOAD_TYPE, keys, "record")
    try:
        head = build(TreeHead, parse(payload))
    except (ValueError, TypeError, FactError) as error:
        raise SignatureRefusedError(f"holds no head ({error})") from error
    return head, keyid
