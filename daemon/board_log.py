"""What was compared of each lumisection while a digest was on the board, kept on disk until nobody asks any more.

One line of JSON a lumisection under ``DIGEST/runRUN.jsonl``; a lumisection that is written again counts once, by its
last line, so that a crash between two steps changes nothing.  Mismatching events lie beside it, within a limit.
Nothing here compares or judges.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from daemon.output import writing
from drift.agreement import Compared

MOST_KEPT = 1000  # mismatching events of one digest
KEPT = "mismatches"


@dataclass(frozen=True, order=True)
class Line:
    """One lumisection, as far as verdicts need it.

    Attributes:
        run: Run number.
        lumisection: Lumisection number.
        events: Input vectors compared.
        mismatches: Of them, those that differ in any bit.
        unreadable: Events or rows that could not be compared.
        passed: Events at their own crossing for which the seed fired.
        own: Events at their own crossing.
        expected: Of them, how many the forecast says fire at this pileup; below 0 when there is no forecast for it.
        deviation: Standard deviation of that forecast, in events.
        rate_hz: Forecast rate at this pileup; below 0 when there is none.
        cells: ``seed:bx`` with events, differing scores and differing decisions.
    """

    run: int
    lumisection: int
    events: int
    mismatches: int
    unreadable: int
    passed: int
    own: int
    expected: float
    deviation: float
    rate_hz: float
    cells: tuple[tuple[str, int, int, int], ...] = ()


class BoardLog:
    """The lines of every digest in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, digest: str, line: Line, compared: Compared | None) -> None:
        """Keep one lumisection, and its mismatching events as far as there is room."""
        path = self._folder / digest / f"run{line.run}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(asdict(line)) + "\n")
            out.flush()
            os.fsync(out.fileno())
        if compared is not None and len(compared.kept):
            self._keep(digest, compared)

    def lines(self, digest: str, since: tuple[int, int]) -> list[Line]:
        """Return the lumisections of a digest from a (run, lumisection) on, ascending, each once."""
        found: dict[tuple[int, int], Line] = {}
        for path in sorted((self._folder / digest).glob("run*.jsonl")):
            for line in _read(path):
                if (line.run, line.lumisection) >= since:
                    found[line.run, line.lumisection] = line
        return sorted(found.values())

    def room(self, digest: str) -> int:
        """Return how many more mismatching events are kept of a digest."""
        files = (self._folder / digest / KEPT).glob("*.npz")
        return max(MOST_KEPT - sum(int(path.stem.rpartition("-")[2]) for path in files), 0)

    def _keep(self, digest: str, compared: Compared) -> None:
        name = f"run{compared.run}-ls{compared.lumisection:04d}-{len(compared.kept)}.npz"
        with writing(self._folder / digest / KEPT / name, "mismatching events") as sink:
            np.savez(sink, differences=compared.kept, features=compared.inputs)


def _read(path: Path) -> Iterator[Line]:
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            value = json.loads(text)
            yield Line(**{**value, "cells": tuple(tuple(cell) for cell in value["cells"])})
        except (ValueError, TypeError, KeyError):
            continue  # the last line of a process that was killed while it wrote
