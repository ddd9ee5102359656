"""How a verb speaks: words for people, one JSON object for machines, one readable line for a mistake.

What is printed was written by others: a colleague's reason, a server's answer.  What a terminal would obey instead of
showing, such as a sequence that moves up and wipes a line, is printed as what it is, so that nobody's words can cover
the gate that speaks against them.
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

GOOD, BAD_VERDICT, WRONG_USE = 0, 1, 2
OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of what is obeyed, not shown: control, format (direction among it), surrogate, separators."""


def visible(text: str) -> str:
    """Return a text in which nothing is left that a terminal obeys: control and direction characters as escapes."""
    return "".join(
        letter
        if letter in "\n\t" or unicodedata.category(letter) not in OBEYED
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


def one_line(text: str) -> str:
    """Return what somebody said as one line, so that a line of theirs cannot pass for one of ours."""
    return visible(text.replace("\n", "\\n"))


def machine(tree: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    sys.stdout.write(json.dumps(tree, default=str) + "\n")
    sys.stdout.flush()


def words(text: str) -> None:
    """Print a sentence for a person."""
    Console(highlight=False, soft_wrap=True).print(visible(text), markup=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows for a person, as wide as the terminal."""
    grid = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*("" if cell is None else Text(visible(str(cell))) for cell in row))
    Console(highlight=False).print(grid)


def complaint(text: str) -> None:
    """Print what is wrong, on standard error."""
    sys.stderr.write(f"retrigger: {visible(text)}\n")
