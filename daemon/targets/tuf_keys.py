"""Ed25519 keys of a TUF repository as files: PEM, private ones readable by their owner alone."""

import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, Signer, SSlibKey  # type: ignore[attr-defined]  # re-exported without saying so

from daemon.errors import DeployError
from daemon.targets.tuf_publishing import AskedSigner

LOOSE = 0o077


def make_key(path: Path) -> None:
    """Write a new private key, and its public half beside it as ``NAME.pub.pem``.

    Raises:
        DeployError: The file is there already; a key is never overwritten.
    """
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        path.with_suffix(".pub.pem").write_bytes(public)
    except OSError as error:
        raise DeployError(f"{path} cannot be written as a new key: {error}; choose another name") from error


def signer_of(path: Path) -> Signer:
    """Return the signer of a private key file.

    Raises:
        DeployError: It cannot be read, others may read it too, or it is no Ed25519 key.
    """
    try:
        if path.stat().st_mode & LOOSE:
            raise DeployError(f"{path} may be read by others; chmod 600 it, and replace the key if they could")
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DeployError(f"{path} is no private key in PEM without a password: {error}; name another file") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise DeployError(f"{path} holds no Ed25519 key; make one with `retrigger tuf key`")
    return CryptoSigner(key)


def public_key_of(path: Path) -> SSlibKey:
    """Return a public key; raises DeployError when the file holds none of Ed25519."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise DeployError(f"{path} is no public key in PEM: {error}; name the .pub.pem") from error
    if not isinstance(key, Ed25519PublicKey):
        raise DeployError(f"{path} holds no Ed25519 key; make one with `retrigger tuf key`")
    return SSlibKey.from_crypto(key)


def asked_signer(argv: Sequence[str], public: Path, seconds: float) -> Signer:
    """Return the signer of a key that another program holds; raises DeployError as `public_key_of`."""
    return AskedSigner(argv, public_key_of(public), seconds)
