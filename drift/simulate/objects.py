"""From a grid of quantised towers to trigger objects, as the calorimeter and muon triggers of CMS Run 3 define them.

Jets are 9x9 sliding windows less the chunky-donut pileup estimate; electron/photon clusters have hadronic and shape
vetoes and isolation; sums exclude towers under a pileup-dependent threshold.  Energies are integers of 0.5 GeV.  All
functions are compiled; the crossing loop is in `kernels`.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Hardware = NDArray[np.int16]

JETS, EGS, MUONS = 12, 12, 8
SUM_TYPES = (0, 1, 2, 3, 8, 16, 21)
"""TotalEt, TotalHt, MissingEt, MissingHt, MissingEtHF, TotalEtEm, TowerCount (CMSSW l1t::EtSum)."""
JET_COLUMNS = ("hwPt", "row", "column", "puEt")
EG_COLUMNS = ("hwPt", "row", "column", "hwPhi", "hwIso", "hwQual")

_JET_SEED = 8
_EG_SEED = 4
_CANDIDATES = 128
_CENTRAL_FIRST, _CENTRAL_LAST = 12, 67
"""Rows inside |eta| < 3."""


@njit(cache=True)
def _is_peak(tower: Ints, row: int, column: int, rows: int, columns: int) -> bool:
    """Return whether a tower tops its window; ties go to the lower row, then column."""
    here = tower[row, column]
    for dr in range(-rows, rows + 1):
        r = row + dr
        if r < 0 or r > 79:
            continue
        for dc in range(-columns, columns + 1):
            other = tower[r, (column + dc + 72) % 72]
            later = dr > 0 or (dr == 0 and dc > 0)
            if other > here or (other == here and not later and (dr != 0 or dc != 0)):
                return False
    return True


@njit(cache=True)
def _window(tower: Ints, row_first: int, row_last: int, column_first: int, column_last: int) -> int:
    total = 0
    for r in range(max(row_first, 0), min(row_last, 79) + 1):
        for c in range(column_first, column_last + 1):
            total += tower[r, (c + 72) % 72]
    return total


@njit(cache=True)
def _donut(tower: Ints, row: int, column: int) -> int:
    """Return the pileup under a 9x9 jet: the three lowest of four 3x9 strips around it."""
    left = _window(tower, row - 4, row + 4, column - 7, column - 5)
    right = _window(tower, row - 4, row + 4, column + 5, column + 7)
    below = _window(tower, row - 7, row - 5, column - 4, column + 4)
    above = _window(tower, row + 5, row + 7, column - 4, column + 4)
    if row < 7:
        below = above
    if row > 72:
        above = below
    return left + right + below + above - max(left, right, below, above)


@njit(cache=True)
def _keep_highest(found: Ints, n: int, out: Hardware, index: int) -> int:
    """Copy the candidates of highest first column into ``out[index]``, in order; return how many."""
    order = np.argsort(-found[:n, 0], kind="mergesort")
    kept = min(n, int(out.shape[1]))
    for k in range(kept):
        for column in range(out.shape[2]):
            out[index, k, column] = found[order[k], column]
    return kept


@njit(cache=True)
def find_jets(tower: Ints, scale: NDArray[np.float32], out: Hardware, index: int) -> int:
    """Write the twelve highest jets of a crossing to ``out[index]`` and return their number.

    Args:
        tower: Energy by tower, units of 0.5 GeV, shape ``(80, 72)``.
        scale: Jet calibration by row, shape ``(80,)``.
        out: Columns `JET_COLUMNS`, shape ``(n_events, 12, 4)``.
        index: Which event.
    """
    found = np.zeros((_CANDIDATES, 4), dtype=np.int32)
    n = 0
    for row in range(80):
        for column in range(72):
            if tower[row, column] < _JET_SEED or n >= _CANDIDATES or not _is_peak(tower, row, column, 4, 4):
                continue
            raw = _window(tower, row - 4, row + 4, column - 4, column + 4)
            pileup = _donut(tower, row, column)
            energy = int((raw - pileup) * scale[row])
            if energy > 0:
                found[n, 0] = min(energy, 2047)
                found[n, 1], found[n, 2], found[n, 3] = row, column, min(pileup, 32767)
                n += 1
    return int(_keep_highest(found, n, out, index))


@njit(cache=True)
def find_egs(em: Ints, had: Ints, scale: NDArray[np.float32], towers_hit: int, out: Hardware, index: int) -> int:
    """Write the twelve highest electron/photon clusters to ``out[index]`` and return their number.

    Args:
        em: Electromagnetic energy by tower, units of 0.5 GeV.
        had: Hadronic energy by tower, same units.
        scale: Calibration by row, shape ``(80,)``.
        towers_hit: Central towers with energy, which stands for pileup in the isolation cut.
        out: Columns `EG_COLUMNS`, shape ``(n_events, 12, 6)``.
        index: Which event.
    """
    found = np.zeros((_CANDIDATES, 6), dtype=np.int32)
    n = 0
    for row in range(_CENTRAL_FIRST, _CENTRAL_LAST + 1):
        for column in range(72):
            if em[row, column] < _EG_SEED or n >= _CANDIDATES or not _is_peak(em, row, column, 1, 2):
                continue
            core = _window(em, row, row, column - 1, column + 1)
            wing = max(
                _window(em, row - 1, row - 1, column - 1, column + 1),
                _window(em, row + 1, row + 1, column - 1, column + 1),
            )
            cluster = core + wing
            behind = _window(had, row, row, column - 1, column + 1)
            around = _window(em, row - 1, row + 1, column - 2, column + 2)
            if behind * 14 > cluster + 40 or em[row, column] * 2 < cluster or cluster * 20 + 60 < around * 17:
                continue
            ring = _window(em, row - 2, row + 2, column - 4, column + 4)
            ring += _window(had, row - 2, row + 2, column - 4, column + 4) - cluster
            left = em[row, (column + 71) % 72]
            right = em[row, (column + 1) % 72]
            found[n, 0] = min(int(cluster * scale[row]), 511)
            found[n, 1], found[n, 2] = row, column
            found[n, 3] = 2 * column + (1 if right >= left else 0)
            found[n, 4] = 1 if ring < 6 + towers_hit // 8 else 0
            found[n, 5] = 7 if behind * 20 <= cluster else 3
            n += 1
    return int(_keep_highest(found, n, out, index))


@njit(cache=True)
def _missing(x: float, y: float, out: Ints, index: int, place: int) -> None:
    """Write the magnitude and direction opposite to a vector."""
    out[index, place, 0] = min(int(np.hypot(x, y)), 4095)
    out[index, place, 1] = int((np.arctan2(-y, -x) % (2 * np.pi)) * (144 / (2 * np.pi))) % 144


@njit(cache=True)
def find_sums(
    em: Ints, tower: Ints, threshold: NDArray[np.float32], jets: Hardware, n_jets: int, out: Ints, index: int
) -> None:
    """Write the seven sums of `SUM_TYPES` as (hwPt, hwPhi) to ``out[index]``.

    Args:
        em: Electromagnetic energy by tower, units of 0.5 GeV.
        tower: Both layers by tower.
        threshold: Least energy of a tower that counts for missing energy, by row, units of 0.5 GeV.
        jets: Jets of this crossing, columns `JET_COLUMNS`.
        n_jets: How many.
        out: Shape ``(n_events, 7, 2)``.
        index: Which event.
    """
    total, total_em, count = 0, 0, 0
    x, y, x_forward, y_forward = 0.0, 0.0, 0.0, 0.0
    for row in range(80):
        central = _CENTRAL_FIRST <= row <= _CENTRAL_LAST
        for column in range(72):
            energy = tower[row, column]
            if energy == 0:
                continue
            if central:
                count += 1
                total_em += em[row, column]
            if energy < threshold[row]:
                continue
            angle = (column + 0.5) * (2 * np.pi / 72)
            if central:
                total += energy
                x += energy * np.cos(angle)
                y += energy * np.sin(angle)
            else:
                x_forward += energy * np.cos(angle)
                y_forward += energy * np.sin(angle)
    ht, hx, hy = 0, 0.0, 0.0
    for k in range(n_jets):
        energy = jets[k, 0]
        if energy < 60 or jets[k, 1] < 14 or jets[k, 1] > 65:  # 30 GeV, |eta| < 2.5
            continue
        ht += energy
        angle = (jets[k, 2] + 0.5) * (2 * np.pi / 72)
        hx += energy * np.cos(angle)
        hy += energy * np.sin(angle)
    out[index, 0, 0] = min(total, 4095)
    out[index, 1, 0] = min(ht, 4095)
    _missing(x, y, out, index, 2)
    _missing(hx, hy, out, index, 3)
    _missing(x + x_forward, y + y_forward, out, index, 4)
    out[index, 5, 0] = min(total_em, 4095)
    out[index, 6, 0] = min(count, 4095)
