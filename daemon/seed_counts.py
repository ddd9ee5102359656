"""Seed counters as they arrive: what the folder has of each lumisection, and which lumisections still wait for theirs.

They come like conditions, by other ways and later than the events.  How long that may hold anything is the intake's
question; a folder that cannot be read says what it said before.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from daemon.input_faults import InputFaults
from drift.conditions import Conditions
from drift.counter_folder import CounterFolder
from drift.counters import SeedCount
from drift.errors import CountersError
from drift.rate_reference import RateReference


class SeedCounts:
    """What counters say of the seeds of one reference."""

    def __init__(self, reference: RateReference, paths: Iterable[Path]) -> None:
        self._seeds = {one.seed for one in reference.models}
        self._paths = tuple(paths)
        self._folder: CounterFolder | None = None
        self.faults = InputFaults("seed counters")

    def look(self) -> None:
        """Read what changed; a path that cannot be listed is a fault, and what it said before still holds."""
        try:
            self._folder = CounterFolder.load(self._paths)
        except CountersError as error:
            self.faults.hear([str(error)])
        else:
            self.faults.hear(_faults_of(self._folder))

    def at(self, run: int, lumisection: int) -> Mapping[str, SeedCount] | None:
        """Return the counts of one lumisection; None when no watched seed has any yet."""
        found = None if self._folder is None else self._folder.at(run, lumisection)
        return found if found and self._seeds & found.keys() else None

    def lacking(self, all_of: Iterable[Conditions | None]) -> list[str]:
        """Return the lumisections that can be compared and have no counts yet, as ``run:lumisection``."""
        return [
            f"{at.run}:{at.lumisection}"
            for at in all_of
            if at is not None and at.usable and self.at(at.run, at.lumisection) is None
        ]


def _faults_of(folder: CounterFolder) -> list[str]:
    """What was not understood, and every file that never could be read, whenever it was tried."""
    told = list(folder.faults)
    never = [str(stamp.path) for stamp, table in folder.files.items() if table is None]
    return told + [f"{path} could not be read" for path in never if not any(path in one for one in told)]
