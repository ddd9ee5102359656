"""How a verb speaks: words for people, one JSON object for machines, one readable line for a mistake."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

GOOD, BAD_VERDICT, WRONG_USE = 0, 1, 2


def machine(tree: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    sys.stdout.write(json.dumps(tree, default=str) + "\n")
    sys.stdout.flush()


def words(text: str) -> None:
    """Print a sentence for a person."""
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows for a person, as wide as the terminal."""
    grid = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*("" if cell is None else str(cell) for cell in row))
    Console(highlight=False).print(grid)


def complaint(text: str) -> None:
    """Print what is wrong, on standard error."""
    sys.stderr.write(f"retrigger: {text}\n")
