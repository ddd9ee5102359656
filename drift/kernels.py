"""How integers are counted fast: compiled loops, and numpy twins that give the same bits.

Every function takes rows of hardware integers and returns counts, or sums of weights beside them.  Nothing here knows
what a feature means.
"""

import numba
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int16]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

SUB_HISTOGRAMS = 4
"""Private histograms a row is counted into, so that equal neighbours do not wait for each other's store."""


@numba.njit(cache=True)
def _count_rows_compiled(values: Rows, low: Counts, width: Counts, offset: Counts, out: Counts) -> None:
    n_rows, n_events = values.shape
    private = np.zeros((SUB_HISTOGRAMS, width.max() + 2), dtype=np.int32)
    for row in range(n_rows):
        bins = width[row] + 2
        first = low[row] - 1
        last = bins - 1
        private[:, :bins] = 0
        line = values[row]
        whole = n_events - n_events % SUB_HISTOGRAMS
        for start in range(0, whole, SUB_HISTOGRAMS):
            for lane in range(SUB_HISTOGRAMS):
                private[lane, min(max(line[start + lane] - first, 0), last)] += 1
        for event in range(whole, n_events):
            private[0, min(max(line[event] - first, 0), last)] += 1
        base = offset[row]
        for b in range(bins):
            out[base + b] += private[0, b] + private[1, b] + private[2, b] + private[3, b]


@numba.njit(cache=True)
def _sum_rows_compiled(values: Rows, low: Counts, width: Counts, offset: Counts, weights: Floats, out: Floats) -> None:
    n_rows, n_events = values.shape
    pair = np.zeros((width.max() + 2, 2), dtype=np.float64)
    for row in range(n_rows):
        first, last = low[row] - 1, width[row] + 1
        pair[: last + 1] = 0.0
        line = values[row]
        for event in range(n_events):
            b = min(max(line[event] - first, 0), last)
            pair[b, 0] += weights[0, event]
            pair[b, 1] += weights[1, event]
        base = offset[row]
        for b in range(last + 1):
            out[0, base + b] += pair[b, 0]
            out[1, base + b] += pair[b, 1]


@numba.njit(cache=True)
def _count_map_compiled(
    pt: Rows, eta: Rows, phi: Rows, eta_low: int, eta_step: int, phi_step: int, out: Counts
) -> None:
    n_eta, n_phi = out.shape
    for one in range(pt.size):
        if pt[one] > 0:
            i = (eta[one] - eta_low) // eta_step
            j = phi[one] // phi_step
            if 0 <= i < n_eta and 0 <= j < n_phi:
                out[i, j] += 1


def count_rows(values: Rows, low: Counts, width: Counts, offset: Counts, size: int, *, compiled: bool) -> Counts:
    """Count every row at full integer resolution into one flat table.

    Args:
        values: Shape ``(n_rows, n_events)``.
        low: First counted value of each row, shape ``(n_rows,)``.
        width: Number of counted values of each row; one bin below and one above are added for what is out of range.
        offset: Where each row's ``width + 2`` bins start in the table.
        size: Length of the table.
        compiled: Use the compiled loop; the numpy path gives the same bits.
    """
    table = np.zeros(size, dtype=np.int64)
    if values.size == 0:
        return table
    if compiled:
        _count_rows_compiled(np.ascontiguousarray(values), low, width, offset, table)
        return table
    for row in range(values.shape[0]):
        index = np.clip(values[row].astype(np.int64) - low[row] + 1, 0, width[row] + 1)
        table[offset[row] : offset[row] + width[row] + 2] += np.bincount(index, minlength=width[row] + 2)
    return table


def sum_rows(
    values: Rows, low: Counts, width: Counts, offset: Counts, size: int, weights: Floats, *, compiled: bool
) -> Floats:
    """Sum weights and their squares beside the counts of `count_rows`.

    The weights must be whole steps that add without rounding (see `drift.weights`); then every order, and so the
    compiled and the numpy path, gives the same bits.

    Args:
        values: Shape ``(n_rows, n_events)``.
        low: First counted value of each row.
        width: Number of counted values of each row.
        offset: Where each row's ``width + 2`` bins start in the table.
        size: Length of the table.
        weights: Weights and squared weights, shape ``(2, n_events)``.
        compiled: Use the compiled loop.
    """
    table = np.zeros((2, size), dtype=np.float64)
    if values.size == 0:
        return table
    if compiled:
        _sum_rows_compiled(np.ascontiguousarray(values), low, width, offset, np.ascontiguousarray(weights), table)
        return table
    for row in range(values.shape[0]):
        index = np.clip(values[row].astype(np.int64) - low[row] + 1, 0, width[row] + 1)
        for line, weight in zip(table, weights, strict=True):
            line[offset[row] : offset[row] + width[row] + 2] += np.bincount(index, weight, minlength=width[row] + 2)
    return table


def count_map(
    pt: Rows, eta: Rows, phi: Rows, shape: tuple[int, int], eta_low: int, steps: tuple[int, int], *, compiled: bool
) -> Counts:
    """Count objects with pt above zero on an eta-phi grid.

    Args:
        pt: Transverse momenta, shape ``(n_objects,)``; zero means absent.
        eta: Pseudorapidities in hardware steps.
        phi: Azimuths in hardware steps.
        shape: Number of η and φ cells.
        eta_low: Lower edge of the first η cell in hardware steps.
        steps: Hardware steps in one η cell and in one φ cell.
        compiled: Use the compiled loop; the numpy path gives the same bits.
    """
    out = np.zeros(shape, dtype=np.int64)
    if compiled:
        _count_map_compiled(pt, eta, phi, eta_low, steps[0], steps[1], out)
        return out
    i = (eta.astype(np.int64) - eta_low) // steps[0]
    j = phi.astype(np.int64) // steps[1]
    kept = (pt > 0) & (i >= 0) & (i < shape[0]) & (j >= 0) & (j < shape[1])
    np.add.at(out, (i[kept], j[kept]), 1)
    return out
