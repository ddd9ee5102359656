"""A folder on an XRootD server as a source of run files: listed and copied by a child that can be killed."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from drift.errors import SourceError
from drift.source.lines import DeadChildError, LineChild, SilentChildError
from drift.source.naming import sidecar_names
from drift.source.outcome import Delivered, Quarantined, Waiting
from drift.source.quarantine import quarantine, records
from drift.source.watchlist import Listed, Rule, Watchlist

LIST_S = 30.0
COPY_S = 300.0


class XRootDFolder:
    """Run files under a ``root://`` URL, copied to this machine to be read.  See `RunSource`.

    Nothing at the server is ever changed: a refused file is recorded in the quarantine folder, not moved.  Those
    records are read at the start, so that a refused file is not fetched again after a restart.
    """

    def __init__(
        self,
        url: str,
        quarantine_folder: Path,
        rule: Rule | None = None,
        *,
        list_s: float = LIST_S,
        copy_s: float = COPY_S,
    ) -> None:
        self._url = url.rstrip("/")
        self._quarantine = quarantine_folder.absolute()
        self._list = Watchlist(rule if rule is not None else Rule())
        self._list_s = list_s
        self._copy_s = copy_s
        self._spool = Path(tempfile.mkdtemp(prefix="retrigger-xrootd-"))
        self._child = LineChild("drift.source.xrootd_child", [], self._spool / "child.log")
        self._refused = {
            str(record.get("source")): int(record.get("bytes", -1)) for record in records(self._quarantine)
        }
        self._copied: dict[str, str] = {}

    def poll(self, now: datetime) -> Sequence[Delivered]:
        """See `RunSource.poll`.  A file that cannot be copied now is left for the next poll."""
        entries = self._ask({"verb": "list", "url": self._url}, self._list_s)["entries"]
        listing = [Listed(one["name"], f"{one['bytes']}-{one['modified']}", one["bytes"]) for one in entries]
        names = {one.name for one in listing}
        delivered = []
        for one in self._list.closed(listing, now):
            origin = f"{self._url}/{one.name}"
            if self._refused.get(origin) == one.bytes:
                continue
            delivered.append(Delivered(one.name, self._fetched(one, names), origin, one.bytes, one.stamp))
        return delivered

    def _fetched(self, one: Listed, names: set[str]) -> Path:
        path = self._spool / one.name
        if self._copied.get(one.name) == one.stamp and path.exists():
            return path
        for name in (*(sidecar for sidecar in sidecar_names(one.name) if sidecar in names), one.name):
            request = {"verb": "copy", "url": f"{self._url}/{name}", "to": str(self._spool / name)}
            self._ask(request, self._copy_s)
        if path.stat().st_size != one.bytes:
            raise SourceError(
                f"{self._url}/{one.name} came with {path.stat().st_size} bytes, listed with {one.bytes}; polling again"
            )
        self._copied[one.name] = one.stamp
        return path

    def _ask(self, request: dict[str, Any], within_s: float) -> dict[str, Any]:
        try:
            answer = self._child.ask(request, within_s)
        except (SilentChildError, DeadChildError) as error:
            raise SourceError(
                f"{request['url']}: the client did not {request['verb']} within {within_s:g} s ({error}) and was "
                "killed; polling again"
            ) from error
        if "error" in answer:
            raise SourceError(f"{request['url']}: cannot {request['verb']} ({answer['error']}); polling again")
        return answer

    def settle(self, delivered: Delivered) -> None:
        """See `RunSource.settle`; the local copy is removed."""
        self._list.settle(delivered.name, delivered.stamp)
        self._forget(delivered.name)

    def defer(self, delivered: Delivered, waiting: Waiting, now: datetime) -> Waiting | Quarantined:
        """See `RunSource.defer`."""
        return self._list.defer(delivered.name, delivered.stamp, waiting, now)

    def quarantine(self, delivered: Delivered, reason: Quarantined, now: datetime) -> Path:
        """See `RunSource.quarantine`; only the record is written."""
        for record in self._quarantine.glob(f"{delivered.name}*.reason.json"):
            if self._refused.get(delivered.origin) == delivered.bytes and not delivered.path.exists():
                return record
        record = quarantine(delivered.path, reason, folder=self._quarantine, now=now, origin=delivered.origin)
        self._refused[delivered.origin] = delivered.bytes
        self.settle(delivered)
        return record

    def wait(self, timeout_s: float) -> None:
        """See `RunSource.wait`; a server does not call, so this only sleeps."""
        time.sleep(timeout_s)

    def _forget(self, name: str) -> None:
        self._copied.pop(name, None)
        for one in (name, *sidecar_names(name)):
            (self._spool / one).unlink(missing_ok=True)

    def close(self) -> None:
        """End the child and remove the local copies."""
        self._child.stop()
        shutil.rmtree(self._spool, ignore_errors=True)
