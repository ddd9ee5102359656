"""What reading one file can end in, and what a source of files promises.

A file is accepted whole, waited for, or quarantined with a reason; there is no fourth outcome and no partial one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from drift.events import LumisectionEvents


@dataclass(frozen=True)
class Limits:
    """What reading one file may cost before the reading child is stopped.

    Attributes:
        memory_mib: Address space of the child.
        cpu_s: CPU seconds for one file.
        wall_s: Seconds on the clock for one file.
        events: The most events one file may hold.
    """

    memory_mib: int = 3072
    cpu_s: float = 60.0
    wall_s: float = 120.0
    events: int = 20_000_000


@dataclass(frozen=True)
class FileContents:
    """Everything read from one whole, checked file.

    Attributes:
        path: The file.
        sha256: Of its bytes, hex.
        bytes: Its size.
        storage: ``"TTree"`` or ``"RNTuple"``.
        lumisections: In order of run and lumisection; those the file lists without events have zero events.
        delivered: Events per (run, lumisection), the same lumisections.
        menu_bits: How often each ``L1_*`` bit is set; empty where the file has none.
        notes: What an expert would want to know, such as that the file is simulation.
    """

    path: Path
    sha256: str
    bytes: int
    storage: str
    lumisections: tuple[LumisectionEvents, ...]
    delivered: Mapping[tuple[int, int], int]
    menu_bits: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Accepted:
    """The file is whole and physical."""

    contents: FileContents


@dataclass(frozen=True)
class Waiting:
    """The file is not ready; look again later.  The source gives up after a while."""

    reason: str


@dataclass(frozen=True)
class Quarantined:
    """The file must not be used.

    Attributes:
        code: Short and stable, for counters and tests (see docs/input.md for all of them).
        reason: One sentence: which file, what was found, what was expected, what to do.
    """

    code: str
    reason: str


Outcome = Accepted | Waiting | Quarantined


@dataclass(frozen=True)
class Delivered:
    """A closed, stable file that can be read now.

    Attributes:
        name: File name, by which deliveries are ordered.
        path: Where it can be read on this machine.
        origin: Where it came from: the same path, or a ``root://`` URL.
        bytes: Its size when it was found stable.
        stamp: Changes when the file at `origin` is written again.
    """

    name: str
    path: Path
    origin: str
    bytes: int
    stamp: str


class RunSource(Protocol):
    """Files as they appear.  Nothing here is remembered across a restart; the ledger makes re-delivery harmless."""

    def poll(self, now: datetime) -> Sequence[Delivered]:
        """Return every closed, stable file that is not settled, in name order.

        Repeating it returns the same files until they are settled, deferred or quarantined.

        Raises:
            SourceError: The source cannot be listed now; poll again later.
        """

    def settle(self, delivered: Delivered) -> None:
        """Its outcome is stored: do not deliver it again unless its bytes change.  Settling twice is harmless."""

    def defer(self, delivered: Delivered, waiting: Waiting, now: datetime) -> Waiting | Quarantined:
        """It was not ready.  Returns `Waiting`, or `Quarantined` once the source has waited long enough."""

    def quarantine(self, delivered: Delivered, reason: Quarantined, now: datetime) -> Path:
        """Set it aside with its reason and return the record's path; done already, return that record again.

        Raises:
            QuarantineError: It could not be set aside; the file is still where it was.
        """

    def wait(self, timeout_s: float) -> None:
        """Return when something may have changed, at the latest after `timeout_s`."""
