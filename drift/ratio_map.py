"""Where objects were since an alarm's onset, over where they were due: coarse maps to look at, and one region by time.

A map is merged until most of its cells hold enough to be read by eye; those that still do not say so.  Expectations are
scaled to what was seen, so a map shows where and not how many.  Nothing here judges.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.boxes import TINY, Box, CellBox, Floats, box_gains
from drift.profile import MapGrid
from drift.window import FineMap, Window

POOR = 5.0
"""Expected objects below which a cell's ratio says nothing."""
READABLE = 10.0
"""Expected objects that the typical cell should have."""
MOST_ROWS = 32
LEAST_SHAPE = (8, 18)
TURN = 2 * np.pi


@dataclass(frozen=True)
class RatioMap:
    """One map since the onset.

    Attributes:
        name: The map's name.
        object: Object type.
        eta: Edges of the rows, rising, in pseudorapidity.
        phi: Edges of the columns, from -pi to pi.
        observed: Objects seen, by row.
        expected: Objects due, by row, scaled to the number seen.
    """

    name: str
    object: str
    eta: tuple[float, ...]
    phi: tuple[float, ...]
    observed: tuple[tuple[int, ...], ...]
    expected: tuple[tuple[float, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {
            "map": self.name,
            "object": self.object,
            "eta": list(self.eta),
            "phi": list(self.phi),
            "observed": [list(row) for row in self.observed],
            "expected": [list(row) for row in self.expected],
            "poor_below": POOR,
        }


@dataclass(frozen=True)
class Inside:
    """One region, lumisection by lumisection.

    Attributes:
        name: The map that shows it.
        box: The region.
        observed: Objects seen in it, by remembered lumisection; None where nothing was kept.
        expected: Objects due, from the rest of the same rings where there is a rest.
    """

    name: str
    box: Box
    observed: tuple[int | None, ...]
    expected: tuple[float | None, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {
            "map": self.name,
            "box": self.box.to_json(),
            "observed": list(self.observed),
            "expected": list(self.expected),
        }


def ratio_maps(window: Window, since: NDArray[np.bool_]) -> tuple[RatioMap, ...]:
    """Return every map of a window since an onset; none when nothing was seen since."""
    found = []
    for name, maps in window.maps.items():
        seen = maps[since].sum(axis=0).astype(np.float64)
        if seen.sum() > 0:
            found.append(ratio_map(name, window.grids[name], seen, window.expected[name][since].sum(axis=0)))
    return tuple(found)


def ratio_map(name: str, grid: MapGrid, seen: Floats, want: Floats) -> RatioMap:
    """Return one map, merged until it can be read by eye.

    Args:
        name: The map's name.
        grid: Its cells.
        seen: Objects by cell.
        want: Objects due, scaled to the number seen.
    """
    rows, columns = 1, 1
    while -(-grid.shape[0] // rows) > MOST_ROWS:
        rows *= 2
    while True:
        observed, expected = (_merged(_merged(one, 0, rows), 1, columns) for one in (seen, want))
        typical = float(np.median(expected[expected >= 1.0])) if (expected >= 1.0).any() else 0.0
        finer = (observed.shape[0] // 2, observed.shape[1] // 2)
        if typical >= READABLE or finer[0] < LEAST_SHAPE[0] or finer[1] < LEAST_SHAPE[1]:
            break
        rows, columns = 2 * rows, 2 * columns
    half = observed.shape[1] // 2
    observed, expected = np.roll(observed, half, axis=1), np.roll(expected, half, axis=1)
    edges = np.minimum(np.arange(len(observed) + 1) * rows, grid.shape[0])
    eta = (grid.eta_low + edges * grid.eta_step - 0.5) * grid.eta_lsb
    phi = np.linspace(-np.pi, np.pi, observed.shape[1] + 1)
    return RatioMap(
        name,
        grid.object,
        tuple(round(float(edge), 3) for edge in eta),
        tuple(round(float(edge), 3) for edge in phi),
        tuple(tuple(int(count) for count in row) for row in observed),
        tuple(tuple(round(float(count), 2) for count in row) for row in expected),
    )


def _merged(one: Floats, axis: int, by: int) -> Floats:
    return np.asarray(np.add.reduceat(one, np.arange(0, one.shape[axis], by), axis=axis))


def cells_of(box: Box, grid: MapGrid) -> CellBox:
    """Return the cells of a grid that a region covers, at least one; the inverse of `drift.boxes.physical`."""
    low, high = ((edge / grid.eta_lsb + 0.5 - grid.eta_low) / grid.eta_step for edge in box.eta)
    first = min(max(round(low), 0), grid.shape[0] - 1)
    last = min(max(round(high), first + 1), grid.shape[0])
    width = min(max(round((box.phi[1] - box.phi[0]) / TURN * grid.shape[1]), 1), grid.shape[1])
    start = round((box.phi[0] % TURN) / TURN * grid.shape[1]) % grid.shape[1]
    return CellBox(first, last, start, width, 1.0, 0.0)


def inside_box(window: Window, since: NDArray[np.bool_], box: Box, kept: NDArray[np.bool_]) -> Inside | None:
    """Return what a region held at each remembered lumisection, on the map of its object that shows it most.

    Args:
        window: The remembered lumisections.
        since: Those since the onset.
        box: The region.
        kept: Of all lumisections that are told of, those in the window.
    """
    best: tuple[float, str, Floats, Floats] | None = None
    for name, one in window.fine.items():
        if one.grid.object != box.object:
            continue
        cells = cells_of(box, one.grid)
        seen, due = within(one, cells)
        total = float(due[since].sum())
        left = float(np.clip(seen[since].sum() / max(total, TINY), 0.02, 50.0))
        measured = CellBox(cells.eta_first, cells.eta_last, cells.phi_first, cells.phi_width, left, 0.0)
        ratio = float(box_gains(measured, one.seen, one.expected)[since].sum())
        if best is None or ratio > best[0]:
            best = (ratio, name, seen, due)
    if best is None:
        return None
    observed: list[int | None] = [None] * len(kept)
    expected: list[float | None] = [None] * len(kept)
    for row, place in enumerate(np.flatnonzero(kept)):
        observed[place], expected[place] = int(best[2][row]), round(float(best[3][row]), 2)
    return Inside(best[1], box, tuple(observed), tuple(expected))


def within(one: FineMap, cells: CellBox) -> tuple[Floats, Floats]:
    """Return objects seen and due in some cells by lumisection; due from the rest of the same rings, if any."""
    rows, columns = slice(cells.eta_first, cells.eta_last), cells.columns(one.seen.shape[2])
    seen_rows, want_rows = one.seen[:, rows].astype(np.float64), one.expected[:, rows]
    seen, want = seen_rows[:, :, columns].sum(axis=(1, 2)), want_rows[:, :, columns].sum(axis=(1, 2))
    if cells.phi_width >= one.seen.shape[2]:
        return seen, want
    rest_seen, rest_want = seen_rows.sum(axis=(1, 2)) - seen, want_rows.sum(axis=(1, 2)) - want
    return seen, want * np.maximum(rest_seen, 0.5) / np.maximum(rest_want, TINY)
