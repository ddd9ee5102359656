"""The forms in which seed counts are published: CSV tables with a header, and OMS responses (JSON:API).

Each function takes a text and adds what it understands to a sheet of rows; what rows say together is
`drift.counters`' question.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drift.errors import CountersError
from drift.text_forms import cells_of, json_of, real, why

LUMISECTION_S = 23.3104
"""2^18 orbits at 11 245.8 Hz."""
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "run": ("run", "run_number"),
    "lumisection": ("lumisection", "ls", "lumi_section", "lumisection_number"),
    "seed": ("seed", "name", "algorithm", "l1seed"),
    "counts": ("counts", "count"),
    "pre_counts": ("pre_counts", "pre_count"),
    "prescale": ("prescale", "ps"),
    "dead_time": ("dead_time", "deadtime"),
    "crossings": ("crossings",),
}
OMS_TYPE = "l1algorithmtriggers"
OMS_COUNTER = "pre_dt_before_prescale_counter"
OMS_RATE = "pre_dt_before_prescale_rate"
MOST_FAULTS = 100
"""Sentences kept about rows that were not understood; all are counted."""
NONE = float("nan")


@dataclass
class Sheet:
    """All rows in the order in which they were read, as columns.

    Attributes:
        run: Of every row.
        lumisection: Of every row.
        seed: Of every row, as its place among the names.
        values: Counts, prescale, dead time and crossings of every row.
        names: Place of every seed.
        newest: Latest lumisection so far by run and seed.
        late: Rows older than that.
        malformed: Rows that were not understood.
        faults: Sentences about them, and about what was taken for granted.
    """

    run: "array[int]" = field(default_factory=lambda: array("q"))
    lumisection: "array[int]" = field(default_factory=lambda: array("q"))
    seed: "array[int]" = field(default_factory=lambda: array("q"))
    values: "tuple[array[float], ...]" = field(default_factory=lambda: tuple(array("d") for _ in range(4)))
    names: dict[str, int] = field(default_factory=dict)
    newest: dict[tuple[int, int], int] = field(default_factory=dict)
    late: int = 0
    malformed: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, run: int, lumisection: int, seed: str, values: tuple[float, float, float, float]) -> None:
        """Take one row in."""
        if not seed:
            raise ValueError("the seed has no name")
        column = self.names.setdefault(seed, len(self.names))
        newest = self.newest.get((run, column), 0)
        self.late += lumisection < newest
        self.newest[run, column] = max(newest, lumisection)
        self.run.append(run)
        self.lumisection.append(lumisection)
        self.seed.append(column)
        for values_of_kind, value in zip(self.values, values, strict=True):
            values_of_kind.append(value)

    def fault(self, text: str) -> None:
        """Note a row that was not understood."""
        self.malformed += 1
        self.note(text)

    def note(self, text: str) -> None:
        """Keep a sentence for the reader."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(text)


def read_csv(path: Path, text: str, sheet: Sheet) -> None:
    """Read rows under a header that names them; rows that cannot be understood are noted.

    Raises:
        CountersError: The header lacks a needed column.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip(" ,\t")]
    first, header = _header(path, lines)
    place = _columns(path, first, header)
    if "pre_counts" not in place and "prescale" not in place:
        sheet.note(f"{path}: there is no prescale column, so every seed is taken as not prescaled")
    for number, line in lines[1:]:
        if line.lstrip().startswith("#"):
            continue
        filled: list[str] = []
        try:
            filled = cells_of(line)
            run, lumisection, seed = (filled[place[name]] for name in ("run", "lumisection", "seed"))
            sheet.add(_number(run, "run"), _number(lumisection, "lumisection"), seed, _values(filled, place))
        except IndexError:
            sheet.fault(
                f"{path} line {number}: found {len(filled)} cells, the header names {len(header)}; if the file "
                "is still being written, read it again later"
            )
        except ValueError as error:
            sheet.fault(f"{path} line {number} ({line.strip()[:80]}): {error}; correct or remove the row")


def _header(path: Path, lines: list[tuple[int, str]]) -> tuple[int, list[str]]:
    if not lines:
        return 1, []
    number, line = lines[0]
    try:
        return number, cells_of(line)
    except ValueError as error:
        raise CountersError(f"{path} line {number}: the header cannot be read, {error}; correct it") from error


def _columns(path: Path, line: int, header: list[str]) -> dict[str, int]:
    names = [cell.strip().lstrip("#").strip().lower().replace(" ", "_") for cell in header]
    place = {
        column: names.index(found)
        for column, aliases in COLUMNS.items()
        if (found := next((alias for alias in aliases if alias in names), None)) is not None
    }
    missing = [column for column in ("run", "lumisection", "seed") if column not in place]
    if not {"counts", "pre_counts"} & place.keys():
        missing.append("counts or pre_counts")
    if missing:
        raise CountersError(
            f"{path} line {line or 1}: the header is {','.join(header)[:120]!r}, which lacks {', '.join(missing)}; "
            "expected run, lumisection, seed, counts (with prescale and dead_time) or pre_counts"
        )
    return place


def _values(cells: list[str], place: Mapping[str, int]) -> tuple[float, float, float, float]:
    def cell(name: str) -> str:
        return cells[place[name]] if name in place else ""

    if cell("pre_counts"):
        return float(_number(cell("pre_counts"), "pre_counts", least=0)), 1.0, 0.0, _crossings(cell("crossings"))
    counts = float(_number(cell("counts"), "counts", least=0))
    prescale = real(cell("prescale") or "1", "prescale", "0 or a number from 1")
    if not (prescale == 0 or 1.0 <= prescale < 1e9):
        raise ValueError(f"prescale {prescale:g} is neither 0 nor at least 1")
    if prescale == 0 and counts:
        raise ValueError(f"found {counts:g} counts of a seed that prescale 0 switches off")
    dead = real(cell("dead_time") or "nan", "dead_time", "a fraction from 0 to below 1")
    if not np.isnan(dead) and not 0.0 <= dead < 1.0:
        raise ValueError(f"dead time {dead:g} is no fraction from 0 to below 1 (a percentage?)")
    crossings = _crossings(cell("crossings"))
    return counts, prescale, 0.0 if not np.isnan(crossings) else dead, crossings


def _crossings(text: str) -> float:
    return float(_number(text, "crossings")) if text else NONE


def _number(text: str, name: str, least: int = 1) -> int:
    """Return a whole number, also when it is written ``12.0`` or ``1e3``."""
    try:
        value = float(text)
    except ValueError:
        value = NONE
    if not (least <= value < 1e15 and value.is_integer()):
        raise ValueError(f"{name} is {text[:40]!r}, expected a whole number from {least}")
    return int(value)


def read_oms(path: Path, text: str, sheet: Sheet) -> None:
    """Read an answer of OMS by lumisection, of the counter before prescale and dead time.

    Raises:
        CountersError: It is no such answer at all.
    """
    try:
        entries = [(str(one.get("type", OMS_TYPE)), one["attributes"]) for one in json_of(text)["data"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as cause:
        raise CountersError(
            f"{path} is no OMS response with data[].attributes ({why(cause)}); save the answer of "
            f"/{OMS_TYPE} with group[granularity]=lumisection, or give CSV"
        ) from cause
    for index, (kind, attributes) in enumerate(entries):
        if kind != OMS_TYPE:
            continue
        try:
            sheet.add(*_oms_row(attributes))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            sheet.fault(f"{path} data[{index}]: {why(error)}; query {OMS_TYPE} by lumisection")


def _oms_row(attributes: Mapping[str, Any]) -> tuple[int, int, str, tuple[float, float, float, float]]:
    last = attributes.get("last_lumisection_number")
    first = attributes.get("first_lumisection_number", last)
    if first is None or (last is not None and last != first):
        raise ValueError(f"spans lumisections {first} to {last}, expected one")
    counts = attributes.get(OMS_COUNTER)
    if counts is None:
        rate = real(attributes[OMS_RATE], OMS_RATE, "a rate in Hz")
        if not 0.0 <= rate < 1e9:
            raise ValueError(f"{OMS_RATE} is {rate:g}, expected a rate in Hz")
        counts = round(rate * LUMISECTION_S)
    run, lumisection = _number(str(attributes["run_number"]), "run_number"), _number(str(first), "lumisection")
    return (
        run,
        lumisection,
        str(attributes["name"]),
        (float(_number(str(counts), OMS_COUNTER, least=0)), 1.0, 0.0, NONE),
    )
