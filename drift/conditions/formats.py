"""The forms in which the field publishes conditions: brilcalc CSV, certification JSON, OMS JSON:API.

Every function takes a text and returns what it could understand and what it could not; none raises on bad content, for
a file may be half written when it is read.  What two files say together is `drift.conditions.table`'s question.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from drift.conditions.declared import DeclaredChange, parse_changes
from drift.text_forms import cells_of, json_of, real, why

Range = tuple[int, int]

SIMPLE_COLUMNS = 4
PILEUP_LIMIT = 500.0
OVERSHOOT = 1.02
"""Recorded may exceed delivered by rounding, not by more."""

TRIGGER_READY = tuple(
    f"{part}_ready"
    for part in [
        "ebp",
        "ebm",
        "eep",
        "eem",
        "hbhea",
        "hbheb",
        "hbhec",
        "hf",
        "dt0",
        "dtp",
        "dtm",
        "cscp",
        "cscm",
        "rpc",
    ]
)
"""OMS flags of the detectors that feed the Level-1 trigger."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one source says about one lumisection; None where it is silent."""

    run: int
    lumisection: int
    fill: int | None = None
    pileup: float | None = None
    bunches: int | None = None
    prescale_column: str | None = None
    beam_mode: str | None = None
    stable: bool | None = None
    dcs_ok: bool | None = None
    dead_time: float | None = None
    filling_scheme: str | None = None


@dataclass(frozen=True)
class Parsed:
    """One file understood as far as it goes.

    Attributes:
        rows: Lumisections with values.
        ranges: Certified or good ranges per run; None for a file that is no certificate.
        faults: What was not understood, one sentence each.
        unrecorded: Rows of luminosity that no run recorded.
        whole: False when the file as a whole could not be read, so that an earlier reading still stands.
        declared: Declared changes.
    """

    rows: tuple[Row, ...] = ()
    ranges: Mapping[int, tuple[Range, ...]] | None = None
    faults: tuple[str, ...] = ()
    unrecorded: int = 0
    whole: bool = True
    declared: tuple[DeclaredChange, ...] = ()


@dataclass
class _Sheet:
    """The rows of one CSV while it is read."""

    columns: dict[str, int] | None = None
    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    unrecorded: int = 0


def parse_lumi_csv(text: str) -> Parsed:
    """Read luminosity by lumisection: brilcalc's ``--byls`` CSV, or plain ``fill,run,ls,pileup`` rows.

    Brilcalc's columns are found by the names in its ``#run:fill,…`` header, whatever the unit in brackets; dead time is
    1 - recorded/delivered.  Headers, summaries and empty rows are passed over wherever they stand.  A last line without
    an end is used only when it is as long as a whole one would be.
    """
    sheet = _Sheet()
    lines = text.splitlines()
    if lines and not text.endswith("\n") and not _looks_finished(lines):
        sheet.faults.append(f"line {len(lines)} is not ended yet: {lines[-1][:80]!r}; it is read when the file changes")
        lines.pop()
    for number, line in enumerate(lines, start=1):
        try:
            _take_line(sheet, cells_of(line))
        except (ValueError, IndexError, KeyError) as error:
            sheet.faults.append(f"line {number} ({line.strip()[:80]!r}): {why(error)}")
    if sheet.faults and not sheet.rows:
        one = f"no row of luminosity by lumisection among {len(lines)} lines (first: {sheet.faults[0]})"
        return Parsed(faults=(one,), unrecorded=sheet.unrecorded, whole=False)
    return Parsed(tuple(sheet.rows), None, tuple(sheet.faults), sheet.unrecorded)


def _looks_finished(lines: list[str]) -> bool:
    def shape(line: str) -> tuple[int, int]:
        return line.count(","), len(line.rpartition(".")[2])

    return len(lines) > 1 and (lines[-1].lstrip().startswith("#") or shape(lines[-1]) == shape(lines[-2]))


def _take_line(sheet: _Sheet, cells: list[str]) -> None:
    filled = [cell for cell in cells if cell]
    if not filled:
        return
    if filled[0].startswith("#"):
        if filled[0].replace(" ", "") == "#run:fill":
            names = (re.sub(r"\(.*\)", "", cell).strip("# ").replace(" ", "") for cell in cells)
            sheet.columns = {name: place for place, name in enumerate(names)}
        return
    row = _brilcalc_row(cells, sheet.columns) if ":" in cells[0] else _simple_row(cells)
    if row is None:
        sheet.unrecorded += 1
    else:
        sheet.rows.append(row)


def _simple_row(cells: list[str]) -> Row:
    if len(cells) != SIMPLE_COLUMNS:
        raise ValueError(f"has {len(cells)} columns, expected fill,run,ls,pileup")
    fill, run, lumisection = (_number(cell) for cell in cells[:3])
    return Row(run, lumisection, fill=fill, pileup=_pileup(cells[3]))


DEFAULT_COLUMNS = {
    name: place
    for place, name in enumerate(
        ["run:fill", "ls", "time", "beamstatus", "E", "delivered", "recorded", "avgpu", "source"]
    )
}


def _brilcalc_row(cells: list[str], columns: dict[str, int] | None) -> Row | None:
    place = columns if columns is not None else DEFAULT_COLUMNS
    if len(cells) != len(place):
        raise ValueError(f"has {len(cells)} columns, the header names {len(place)}")
    pair = cells[place["run:fill"]].split(":")
    if len(pair) != 2:
        raise ValueError(f"run:fill is {cells[place['run:fill']]!r:.40}, expected two numbers")
    run, fill = _number(pair[0]), _number(pair[1])
    lumisection = cells[place["ls"]].split(":")[-1]
    if lumisection.strip("0") == "" and lumisection:
        return None
    delivered, recorded = (real(cells[place[name]], name) for name in ("delivered", "recorded"))
    if not (math.isfinite(delivered) and math.isfinite(recorded)) or min(delivered, recorded) < 0:
        raise ValueError(f"delivered {delivered}, recorded {recorded}: expected numbers from 0")
    return Row(
        run,
        _number(lumisection),
        fill=fill,
        pileup=_pileup(cells[place["avgpu"]]),
        beam_mode=cells[place["beamstatus"]].upper() or None,
        dead_time=_dead_time(delivered, recorded),
    )


def _dead_time(delivered: float, recorded: float) -> float | None:
    if delivered <= 0:
        return None
    if recorded > delivered * OVERSHOOT:
        raise ValueError(f"recorded {recorded} exceeds delivered {delivered}")
    return max(0.0, 1.0 - recorded / delivered)


def _number(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value < 10_000_000:
        raise ValueError(f"{text!r:.40} is no run, fill or lumisection number")
    return value


def _pileup(text: str) -> float | None:
    if not text:
        return None
    value = real(text, "pileup")
    if not 0.0 <= value <= PILEUP_LIMIT:
        raise ValueError(f"pileup {text} is not between 0 and {PILEUP_LIMIT:g}")
    return value


def parse_certificate(text: str) -> Parsed:
    """Read a golden or DCS JSON: ``{"run": [[first, last], …]}``."""
    try:
        tree = json_of(text)
    except ValueError as error:
        return Parsed(
            faults=(f"is no JSON ({error}); half written files are read again when they change",), whole=False
        )
    if not isinstance(tree, dict):
        return Parsed(faults=(f"holds a {type(tree).__name__}, expected an object of runs",), whole=False)
    ranges: dict[int, tuple[Range, ...]] = {}
    faults: list[str] = []
    for key, value in tree.items():
        try:
            ranges[_number(key)] = _ranges(value)
        except (ValueError, TypeError, RecursionError) as error:
            faults.append(f"run {key[:40]!r}: {error if str(error) else why(error)}")
    return Parsed(ranges=ranges, faults=tuple(faults))


def _ranges(value: object) -> tuple[Range, ...]:
    if not isinstance(value, list):
        raise TypeError(f"holds {value!r:.60}, expected a list of [first, last]")
    found = sorted((_whole(first), _whole(last)) for first, last in value)
    for first, last in found:
        if not 1 <= first <= last:
            raise ValueError(f"range [{first}, {last}] is empty or starts below 1")
    for (_, before), (after, _) in pairwise(found):
        if after <= before:
            raise ValueError(f"ranges overlap at lumisection {after}")
    return tuple(found)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r:.40} is no lumisection number")
    return value


def parse_declared(text: str) -> Parsed:
    """Read declared changes; see `drift.conditions.declared`."""
    changes, faults, whole = parse_changes(text)
    return Parsed(faults=faults, whole=whole, declared=changes)


def parse_oms(text: str) -> Parsed:
    """Read OMS JSON:API: ``lumisections`` resources, completed by ``runs`` and ``fills`` resources of the same file.

    Detector control is good when every ``*_ready`` flag of a detector that feeds the trigger is true.
    """
    try:
        tree = json_of(text)
        entries = [(str(entry.get("type", "lumisections")), entry["attributes"]) for entry in tree["data"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return Parsed(faults=(f"is no OMS response with data[].attributes ({why(error)})",), whole=False)
    bunches = dict(_pairs(entries, "fills", "fill_number", "bunches_colliding"))
    fills = dict(_pairs(entries, "runs", "run_number", "fill_number"))
    schemes = dict(_schemes(entries))
    rows: list[Row] = []
    faults: list[str] = []
    for number, (kind, attributes) in enumerate(entries, start=1):
        if kind != "lumisections":
            continue
        try:
            rows.append(_oms_row(attributes, fills, bunches, schemes))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            faults.append(f"lumisection resource {number} ({_shown(attributes)}): {why(error)}")
    return Parsed(tuple(rows), None, tuple(faults))


def _shown(attributes: object) -> str:
    try:
        return f"{attributes!s:.80}"
    except RecursionError:
        return "nested too deeply to be shown"


def _pairs(entries: list[tuple[str, Any]], kind: str, key: str, value: str) -> Iterator[tuple[int, int]]:
    for found, attributes in entries:
        if found == kind and isinstance(attributes, dict):
            pair = attributes.get(key), attributes.get(value)
            if isinstance(pair[0], int) and isinstance(pair[1], int):
                yield pair[0], pair[1]


def _schemes(entries: list[tuple[str, Any]]) -> Iterator[tuple[int, str]]:
    for found, attributes in entries:
        if found == "fills" and isinstance(attributes, dict):
            fill, scheme = attributes.get("fill_number"), attributes.get("injection_scheme")
            if isinstance(fill, int) and isinstance(scheme, str) and scheme:
                yield fill, scheme


def _oms_row(
    attributes: Mapping[str, Any], fills: Mapping[int, int], bunches: Mapping[int, int], schemes: Mapping[int, str]
) -> Row:
    run = _number(str(attributes["run_number"]))
    fill = attributes.get("fill_number", fills.get(run))
    delivered = attributes.get("delivered_lumi_per_lumisection")
    recorded = attributes.get("recorded_lumi_per_lumisection")
    colliding = attributes.get("bunches_colliding", bunches.get(fill) if isinstance(fill, int) else None)
    scheme = attributes.get("injection_scheme", schemes.get(fill) if isinstance(fill, int) else None)
    column = attributes.get("prescale_name", attributes.get("prescale_index"))
    pileup = attributes.get("pileup")
    flags = [attributes[name] for name in TRIGGER_READY if attributes.get(name) is not None]
    mode = attributes.get("beam_mode")
    return Row(
        run,
        _number(str(attributes["lumisection_number"])),
        fill=None if fill is None else _number(str(fill)),
        pileup=None if pileup is None else _pileup(str(pileup)),
        bunches=None if colliding is None else int(colliding),
        prescale_column=None if column is None else str(column),
        beam_mode=None if mode is None else str(mode).upper(),
        stable=attributes.get("beams_stable"),
        dcs_ok=all(flag is True for flag in flags) if flags else None,
        dead_time=None
        if delivered is None or recorded is None
        else _dead_time(real(delivered, "delivered"), real(recorded, "recorded")),
        filling_scheme=None if not scheme else str(scheme),
    )
