"""Whether a menu cuts a model's score where the bundle says.

A prescale table holds no thresholds: they stand in the menu itself.  A small file brings them here, one line a seed,
written by whoever makes the menu: ``Name,Threshold``, where ``3541`` is the integer the firmware compares with and
``221.3125``, with a point, is the score.  That file and the bundle's own threshold are all that is compared.
"""

import csv
import math
from collections.abc import Mapping
from fractions import Fraction
from io import StringIO

from daemon.menu.findings import Finding
from daemon.menu.rules import Rules
from daemon.menu.table import NUMBER, PrescaleTable


def parse_thresholds(content: bytes, name: str, scale: int) -> tuple[dict[str, int], list[Finding]]:
    """Return the integer threshold of each seed, and what is wrong with the file.

    Args:
        content: Of the file.
        name: What findings are to call it.
        scale: Firmware units in a score of 1.
    """
    found: list[Finding] = []
    thresholds: dict[str, int] = {}

    def wrong(text: str, line: int = 0) -> None:
        found.append(Finding(rule="thresholds", severity="error", table=name, text=text, line=line))

    try:
        lines = list(csv.reader(StringIO(content.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        wrong(f"is no CSV in UTF-8 ({error})")
        return {}, found
    if not lines or [cell.strip().lower() for cell in lines[0]] != ["name", "threshold"]:
        wrong(f"begins with {lines[0] if lines else 'nothing'}; expected the header Name,Threshold", 1)
        return {}, found
    for number, cells in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        seed, text = (cell.strip() for cell in cells) if len(cells) == 2 else ("", "")
        value = _integer(text, scale)
        if not seed or value is None:
            wrong(
                f"{cells}: expected a seed and a threshold: an integer, or with a point a score (1 is {scale})", number
            )
        elif seed in thresholds:
            wrong(f"{seed} stands twice", number)
        else:
            thresholds[seed] = value
    return thresholds, found


def _integer(text: str, scale: int) -> int | None:
    if not NUMBER.fullmatch(text):
        return None
    value = Fraction(text) * (scale if "." in text else 1)
    return math.ceil(value) if "." in text or value.denominator == 1 else None  # between two integers: the same pass


def check_thresholds(
    table: PrescaleTable, thresholds: Mapping[str, int], rules: Rules, *, model: str, seed: str, threshold: int
) -> list[Finding]:
    """Return where a menu's thresholds and a bundle's differ, or leave a running seed without one.

    Args:
        table: The menu's prescales.
        thresholds: The menu's integer threshold of each seed.
        rules: Say which seeds are the model's.
        model: Name of the model in the rules.
        seed: Which seed is to be cut at the bundle's threshold.
        threshold: The bundle's, an integer.
    """
    known = {row.seed for row in table.rows}
    found = []

    def wrong(text: str, name: str) -> None:
        found.append(Finding(rule="thresholds", severity="error", table=table.name, text=text, seeds=(name,)))

    if seed not in known:
        wrong(f"{seed}: is no seed of this table; name one with --seed", seed)
    if seed not in thresholds:
        wrong(f"{seed}: the menu's thresholds say nothing of it, the bundle cuts it at {threshold}", seed)
    elif thresholds[seed] != threshold:
        wrong(
            f"{seed}: the menu cuts at {thresholds[seed]}, the bundle was made for {threshold}; one of them is another "
            "model's",
            seed,
        )
    for row in table.rows:
        if rules.of_model(model, row.seed) and any(row.cells) and row.seed not in thresholds and row.seed != seed:
            wrong(f"{row.seed}: runs, and the menu's thresholds say nothing of it", row.seed)
    for name in thresholds:
        if name not in known:
            wrong(f"{name}: has a threshold and is no seed of this table", name)
    return found
