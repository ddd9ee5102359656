"""What a running job tells those who wait for it.

``progress.json`` is both the bar and the heartbeat: it is renewed from the working thread itself, so a job that
hangs falls silent.  Nothing here knows what a stage does.
"""

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from retrain.digest import canonical

INTERVAL = timedelta(seconds=0.5)


def write_whole(path: Path, value: Any) -> None:
    """Replace a JSON file in one step, so that a reader sees the old one or the new one, never half."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        file.write(canonical(value))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_whole(path: Path) -> dict[str, Any] | None:
    """Return a JSON object that was written by `write_whole`, or None when there is none yet."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


class Progress:
    """Writes ``progress.json`` when the stage changes and at most twice a second between."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        self._path = path
        self._clock = clock
        self._stage = ""
        self._told: datetime | None = None

    def stage(self, name: str) -> None:
        """Say that a stage begins."""
        self._stage = name
        self._told = None
        self.beat(0.0, "begins")

    def beat(self, fraction: float, text: str) -> None:
        """Say how far the stage is, from 0 to 1, and what it does."""
        now = self._clock()
        if self._told is not None and timedelta(0) <= now - self._told < INTERVAL:
            return
        self._told = now
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        stage = {"stage": self._stage, "fraction": round(min(max(fraction, 0.0), 1.0), 4), "text": text}
        write_whole(self._path, {**stage, "at": at, "pid": os.getpid()})
