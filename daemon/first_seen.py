"""Since when each delivered file is there, by the ledger: a restart, or a kill, begins no wait anew.

A file's own time of change says nothing of when it came, because copies keep it; so the first sight of a name is what
counts.  How long a file may wait, and for what, is the intake's question.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from daemon.ledger import Ledger

FORGOTTEN_AFTER = timedelta(days=30)
"""A name that went away while nobody looked is remembered so long, and not for ever."""


class FirstSeen:
    """When each file of one stream was seen first, until it is taken."""

    def __init__(self, ledger: Ledger, stream: str) -> None:
        self._ledger = ledger
        self._row = f"first_seen:{stream}"
        kept = ledger.status().get(self._row)
        self._since = {} if kept is None else {name: datetime.fromisoformat(at) for name, at in kept.body.items()}
        self._stored = dict(self._since)
        self._there: set[str] = set()

    def note(self, names: Iterable[str], now: datetime) -> None:
        """Remember these files as there from now on, those known already from when they came; repeating is harmless."""
        there = set(names)
        for name in self._there - there:
            self._since.pop(name, None)  # it was taken away, or written anew and so not yet closed
        self._there = there
        before = {name: min(at, now) for name, at in self._since.items()}  # a clock that was put back holds nothing up
        self._since = {name: at for name, at in before.items() if name in there or now - at < FORGOTTEN_AFTER}
        for name in sorted(there):
            self._since.setdefault(name, now)
        if self._since != self._stored:
            self._ledger.put_status(self._row, {name: at.isoformat() for name, at in self._since.items()}, now)
            self._stored = dict(self._since)

    def waited_s(self, name: str, now: datetime) -> float:
        """Return for how many seconds a file has been there; 0 for one that was never noted."""
        return (now - self._since.get(name, now)).total_seconds()

    def forget(self, name: str) -> None:
        """Drop a file that has its outcome; the ledger follows with the next note."""
        self._since.pop(name, None)
