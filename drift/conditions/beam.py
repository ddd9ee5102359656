"""What the machine does now, from a feed of beam modes that somebody else appends to."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from drift.conditions.record import BeamMode
from drift.text_forms import json_of

TAIL_BYTES = 1 << 18
CLOCK_SKEW = timedelta(seconds=60)


class BeamModeFeed:
    """Reads the end of ``beam_mode.jsonl``: lines ``{"time", "fill", "beam_mode"}``, newest last."""

    def __init__(self, path: Path, stale_s: float = 900.0) -> None:
        self._path = path
        self._stale = timedelta(seconds=stale_s)

    def now(self, now: datetime) -> BeamMode | None:
        """Return the mode said last, or None when nothing trustworthy says what the machine does.

        A last line without its end is being written and is passed over.  A whole last line that cannot be understood,
        is older than the staleness limit, or comes from the future, makes the mode unknown: a deployment then waits.
        """
        lines = self._tail()
        modes: list[BeamMode] = []
        for line in reversed(lines):
            mode = _mode(line)
            if mode is None or (modes and (mode.fill, mode.mode) != (modes[0].fill, modes[0].mode)):
                break
            modes.append(mode)
        if not modes or not now - self._stale <= modes[0].since <= now + CLOCK_SKEW:
            return None
        return BeamMode(modes[0].fill, modes[0].mode, modes[-1].since)

    def _tail(self) -> list[str]:
        try:
            with self._path.open("rb") as feed:
                size = feed.seek(0, os.SEEK_END)
                start = max(0, size - TAIL_BYTES)
                feed.seek(start)
                tail = feed.read()
        except OSError:
            return []
        if start:
            tail = tail.partition(b"\n")[2]
        whole = tail[: tail.rfind(b"\n") + 1]
        return [line for line in whole.decode("utf-8", errors="replace").splitlines() if line.strip()]


def _mode(line: str) -> BeamMode | None:
    try:
        entry = json_of(line)
        since = datetime.fromisoformat(entry["time"])
        mode = BeamMode(int(entry["fill"]), str(entry["beam_mode"]).upper(), since)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return mode if since.tzinfo is not None else None
