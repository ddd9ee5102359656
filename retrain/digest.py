"""How a value becomes a digest.

SHA-256 over the RFC 8785 canonical JSON of a value: the same value gives the same sixty-four characters
on every machine, whatever the order of its keys.  Nothing here touches a disk.
"""

import hashlib
from typing import Any

import rfc8785


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 canonical JSON of ``value``, so that equal values are equal bytes.

    Raises:
        ValueError: The value holds something JSON cannot carry exactly (NaN, an integer beyond 2**53).

    References:
        RFC 8785, JSON Canonicalization Scheme.
    """
    return rfc8785.dumps(value)


def digest_of(value: Any) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of ``value``."""
    return digest_of_bytes(canonical(value))


def digest_of_bytes(content: bytes) -> str:
    """Return the SHA-256 (hex) of raw bytes."""
    return hashlib.sha256(content).hexdigest()
