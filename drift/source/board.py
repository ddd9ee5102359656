"""The board's own output in a run file: its score and its decision for each event and bunch crossing.

A collection ``NAME`` with ``NAME_bx``, ``NAME_hwScore`` and ``NAME_pass``, jagged over events as the trigger's objects
are.  A board may send nonsense: what cannot be compared is counted and never refuses the file, for the events in it
are good.  Nothing here knows what the score should have been.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drift.events import BoardOutput
from drift.schema import FeatureSchema
from drift.source.gather import Candidates, Gathered
from drift.source.refusal import RefusedFileError

if TYPE_CHECKING:
    from drift.source.storage import Table

FARTHEST = 5  # bunch crossings; the trigger reads out two on each side
ARRAYS = ("lumisection", "bx", "event", "score", "passed")


@dataclass
class Board:
    """The board's rows of one file so far, in file order."""

    schema: FeatureSchema
    name: str
    columns: dict[str, list[NDArray[Any]]] = field(default_factory=lambda: {key: [] for key in (*ARRAYS, "features")})
    unreadable: list[NDArray[np.int64]] = field(default_factory=list)
    events: int = 0

    def take(self, table: "Table", start: int, stop: int, candidates: Mapping[str, Candidates]) -> None:
        """Add a range of events.

        Raises:
            RefusedFileError: The columns are no integers, or do not agree on how many rows each event has.
        """
        counts, (bx, score, passed) = self._columns(table, start, stop)
        owner = np.repeat(np.arange(len(counts)), counts)
        crossing = bx.astype(np.int64)
        known = np.abs(crossing) <= FARTHEST
        for one in np.unique(crossing[known]).tolist():
            rows = np.flatnonzero(known & (crossing == one))
            _, first = np.unique(owner[rows], return_index=True)
            kept = rows[first]
            self._spoiled(owner[np.setdiff1d(rows, kept)])
            features = self._features(candidates, one, len(counts))
            if features is None:
                self._spoiled(owner[kept])
                continue
            self.columns["bx"].append(np.full(len(kept), one, np.int64))
            self.columns["event"].append(owner[kept] + self.events)
            self.columns["score"].append(score[kept].astype(np.int64))
            self.columns["passed"].append(passed[kept] != 0)
            self.columns["features"].append(features[:, owner[kept]])
        self._spoiled(owner[~known])
        self.events += len(counts)

    def _columns(self, table: "Table", start: int, stop: int) -> tuple[NDArray[np.int64], list[NDArray[Any]]]:
        counts: NDArray[np.int64] | None = None
        columns = []
        for part in ("bx", "hwScore", "pass"):
            name = f"{self.name}_{part}"
            found, values = table.jagged(name, start, stop)
            if values.dtype.kind not in "iub":
                raise RefusedFileError("wrong_type", f"{name} is stored as {values.dtype}, expected integers")
            if counts is not None and not np.array_equal(counts, found):
                raise RefusedFileError(
                    "counts_mismatch", f"{name} has other numbers of rows per event than {self.name}_bx"
                )
            counts = found
            columns.append(values)
        assert counts is not None
        return counts, columns

    def _features(self, candidates: Mapping[str, Candidates], bx: int, events: int) -> NDArray[np.int16] | None:
        """Return the network's inputs at a crossing, shape (features, events); None where none were read out."""
        if bx != 0 and any(one.bx is None for one in candidates.values()):
            return None
        moved = {
            kind: replace(one, bx=None if one.bx is None else one.bx.astype(np.int64) - bx)
            for kind, one in candidates.items()
        }
        there = Gathered(self.schema)
        there.take(np.zeros(events, np.int64), np.zeros(events, np.int64), None, moved)
        return there.features[0]

    def _spoiled(self, owner: NDArray[np.int64]) -> None:
        self.unreadable.append(owner + self.events)

    def arrays(self, place: NDArray[np.int64], order: NDArray[np.int64], edges: NDArray[np.int64]) -> dict[str, Any]:
        """Return every row by lumisection and event of it, sorted, as plain arrays.

        Args:
            place: Lumisection of every event of the file, from 0.
            order: Events of the file in the order of their lumisections.
            edges: Where each lumisection begins in that order.
        """
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order)) - np.repeat(edges[:-1], np.diff(edges))
        out = {key: _joined(self.columns[key], axis=-1) for key in ("bx", "event", "score", "passed")}
        features = (
            np.concatenate(self.columns["features"], axis=1)
            if self.columns["features"]
            else np.zeros((len(self.schema.features), 0), np.int16)
        )
        event = out["event"].astype(np.int64)
        out["lumisection"], out["event"] = place[event], rank[event]
        sorting = np.lexsort((out["event"], out["bx"], out["lumisection"]))
        out = {key: values[sorting] for key, values in out.items()}
        spoiled = _joined(self.unreadable, axis=-1).astype(np.int64)
        out["unreadable"] = np.bincount(place[spoiled], minlength=len(edges) - 1)
        return {**out, "features": features[:, sorting]}


def present(table: "Table", name: str) -> bool:
    """Return whether a file holds the board's collection."""
    return bool(name) and {f"{name}_{part}" for part in ("bx", "hwScore", "pass")} <= table.names


def output_of(arrays: Mapping[str, NDArray[Any]], lumisection: int) -> dict[int, BoardOutput]:
    """Return the rows of one lumisection by bunch crossing, from what `Board.arrays` gave."""
    begin, end = np.searchsorted(arrays["lumisection"], [lumisection, lumisection + 1])
    bx = arrays["bx"][begin:end]
    out = {}
    for one in np.unique(bx).tolist():
        first, last = (begin + int(at) for at in np.searchsorted(bx, [one, one + 1]))
        out[int(one)] = BoardOutput(
            arrays["event"][first:last].astype(np.int64),
            arrays["score"][first:last].astype(np.int64),
            arrays["passed"][first:last].astype(bool),
            np.ascontiguousarray(arrays["features"][:, first:last]),
        )
    return out


def _joined(parts: list[NDArray[Any]], axis: int) -> NDArray[Any]:
    return np.concatenate(parts, axis=axis) if parts else np.zeros(0, np.int64)
