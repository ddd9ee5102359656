"""The log-ins that `retrigger login` keeps on a laptop: one small file a server, for its owner's eyes alone.

A kept log-in lets its owner read and quiet an alarm without typing a password again; every word that decides takes the
password all the same.  The server ends it after half an hour without use, after twelve hours, or with a new password.
"""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from daemon.errors import ServerError


@dataclass(frozen=True)
class Kept:
    """Who is logged in, and the cookie that says so."""

    person: str
    cookie_name: str
    cookie: str


def file_of(url: str) -> Path:
    """Return where the log-in at a server is kept: below XDG_STATE_HOME, or ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "retrigger" / (re.sub(r"[^A-Za-z0-9.-]+", "_", url) + ".login")


def keep(url: str, kept: Kept) -> Path:
    """Keep a log-in and return its file, which its owner alone can read."""
    path = file_of(url)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_suffix(f".{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump({"server": url, **asdict(kept)}, out)
    beside.replace(path)
    return path


def kept_at(url: str) -> Kept | None:
    """Return the log-in at a server; None if none is kept, or its file is damaged or of another server.

    Raises:
        ServerError: Others can read it.
    """
    path = file_of(url)
    try:
        if path.stat().st_mode & 0o077:
            raise ServerError(f"{path} can be read by others than its owner; remove it and log in again")
        told = json.loads(path.read_text(encoding="utf-8"))
        return Kept(**told) if told.pop("server", "") == url else None  # two addresses may share one name of a file
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None


def forget(url: str) -> None:
    """Remove the log-in at a server; none is fine."""
    file_of(url).unlink(missing_ok=True)
