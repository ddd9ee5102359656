"""A TUF repository as a target: what a slot runs is what two keys have signed, and is read back as a client reads it.

The publisher and the reader share nothing but the folder: what is read back goes through every check of a client that
trusts the root alone, over the mirror's address where there is one.
"""

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # re-exported without saying so

from daemon.deploy import Verify, bundle_digest, speaking, step_back, well_formed, whole
from daemon.errors import DeployError, FencedError, UntrustedError
from daemon.targets.archive import checked_archive, unpack
from daemon.targets.locking import locked
from daemon.targets.tuf_publishing import Lifetimes, Repository, Signers
from daemon.targets.tuf_reading import Seen, TufReader, seen_of, target_path

WAYS_KEPT = 50


class TufTarget:
    """One slot of a TUF repository; see `daemon.deploy.DeployTarget` for the contract."""

    def __init__(
        self,
        folder: Path,
        slot: str,
        *,
        root: Path,
        memory: Path,
        signers: Signers,
        clock: Callable[[], datetime],
        url: str = "",
        lifetimes: Lifetimes | None = None,
        timeout_s: float = 60.0,
        name: str | None = None,
        verify: Verify = bundle_digest,
    ) -> None:
        """Open a repository that `daemon.targets.tuf_root.lay_root` made.

        Args:
            folder: The repository: ``metadata`` and ``targets``.
            slot: Whose bundle is published.
            root: The trusted ``root.json``; it must not be taken from the repository itself.
            memory: Where the reader remembers what it saw last.
            signers: Who signs.
            clock: Gives the time, UTC; signatures expire by it.
            url: Where to read back from; when empty, the folder.
            lifetimes: Of what is signed.
            timeout_s: Longest time one file may take to read back.
            name: Of the target, as bound in requests; when None, made from folder and slot.
            verify: Gives the digest of a bundle's folder.
        """
        self._folder, self._slot, self._verify = folder, slot, verify
        self._name = name or f"tuf:{folder}/{slot}"
        self._repository = Repository(self._name, folder, root, signers, lifetimes or Lifetimes(), clock)
        at = url or f"file://{folder.resolve()}"
        self.reader = TufReader(self._name, at, root, memory, slot, seconds=timeout_s, verify=verify)

    @property
    def name(self) -> str:
        """Name of the target."""
        return self._name

    def deploy(self, digest: str, bundle: Path, *, token: int) -> None:
        """See `DeployTarget.deploy`."""
        well_formed(digest)
        with locked(self._folder, self._name, token), speaking(self._name, f"deploy {digest[:16]}"):
            seen = self._signed()
            self._fence(token, seen)
            running = self._running_or_nothing()
            if running == digest:
                return
            ways = dict(seen.ways) if seen else {}
            if running and seen:
                ways.pop(digest, None)
                ways[digest] = {"digest": running, "sha256": seen.sha256, "length": seen.length}
            sha256, length = self._store(digest, bundle)
            self._sign(digest, sha256, length, ways, token)

    def read_back(self) -> str:
        """See `DeployTarget.read_back`; an `UntrustedError` says which attack, or which neglect, was seen."""
        with speaking(self._name, "read back"):
            return self.reader.digest()

    def roll_back(self, digest: str, *, token: int) -> str:
        """See `DeployTarget.roll_back`."""
        well_formed(digest)
        with locked(self._folder, self._name, token), speaking(self._name, f"roll back {digest[:16]}"):
            seen = self._signed()
            self._fence(token, seen)
            way = seen.ways.get(digest) if seen else None
            before = self._whole_way(way) if way else None
            running = self._running_or_nothing()
            goal = step_back(self._name, running, digest, before)
            if running != goal and seen and way:
                self._sign(goal, str(way["sha256"]), int(way["length"]), seen.ways, token)
            return goal

    def way_back(self) -> str | None:
        """See `DeployTarget.way_back`."""
        with speaking(self._name, "look for the way back"):
            seen = self._signed()
            way = seen.ways.get(seen.digest) if seen else None
            return self._whole_way(way) if way else None

    def renew(self, *, token: int) -> bool:
        """Sign anew what has lived half its time; see `daemon.targets.tuf_publishing.Repository.renew`."""
        with locked(self._folder, self._name, token), speaking(self._name, "renew its signatures"):
            return self._repository.renew()

    # --- the repository ---

    def _signed(self) -> Seen | None:
        target = self._repository.targets().get(target_path(self._slot))
        return None if target is None else seen_of(self._name, self._slot, target)

    def _fence(self, token: int, seen: Seen | None) -> None:
        if seen and token < seen.token:
            raise FencedError(f"{self._name}: token {token} is older than {seen.token}, which is signed; stop this one")

    def _running_or_nothing(self) -> str:
        """What runs, as far as it can be believed; what cannot counts as nothing and is replaced."""
        try:
            return self.reader.digest()
        except UntrustedError:
            return ""

    def _file(self, sha256: str) -> Path:
        path = self._folder / "targets" / target_path(self._slot)
        return path.with_name(f"{sha256}.{path.name}")

    def _store(self, digest: str, bundle: Path) -> tuple[str, int]:
        with checked_archive(self._verify, bundle, digest) as packed:
            goal = self._file(packed.sha256)
            goal.parent.mkdir(parents=True, exist_ok=True)
            partial = goal.with_name(f".{goal.name}.partial")
            shutil.copyfile(packed.path, partial)
            partial.replace(goal)
        return packed.sha256, packed.length

    def _whole_way(self, way: Mapping[str, Any]) -> str:
        """Return the digest of an earlier bundle after checking the bytes that are kept of it."""
        digest = str(way["digest"])
        with TemporaryDirectory(prefix="retrigger-tuf-") as place:
            try:
                TargetFile(int(way["length"]), {"sha256": str(way["sha256"])}, "x").verify_length_and_hashes(
                    self._file(str(way["sha256"])).read_bytes()
                )
                unpack(self._file(str(way["sha256"])), Path(place) / "bundle")
                whole(self._verify, Path(place) / "bundle", digest)
            except Exception as error:  # any way it can be damaged ends in this sentence
                raise DeployError(
                    f"{self._name}: {digest[:16]} was altered or is gone: {error}; deploy another digest"
                ) from error
        return digest

    def _sign(self, digest: str, sha256: str, length: int, ways: Mapping[str, Any], token: int) -> None:
        kept = dict(list(ways.items())[-WAYS_KEPT:])
        words = {"slot": self._slot, "digest": digest, "token": token, "ways": kept}
        path = target_path(self._slot)
        file = TargetFile(length, {"sha256": sha256}, path, unrecognized_fields={"custom": words})
        self._repository.publish({**self._repository.targets(), path: file})
