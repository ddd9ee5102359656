"""Which files are closed: the rule that every source of files shares.

A file counts as closed when its size and time of change stayed the same over a while and, where one is required, its
checksum is beside it.  Every wait ends: a file that stays unready is handed over all the same, to be refused by name.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from drift.source.naming import is_run_file, sidecar_names
from drift.source.outcome import Quarantined, Waiting


@dataclass(frozen=True)
class Rule:
    """When a file counts as closed.

    Attributes:
        stable_s: How long it must not change.
        give_up_s: How long a file may be unready before it is refused.
        require_sidecar: Whether a checksum must be beside it.
    """

    stable_s: float = 5.0
    give_up_s: float = 3600.0
    require_sidecar: bool = False


@dataclass(frozen=True)
class Listed:
    """One name in a listing.

    Attributes:
        name: File name.
        stamp: Anything that changes when the file is written.
        bytes: Size.
    """

    name: str
    stamp: str
    bytes: int


@dataclass
class Watchlist:
    """What was seen of each name, and since when.  Forgetting it costs one stable period, nothing else."""

    rule: Rule
    _since: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _settled: dict[str, str] = field(default_factory=dict)
    _waiting: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def closed(self, listing: Iterable[Listed], now: datetime) -> list[Listed]:
        """Return the files of a listing that can be read now, in name order."""
        entries = sorted(listing, key=lambda entry: entry.name)
        names = {entry.name for entry in entries}
        self._forget_all_but(names)
        ready = []
        for entry in entries:
            if not is_run_file(entry.name) or self._settled.get(entry.name) == entry.stamp:
                continue
            stamp, since = self._since.setdefault(entry.name, (entry.stamp, now))
            if stamp != entry.stamp:
                self._since[entry.name] = (entry.stamp, now)
                since = now
            still = now - since
            proven = not self.rule.require_sidecar or any(name in names for name in sidecar_names(entry.name))
            if still >= timedelta(seconds=self.rule.stable_s if proven else self.rule.give_up_s):
                ready.append(entry)
        return ready

    def _forget_all_but(self, names: set[str]) -> None:
        self._since = {name: seen for name, seen in self._since.items() if name in names}
        self._settled = {name: seen for name, seen in self._settled.items() if name in names}
        self._waiting = {name: seen for name, seen in self._waiting.items() if name in names}

    def settle(self, name: str, stamp: str) -> None:
        """Pass this version of a file over from now on."""
        self._settled[name] = stamp
        self._waiting.pop(name, None)

    def defer(self, name: str, stamp: str, waiting: Waiting, now: datetime) -> Waiting | Quarantined:
        """Count how long this version has been unready; give up after the rule's time."""
        known, since = self._waiting.setdefault(name, (stamp, now))
        if known != stamp:
            self._waiting[name] = (stamp, now)
            since = now
        if now - since < timedelta(seconds=self.rule.give_up_s):
            return waiting
        minutes = (now - since).total_seconds() / 60
        return Quarantined(
            "never_ready",
            f"{name} has not become readable in {minutes:.0f} min ({waiting.reason}); its writer may have died: "
            "deliver it again",
        )
