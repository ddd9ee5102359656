"""The LHC beam mode now, from a feed that grows by one line a change."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path


@dataclass(frozen=True)
class BeamMode:
    """One line of the feed: the fill, its mode, and since when."""

    fill: int
    mode: str
    since: datetime


class BeamModeFeed:
    """Reads ``beam_mode.jsonl``: one object a line with ``time`` (ISO 8601, UTC), ``fill`` and ``beam_mode``.

    An unknown beam mode never opens a window, so every doubt here ends in None.
    """

    def __init__(self, path: Path, *, stale_after: timedelta, heartbeat: bool = True) -> None:
        """Take the feed at ``path``.

        Args:
            path: The feed.
            stale_after: How old the last sign of life may be.
            heartbeat: Count a touched file as a sign of life, as a feed does that repeats itself only on change.
        """
        self._path = path
        self._stale_after = stale_after
        self._heartbeat = heartbeat

    def now(self, now: datetime) -> BeamMode | None:
        """Return the mode in force, or None when the feed is absent, unreadable, from the future or stale."""
        try:
            with self._path.open("rb") as source:
                source.seek(0, 2)
                size = source.tell()
                source.seek(max(0, size - 65_536))
                tail = source.read()
                written = datetime.fromtimestamp(self._path.stat().st_mtime, tz=now.tzinfo)
        except OSError:
            return None
        whole = tail[: tail.rfind(b"\n") + 1].splitlines()
        for line in reversed(whole):
            mode = _parsed(line)
            if mode is None:
                continue
            alive = max(mode.since, written) if self._heartbeat else mode.since
            fresh = now - alive <= self._stale_after and mode.since <= now + timedelta(seconds=5)
            return mode if fresh else None
        return None


def _parsed(line: bytes) -> BeamMode | None:
    try:
        body = json.loads(line)
        since = datetime.fromisoformat(str(body["time"]))
        if since.tzinfo is None:
            return None
        return BeamMode(int(body["fill"]), str(body["beam_mode"]), since)
    except (ValueError, KeyError, TypeError):
        return None
