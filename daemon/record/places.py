"""Where the record goes when it leaves the host: folders (mounts, checkouts) and commands.

Sending a segment is idempotent: in a folder it takes the place of itself, and a command is told which facts it gets, so
that it can drop what it has.
"""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemon.errors import ExportFailedError

SUFFIX = ".jsonl"
TOLD = 500
"""Characters of what a failing command says that are kept."""


class Place(Protocol):
    """Somewhere outside the daemon's control."""

    @property
    def name(self) -> str:
        """How status and work queue call it; never the same for two places."""

    def delivered(self, known: int) -> int:
        """Return up to which fact the place holds the record.

        Args:
            known: What the daemon remembers of it; a place that can be asked does not rely on it.
        """

    def send(self, first: int, last: int, lines: Iterable[bytes]) -> None:
        """Bring a segment there; sending it again changes nothing.

        Raises:
            ExportFailedError: It did not arrive whole.
        """


@dataclass(frozen=True)
class FolderPlace:
    """A folder on another disk: a mount, or a checkout that somebody pushes on."""

    folder: Path

    @property
    def name(self) -> str:
        """See `Place.name`."""
        return str(self.folder)

    def delivered(self, known: int) -> int:
        """See `Place.delivered`: the names of the segments say it, as far as they follow each other."""
        del known
        end = 0
        try:
            spans = sorted(span for path in self.folder.glob(f"*{SUFFIX}") if (span := _span(path)) is not None)
        except OSError as error:
            raise ExportFailedError(f"{self.folder}: cannot be listed ({error}); mount it, or name another") from error
        for first, last in spans:
            if first != end + 1:
                break
            end = last
        return end

    def send(self, first: int, last: int, lines: Iterable[bytes]) -> None:
        """See `Place.send`.  The folder must be there: a mount that is away must not be taken for an empty one."""
        goal = self.folder / f"{first:012d}-{last:012d}{SUFFIX}"
        half = self.folder / f".{goal.name}.part"
        try:
            with half.open("wb") as sink:
                for line in lines:
                    sink.write(line)
                sink.flush()
                os.fsync(sink.fileno())
            half.replace(goal)
        except OSError as error:
            raise ExportFailedError(
                f"{goal}: cannot be written ({error.strerror or error}); mount the folder, make it, or free its disk"
            ) from error


def _span(path: Path) -> tuple[int, int] | None:
    first, dash, last = path.stem.partition("-")
    return (int(first), int(last)) if dash and first.isdecimal() and last.isdecimal() else None


@dataclass(frozen=True)
class CommandPlace:
    """A command that takes the segment on standard input; exit status 0 means that it is safe.

    Attributes:
        argv: The command; no shell sees it.
        timeout_s: After which it is killed, and the export counts as failed.
    """

    argv: tuple[str, ...]
    timeout_s: float

    @property
    def name(self) -> str:
        """See `Place.name`."""
        return " ".join(self.argv)

    def delivered(self, known: int) -> int:
        """See `Place.delivered`: a command cannot be asked."""
        return known

    def send(self, first: int, last: int, lines: Iterable[bytes]) -> None:
        """See `Place.send`.  It is told the numbers in ``RETRIGGER_FIRST`` and ``RETRIGGER_LAST``."""
        told = {**os.environ, "RETRIGGER_FIRST": str(first), "RETRIGGER_LAST": str(last)}
        try:
            ended = subprocess.run(
                self.argv, input=b"".join(lines), capture_output=True, timeout=self.timeout_s, check=False, env=told
            )
        except subprocess.TimeoutExpired as error:
            raise ExportFailedError(f"{self.name}: did not end within {self.timeout_s:.0f} s; it was killed") from error
        except OSError as error:
            raise ExportFailedError(f"{self.name}: cannot be started ({error.strerror or error})") from error
        if ended.returncode != 0:
            said = ended.stderr.decode("utf-8", "replace").strip()[-TOLD:]
            raise ExportFailedError(f"{self.name}: left with {ended.returncode}: {said or 'and said nothing'}")
