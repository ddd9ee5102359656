"""What all the conditions files of a folder say together about each lumisection.

Sources complete one another; where two disagree the cautious answer is used and counted.  Certification and detector
control are asked separately: real certified lumisections have been missing from the DCS list.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from drift.conditions.declared import DeclaredChange
from drift.conditions.formats import (
    Parsed,
    Range,
    Row,
    parse_certificate,
    parse_declared,
    parse_lumi_csv,
    parse_oms,
)
from drift.conditions.join import Joined, join
from drift.conditions.record import STABLE_BEAMS, Conditions, Counts
from drift.errors import ConditionsError

_PARSERS: Mapping[str, Callable[[str], Parsed]] = {
    "lumi": parse_lumi_csv,
    "oms": parse_oms,
    "golden": parse_certificate,
    "dcs": parse_certificate,
    "declared": parse_declared,
}


class _Stamp(NamedTuple):
    """One version of one file."""

    path: Path
    kind: str
    bytes: int
    modified_ns: int
    inode: int


def kind_of(name: str) -> str | None:
    """Return what a file of this name holds, one of ``lumi golden dcs oms declared``; None when it is not for us."""
    low = name.lower()
    if low.startswith((".", "~")):
        return None
    if low.endswith(".csv"):
        return "lumi"
    if low.startswith("declared") and low.endswith((".json", ".jsonl")):
        return "declared"
    if not low.endswith((".json", ".txt")):
        return None
    if low.startswith("oms") or "dcs" in low:
        return "oms" if low.startswith("oms") else "dcs"
    return "golden" if "golden" in low or low.startswith("cert") else None


@dataclass(frozen=True)
class Certificate:
    """Which lumisections one golden or DCS JSON says are good."""

    ranges: Mapping[int, tuple[Range, ...]]
    first: int
    last: int

    @classmethod
    def of(cls, ranges: Mapping[int, tuple[Range, ...]]) -> "Certificate":
        """Return the certificate of ranges per run."""
        return cls(ranges, min(ranges, default=0), max(ranges, default=-1))

    def says(self, run: int, lumisection: int) -> bool | None:
        """Return whether it is good, or None when the file does not reach that far (yet).

        A file speaks of every run between its first and its last, listed or not; of its last run it speaks up to the
        last lumisection listed, for the list may still grow.
        """
        if not self.first <= run <= self.last:
            return None
        spans = self.ranges.get(run, ())
        if any(first <= lumisection <= last for first, last in spans):
            return True
        return None if run == self.last and (not spans or lumisection > spans[-1][1]) else False


@dataclass(frozen=True)
class _Reading:
    """One reading of a folder: every file understood as far as it goes, and the rows joined."""

    parsed: Mapping[_Stamp, Parsed]
    joined: Joined
    late: int
    faults: tuple[str, ...]


class ConditionsTable:
    """Conditions by run and lumisection, as one reading of a folder found them; never changes."""

    def __init__(self, reading: _Reading) -> None:
        self._parsed = reading.parsed
        self._joined = reading.joined
        self._late = reading.late
        self._golden = _certificates(reading.parsed, "golden")
        self._dcs = _certificates(reading.parsed, "dcs")
        self._fills = _fills(reading.joined)
        self.declared, repeated = _declared(reading.parsed)
        self.faults = reading.faults + repeated

    @classmethod
    def load(cls, folder: Path) -> "ConditionsTable":
        """Return what the folder says now; call it as often as wanted, only files that changed are read again.

        ``*.csv`` is luminosity by lumisection, ``golden*``/``Cert*`` and ``*dcs*`` (``.json`` or ``.txt``) certify,
        ``oms*.json`` is OMS, ``declared*.json`` and ``declared*.jsonl`` are declared changes.  A file that is damaged
        or half written keeps its last good reading; see `faults`.

        Raises:
            ConditionsError: The folder cannot be listed.
        """
        folder = folder.absolute()
        stamps = _stamps(folder)
        before, table = _LAST_READING.get(folder, (None, None))
        if before is None or table is None or before.parsed.keys() != set(stamps):
            before = _read(stamps, before)
            table = cls(before)
            _LAST_READING[folder] = before, table
        return table

    def at(self, run: int, lumisection: int) -> Conditions | None:
        """Return what is known of one lumisection; None when no source lists it."""
        row = self._joined.rows.get((run, lumisection))
        certified, _ = _ask(self._golden, run, lumisection)
        dcs_ok, _ = _ask(self._dcs, run, lumisection)
        if row is None:
            if certified is not True and dcs_ok is not True:
                return None
            row = Row(run, lumisection)
        return Conditions(
            run=run,
            lumisection=lumisection,
            fill=self._fills.get(run) if row.fill is None else row.fill,
            pileup=row.pileup,
            bunches=row.bunches,
            prescale_column=row.prescale_column,
            beam_mode=_beam_mode(row),
            dcs_ok=row.dcs_ok if dcs_ok is None else dcs_ok,
            certified=certified,
            dead_time=row.dead_time,
            filling_scheme=row.filling_scheme,
            declared=tuple(one for one in self.declared if one.holds((run, lumisection))),
            elsewhere=tuple(one for one in self.declared if not one.holds((run, lumisection))),
        )

    def runs(self) -> tuple[int, ...]:
        """Return the runs of which some lumisection has conditions, ascending."""
        return tuple(self._joined.spans)

    def lumisections(self, run: int) -> tuple[int, ...]:
        """Return the lumisections of a run that have conditions, ascending."""
        return tuple(self._joined.spans.get(run, ()))

    @cached_property
    def counts(self) -> Counts:
        """How well the sources fitted together."""
        split = sum(
            _ask(certificates, run, lumisection)[1]
            for certificates in (self._golden, self._dcs)
            if len(certificates) > 1
            for run, lumisection in self._joined.rows
        )
        return Counts(
            gaps=sum(span[-1] - span[0] + 1 - len(span) for span in self._joined.spans.values()),
            duplicates=self._joined.duplicates,
            conflicts=len(self._joined.conflicts) + split,
            late=self._late,
            malformed=len(self.faults),
            unrecorded=sum(part.unrecorded for part in self._parsed.values()),
        )


_LAST_READING: dict[Path, tuple[_Reading, ConditionsTable]] = {}
"""A cache by folder: forgetting it costs one more reading, and the count of late arrivals."""


def _read(stamps: list[_Stamp], before: _Reading | None) -> _Reading:
    known = {} if before is None else before.parsed
    good = {stamp.path: part for stamp, part in known.items()}
    parsed: dict[_Stamp, Parsed] = {}
    for stamp in stamps:
        part = known[stamp] if stamp in known else _parse(stamp)
        earlier = good.get(stamp.path)
        if not part.whole and earlier is not None:
            part = replace(earlier, faults=part.faults, whole=False)
        parsed[stamp] = part
    joined = join(part.rows for _, part in sorted(parsed.items(), key=_lumi_first))
    late = 0 if before is None else before.late + joined.arrived_late(before.joined)
    faults = tuple(f"{stamp.path}: {fault}" for stamp, part in parsed.items() for fault in part.faults)
    return _Reading(parsed, joined, late, faults)


def _fills(joined: Joined) -> dict[int, int]:
    """Return the fill of every run of which all sources that speak say the same; a run lies in one fill."""
    said: dict[int, set[int]] = {}
    for (run, _), row in joined.rows.items():
        if row.fill is not None:
            said.setdefault(run, set()).add(row.fill)
    return {run: fills.pop() for run, fills in said.items() if len(fills) == 1}


def _lumi_first(entry: tuple[_Stamp, Parsed]) -> tuple[bool, str]:
    return entry[0].kind != "lumi", str(entry[0].path)


def _certificates(parsed: Mapping[_Stamp, Parsed], kind: str) -> list[Certificate]:
    return [
        Certificate.of(part.ranges) for stamp, part in parsed.items() if stamp.kind == kind and part.ranges is not None
    ]


def _declared(parsed: Mapping[_Stamp, Parsed]) -> tuple[tuple[DeclaredChange, ...], tuple[str, ...]]:
    """Return the declared changes of all files, and what two files declare under one name."""
    found: dict[str, tuple[DeclaredChange, Path]] = {}
    faults = []
    for stamp, part in parsed.items():
        for change in part.declared:
            known, where = found.setdefault(change.id, (change, stamp.path))
            if known != change:
                faults.append(
                    f"{stamp.path}: {change.id!r} is declared in {where.name} too, otherwise; that declaration holds"
                )
    return tuple(change for change, _ in found.values()), tuple(faults)


def _ask(certificates: list[Certificate], run: int, lumisection: int) -> tuple[bool | None, bool]:
    """Return the cautious answer of all files, and whether they disagree."""
    answers = {answer for one in certificates if (answer := one.says(run, lumisection)) is not None}
    return (False not in answers if answers else None), len(answers) > 1


def _beam_mode(row: Row) -> str | None:
    if row.stable is False and row.beam_mode in {None, STABLE_BEAMS}:
        return "NOT STABLE BEAMS"
    return STABLE_BEAMS if row.beam_mode is None and row.stable else row.beam_mode


def _stamps(folder: Path) -> list[_Stamp]:
    stamps = []
    try:
        for path in sorted(folder.iterdir()):
            kind = kind_of(path.name)
            if kind is not None and path.is_file():
                status = path.stat()
                stamps.append(_Stamp(path, kind, status.st_size, status.st_mtime_ns, status.st_ino))
    except OSError as error:
        raise ConditionsError(
            f"conditions folder {folder} cannot be listed ({error.strerror}); create it, or set conditions.folder"
        ) from error
    return stamps


def _parse(stamp: _Stamp) -> Parsed:
    try:
        text = stamp.path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return Parsed(faults=(f"cannot be read as text ({reason}); it is read again when it changes",), whole=False)
    return _PARSERS[stamp.kind](text)
