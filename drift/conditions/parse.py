"""One conditions file at a time: what it says, which rows made no sense, whether it could be read at all.

Recognised by name and content: golden and DCS JSON (``{"run": [[first, last], …]}``), OMS JSON:API pages, brilcalc
by-lumisection CSV in either unit, and bare ``fill,run,lumisection,pileup`` tables.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PILEUP_HIGH = 250.0
PROBLEMS_KEPT = 20


@dataclass(frozen=True)
class Certified:
    """Ranges of lumisections by run, as certification files write them."""

    ranges: Mapping[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def says(self, run: int, lumisection: int) -> bool | None:
        """Return whether the lumisection is in a range; None when its run is not mentioned."""
        spans = self.ranges.get(run)
        return None if spans is None else any(first <= lumisection <= last for first, last in spans)

    def merged(self, other: "Certified") -> "Certified":
        """Return the union of both."""
        runs = {**self.ranges}
        for run, spans in other.ranges.items():
            runs[run] = tuple(sorted({*runs.get(run, ()), *spans}))
        return Certified(runs)


@dataclass(frozen=True)
class Row:
    """What one file says of one lumisection, by field name of `Conditions`."""

    run: int
    lumisection: int
    values: Mapping[str, object]


@dataclass(frozen=True)
class ParsedFile:
    """What one file said."""

    rows: Mapping[tuple[int, int], Row] = field(default_factory=dict)
    golden: Certified = Certified()
    dcs: Certified = Certified()
    duplicates: int = 0
    malformed: int = 0
    problems: tuple[str, ...] = ()
    unreadable: str = ""


def parse(path: Path) -> ParsedFile:
    """Read one file; never raises, whatever is in it: what it could not make sense of is in the answer."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            return _csv(path.name, text)
        tree = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        return ParsedFile(
            unreadable=f"{path.name}: cannot be read as {path.suffix}: {error}; it is read again when it changes"
        )
    if isinstance(tree, dict) and isinstance(tree.get("data"), list):
        return _gathered(path.name, (_oms_row(entry) for entry in tree["data"]))
    ranges, problems = _ranges(path.name, tree)
    if "dcs" in path.name.lower():
        return ParsedFile(dcs=ranges, malformed=len(problems), problems=problems[:PROBLEMS_KEPT])
    if any(word in path.name.lower() for word in ("golden", "cert")):
        return ParsedFile(golden=ranges, malformed=len(problems), problems=problems[:PROBLEMS_KEPT])
    return ParsedFile(unreadable=f"{path.name}: what is it? name it golden*.json or dcs*.json, or put an OMS page here")


def _ranges(name: str, tree: Any) -> tuple[Certified, tuple[str, ...]]:
    if not isinstance(tree, dict):
        return Certified(), (f"{name}: expected an object of runs, found {type(tree).__name__}",)
    good: dict[int, tuple[tuple[int, int], ...]] = {}
    problems: list[str] = []
    for run, spans in tree.items():
        try:
            pairs = tuple(sorted((int(first), int(last)) for first, last in spans))
            if any(first < 1 or last < first for first, last in pairs):
                raise ValueError("a range ends before it begins, or begins before 1")  # noqa: TRY301 one place for all
            good[int(run)] = pairs
        except (ValueError, TypeError) as error:
            problems.append(f"{name}: run {run}: {error}")
    return Certified(good), tuple(problems)


def _gathered(name: str, rows: Iterable[Row | str | None]) -> ParsedFile:
    found: dict[tuple[int, int], Row] = {}
    problems: list[str] = []
    duplicates = malformed = 0
    for row in rows:
        if row is None:
            continue
        if isinstance(row, str):
            malformed += 1
            problems.append(f"{name}: {row}")
            continue
        pair = (row.run, row.lumisection)
        if pair in found:
            duplicates += 1
            continue
        found[pair] = row
    return ParsedFile(rows=found, duplicates=duplicates, malformed=malformed, problems=tuple(problems[:PROBLEMS_KEPT]))


def _oms_row(entry: Any) -> Row | str | None:
    try:
        said = entry["attributes"]
        if "lumisection_number" not in said:
            return None  # a page of runs, not of lumisections
        run, lumisection = int(said["run_number"]), int(said["lumisection_number"])
    except (KeyError, TypeError, ValueError) as error:
        return f"an OMS entry has no run and lumisection number ({error!r})"
    values: dict[str, object] = {}
    ready = [value for key, value in said.items() if key.endswith("_ready") and value is not None]
    if ready:
        values["dcs_ok"] = all(bool(value) for value in ready)
    if said.get("beams_stable") is not None:
        values["beam_mode"] = str(said.get("beam_mode") or ("STABLE BEAMS" if said["beams_stable"] else "NOT STABLE"))
    try:
        _take(values, "fill", said.get("fill_number"), int)
        _take(values, "pileup", said.get("pileup"), _pileup)
        _take(values, "bunches", said.get("bunches_colliding"), int)
        _take(values, "prescale_column", said.get("prescale_name"), str)
        _take(values, "dead_time", said.get("dead_time"), _fraction)
    except (TypeError, ValueError) as error:
        return f"run {run} lumisection {lumisection}: {error}"
    return Row(run, lumisection, values)


def _take(values: dict[str, object], name: str, said: Any, convert: Any) -> None:
    if said is not None:
        values[name] = convert(said)


def _pileup(said: Any) -> float:
    value = float(said)
    if not 0.0 <= value <= PILEUP_HIGH:
        raise ValueError(f"pileup {value} is outside 0 to {PILEUP_HIGH:g}")
    return value


def _fraction(said: Any) -> float:
    value = float(said)
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"dead time {value} is no fraction")
    return value


# --- CSV ----------------------------------------------------------------------------------------------------------


def _csv(name: str, text: str) -> ParsedFile:
    header: list[str] = []

    def rows() -> Iterable[Row | str | None]:
        nonlocal header
        for number, cells in enumerate(csv.reader(text.splitlines()), start=1):
            if not cells or not any(cell.strip() for cell in cells):
                continue
            if any(cell.startswith("#") for cell in cells[:2]):
                header = cells if cells[0].startswith("#run:fill") else header
                continue
            row = _brilcalc(cells, header) if ":" in cells[0] else _bare(cells)
            yield f"line {number}: {row}" if isinstance(row, str) else row

    return _gathered(name, rows())


def _brilcalc(cells: Sequence[str], header: Sequence[str]) -> Row | str:
    names = [cell.strip().lstrip("#").split("(")[0] for cell in header] or [
        "run:fill", "ls", "time", "beamstatus", "E", "delivered", "recorded", "avgpu", "source",
    ]  # fmt: skip
    if len(cells) != len(names):
        return f"expected {len(names)} columns, found {len(cells)}"
    said = dict(zip(names, cells, strict=True))
    try:
        run, fill = (int(part) for part in said["run:fill"].split(":"))
        lumisection, recorded_lumisection = (int(part) for part in said["ls"].split(":"))
        values: dict[str, object] = {
            "fill": fill,
            "pileup": _pileup(said["avgpu"]),
            "beam_mode": said["beamstatus"].strip().upper(),
        }
        delivered, recorded = float(said["delivered"]), float(said["recorded"])
    except (KeyError, ValueError) as error:
        return f"{error}"
    if delivered > 0 and recorded_lumisection:
        values["dead_time"] = min(max(1.0 - recorded / delivered, 0.0), 1.0)
    elif not recorded_lumisection:
        values["dead_time"] = 1.0  # brilcalc writes ls:0 for a lumisection that CMS did not record
    return Row(run, lumisection, values)


def _bare(cells: Sequence[str]) -> Row | str:
    try:
        fill, run, lumisection = (int(cell) for cell in cells[:3])
        return Row(run, lumisection, {"fill": fill, "pileup": _pileup(cells[3])})
    except (ValueError, IndexError):
        return f"expected fill,run,lumisection,pileup; found {','.join(cells)[:60]!r}"
