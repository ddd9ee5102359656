"""What the trigger's counters say of each seed in each lumisection: CSV tables, or OMS responses (JSON:API).

Rows come late, twice, corrected, or half written.  A repeated row counts once; of two that disagree the later one
holds, and both cases are counted and told.  A row that cannot be understood is passed over with its file and line; a
file in which nothing can be understood is refused.  What a count means as a rate is `drift.rates`' question.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drift.counter_forms import Sheet, read_csv, read_oms
from drift.errors import CountersError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SeedCount:
    """What one counter says of one lumisection.

    Attributes:
        counts: How often it counted.
        prescale: Of how many firings one was counted; 1 for a counter before the prescale, 0 for a seed that is off.
        dead_time: Fraction of the lumisection in which it could not count: 0 for a counter before the trigger's veto,
            None when only the conditions know.
        crossings: Colliding crossings that were looked at, for counts from zero-bias events; None for a hardware
            counter, which sees them all.
    """

    counts: int
    prescale: float = 1.0
    dead_time: float | None = None
    crossings: float | None = None


@dataclass(frozen=True)
class Tally:
    """How the rows fitted together.

    Attributes:
        gaps: Lumisections missing between the first and last of a run.
        silent: Seeds missing from a lumisection in which others of their run were counted.
        duplicates: Rows that said again what another row had said.
        conflicts: Rows that contradicted an earlier one and were believed.
        late: Rows that came after a later lumisection of their run and seed.
        malformed: Rows that could not be understood.
    """

    gaps: int = 0
    silent: int = 0
    duplicates: int = 0
    conflicts: int = 0
    late: int = 0
    malformed: int = 0


@dataclass(frozen=True, eq=False)
class CounterTable:
    """Counts by lumisection and seed.

    Attributes:
        places: Run and lumisection of every row of the tables, ascending.
        seeds: Seed of every column, in alphabetical order.
        values: Counts, prescale, dead time and crossings, shape ``(4, n_places, n_seeds)``; NaN where nobody says.
        tally: How the rows fitted together.
        faults: What was not understood, one sentence each, and what was taken for granted.
    """

    places: tuple[tuple[int, int], ...]
    seeds: tuple[str, ...]
    values: Floats
    tally: Tally
    faults: tuple[str, ...]

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "CounterTable":
        """Read counter files, in this order; ``.json`` is OMS, everything else CSV.

        Raises:
            CountersError: A file is missing, is no counter table, or holds no row that can be understood.
        """
        sheet = Sheet()
        for path in paths:
            _read(path, sheet)
        return _table(sheet)

    def __iter__(self) -> Iterator[tuple[int, int, dict[str, SeedCount]]]:
        """Yield run, lumisection and the counts by seed, in order."""
        for place, (run, lumisection) in enumerate(self.places):
            yield run, lumisection, self.at(place)

    @cached_property
    def _row(self) -> dict[tuple[int, int], int]:
        return {pair: row for row, pair in enumerate(self.places)}

    def of(self, run: int, lumisection: int) -> dict[str, SeedCount]:
        """Return the counts of one lumisection by seed; empty when it is not among the rows."""
        row = self._row.get((run, lumisection))
        return {} if row is None else self.at(row)

    def at(self, place: int) -> dict[str, SeedCount]:
        """Return the counts of one row of the tables by seed."""
        counts, prescale, dead, crossings = self.values[:, place]
        return {
            self.seeds[k]: SeedCount(
                int(counts[k]),
                float(prescale[k]),
                None if np.isnan(dead[k]) else float(dead[k]),
                None if np.isnan(crossings[k]) else float(crossings[k]),
            )
            for k in np.flatnonzero(~np.isnan(counts))
        }


def _read(path: Path, sheet: Sheet) -> None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else "it is not UTF-8 text"
        raise CountersError(f"{path} cannot be read as seed counts: {reason}; name a CSV or OMS JSON file") from cause
    before = len(sheet.run)
    if path.suffix == ".json":
        read_oms(path, text, sheet)
    else:
        read_csv(path, text, sheet)
    if len(sheet.run) == before:
        first = sheet.faults[-1] if sheet.faults else f"{path}: no row below the header"
        raise CountersError(f"{path} holds no seed count that can be understood ({first}); give counts by lumisection")


def _table(sheet: Sheet) -> CounterTable:
    if not sheet.run:
        return CounterTable((), (), np.zeros((4, 0, 0)), Tally(), tuple(sheet.faults))
    names = sorted(sheet.names)
    column = np.argsort(np.argsort(np.array(list(sheet.names), dtype=object)))[np.array(sheet.seed)]
    pairs, row = np.unique(np.stack([sheet.run, sheet.lumisection]), axis=1, return_inverse=True)
    row = row.ravel()
    told = np.array([np.asarray(one) for one in sheet.values])
    order = np.lexsort((np.arange(len(row)), column, row))
    same = (np.diff(row[order]) == 0) & (np.diff(column[order]) == 0)
    equal = np.array(
        [np.array_equal(told[:, a], told[:, b], equal_nan=True) for a, b in np.stack([order[:-1], order[1:]], 1)[same]]
    ).astype(bool)
    newest = order[np.append(~same, True)]
    values = np.full((4, pairs.shape[1], len(names)), np.nan)
    values[:, row[newest], column[newest]] = told[:, newest]
    places = tuple((int(run), int(lumisection)) for run, lumisection in pairs.T)
    present = ~np.isnan(values[0])
    runs = pairs[0]
    silent = sum(int((~present[runs == one][:, present[runs == one].any(axis=0)]).sum()) for one in np.unique(runs))
    gaps = sum(b[1] - a[1] - 1 for a, b in pairwise(places) if a[0] == b[0])
    tally = Tally(gaps, silent, int(equal.sum()), int((~equal).sum()), sheet.late, sheet.malformed)
    return CounterTable(places, tuple(names), values, tally, tuple(sheet.faults))
