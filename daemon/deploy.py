"""Where an approved bundle goes, and what is seen to be there.

A target takes a bundle whole or not at all, says what it runs from the bytes it holds, and can go one step back.
Nothing here asks whether a deployment is allowed: `daemon.lifecycle` has decided before.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from daemon.errors import DeployError, FencedError

Verify = Callable[[Path], str]
DIGEST = re.compile(r"[0-9a-f]{64}")


class DeployTarget(Protocol):
    """A place where one slot's model runs.

    Every call is idempotent on its digest: repeating a call that succeeded, or that was cut off at any instant, ends
    in the same state and does nothing twice.  Every writing call carries the fencing token of the lead
    (`daemon.ledger.Lead.token`); a token older than one seen before is refused.
    """

    @property
    def name(self) -> str:
        """Name of the target, as bound in every request."""
        ...

    def deploy(self, digest: str, bundle: Path, *, token: int) -> None:
        """Make the target run the bundle in this folder; if it does already, nothing happens.

        Raises:
            FencedError: A newer daemon has written here; nothing was changed.
            DeployError: The folder's bytes do not give the digest, or the target could not be written.
        """
        ...

    def read_back(self) -> str:
        """Return the digest of what is there, recomputed from its bytes; empty if nothing is.

        Raises:
            DeployError: What is there cannot be read, or was altered; the text says what.
        """
        ...

    def roll_back(self, digest: str, *, token: int) -> str:
        """Go from this digest to the one it replaced, which is returned; if that runs already, nothing happens.

        Raises:
            FencedError: A newer daemon has written here; nothing was changed.
            DeployError: Something else runs, or nothing was replaced.
        """
        ...

    def way_back(self) -> str | None:
        """Return the digest that `roll_back` would lead to now, None if there is none."""
        ...


@runtime_checkable
class Renewable(Protocol):
    """A target whose signatures run out, and are renewed by whoever leads."""

    def renew(self, *, token: int) -> bool:
        """Sign anew what has lived half its time; return whether anything was.  Idempotent; fenced as every write.

        Raises:
            FencedError: A newer daemon has written here.
            DeployError: It cannot be signed, or what is there is not ours.
        """
        ...


def renew(target: DeployTarget, *, token: int) -> bool:
    """Renew a target's signatures if it has any; return whether anything was signed; raises as `Renewable.renew`."""
    return isinstance(target, Renewable) and target.renew(token=token)


def bundle_digest(folder: Path) -> str:
    """Return the digest of a bundle or adopted library from its bytes; raises retrain.bundle.BundleAlteredError."""
    from retrain import bundle, champion  # noqa: PLC0415  # paid by the first deployment, not by the start of the loop

    manifest = folder / bundle.MANIFEST  # releases lie under other names while they are copied
    named = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else None
    return champion.verify(folder, named)


class InMemoryTarget:
    """The twin for tests: same contract, no disk."""

    def __init__(self, name: str, verify: Verify = bundle_digest) -> None:
        self._name, self._verify = name, verify
        self._running, self._token = "", 0
        self._replaced: dict[str, str] = {}
        self.writes: list[str] = []

    @property
    def name(self) -> str:
        """Name of the target."""
        return self._name

    def deploy(self, digest: str, bundle: Path, *, token: int) -> None:
        """See `DeployTarget.deploy`."""
        well_formed(digest)
        self._fence(token)
        if self._running == digest:
            return
        whole(self._verify, bundle, digest)
        if self._running:
            self._replaced[digest] = self._running
        self._write(digest)

    def read_back(self) -> str:
        """See `DeployTarget.read_back`."""
        return self._running

    def roll_back(self, digest: str, *, token: int) -> str:
        """See `DeployTarget.roll_back`."""
        well_formed(digest)
        self._fence(token)
        before = step_back(self._name, self._running, digest, self._replaced.get(digest))
        if self._running != before:
            self._write(before)
        return before

    def way_back(self) -> str | None:
        """See `DeployTarget.way_back`."""
        return self._replaced.get(self._running)

    def _fence(self, token: int) -> None:
        fence(self._name, token, self._token)
        self._token = token

    def _write(self, digest: str) -> None:
        self._running = digest
        self.writes.append(digest)


@contextmanager
def speaking(name: str, what: str) -> Iterator[None]:
    """Turn what the system or a damaged file says into one `DeployError` that names the target and what was tried."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise DeployError(f"{name}: cannot {what}: {error}; check the folder, its rights and its space") from error


def fence(name: str, token: int, newest: int) -> None:
    """Refuse a token older than the newest one seen; raises FencedError."""
    if token < newest:
        raise FencedError(f"{name}: token {token} is older than {newest}; another daemon leads now, stop this one")


def well_formed(digest: str) -> None:
    """Refuse what is no digest before it becomes a path, a tag or a word; raises DeployError."""
    if not DIGEST.fullmatch(digest):
        raise DeployError(f"{digest!r} is no SHA-256 digest in hex; pass the bundle's digest")


def step_back(name: str, running: str, digest: str, before: str | None) -> str:
    """Return where a roll back from this digest leads, given what runs and what it replaced; raises DeployError."""
    if before is None:
        raise DeployError(f"{name}: nothing was replaced by {digest[:16]}; there is no way back, deploy another digest")
    if running not in {digest, before, ""}:
        raise DeployError(f"{name}: {running[:16]} runs, not {digest[:16]}; roll back what runs")
    return before


def whole(verify: Verify, bundle: Path, digest: str) -> None:
    """Refuse a folder whose bytes do not give this digest; raises DeployError."""
    for entry in bundle.rglob("*"):
        if entry.is_symlink():
            raise DeployError(f"{entry} is a link; a bundle holds its own bytes, rebuild it")
    try:
        found = verify(bundle)
    except Exception as error:  # any way a bundle can be damaged ends in this sentence
        raise DeployError(
            f"the bundle {digest[:16]} is not whole: {error}; it is not deployed, verify it again"
        ) from error
    if found != digest:
        raise DeployError(
            f"the bundle in {bundle} has digest {found[:16]}, approved is {digest[:16]}; it is not deployed"
        )
    if is_drill(bundle):
        raise DeployError(f"the bundle {digest[:16]} is a drill, made to be refused; it is never deployed")


def is_drill(bundle: Path) -> bool:
    """Return whether a bundle says in its manifest that it is a drill; see `daemon.drills`."""
    manifest = bundle / "manifest.json"
    return manifest.is_file() and "drill" in json.loads(manifest.read_bytes())
