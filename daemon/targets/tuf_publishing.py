"""A TUF repository as its publisher sees it: what was signed last is believed only when its signatures hold.

New metadata are written part by part and take effect with the last rename, of ``timestamp.json``.  Two keys at least
sign what runs; they belong to two hosts or people, so that neither can put anything on a board alone.  Nothing here
knows boards or bundles.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signature, Signer  # type: ignore[attr-defined]  # re-exported without saying so
from tuf.api import exceptions as tuf
from tuf.api.metadata import (  # type: ignore[attr-defined]  # re-exported without saying so
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from daemon.errors import DeployError, UntrustedError
from daemon.targets.conversation import ask
from daemon.targets.locking import write_bytes
from daemon.targets.tuf_reading import named_attacks

MOST_METADATA_BYTES = 5_000_000


class AskedSigner(Signer):
    """A key that another program holds (a second host, a card): it reads the bytes and answers the signature in hex."""

    def __init__(self, argv: Sequence[str], public_key: Any, seconds: float) -> None:
        self._argv, self._key, self._seconds = tuple(argv), public_key, seconds

    @property
    def public_key(self) -> Any:
        """The key that its signatures verify with."""
        return self._key

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri: str, public_key: Any, secrets_handler: Any = None) -> "AskedSigner":  # noqa: ARG003  # the interface's shape
        """Refuse: a program is named by its argv, not by a URI."""
        raise DeployError(f"{priv_key_uri}: a signing program is named by its argv")

    def sign(self, payload: bytes) -> Signature:
        """Return the program's signature of these bytes; raises DeployError."""
        answer = ask(self._argv, payload, seconds=self._seconds)
        if answer.status != 0:
            raise DeployError(f"{self._argv[0]} does not sign: {answer.err or answer.status}")
        signature = Signature(self._key.keyid, answer.out.decode(errors="replace").strip())
        self._key.verify_signature(signature, payload)
        return signature


@dataclass(frozen=True)
class Signers:
    """Who signs: at least two for what runs, and one each for the two roles that make it current."""

    targets: tuple[Signer, ...]
    snapshot: Signer
    timestamp: Signer


@dataclass(frozen=True)
class Lifetimes:
    """How long each role's signature is believed.  The shortest says how long a repository may be kept silent."""

    targets: timedelta = timedelta(days=90)
    snapshot: timedelta = timedelta(days=7)
    timestamp: timedelta = timedelta(days=1)


class Repository:
    """The folder of a repository, as whoever holds the keys sees it."""

    def __init__(
        self,
        name: str,
        folder: Path,
        root: Path,
        signers: Signers,
        lifetimes: Lifetimes,
        clock: Callable[[], datetime],
    ) -> None:
        self._name, self._metadata, self._root = name, folder / "metadata", root
        self._signers, self._lifetimes, self._clock = signers, lifetimes, clock

    def targets(self) -> Mapping[str, TargetFile]:
        """Return everything that was signed last, expired or not, after checking each signature.

        Raises:
            UntrustedError: A signature, version or hash does not hold; nothing is signed on top of it.
        """
        with named_attacks(self._name):
            _, _, targets = self._believed()
        return dict(targets.signed.targets)

    def publish(self, targets: Mapping[str, TargetFile]) -> None:
        """Sign these targets and make them current."""
        self._sign(targets)

    def renew(self) -> bool:
        """Sign anew what has lived more than half its time; return whether anything was signed.

        The daemon does this while it leads, so that metadata which stay old tell of a silenced repository.
        """
        with named_attacks(self._name):
            timestamp, snapshot, targets = self._believed()
        parts = ((timestamp, self._lifetimes.timestamp), (snapshot, self._lifetimes.snapshot))
        now = self._clock()
        if targets.signed.expires - now < self._lifetimes.targets / 2:
            self._sign(targets.signed.targets)
            return True
        if any(part.signed.expires - now < lifetime / 2 for part, lifetime in parts):
            self._make_current(timestamp, snapshot)
            return True
        return False

    # --- reading what is there ---

    def root(self) -> Metadata[Root]:
        """Return the newest root that the trusted one leads to; raises UntrustedError."""
        with named_attacks(self._name):
            root = Metadata[Root].from_bytes(self._root.read_bytes())
            while (path := self._metadata / f"{root.signed.version + 1}.root.json").exists():
                newer = Metadata[Root].from_bytes(self._bytes(path))
                for judge in (root, newer):
                    judge.signed.verify_delegate(Root.type, newer.signed_bytes, newer.signatures)
                if newer.signed.version != root.signed.version + 1:
                    raise UntrustedError("version_went_back", f"{path} holds version {newer.signed.version}")
                root = newer
        return root

    def _believed(self) -> tuple[Metadata[Timestamp], Metadata[Snapshot], Metadata[Targets]]:
        root = self.root()
        timestamp = Metadata[Timestamp].from_bytes(self._bytes(self._metadata / "timestamp.json"))
        _verify(root, Timestamp.type, timestamp)
        at = timestamp.signed.snapshot_meta.version
        raw = self._bytes(self._metadata / f"{at}.snapshot.json")
        timestamp.signed.snapshot_meta.verify_length_and_hashes(raw)
        snapshot = Metadata[Snapshot].from_bytes(raw)
        _verify(root, Snapshot.type, snapshot)
        part = snapshot.signed.meta["targets.json"]
        raw = self._bytes(self._metadata / f"{part.version}.targets.json")
        part.verify_length_and_hashes(raw)
        targets = Metadata[Targets].from_bytes(raw)
        _verify(root, Targets.type, targets)
        for found, said in ((snapshot, at), (targets, part.version)):
            if found.signed.version != said:
                raise tuf.BadVersionNumberError(f"version {found.signed.version} lies where {said} was signed")
        return timestamp, snapshot, targets

    def _bytes(self, path: Path) -> bytes:
        try:
            with path.open("rb") as source:
                body = source.read(MOST_METADATA_BYTES + 1)
        except OSError as error:
            raise tuf.DownloadError(f"{path} cannot be read: {error}") from error
        if len(body) > MOST_METADATA_BYTES:
            raise tuf.DownloadLengthMismatchError(f"{path} is longer than {MOST_METADATA_BYTES} B")
        return body

    # --- writing ---

    def _sign(self, files: Mapping[str, TargetFile]) -> None:
        with named_attacks(self._name):
            root = self.root()
            timestamp, snapshot, targets = self._believed()
            fresh = Metadata(Targets(targets.signed.version + 1, targets=dict(files)))
            fresh.signed.expires = self._until(self._lifetimes.targets)
            for signer in self._signers.targets:
                fresh.sign(signer, append=True)
            _verify(root, Targets.type, fresh)  # too few or wrong keys are told before anything is written
            version = fresh.signed.version
            body = fresh.to_bytes()
            write_bytes(self._metadata / f"{version}.targets.json", body)
            snapshot.signed.meta["targets.json"] = MetaFile.from_data(version, body, ["sha256"])
            self._make_current(timestamp, snapshot)

    def _make_current(self, timestamp: Metadata[Timestamp], snapshot: Metadata[Snapshot]) -> None:
        with named_attacks(self._name):
            root = self.root()
            snapshot.signed.version += 1
            snapshot.signed.expires = self._until(self._lifetimes.snapshot)
            snapshot.sign(self._signers.snapshot)
            _verify(root, Snapshot.type, snapshot)
            body = snapshot.to_bytes()
            write_bytes(self._metadata / f"{snapshot.signed.version}.snapshot.json", body)
            timestamp.signed.version += 1
            timestamp.signed.snapshot_meta = MetaFile.from_data(snapshot.signed.version, body, ["sha256"])
            timestamp.signed.expires = self._until(self._lifetimes.timestamp)
            timestamp.sign(self._signers.timestamp)
            _verify(root, Timestamp.type, timestamp)
            write_bytes(self._metadata / "timestamp.json", timestamp.to_bytes())

    def _until(self, lifetime: timedelta) -> datetime:
        return (self._clock() + lifetime).replace(microsecond=0)


def _verify(root: Metadata[Root], role: str, metadata: Metadata[Any]) -> None:
    root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
