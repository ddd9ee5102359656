"""The events of one lumisection as they cross from reading to counting: integers in hardware units, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ObjectColumns:
    """Every object of one type at bunch crossing 0 of one lumisection, flat, in hardware integers.

    Attributes:
        pt: Transverse momentum, LSB 0.5 GeV.
        eta: Pseudorapidity, LSB 0.0435 (calorimeter) or 0.010875 (muons, at the vertex).
        phi: Azimuth, 0..143 (calorimeter) or 0..575 (muons, at the vertex).
    """

    pt: NDArray[np.int16]
    eta: NDArray[np.int16]
    phi: NDArray[np.int16]


@dataclass(frozen=True)
class BoardOutput:
    """What the trigger's board sent for one bunch crossing of some events of a lumisection, beside its inputs there.

    Attributes:
        event: Which event of the lumisection, from 0, ascending; shape ``(n_rows,)``.
        score: The board's integer score, shape ``(n_rows,)``.
        passed: Whether the board's seed fired, shape ``(n_rows,)``.
        features: Network inputs at this crossing, shape ``(n_features, n_rows)``.
    """

    event: NDArray[np.int64]
    score: NDArray[np.int64]
    passed: NDArray[np.bool_]
    features: NDArray[np.int16]


@dataclass(frozen=True)
class LumisectionEvents:
    """The events of one lumisection.

    Attributes:
        run: Run number.
        lumisection: Lumisection number, from 1.
        features: Network inputs, shape ``(n_features, n_events)``, C order: one contiguous row a feature.
        objects: Every object at BX 0 by type (``"EG"``, ``"MU"``, ``"JET"``), for eta-phi occupancy.
        board: What the board sent, by bunch crossing relative to the event's (0 is its own); empty when nothing was
            read out.
        unreadable: Rows of the board that cannot be compared: a second one of an event, or a crossing without inputs.
    """

    run: int
    lumisection: int
    features: NDArray[np.int16]
    objects: Mapping[str, ObjectColumns]
    board: Mapping[int, BoardOutput] = field(default_factory=dict)
    unreadable: int = 0

    @property
    def events(self) -> int:
        """Number of events."""
        return int(self.features.shape[1])
