"""Whether a board does what its emulator does: score and decision of each event, bit for bit, by seed and crossing.

Takes arrays of both and says where they differ; who emulated, and what follows, is decided elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.events import LumisectionEvents


@dataclass(frozen=True)
class Cell:
    """One seed at one bunch crossing of one lumisection.

    Attributes:
        seed: Name of the seed.
        bx: Bunch crossing relative to the event's.
        events: Rows compared.
        scores: Rows whose score differs.
        decisions: Rows whose decision differs.
    """

    seed: str
    bx: int
    events: int
    scores: int
    decisions: int


@dataclass(frozen=True)
class Compared:
    """What comparing one lumisection gave.

    Attributes:
        run: Run number.
        lumisection: Lumisection number.
        events: Input vectors compared, over all crossings.
        mismatches: Of them, those whose score or any decision differs in any bit.
        unreadable: Events or rows that were there and could not be compared.
        passed: Events at their own crossing for which the board's seed fired.
        own: Events at their own crossing.
        cells: By seed and crossing.
        kept: Of the first mismatches: crossing, event, the board's score, the emulator's, the board's decision.
        inputs: Their network inputs, shape ``(n_features, n_kept)``.
    """

    run: int
    lumisection: int
    events: int
    mismatches: int
    unreadable: int
    passed: int
    own: int
    cells: tuple[Cell, ...]
    kept: NDArray[np.int64]
    inputs: NDArray[np.int16]


def inputs_of(events: LumisectionEvents) -> NDArray[np.int16]:
    """Return every input vector that the board answered, shape ``(n_features, n_rows)``, crossing by crossing."""
    parts = [events.board[bx].features for bx in sorted(events.board)]
    return np.concatenate(parts, axis=1) if parts else np.zeros((events.features.shape[0], 0), np.int16)


def compare(
    events: LumisectionEvents, emulated: NDArray[np.int64], thresholds: Mapping[str, int], *, most_kept: int
) -> Compared:
    """Hold one lumisection of the board against its emulator.

    Args:
        events: With the board's output.
        emulated: The emulator's score of every row of `inputs_of`, in its order.
        thresholds: By seed: the decision is score >= threshold.
        most_kept: How many mismatches are kept to look at.
    """
    cells: list[Cell] = []
    different: list[NDArray[np.int64]] = []
    total = wrong = 0
    inputs: list[NDArray[np.int16]] = []
    for bx in sorted(events.board):
        output = events.board[bx]
        scores = emulated[total : total + len(output.event)]
        total += len(output.event)
        other = output.score != scores
        any_bit = other.copy()
        for seed, threshold in thresholds.items():
            decisions = output.passed != (scores >= threshold)
            any_bit |= decisions
            cells.append(Cell(seed, bx, len(scores), int(other.sum()), int(decisions.sum())))
        rows = np.flatnonzero(any_bit)
        wrong += len(rows)
        few = rows[: max(most_kept - sum(map(len, different)), 0)]
        columns = (np.full(len(few), bx), output.event[few], output.score[few], scores[few], output.passed[few])
        different.append(np.stack([column.astype(np.int64) for column in columns], axis=1))
        inputs.append(output.features[:, few])
    own = events.board.get(0)
    absent = events.events - (0 if own is None else len(own.event))
    return Compared(
        events.run,
        events.lumisection,
        total,
        wrong,
        events.unreadable + absent,
        0 if own is None else int(own.passed.sum()),
        0 if own is None else len(own.event),
        tuple(cells),
        np.concatenate(different) if different else np.zeros((0, 5), np.int64),
        np.concatenate(inputs, axis=1) if inputs else np.zeros((events.features.shape[0], 0), np.int16),
    )
