"""One `Conditions` a lumisection, joined by run and lumisection from every file of a folder."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from drift.conditions.parse import Certified, ParsedFile, parse
from drift.errors import ConditionsError

STABLE = "STABLE BEAMS"
DEAD_TIME_LIMIT = 0.20


@dataclass(frozen=True)
class Conditions:
    """What is known of one lumisection; None means that nobody has said it yet.

    Attributes:
        run: Run number.
        lumisection: Lumisection number.
        fill: LHC fill.
        pileup: Mean inelastic collisions per crossing.
        bunches: Colliding bunches.
        prescale_column: Name of the prescale column.
        beam_mode: LHC beam mode, e.g. ``STABLE BEAMS``.
        dcs_ok: Whether detector control declares every subsystem on.
        certified: Whether the golden JSON holds it; False when its run is there and it is not.
        dead_time: Fraction of the lumisection that was vetoed, 0 to 1.
    """

    run: int
    lumisection: int
    fill: int | None = None
    pileup: float | None = None
    bunches: int | None = None
    prescale_column: str | None = None
    beam_mode: str | None = None
    dcs_ok: bool | None = None
    certified: bool | None = None
    dead_time: float | None = None

    @classmethod
    def unknown(cls, run: int, lumisection: int) -> "Conditions":
        """Return the conditions of a lumisection of which nothing is known."""
        return cls(run, lumisection)

    @property
    def obstacle(self) -> str:
        """Why its events say nothing about drift; empty when they do."""
        if self.pileup is None:
            return "no pileup is known"
        if self.beam_mode != STABLE:
            return f"beam mode is {self.beam_mode or 'unknown'}"
        if self.dcs_ok is False:
            return "detector control has a subsystem off"
        if self.dead_time is not None and self.dead_time > DEAD_TIME_LIMIT:
            return f"dead time is {self.dead_time:.0%}"
        return ""

    @property
    def usable(self) -> bool:
        """Stable beams, pileup known, nothing switched off, dead time below 20 %."""
        return not self.obstacle


@dataclass(frozen=True)
class ConditionsCounts:
    """What was irregular: shown in metrics, so that a rotting feed is seen."""

    lumisections: int = 0
    gaps: int = 0
    duplicates: int = 0
    conflicts: int = 0
    late: int = 0
    malformed: int = 0


@dataclass(frozen=True)
class ConditionsTable:
    """Every lumisection of which something is known."""

    rows: Mapping[tuple[int, int], Conditions]
    certified: Certified
    dcs: Certified
    counts: ConditionsCounts = ConditionsCounts()
    problems: tuple[str, ...] = ()
    _order: Sequence[tuple[int, int]] = field(default=(), repr=False)

    @classmethod
    def load(cls, folder: Path) -> "ConditionsTable":
        """Read a folder once.

        Raises:
            ConditionsError: The folder is not there.
        """
        return ConditionsFolder(folder).table()

    def at(self, run: int, lumisection: int) -> Conditions | None:
        """Return what is known of a lumisection, or None when nothing is."""
        row = self.rows.get((run, lumisection))
        said = (self.certified.says(run, lumisection), self.dcs.says(run, lumisection))
        if row is None:
            return None if said == (None, None) else Conditions(run, lumisection, certified=said[0], dcs_ok=said[1])
        dcs_ok = row.dcs_ok if said[1] is None else said[1]
        return replace(row, certified=said[0], dcs_ok=dcs_ok)

    def runs(self) -> list[int]:
        """Return every run with at least one lumisection, sorted."""
        return sorted({run for run, _ in self.rows})

    def between(self, after: tuple[int, int], before: tuple[int, int]) -> list[tuple[int, int]]:
        """Return the known (run, lumisection) strictly between two places, in order."""
        return list(self._order[bisect_right(self._order, after) : bisect_left(self._order, before)])


class ConditionsFolder:
    """A folder of conditions files that others write to; files that changed are read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parsed: dict[Path, tuple[tuple[int, int], ParsedFile]] = {}
        self._seen: set[tuple[int, int]] = set()
        self._late = 0
        self._table: ConditionsTable | None = None

    def table(self) -> ConditionsTable:
        """Return the table as the folder is now.

        A file that cannot be parsed as a whole keeps what was last read from it; the problem is listed.

        Raises:
            ConditionsError: The folder is not there.
        """
        if not self._folder.is_dir():
            raise ConditionsError(f"{self._folder} is not a folder; name the conditions folder in the configuration")
        changed = self._refresh()
        if changed or self._table is None:
            self._table = self._joined()
        return self._table

    def _refresh(self) -> bool:
        present = {
            path: path.stat() for path in sorted(self._folder.iterdir()) if path.suffix in {".csv", ".json", ".txt"}
        }
        changed = set(self._parsed) - set(present) != set()
        self._parsed = {path: kept for path, kept in self._parsed.items() if path in present}
        for path, stat in present.items():
            stamp = (stat.st_size, stat.st_mtime_ns)
            old = self._parsed.get(path)
            if old is not None and old[0] == stamp:
                continue
            parsed = parse(path)
            if parsed.unreadable and old is not None:
                parsed = replace(old[1], problems=(*old[1].problems, parsed.unreadable))
            self._parsed[path] = (stamp, parsed)
            changed = True
        return changed

    def _joined(self) -> ConditionsTable:
        rows: dict[tuple[int, int], Conditions] = {}
        certified, dcs = Certified(), Certified()
        duplicates = conflicts = malformed = 0
        problems: list[str] = []
        for _, parsed in self._parsed.values():
            problems += [*parsed.problems, *([parsed.unreadable] if parsed.unreadable else [])]
            malformed += parsed.malformed
            duplicates += parsed.duplicates
            certified = certified.merged(parsed.golden)
            dcs = dcs.merged(parsed.dcs)
            for said in parsed.rows.values():
                pair = (said.run, said.lumisection)
                row = rows.get(pair, Conditions.unknown(*pair))
                clash, rows[pair] = _merged(row, said.values)
                conflicts += clash
        order = sorted(rows)
        if self._seen:
            newest = max(self._seen)
            self._late += sum(pair < newest for pair in order if pair not in self._seen)
        self._seen.update(order)
        counts = ConditionsCounts(len(order), _gaps(order), duplicates, conflicts, self._late, malformed)
        return ConditionsTable(rows, certified, dcs, counts, tuple(problems), order)


PILEUP_AGREES = 0.5


def _merged(row: Conditions, values: Mapping[str, object]) -> tuple[int, Conditions]:
    """Add what one file says; the first file that says a thing is kept, a contradiction is counted."""
    fresh: dict[str, object] = {}
    clash = 0
    for name, value in values.items():
        known = getattr(row, name)
        if known is None:
            fresh[name] = value
        elif isinstance(known, float) and isinstance(value, float):
            clash |= abs(known - value) > (PILEUP_AGREES if name == "pileup" else 0.05)
        else:
            clash |= known != value
    return int(clash), replace(row, **fresh)  # type: ignore[arg-type]  # names come from the parser, checked in its test


def _gaps(order: Sequence[tuple[int, int]]) -> int:
    """Count lumisections that are missing between two known ones of the same run."""
    return sum(b[1] - a[1] - 1 for a, b in itertools.pairwise(order) if a[0] == b[0])
