"""What the counter files of a folder, or of several paths, say together about each lumisection.

Call it as often as wanted: only files that changed are read again, and one that is damaged or half written keeps its
last good reading.  Of two counts of a seed in a lumisection that of hardware holds: a handful of zero-bias events never
stands in for a counter.  Where two files disagree the one that was changed later holds, and both are named.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from drift.counters import CounterTable, SeedCount
from drift.errors import CountersError

SUFFIXES = (".csv", ".json")


class _Stamp(NamedTuple):
    path: Path
    bytes: int
    modified_ns: int
    inode: int


@dataclass(frozen=True, eq=False)
class CounterFolder:
    """Counts by run and lumisection, as one reading found them; never changes.

    Attributes:
        faults: Files that could not be read, rows that were not understood, and files that contradict each other, one
            sentence each.
        files: Every file as it was, and what it said; None where it never could be read.
        tables: What was read, the file that was changed last at the end.
    """

    faults: tuple[str, ...]
    files: Mapping[_Stamp, CounterTable | None]
    tables: tuple[CounterTable, ...]

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "CounterFolder":
        """Return what these files, and the ``.csv`` and ``.json`` files of these folders, say now.

        Raises:
            CountersError: A path cannot be found or listed.
        """
        key = tuple(path.absolute() for path in paths)
        stamps = [stamp for path in key for stamp in _stamps(path)]
        before = _LAST_READING.get(key)
        if before is None or set(before.files) != set(stamps):
            before = _read_again(stamps, before)
            _LAST_READING[key] = before
        return before

    def at(self, run: int, lumisection: int) -> dict[str, SeedCount] | None:
        """Return the counts of one lumisection by seed; None when no file has it."""
        found: dict[str, SeedCount] = {}
        for table in self.tables:
            for seed, count in table.of(run, lumisection).items():
                if seed not in found or count.crossings is None or found[seed].crossings is not None:
                    found[seed] = count
        return found or None


_LAST_READING: dict[tuple[Path, ...], CounterFolder] = {}
"""A cache by paths: forgetting it costs one more reading."""


def _read_again(stamps: list[_Stamp], before: CounterFolder | None) -> CounterFolder:
    known = {} if before is None else before.files
    good = {stamp.path: table for stamp, table in known.items()}
    read: dict[_Stamp, CounterTable | None] = {}
    faults: list[str] = []
    for stamp in stamps:
        if stamp in known:
            read[stamp] = known[stamp]
            continue
        try:
            read[stamp] = CounterTable.load([stamp.path])
        except CountersError as error:
            read[stamp] = good.get(stamp.path)
            faults.append(str(error))
    in_time = sorted(read.items(), key=lambda entry: entry[0].modified_ns)
    said = [(stamp.path, table) for stamp, table in in_time if table is not None]
    faults += [text for table in read.values() if table is not None for text in table.faults]
    return CounterFolder((*faults, *_contradictions(said)), read, tuple(table for _, table in said))


def _contradictions(said: list[tuple[Path, CounterTable]]) -> Iterator[str]:
    """Yield a sentence for every two files that count a seed otherwise in some lumisection, the later last."""
    where: dict[tuple[int, int], list[int]] = {}
    for place, (_, table) in enumerate(said):
        for pair in table.places:
            where.setdefault(pair, []).append(place)
    found: dict[tuple[int, int], list[str]] = {}
    for (run, lumisection), places in where.items():
        known: dict[tuple[str, bool], tuple[int, SeedCount]] = {}
        for later in places if len(places) > 1 else ():
            for seed, count in said[later][1].of(run, lumisection).items():
                earlier, before = known.get((seed, count.crossings is None), (later, count))
                if before != count:
                    found.setdefault((earlier, later), []).append(f"{seed} in {run}:{lumisection}")
                known[seed, count.crossings is None] = later, count
    for (earlier, later), those in found.items():
        yield (
            f"{said[later][0]} contradicts {said[earlier][0]} in {len(those)} counts, first of {those[0]}; the first "
            "of the two files was changed later and holds"
        )


def _stamps(path: Path) -> list[_Stamp]:
    try:
        within = sorted(path.iterdir()) if path.is_dir() else [path]
        files = [one for one in within if one == path or (_is_counters(one) and one.is_file())]
        states = [(one, one.stat()) for one in files]
    except OSError as error:
        raise CountersError(
            f"{path} cannot be read as seed counts: {error.strerror}; name a CSV or OMS JSON file, or a folder of them"
        ) from error
    return [_Stamp(one, state.st_size, state.st_mtime_ns, state.st_ino) for one, state in states]


def _is_counters(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith((".", "~"))
