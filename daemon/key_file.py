"""Private keys on disk, for people at a terminal: made, and used to sign; no daemon ever reads one."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from daemon.errors import PeopleError


def make_key(path: Path) -> str:
    """Write a new private Ed25519 key, readable by its owner alone, and return its public half in hex.

    Raises:
        PeopleError: There is a file already; a key is never overwritten.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise PeopleError(f"{path} is there already; a key is never overwritten, choose another name") from error
    with os.fdopen(handle, "wb") as out:
        out.write(pem)
    return key.public_key().public_bytes_raw().hex()


def read_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in this PEM file.

    Raises:
        PeopleError: It cannot be read, is no unencrypted Ed25519 key, or others than its owner may read it.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise PeopleError(f"{path} can be read by others than its owner; chmod 600 it, or better make a new key")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PeopleError(f"{path} holds no key that can be read: {error}; make one with: people keygen") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise PeopleError(f"{path} holds a {type(key).__name__}; expected an Ed25519 key (`retrigger people keygen`)")
    return key
