"""The verb `rank`: a table of runs in, the same runs out with the most anomalous first."""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from daemon.cli import say
from daemon.cli.app import app
from daemon.output import writable, writing
from drift.errors import RankingError

if TYPE_CHECKING:
    from drift.ranking import Ranking

RUN_NAMES = ("run", "run_number")
NO_STATISTIC = ("year", "era", "fill", "algo", "algorithm", "label", "labels")
"""Columns that describe a run; a label, should there be one, is never looked at."""
ENTRIES = "_integral"
"""How the name of a column ends that counts the entries of a histogram."""
MOST_BYTES = 256 * 2**20
SHOWN = 5
SUSPECTS_SHOWN = 2


@dataclass(frozen=True)
class Sheet:
    """A CSV as it was read: cells are text still.

    Attributes:
        path: Where it lies, for messages.
        header: Names of all columns.
        rows: Line number and cells of each row.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]


@app.command("rank")
def rank_runs(
    table: Annotated[
        Path, typer.Argument(metavar="INPUT", help="CSV (or .csv.gz): a row a run, a column a statistic.")
    ],
    *,
    output: Annotated[Path | None, typer.Option("--output", help="Where run,score is written; left out: here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Rank runs by how much their histogram statistics stand out, without labels."""
    from drift import ranking  # noqa: PLC0415 each verb pays for its own libraries

    if output is not None:
        writable(output, "the ranking", pipes=True)
    sheet = read_sheet(table)
    runs, columns, values, entries = numbers(sheet)
    try:
        ranked = ranking.rank(ranking.RunTable(runs, columns, values, entries))
    except RankingError as error:
        raise RankingError(f"{table}: {error}") from error
    order = [int(row) for row in ranked.order()]
    text = "run,score\n" + "".join(f"{ranked.runs[row]},{ranked.scores[row]:.6f}\n" for row in order)
    if output is not None:
        with writing(output, "the ranking") as sink:
            sink.write(text.encode())
    if json:
        _tell_machine(ranked, order, {"entries": entries is not None, "output": str(output or "")})
    elif output is None:
        sys.stdout.write(text)
    else:
        _tell_person(ranked, order, output)


def _tell_machine(ranked: "Ranking", order: Sequence[int], more: Mapping[str, object]) -> None:
    for place, row in enumerate(order, start=1):
        say.machine(
            {
                "type": "run",
                "place": place,
                "run": int(ranked.runs[row]),
                "score": float(ranked.scores[row]),
                "suspects": [vars(one) for one in ranked.suspects[row]],
            }
        )
    say.machine(
        {"type": "ranking", "runs": len(order), "columns": len(ranked.columns), "left_out": ranked.left_out, **more}
    )


def _tell_person(ranked: "Ranking", order: Sequence[int], output: Path) -> None:
    say.words(f"Ranked {len(order)} runs by {len(ranked.columns)} histograms into {output}; first come:")
    for row in order[:SHOWN]:
        first = ranked.suspects[row][:SUSPECTS_SHOWN]
        why = ", ".join(f"{one.column.rpartition('/')[2]} (pull {one.pull:.1f})" for one in first)
        say.words(f"  {ranked.runs[row]}  score {ranked.scores[row]:.1f}  {why or 'no single histogram'}")


def read_sheet(path: Path) -> Sheet:
    """Return the cells of a CSV, plain or gzipped, all rows as long as the header.

    Raises:
        RankingError: It is no CSV text, it is empty, or a row is shorter or longer than the header.
    """
    packed = path.read_bytes()
    try:
        if packed[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(packed)) as stream:
                packed = stream.read(MOST_BYTES + 1)
        if len(packed) > MOST_BYTES:
            raise RankingError(f"{path} holds more than {MOST_BYTES >> 20} MiB of text; split it by year")
        lines = csv.reader(io.StringIO(packed.decode("utf-8-sig"), newline=""), strict=True)
        rows = [(lines.line_num, cells) for cells in lines if any(cell.strip() for cell in cells)]
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RankingError(f"{path} is no CSV: {error}; expected comma-separated text, plain or gzipped") from error
    if len(rows) < 2:
        raise RankingError(f"{path} has {len(rows)} line(s); expected a header and one line a run")
    header = tuple(cell.strip() for cell in rows[0][1])
    if len(header) < 2:
        raise RankingError(f"{path} line 1 has one column, {header[0][:60]!r}; expected names separated by commas")
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            raise RankingError(f"{path} line {line} has {len(cells)} cells, the header {len(header)}; mend that line")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise RankingError(f"{path} has two columns named {twice!r}; rename or remove one")
    return Sheet(path, header, tuple(rows[1:]))


def numbers(sheet: Sheet) -> tuple[Any, tuple[str, ...], Any, Any]:
    """Return run numbers, names of the statistics, their values, and the entries beside them or None.

    Raises:
        RankingError: There is no column of runs, a run comes twice, or a cell is no number.
    """
    at = next((k for k, name in enumerate(sheet.header) if name.lower() in RUN_NAMES), None)
    if at is None:
        raise RankingError(
            f"{sheet.path} has no column {' or '.join(RUN_NAMES)}; its header begins with "
            f"{', '.join(sheet.header)[:80]!r}; name the column of run numbers"
        )
    runs = _runs(sheet, at)
    asked = [
        (k, name)
        for k, name in enumerate(sheet.header)
        if k != at and name.lower() not in NO_STATISTIC and not name.endswith(ENTRIES)
    ]
    counted = {name.removesuffix(ENTRIES): k for k, name in enumerate(sheet.header) if name.endswith(ENTRIES)}
    values = np.array([[_number(sheet, row, k) for k, _ in asked] for row in sheet.rows], dtype=np.float64)
    entries = np.full(values.shape, np.nan)
    for place, (_, name) in enumerate(asked):
        stem = max((one for one in counted if name == one or name.startswith(f"{one}_")), key=len, default=None)
        if stem is not None:
            entries[:, place] = [_number(sheet, row, counted[stem]) for row in sheet.rows]
    return runs, tuple(name for _, name in asked), values, None if np.isnan(entries).all() else entries


def _runs(sheet: Sheet, at: int) -> Any:
    seen: dict[int, int] = {}
    for row in sheet.rows:
        value = _number(sheet, row, at)
        if not (value > 0 and value == int(value)):
            raise RankingError(f"{sheet.path} line {row[0]}: {row[1][at]!r} is no run number; expected 357441 or alike")
        if int(value) in seen:
            raise RankingError(
                f"{sheet.path}: run {int(value)} stands on lines {seen[int(value)]} and {row[0]}; keep one line a run "
                "(of several algorithms, choose one)"
            )
        seen[int(value)] = row[0]
    return np.array(list(seen), dtype=np.int64)


def _number(sheet: Sheet, row: tuple[int, Sequence[str]], at: int) -> float:
    line, cells = row
    cell = cells[at].strip()
    try:
        value = float(cell) if cell else float("nan")
    except ValueError:
        value = float("inf")
    if np.isinf(value) or (value < 0):
        raise RankingError(
            f"{sheet.path} line {line}, column {sheet.header[at]!r}: found {cell!r}, expected a number of zero or "
            "more; leave the cell empty if it is unknown, remove the column if it is no statistic"
        )
    return value


__all__ = ["numbers", "rank_runs", "read_sheet"]
