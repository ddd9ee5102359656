"""A prescale table as it is written: seeds down, columns across, a prescale in each cell.

The layouts of several years are read: with or without a byte-order mark or an index, comma or semicolon, ``1`` or
``1.0``.  Prescales are kept exactly, as fractions: ``2.5`` is one, and 0 switches a seed off.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import StringIO

from daemon.menu.findings import Finding

NUMBER = re.compile(r"\+?(\d{1,12}(\.\d{0,9})?|\.\d{1,9})([eE][+-]?\d{1,2})?", re.ASCII)
NAMES = ("name", "seed", "algorithm", "algo")
INDICES = ("index", "bit", "#")
LONGEST = 4 * 2**20
"""Bytes of a table that is still read; real ones have 35 thousand."""


@dataclass(frozen=True)
class Row:
    """One seed: its line in the file, its name, and its prescale in each column; None where nothing readable stands."""

    line: int
    seed: str
    cells: tuple[Fraction | None, ...]
    blank: tuple[bool, ...]


@dataclass(frozen=True)
class PrescaleTable:
    """A table that could be read, whole or in part.

    Attributes:
        name: What findings call it.
        columns: Names of the prescale columns, in order.
        rows: One a seed, in order.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, index: int) -> list[tuple[Row, Fraction | None]]:
        """Return each row with its prescale in one column."""
        return [(row, row.cells[index]) for row in self.rows]


def parse_table(content: bytes, name: str) -> tuple[PrescaleTable, list[Finding]]:
    """Return the table in these bytes, and what is wrong with it as a table.

    Args:
        content: Of the file.
        name: What findings are to call it.
    """
    problems = _Problems(name)
    if len(content) > LONGEST:
        problems.add(f"has {len(content)} bytes, a prescale table has at most {LONGEST}; is this another file?")
        return PrescaleTable(name, (), ()), problems.found
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.add(f"is no UTF-8 text ({error}); save it as CSV in UTF-8")
        return PrescaleTable(name, (), ()), problems.found
    lines = _lines(text, problems)
    if not lines:
        problems.add("holds no line; expected a header with Name and one column a prescale")
        return PrescaleTable(name, (), ()), problems.found
    (header_line, header), *body = lines
    layout = _layout(header, header_line, problems)
    if layout is None:
        return PrescaleTable(name, (), ()), problems.found
    rows = [row for line, cells in body if (row := _row(line, cells, layout, problems)) is not None]
    _doubled(rows, problems)
    return PrescaleTable(name, layout.columns, tuple(rows)), problems.found


@dataclass(frozen=True)
class _Layout:
    width: int
    name_at: int
    prescales_at: tuple[int, ...]
    columns: tuple[str, ...]


class _Problems:
    def __init__(self, table: str) -> None:
        self._table = table
        self.found: list[Finding] = []

    def add(self, text: str, line: int = 0, column: str = "", seeds: Sequence[str] = ()) -> None:
        self.found.append(
            Finding(
                rule="table",
                severity="error",
                table=self._table,
                text=text,
                line=line,
                column=column,
                seeds=tuple(seeds),
            )
        )


def _lines(text: str, problems: _Problems) -> list[tuple[int, list[str]]]:
    first = text.partition("\n")[0]
    reader = csv.reader(StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
    lines = []
    try:
        for cells in reader:
            stripped = [cell.strip().lstrip("\ufeff") for cell in cells]  # a mark also stands where files were joined
            if any(stripped):
                lines.append((reader.line_num, stripped))
    except csv.Error as error:
        problems.add(f"cannot be read on ({error}); mend the quotes", line=reader.line_num)
    return lines


def _layout(header: list[str], line: int, problems: _Problems) -> _Layout | None:
    while header and not header[-1]:
        header = header[:-1]  # spreadsheets leave empty columns at the end
    named = [cell.lower() for cell in header]
    name_at = next((at for at, cell in enumerate(named) if cell in NAMES), None)
    if name_at is None:
        problems.add(
            f"has no column called Name in its header {header[:4]}; expected Index,Name,… or Name,…", line=line
        )
        return None
    at = tuple(n for n, cell in enumerate(named) if n != name_at and cell not in INDICES)
    columns = tuple(header[n] for n in at)
    for n, column in zip(at, columns, strict=True):
        if not column:
            problems.add(f"column {n + 1} has no name; name it or take it out", line=line)
        elif columns.count(column) > 1:
            problems.add(f"the column {column} stands twice; which of them holds cannot be told", line, column)
    if not columns:
        problems.add("has no prescale column beside the names of the seeds", line=line)
    return _Layout(len(header), name_at, at, columns)


def _row(line: int, cells: list[str], layout: _Layout, problems: _Problems) -> Row | None:
    while len(cells) > layout.width and not cells[-1]:
        cells = cells[:-1]
    seed = cells[layout.name_at] if len(cells) > layout.name_at else ""
    if not seed:
        problems.add("names no seed", line=line)
        return None
    if len(cells) != layout.width:
        problems.add(
            f"{seed}: has {len(cells)} cells, the header has {layout.width}; a column is missing or doubled here",
            line=line,
            seeds=[seed],
        )
        return None
    read = []
    for at, column in zip(layout.prescales_at, layout.columns, strict=True):
        cell = cells[at]
        value = _prescale(cell)
        if value is None and cell:
            problems.add(
                f"{seed} in {column}: {cell!r} is no prescale; expected 0 (off) or a number from 1 up",
                line,
                column,
                [seed],
            )
        read.append(value)
    return Row(line, seed, tuple(read), tuple(not cells[at] for at in layout.prescales_at))


def _prescale(cell: str) -> Fraction | None:
    if not NUMBER.fullmatch(cell):
        return None
    value = Fraction(cell)
    return value if value == 0 or value >= 1 else None


def _doubled(rows: list[Row], problems: _Problems) -> None:
    seen: dict[str, int] = {}
    for row in rows:
        if row.seed in seen:
            problems.add(
                f"{row.seed}: stands on line {seen[row.seed]} already; which prescales hold cannot be told",
                line=row.line,
                seeds=[row.seed],
            )
        seen.setdefault(row.seed, row.line)
