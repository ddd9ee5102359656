"""The record outside the database: JSON lines that anybody can check with this file alone."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from daemon.errors import FactError
from daemon.ledger.chain import Head, check
from daemon.lifecycle.codec import canonical, parse


def write(path: Path, records: Iterable[dict[str, Any]], end: Head) -> Head:
    """Write the chain, and its head as the last line; the file appears whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as out:
        for record in records:
            out.write(canonical(record) + b"\n")
        out.write(canonical({"head": end}) + b"\n")
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)
    return end


def verify_export(path: Path, expected: Head | None = None) -> list[str]:
    """Return what is wrong with an exported record, one sentence a problem; an empty list is a whole record.

    Args:
        path: As `Ledger.export` wrote it.
        expected: A head that was written down elsewhere; with it, a record cut off and closed anew is found too.
    """
    problems: list[str] = []
    ends: list[Head] = []
    problems += check(_records(path, problems, ends), None)
    if not ends:
        return [*problems, f"{path.name}: has no head as its last line; the record was cut off"]
    problems += check_end(path, ends[-1])
    if expected is not None and expected not in (ends[-1], *_heads_within(path, expected.sequence)):
        problems.append(
            f"{path.name}: has no record {expected.sequence} with hash {expected.hash[:16]}; it was rewritten"
        )
    return problems


def check_end(path: Path, end: Head) -> list[str]:
    """Return whether the head line agrees with the last record."""
    last = Head(sequence=0, hash="0" * 64)
    for record in _records(path, [], []):
        if isinstance(record.get("sequence"), int) and isinstance(record.get("hash"), str):
            last = Head(sequence=record["sequence"], hash=record["hash"])
    if last == end:
        return []
    return [f"{path.name}: ends at record {last.sequence}, its head says {end.sequence}; records were cut off or added"]


def _heads_within(path: Path, sequence: int) -> list[Head]:
    return [
        Head(sequence=sequence, hash=str(record.get("hash")))
        for record in _records(path, [], [])
        if record.get("sequence") == sequence
    ]


def _records(path: Path, problems: list[str], ends: list[Head]) -> Iterator[dict[str, Any]]:
    """Yield the records; what is no record goes to `problems`, heads to `ends`."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                body = parse(line)
            except (ValueError, RecursionError):
                problems.append(f"{path.name} line {number}: is no JSON; it was damaged")
                continue
            where = f"{path.name} line {number}"
            if not isinstance(body, dict) or not _canonical(body, line):
                problems.append(f"{where}: is no record as it was written; it was damaged")
            if ends:
                problems.append(f"{where}: stands after the head; it was added")
            elif isinstance(body, dict) and "head" in body:
                _take_head(body, where, problems, ends)
            elif isinstance(body, dict):
                yield body


def _canonical(body: dict[str, Any], line: bytes) -> bool:
    try:
        return canonical(body) + b"\n" == line
    except FactError:
        return False


def _take_head(body: dict[str, Any], where: str, problems: list[str], ends: list[Head]) -> None:
    end = body["head"]
    if set(body) == {"head"} and isinstance(end, dict) and set(end) == {"sequence", "hash"}:
        ends.append(Head(sequence=end["sequence"], hash=end["hash"]))
    else:
        problems.append(f"{where}: its head is malformed; it was damaged")
