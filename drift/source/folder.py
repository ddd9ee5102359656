"""A folder of this machine as a source of run files, and the same in memory for tests."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError  # the blocking form, without a thread

from drift.errors import QuarantineError, SourceError
from drift.source.naming import sidecar_names
from drift.source.outcome import Delivered, Quarantined, Waiting
from drift.source.quarantine import quarantine
from drift.source.watchlist import Listed, Rule, Watchlist

DEBOUNCE_MS = 50


class LocalFolder:
    """Run files in one folder, found by polling; a change notification only shortens the wait.  See `RunSource`."""

    def __init__(self, folder: Path, quarantine_folder: Path, rule: Rule | None = None) -> None:
        self._folder = folder.absolute()
        self._quarantine = quarantine_folder.absolute()
        self._list = Watchlist(rule if rule is not None else Rule())
        self._notify: RustNotify | None = None

    def poll(self, now: datetime) -> Sequence[Delivered]:
        """See `RunSource.poll`."""
        listing = []
        try:
            for path in self._folder.iterdir():
                if path.is_file():
                    status = path.stat()
                    stamp = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
                    listing.append(Listed(path.name, stamp, status.st_size))
        except FileNotFoundError as error:
            if not self._folder.is_dir():
                raise SourceError(
                    f"source folder {self._folder} does not exist; create it, or set source.url"
                ) from error
            return []
        except OSError as error:
            raise SourceError(f"source folder {self._folder} cannot be listed ({error}); check its rights") from error
        return [
            Delivered(one.name, self._folder / one.name, str(self._folder / one.name), one.bytes, one.stamp)
            for one in self._list.closed(listing, now)
        ]

    def settle(self, delivered: Delivered) -> None:
        """See `RunSource.settle`."""
        self._list.settle(delivered.name, delivered.stamp)

    def defer(self, delivered: Delivered, waiting: Waiting, now: datetime) -> Waiting | Quarantined:
        """See `RunSource.defer`."""
        return self._list.defer(delivered.name, delivered.stamp, waiting, now)

    def quarantine(self, delivered: Delivered, reason: Quarantined, now: datetime) -> Path:
        """See `RunSource.quarantine`; the file moves into the quarantine folder."""
        record = quarantine(delivered.path, reason, folder=self._quarantine, now=now)
        self.settle(delivered)
        return record

    def wait(self, timeout_s: float) -> None:
        """See `RunSource.wait`."""
        try:
            if self._notify is None:
                self._notify = RustNotify([str(self._folder)], False, False, 300, False, True)
            self._notify.watch(DEBOUNCE_MS, DEBOUNCE_MS, max(1, int(timeout_s * 1000)), None)
        except (WatchfilesRustInternalError, OSError):
            self._notify = None
            time.sleep(timeout_s)

    def close(self) -> None:
        """Stop watching."""
        self._notify = None


class FakeFolder:
    """Files put there by a test, in memory until they are delivered.  See `RunSource`."""

    def __init__(self, spool: Path, rule: Rule | None = None) -> None:
        self._spool = spool
        self._files: dict[str, tuple[bytes, int]] = {}
        self._writes = 0
        self._list = Watchlist(rule if rule is not None else Rule())
        self.reasons: dict[str, Quarantined] = {}
        self.waits: list[float] = []

    def put(self, name: str, content: bytes) -> None:
        """Write a file, or write it again."""
        self._writes += 1
        self._files[name] = (content, self._writes)

    def poll(self, now: datetime) -> Sequence[Delivered]:
        """See `RunSource.poll`."""
        listing = [Listed(name, str(written), len(content)) for name, (content, written) in self._files.items()]
        delivered = []
        self._spool.mkdir(parents=True, exist_ok=True)
        for one in self._list.closed(listing, now):
            path = self._spool / one.name
            for name in (*sidecar_names(one.name), one.name):
                if name in self._files:
                    (self._spool / name).write_bytes(self._files[name][0])
            delivered.append(Delivered(one.name, path, f"memory:{one.name}", one.bytes, one.stamp))
        return delivered

    def settle(self, delivered: Delivered) -> None:
        """See `RunSource.settle`."""
        self._list.settle(delivered.name, delivered.stamp)

    def defer(self, delivered: Delivered, waiting: Waiting, now: datetime) -> Waiting | Quarantined:
        """See `RunSource.defer`."""
        return self._list.defer(delivered.name, delivered.stamp, waiting, now)

    def quarantine(self, delivered: Delivered, reason: Quarantined, now: datetime) -> Path:
        """See `RunSource.quarantine`; the file leaves the folder and the reason is kept in `reasons`."""
        del now
        if self._files.pop(delivered.name, None) is None and delivered.name not in self.reasons:
            raise QuarantineError(f"{delivered.name} is not there; put it first")
        self.reasons.setdefault(delivered.name, reason)
        return self._spool / f"{delivered.name}.reason.json"

    def wait(self, timeout_s: float) -> None:
        """See `RunSource.wait`; time stands still in a test."""
        self.waits.append(timeout_s)
