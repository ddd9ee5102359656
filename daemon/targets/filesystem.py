"""A folder as a target: whole releases, and one link that is swapped in a single rename.

Nothing here asks whether a deployment is allowed, and nothing here knows what a bundle is but for its digest.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.deploy import Verify, bundle_digest, speaking, step_back, well_formed, whole
from daemon.errors import DeployError
from daemon.output import flush_folder
from daemon.targets.locking import locked, write_text


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
        well_formed(digest)
        with self._locked(token), speaking(self._name, f"deploy {digest[:16]}"):
            running = self._running_or_nothing()
            if running == digest:
                return
            release = self._stored(digest) or self._store(digest, bundle)
            if running:
                write_text(self._folder / "way_back" / digest, self.current.readlink().name)
            self._point_at(release)

    def read_back(self) -> str:
        """See `DeployTarget.read_back`."""
        if not self.current.is_symlink():
            return ""
        with speaking(self._name, "read back"):
            return self._verified(self.current.resolve(strict=True))

    def roll_back(self, digest: str, *, token: int) -> str:
        """See `DeployTarget.roll_back`."""
        well_formed(digest)
        with self._locked(token), speaking(self._name, f"roll back {digest[:16]}"):
            release = self._replaced_by(digest)
            before = self._verified(release) if release else None
            running = self._running_or_nothing()
            goal = step_back(self._name, running, digest, before)
            if running != goal and release is not None:
                self._point_at(release)
            return goal

    def way_back(self) -> str | None:
        """See `DeployTarget.way_back`."""
        with speaking(self._name, "look for the way back"):
            if not self.current.is_symlink():
                return None
            release = self._replaced_by(_digest_of(self.current.readlink().name))
            return self._verified(release) if release else None

    # --- the folder ---

    @contextmanager
    def _locked(self, token: int) -> Iterator[None]:
        with speaking(self._name, "lock"):
            for part in (self._folder, self._folder / "releases", self._folder / "way_back"):
                part.mkdir(parents=True, exist_ok=True)
        with locked(self._folder, self._name, token):
            yield

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
        whole(self._verify, bundle, digest)
        incoming = releases / f".incoming-{digest}"
        _copy(bundle, incoming)
        whole(self._verify, incoming, digest)  # the bytes that were copied, not those that were read before
        taken = len(list(releases.glob(f"{digest}*")))  # altered copies keep their names, `current` may point there
        release = releases / (f"{digest}.{taken}" if taken else digest)
        incoming.rename(release)
        flush_folder(releases)
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
        flush_folder(self._folder)


def _digest_of(release: str) -> str:
    return release.partition(".")[0]


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
    flush_folder(goal)
