"""Where an approved bundle goes, and what is seen to be there.

A target takes a bundle whole or not at all, says what it runs from the bytes it holds, and can go one step back.
Nothing here asks whether a deployment is allowed: `daemon.lifecycle` has decided before.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

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
        self._fence(token)
        if self._running == digest:
            return
        _whole(self._verify, bundle, digest)
        if self._running:
            self._replaced[digest] = self._running
        self._write(digest)

    def read_back(self) -> str:
        """See `DeployTarget.read_back`."""
        return self._running

    def roll_back(self, digest: str, *, token: int) -> str:
        """See `DeployTarget.roll_back`."""
        self._fence(token)
        before = _before(self._name, self._running, digest, self._replaced.get(digest))
        if self._running != before:
            self._write(before)
        return before

    def way_back(self) -> str | None:
        """See `DeployTarget.way_back`."""
        return self._replaced.get(self._running)

    def _fence(self, token: int) -> None:
        _fence(self._name, token, self._token)
        self._token = token

    def _write(self, digest: str) -> None:
        self._running = digest
        self.writes.append(digest)


class FilesystemTarget:
    """A folder with whole releases and one `current` link, swapped in a single rename.

    ``releases/<digest>/`` holds the bundles, ``current`` points to the one that runs, ``way_back/<digest>`` names what
    it replaced, ``token`` is the newest fencing token.  A crash at any instant leaves the old release or the new one.
    """

    def __init__(self, folder: Path, *, name: str | None = None, verify: Verify = bundle_digest) -> None:
        self._folder, self._verify = folder, verify
        self._name = name or f"filesystem:{folder}"

    @property
    def name(self) -> str:
        """Name of the target."""
        return self._name

    @property
    def current(self) -> Path:
        """The link that the slot's software follows."""
        return self._folder / "current"

    def deploy(self, digest: str, bundle: Path, *, token: int) -> None:
        """See `DeployTarget.deploy`."""
        _well_formed(digest)
        with self._locked(token), _speaking(self._name, f"deploy {digest[:16]}"):
            running = self._running_or_nothing()
            if running == digest:
                return
            release = self._stored(digest) or self._store(digest, bundle)
            if running:
                _write_text(self._folder / "way_back" / digest, self.current.readlink().name)
            self._point_at(release)

    def read_back(self) -> str:
        """See `DeployTarget.read_back`."""
        if not self.current.is_symlink():
            return ""
        with _speaking(self._name, "read back"):
            return self._verified(self.current.resolve(strict=True))

    def roll_back(self, digest: str, *, token: int) -> str:
        """See `DeployTarget.roll_back`."""
        _well_formed(digest)
        with self._locked(token), _speaking(self._name, f"roll back {digest[:16]}"):
            release = self._replaced_by(digest)
            before = self._verified(release) if release else None
            running = self._running_or_nothing()
            goal = _before(self._name, running, digest, before)
            if running != goal and release is not None:
                self._point_at(release)
            return goal

    def way_back(self) -> str | None:
        """See `DeployTarget.way_back`."""
        with _speaking(self._name, "look for the way back"):
            if not self.current.is_symlink():
                return None
            release = self._replaced_by(_digest_of(self.current.readlink().name))
            return self._verified(release) if release else None

    # --- the folder ---

    @contextmanager
    def _locked(self, token: int) -> Iterator[None]:
        """Hold the folder, refuse an old token, and remember a newer one before anything is written."""
        with _speaking(self._name, "lock"):
            for part in (self._folder, self._folder / "releases", self._folder / "way_back"):
                part.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with _speaking(self._name, "read its fencing token"):
                kept = self._folder / "token"
                newest = int(kept.read_text()) if kept.exists() else 0
            _fence(self._name, token, newest)
            if token > newest:
                _write_text(kept, str(token))
            yield
        finally:
            os.close(handle)

    def _running_or_nothing(self) -> str:
        """What runs, as far as it is whole; an altered release counts as nothing and is replaced."""
        try:
            return self.read_back()
        except DeployError:
            return ""

    def _verified(self, release: Path) -> str:
        try:
            return self._verify(release)
        except Exception as error:  # any way a bundle can be damaged ends in this sentence
            raise DeployError(
                f"{self._name}: {release.name[:16]} was altered or is unreadable: {error}; roll back"
            ) from error

    def _stored(self, digest: str) -> Path | None:
        """Return a whole copy that is here already."""
        for release in sorted((self._folder / "releases").glob(f"{digest}*")):
            try:
                if self._verified(release) == digest:
                    return release
            except DeployError:
                continue
        return None

    def _store(self, digest: str, bundle: Path) -> Path:
        releases = self._folder / "releases"
        for left_over in releases.glob(".incoming-*"):
            shutil.rmtree(left_over)
        _whole(self._verify, bundle, digest)
        incoming = releases / f".incoming-{digest}"
        _copy(bundle, incoming)
        _whole(self._verify, incoming, digest)  # the bytes that were copied, not those that were read before
        taken = len(list(releases.glob(f"{digest}*")))  # altered copies keep their names, `current` may point there
        release = releases / (f"{digest}.{taken}" if taken else digest)
        incoming.rename(release)
        _sync(releases)
        return release

    def _replaced_by(self, digest: str) -> Path | None:
        note = self._folder / "way_back" / digest
        if not note.is_file():
            return None
        return self._folder / "releases" / note.read_text().strip()

    def _point_at(self, release: Path) -> None:
        fresh = self._folder / ".current"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("releases") / release.name, target_is_directory=True)
        fresh.replace(self.current)
        _sync(self._folder)


@contextmanager
def _speaking(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise DeployError(f"{name}: cannot {what}: {error}; check the folder, its rights and its space") from error


def _fence(name: str, token: int, newest: int) -> None:
    if token < newest:
        raise FencedError(f"{name}: token {token} is older than {newest}; another daemon leads now, stop this one")


def _well_formed(digest: str) -> None:
    if not DIGEST.fullmatch(digest):
        raise DeployError(f"{digest!r} is no SHA-256 digest in hex; pass the bundle's digest")


def _digest_of(release: str) -> str:
    return release.partition(".")[0]


def _before(name: str, running: str, digest: str, before: str | None) -> str:
    if before is None:
        raise DeployError(f"{name}: nothing was replaced by {digest[:16]}; there is no way back, deploy another digest")
    if running not in {digest, before, ""}:
        raise DeployError(f"{name}: {running[:16]} runs, not {digest[:16]}; roll back what runs")
    return before


def _whole(verify: Verify, bundle: Path, digest: str) -> None:
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


def _copy(source: Path, goal: Path) -> None:
    """Copy a folder and push every byte and every name to the disk."""
    goal.mkdir()
    for entry in sorted(source.iterdir()):
        if entry.is_symlink():
            raise DeployError(f"{entry} is a link; a bundle holds its own bytes, rebuild it")
        if entry.is_dir():
            _copy(entry, goal / entry.name)
            continue
        with entry.open("rb") as from_, (goal / entry.name).open("xb") as to:
            shutil.copyfileobj(from_, to, 1 << 20)
            to.flush()
            os.fsync(to.fileno())
        shutil.copymode(entry, goal / entry.name)
    _sync(goal)


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network filesystems cannot sync a folder
            raise
    finally:
        os.close(handle)
