"""JSON and CSV as people and systems write them: what cannot be read is a `ValueError` in plain words with the line.

One bad line of a table loses only itself; nothing in a text may end the program that reads it.
"""

import csv
import json
import re
from typing import Any

DEEPEST = 100
"""Brackets within brackets; no form read here has more than ten."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}\n]', re.DOTALL)
_WORDS = {
    "Expecting value": "a value is missing",
    "Expecting property name enclosed in double quotes": "a name in double quotes is missing",
    "Expecting ',' delimiter": "a comma or a closing bracket is missing",
    "Expecting ':' delimiter": "a colon is missing",
    "Extra data": "more text follows after its end",
    "Unterminated string starting at": "a text in quotes is not closed",
    "Illegal trailing comma before end of object": "a comma has nothing behind it",
    "Illegal trailing comma before end of array": "a comma has nothing behind it",
}


def json_of(text: str) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: It is no JSON, or nested too deeply; the message says what is wrong in which line.
    """
    if not text.strip():
        raise ValueError("it is empty")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        words = _WORDS.get(error.msg, error.msg[:1].lower() + error.msg[1:])
        raise ValueError(f"line {error.lineno} column {error.colno}: {words}") from error
    except RecursionError as error:
        raise ValueError(f"line {_deep_line(text)}: brackets stand in brackets more than {DEEPEST} deep") from error
    except ValueError as error:
        raise ValueError("a number has too many digits") from error


def _deep_line(text: str) -> int:
    """Return the line in which brackets first stand too deep."""
    line, depth = 1, 0
    for token in _TOKEN.finditer(text):
        found = token[0]
        line += found.count("\n")
        depth += (found in "[{") - (found in "]}")
        if depth > DEEPEST:
            break
    return line


def cells_of(line: str) -> list[str]:
    """Return the cells of one line of a CSV, without the space around them.

    Raises:
        ValueError: A quote is not closed, or a cell is endless.
    """
    if line.count('"') % 2:
        raise ValueError("a quote is opened and not closed")
    try:
        return [cell.strip() for cells in csv.reader([line]) for cell in cells]
    except csv.Error as error:
        raise ValueError(f"it is no line of a table ({error})") from error


def why(error: Exception) -> str:
    """Return in plain words why an entry of a JSON text is not what it should be."""
    if isinstance(error, KeyError):
        return f"lacks {error}"
    if isinstance(error, AttributeError | TypeError | RecursionError | IndexError):
        return "a part of it has another form than expected"
    return str(error)


def real(text: str, name: str, expected: str = "a number") -> float:
    """Return a number.

    Raises:
        ValueError: It is none; the message names the column and what is expected there.
    """
    try:
        return float(text)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {text!r:.40}, expected {expected}") from None
