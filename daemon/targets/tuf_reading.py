"""What a TUF repository says, as a client that trusts nothing but a root of keys sees it.

Every way in which a repository or a mirror can lie ends in `UntrustedError`, whose alarm names what was seen.  Time is
the host's own clock: python-tuf reads it when a refresh begins.  Nothing here signs or writes to a repository.

References:
    The Update Framework Specification 1.0.34, section 5 (client workflow), https://theupdateframework.github.io/specification/
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from tuf.api import exceptions as tuf
from tuf.ngclient import Updater, UpdaterConfig  # type: ignore[attr-defined]  # re-exported without saying so
from tuf.ngclient.fetcher import FetcherInterface
from urllib3.exceptions import HTTPError

from daemon.deploy import Verify
from daemon.errors import UntrustedError
from daemon.targets.archive import MOST_BYTES, believed, unpack

_BLOCK = 1 << 18
_ALARMS: tuple[tuple[type[Exception], str, str], ...] = (
    (tuf.ExpiredMetadataError, "expired", "renew it, or see who keeps newer metadata back"),
    (tuf.UnsignedMetadataError, "unsigned", "see who writes there without the keys"),
    (tuf.BadVersionNumberError, "version_went_back", "see who serves old metadata, or rotate the online keys"),
    (tuf.LengthOrHashMismatchError, "altered", "see who changes files there"),
    (tuf.DownloadLengthMismatchError, "endless", "see who serves more than was signed"),
    (tuf.SlowRetrievalError, "slow", "see who holds the answer back"),
    (tuf.DownloadError, "withheld", "see that the repository can be reached and is whole"),
    (tuf.RepositoryError, "malformed", "see who writes there"),
)


@contextmanager
def named_attacks(name: str) -> Iterator[None]:
    """Turn every complaint of the TUF client into an `UntrustedError` with one word for it."""
    try:
        yield
    except (tuf.RepositoryError, tuf.DownloadError) as error:
        alarm, advice = next((word, what) for kind, word, what in _ALARMS if isinstance(error, kind))
        raise UntrustedError(alarm, f"{name}: {error}; {advice}") from error


class BoundedFetcher(FetcherInterface):
    """Fetches from a folder (``file:///…``) or over HTTP, each file within a time from beginning to end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._session = requests.Session()
        self._open: list[requests.Response] = []

    def close(self) -> None:
        """Close every connection, also of answers that were given up."""
        for answer in self._open:
            answer.close()
        self._session.close()

    def _fetch(self, url: str) -> Iterator[bytes]:
        if url.startswith("file://"):
            return self._from_folder(Path(url.removeprefix("file://")))
        until = time.monotonic() + self._seconds
        try:
            answer = self._session.get(url, stream=True, timeout=self._seconds, headers={"Accept-Encoding": "identity"})
        except requests.Timeout as error:
            raise tuf.SlowRetrievalError(f"{url}: no answer in {self._seconds:g} s") from error
        self._open.append(answer)
        if answer.status_code != requests.codes.ok:
            raise tuf.DownloadHTTPError(f"{url}: {answer.status_code} {answer.reason}", answer.status_code)
        return self._in_time(answer, until, url)

    @staticmethod
    def _from_folder(path: Path) -> Iterator[bytes]:
        if not path.is_file():
            raise tuf.DownloadHTTPError(f"{path} is not there", requests.codes.not_found)
        return _blocks(path)

    def _in_time(self, answer: requests.Response, until: float, url: str) -> Iterator[bytes]:
        try:
            while block := answer.raw.read1(_BLOCK):
                if time.monotonic() > until:
                    raise tuf.SlowRetrievalError(f"{url}: not whole in {self._seconds:g} s")
                yield block
        except (OSError, HTTPError) as error:
            raise tuf.DownloadError(f"{url}: {error}") from error


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while block := source.read(_BLOCK):
            yield block


@dataclass(frozen=True)
class Seen:
    """What the repository says that a slot runs: the digest, what each digest replaced, and the newest token."""

    digest: str
    sha256: str
    length: int
    ways: Mapping[str, Mapping[str, Any]]
    token: int


class TufReader:
    """One client of one repository, with its own memory of the newest metadata it saw."""

    def __init__(
        self, name: str, url: str, root: Path, memory: Path, slot: str, *, seconds: float, verify: Verify
    ) -> None:
        """Name a repository and the root of trust.

        Args:
            name: Of the target, for messages.
            url: ``http(s)://…`` or ``file:///…``, above ``metadata`` and ``targets``.
            root: The ``root.json`` that came by another way than the repository.
            memory: Folder of this client; losing it loses the protection against a repository that goes back.
            slot: Whose bundle is read.
            seconds: Longest time one file may take.
            verify: Gives the digest of a bundle's folder.
        """
        self._name, self._url, self._root, self._memory = name, url.rstrip("/"), root, memory
        self._slot, self._seconds, self._verify = slot, seconds, verify

    @property
    def metadata(self) -> Path:
        """Where the newest metadata that was believed are kept."""
        return self._memory / "metadata"

    def digest(self) -> str:
        """Return the digest of what the repository says runs, from the bytes it serves; empty for nothing.

        Raises:
            UntrustedError: The repository, or a mirror of it, must not be believed.
        """
        with (
            named_attacks(self._name),
            closing(BoundedFetcher(self._seconds)) as fetcher,
            TemporaryDirectory(prefix="retrigger-tuf-") as place,
        ):
            updater = self._updater(Path(place), fetcher)
            target = updater.get_targetinfo(target_path(self._slot))
            if target is None:
                return ""
            seen = seen_of(self._name, self._slot, target)
            if target.length > MOST_BYTES:
                raise UntrustedError("endless", f"{self._name}: a bundle of {target.length} B is announced")
            archive = Path(updater.download_target(target))
            unpack(archive, Path(place) / "bundle")
            return believed(self._verify, Path(place) / "bundle", seen.digest, self._name, "signed is")

    def _updater(self, place: Path, fetcher: BoundedFetcher) -> Updater:
        self.metadata.mkdir(parents=True, exist_ok=True)
        updater = Updater(
            str(self.metadata),
            f"{self._url}/metadata/",
            str(place),
            f"{self._url}/targets/",
            fetcher,
            UpdaterConfig(max_delegations=0),
            bootstrap=self._root.read_bytes(),
        )
        updater.refresh()
        return updater


def target_path(slot: str) -> str:
    """Return where a repository names the bundle of a slot."""
    return f"{slot}/bundle.tar"


def seen_of(name: str, slot: str, target: Any) -> Seen:
    """Return what was signed about a slot's bundle.

    Raises:
        UntrustedError: ``wrong_slot`` when it was signed for another slot, ``malformed`` when the words are missing.
    """
    try:
        words = target.custom
        if words["slot"] != slot:
            raise UntrustedError(
                "wrong_slot", f"{name}: the bundle signed for {slot} says it is for {words['slot']}; roll back"
            )
        ways = {str(key): dict(value) for key, value in words["ways"].items()}
        return Seen(str(words["digest"]), str(target.hashes["sha256"]), int(target.length), ways, int(words["token"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UntrustedError("malformed", f"{name}: what was signed for {slot} lacks {error}; sign it anew") from error
