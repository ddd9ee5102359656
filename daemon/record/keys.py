"""The daemon's own Ed25519 keys, and the public keys that others check its word with.

The record key signs heads of the record, the build key signs where a bundle came from.  Neither is a person's: whoever
collects approvals must refuse both (`is_machine`).  A private key never leaves its file, which only its owner may read.
"""

import os
import stat
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from securesystemslib.signer import CryptoSigner, Key, SSlibKey  # type: ignore[attr-defined]  # exported without __all__

from daemon.errors import RecordKeyError
from daemon.lifecycle.codec import canonical, parse

FORMAT = "retrigger-keys/1"
Use = Literal["record", "build"]
USES: tuple[Use, ...] = ("record", "build")


@dataclass(frozen=True)
class PublicKey:
    """Half of a key pair that anybody may have.

    Attributes:
        use: What its owner signs with it; a signature for another purpose does not count.
        public: The 32 bytes of the Ed25519 public key, in hex.
    """

    use: Use
    public: str

    @property
    def key(self) -> Key:
        """The key as securesystemslib checks signatures with it; its id is a digest of the key itself."""
        key: Key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public)))
        return key

    @property
    def keyid(self) -> str:
        """The SHA-256 that names this key in signatures."""
        return str(self.key.keyid)


@dataclass(frozen=True)
class OwnKey:
    """A private key of this daemon, ready to sign."""

    use: Use
    signer: CryptoSigner

    @property
    def public(self) -> PublicKey:
        """The half to give away."""
        return PublicKey(self.use, str(self.signer.public_key.keyval["public"]))


def own_key(path: Path, use: Use) -> OwnKey:
    """Return the key in this file, made now if there is none; two processes that make it at once get the same one.

    Raises:
        RecordKeyError: The file is no Ed25519 key, somebody else may read it, or it cannot be made.
    """
    try:
        if not path.exists():
            _make(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise RecordKeyError(
                f"{path}: others may read this private key (mode {mode:04o}); make a new one, or `chmod 600` it if "
                "nobody had it"
            )
        private = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise RecordKeyError(f"{path}: cannot be used as the {use} key ({error}); expected an Ed25519 PEM") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise RecordKeyError(f"{path}: is a {type(private).__name__}, expected Ed25519; move it away, one is made anew")
    return OwnKey(use, CryptoSigner(private))


def public_half(path: Path, use: Use) -> PublicKey | None:
    """Return the public half of the key in this file, to compare with; None if there is no file, and none is made.

    Raises:
        RecordKeyError: The file cannot be read, or is no Ed25519 key.
    """
    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise RecordKeyError(
            f"{path}: the {use} key cannot be read to compare with ({error}); say this as the daemon's own user"
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise RecordKeyError(f"{path}: is a {type(private).__name__}, expected Ed25519; move it away, one is made anew")
    return PublicKey(use, private.public_key().public_bytes_raw().hex())


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # its owner's alone from the start
    half = Path(name)
    try:
        with os.fdopen(handle, "wb") as sink:
            sink.write(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            sink.flush()
            os.fsync(sink.fileno())
        os.link(half, path)  # refuses to take the place of one that is there
    except FileExistsError:
        return
    finally:
        half.unlink(missing_ok=True)


def public_tree(keys: Iterable[PublicKey]) -> dict[str, Any]:
    """Return public keys as the JSON that `read_keys` takes."""
    listed = [{"keyid": key.keyid, "public": key.public, "use": key.use} for key in keys]
    return {"format": FORMAT, "keys": listed}


def write_keys(path: Path, keys: Iterable[PublicKey]) -> None:
    """Write public keys to a file for others."""
    path.write_bytes(canonical(public_tree(keys)) + b"\n")


def read_keys(path: Path) -> tuple[PublicKey, ...]:
    """Return the public keys in a file; a key of which the id does not fit is refused.

    Raises:
        RecordKeyError: The file is no list of public keys.
    """
    try:
        tree = parse(path.read_bytes())
        if tree["format"] != FORMAT or not tree["keys"]:
            raise ValueError(f"format {tree['format']!r} with {len(tree['keys'])} keys")  # noqa: TRY301 told below
        found = tuple(_read_one(one) for one in tree["keys"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordKeyError(
            f"{path}: holds no public keys of retrigger ({error}); expected {FORMAT}, from `retrigger audit keys`"
        ) from error
    return found


def _read_one(tree: dict[str, Any]) -> PublicKey:
    if tree["use"] not in USES:
        raise ValueError(f"a key for {tree['use']!r}, expected one of {', '.join(USES)}")
    key = PublicKey(tree["use"], str(tree["public"]))
    if key.keyid != tree["keyid"]:
        raise ValueError(f"key {str(tree['keyid'])[:16]} has the id {key.keyid[:16]}")
    return key


def is_machine(keys: Sequence[PublicKey], public: str) -> bool:
    """Return whether a public key (hex) is one of the daemon's own, and so must never approve anything."""
    return any(key.public == public.lower() for key in keys)
