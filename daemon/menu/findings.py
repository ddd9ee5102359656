"""One thing that a lint found in a menu."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "note"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found, where.

    Attributes:
        rule: Which rule speaks: ``table``, ``kill_switch``, ``emergency``, ``columns`` or ``thresholds``.
        severity: An ``error`` fails the table; a ``note`` is for people to read.
        table: Name of the table.
        text: What was found, what was expected, what to do.
        line: Line of the file, 0 when it is about the whole.
        column: Which column, empty when it is about no single one.
        seeds: Which seeds, in the order of the table.
    """

    rule: str
    severity: Severity
    table: str
    text: str
    line: int = 0
    column: str = ""
    seeds: tuple[str, ...] = ()
