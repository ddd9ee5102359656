"""The last lumisections as a diagnosis reads them: streams, maps and what was expected of both.

Nothing here decides anything, and nothing remembers: `drift.memory` makes a window when one is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.boxes import CellBox
from drift.cells import rectangle
from drift.profile import MapGrid
from drift.streams import StreamLabel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FineMap:
    """One map at full resolution.

    Attributes:
        seen: Observed objects, shape ``(n, n_eta, n_phi)``.
        expected: Their expectation given each lumisection's total.
        grid: Its cells.
    """

    seen: Ints
    expected: Floats
    grid: MapGrid

    def cell(self, flat: int) -> CellBox:
        """Return a cell of the flat pyramid (`drift.cells`) as a rectangle of the finest cells."""
        return CellBox(*rectangle(flat, self.seen.shape[1], self.seen.shape[2]), 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class Window:
    """The last lumisections, as the watch remembers them.

    Attributes:
        clock: Lumisection counts, rising, shape ``(n,)``.
        fill: Fill of each.
        streams: Standardised residual streams, shape ``(n, n_streams)``.
        noise: Measurement variance of each stream.
        drifting: Benign variance of a stream's mean over many lumisections.
        labels: Of the streams.
        maps: Observed objects by map, shape ``(n, n_eta, n_phi)``.
        expected: Their expectation given each lumisection's total.
        rates: Expected totals by type, shape ``(n,)``.
        met_phi: Events in 12 azimuthal sectors of missing momentum, shape ``(n, 12)``.
        met_phi_expected: Their expected shares, shape ``(12,)``.
        grids: Cells of each map.
        fine: The maps at full resolution.
        effect: Relative pt scale that one unit of a scale stream means, by object type.
        pileup: Of each lumisection.
        factor: How much larger each one's measurement variance is than the reference's, by fewer events.
    """

    clock: Ints
    fill: Ints
    streams: Floats
    noise: Floats
    drifting: Floats
    labels: tuple[StreamLabel, ...]
    maps: Mapping[str, Ints]
    expected: Mapping[str, Floats]
    rates: Mapping[str, Floats]
    met_phi: Floats
    met_phi_expected: Floats
    grids: Mapping[str, MapGrid]
    fine: Mapping[str, FineMap]
    effect: Mapping[str, float]
    pileup: Floats
    factor: Floats


def stream_means(window: Window, since: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return each stream's mean since the onset, and its significance given what is benign."""
    part = window.streams[since]
    mean = part.mean(axis=0)
    return mean, mean / np.sqrt(window.noise / len(part) + window.drifting)
