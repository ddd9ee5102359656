"""Bunch crossings: pool events laid over one another, seen through a detector, turned into trigger objects.

Each crossing has a Poisson number of collisions; each is a random pool event turned by a whole number of tower columns
and mirrored at random, which makes 144 events of one.  The result depends only on the arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from drift.simulate.detector import MUON_ETA_EDGES, Detector
from drift.simulate.grid import row_centres
from drift.simulate.muons import MUON_COLUMNS, find_muons
from drift.simulate.objects import (
    EG_COLUMNS,
    EGS,
    JET_COLUMNS,
    JETS,
    MUONS,
    SUM_TYPES,
    Hardware,
    Ints,
    find_egs,
    find_jets,
    find_sums,
)
from drift.simulate.pools import SLICES
from drift.simulate.towers import Deposits

BUNCH_SPREAD = 0.05
"""Relative spread of pileup from bunch to bunch."""
_NOISE_TABLE = 1 << 16
Arrays = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Crossings:
    """Trigger objects of many crossings, in hardware integers, zero where absent.

    Attributes:
        jets: Columns `objects.JET_COLUMNS`, shape ``(n, 12, 4)``.
        egs: Columns `objects.EG_COLUMNS`, shape ``(n, 12, 6)``.
        muons: Columns `muons.MUON_COLUMNS`, shape ``(n, 8, 8)``.
        sums: hwPt and hwPhi of `objects.SUM_TYPES`, shape ``(n, 7, 2)``.
        counts: Jets, clusters, muons, vertices of each crossing, shape ``(n, 4)``.
    """

    jets: Hardware
    egs: Hardware
    muons: Hardware
    sums: Ints
    counts: Ints


@dataclass(frozen=True)
class Optics:
    """Tables that belong to the set of pools, not to a lumisection.

    Attributes:
        deposits: Projected pools: minimum bias, then the slices, then an optional signal.
        density: Mean transverse energy per tower and vertex by row, units of 0.5 GeV.
        noise: Standard normal numbers, used at a random place for each crossing.
    """

    deposits: Deposits
    density: NDArray[np.float32]
    noise: NDArray[np.float32]


def optics(deposits: Deposits, seed: int) -> Optics:
    """Return the tables that go with projected pools."""
    last = deposits.offsets[deposits.first_event[1]]
    energy = deposits.em[:last] + deposits.had[:last]
    sums = np.bincount(deposits.row[:last], weights=energy, minlength=80)
    by_row = 0.5 * (sums + sums[::-1])
    density = 2.0 * by_row / (72.0 * float(deposits.first_event[1]))
    noise = np.random.default_rng(seed).standard_normal(_NOISE_TABLE).astype(np.float32)
    return Optics(deposits, density.astype(np.float32), noise)


def cross(
    tables: Optics, detector: Detector, pileup: float, events: int, rng: np.random.Generator, signal: int = 0
) -> Crossings:
    """Return the trigger objects of ``events`` crossings.

    Args:
        tables: Projected pools.
        detector: Gains, noise, efficiencies.
        pileup: Mean number of inelastic collisions a crossing.
        events: How many crossings.
        rng: Random numbers.
        signal: Index of a pool that adds one event to each crossing; 0 for none.
    """
    out = Crossings(
        jets=np.zeros((events, JETS, len(JET_COLUMNS)), dtype=np.int16),
        egs=np.zeros((events, EGS, len(EG_COLUMNS)), dtype=np.int16),
        muons=np.zeros((events, MUONS, len(MUON_COLUMNS)), dtype=np.int16),
        sums=np.zeros((events, len(SUM_TYPES), 2), dtype=np.int32),
        counts=np.zeros((events, 4), dtype=np.int32),
    )
    d = tables.deposits
    mus = pileup * np.maximum(1.0 + BUNCH_SPREAD * rng.standard_normal(events), 0.0)
    _cross(
        (d.first_event, d.offsets, d.row, d.column, d.em, d.had, d.muon_offsets, d.muons),
        np.cumsum(np.array(list(SLICES.values())[::-1])),
        (detector.em_gain, detector.had_gain, detector.em_noise_gev, detector.had_noise_gev),
        (detector.muon_efficiency, MUON_ETA_EDGES),
        (jet_calibration() * np.float32(detector.jet_scale), eg_calibration(), tables.density, tables.noise),
        mus,
        signal,
        rng,
        (out.jets, out.egs, out.muons, out.sums, out.counts),
    )
    return out


def jet_calibration() -> NDArray[np.float32]:
    """Return the factor from raw to calibrated jet energy by row."""
    eta = np.abs(row_centres())
    return np.where(eta > 3.0, 0.95, np.where(eta > 2.5, 0.85, 1.14)).astype(np.float32)


def eg_calibration() -> NDArray[np.float32]:
    """Return the factor from raw to calibrated cluster energy by row."""
    return np.full(80, 1.1, dtype=np.float32)


@njit(cache=True)
def _overlay(
    event: int,
    turn: int,
    mirror: bool,
    pool: Arrays,
    em: NDArray[np.float32],
    had: NDArray[np.float32],
    true: NDArray[np.float64],
    n_true: int,
) -> int:
    """Add one pool event to the towers and its muons to the list; return the number of muons."""
    _first, offsets, rows, columns, ems, hads, muon_offsets, muons = pool
    for k in range(offsets[event], offsets[event + 1]):
        row = 79 - rows[k] if mirror else rows[k]
        column = columns[k] + turn
        if column >= 72:
            column -= 72
        em[row, column] += ems[k]
        had[row, column] += hads[k]
    for k in range(muon_offsets[event], muon_offsets[event + 1]):
        if n_true >= len(true):
            break
        true[n_true, 0] = muons[k, 0]
        true[n_true, 1] = -muons[k, 1] if mirror else muons[k, 1]
        true[n_true, 2] = (muons[k, 2] + turn * (2.0 * np.pi / 72)) % (2.0 * np.pi)
        true[n_true, 3] = muons[k, 3]
        n_true += 1
    return n_true


@njit(cache=True)
def _digitise(
    em: NDArray[np.float32],
    had: NDArray[np.float32],
    maps: Arrays,
    noise: NDArray[np.float32],
    place: int,
    grids: Arrays,
) -> int:
    """Apply gain, noise, zero suppression and 0.5 GeV steps; clear the sums; return the central towers hit."""
    em_gain, had_gain, em_noise, had_noise = maps
    em_q, had_q, tower = grids
    hit = 0
    mask = len(noise) - 1
    for row in range(80):
        for column in range(72):
            k = place + 2 * (row * 72 + column)
            e = em[row, column] * em_gain[row, column] + em_noise[row, column] * noise[k & mask]
            h = had[row, column] * had_gain[row, column] + had_noise[row, column] * noise[(k + 1) & mask]
            em[row, column] = 0.0
            had[row, column] = 0.0
            e_q = min(int(2.0 * e), 255) if e >= 0.5 else 0
            h_q = min(int(2.0 * h), 255) if h >= 0.5 else 0
            em_q[row, column] = e_q
            had_q[row, column] = h_q
            tower[row, column] = e_q + h_q
            if 36 <= row <= 43 and e_q + h_q > 0:
                hit += 1
    return hit


@njit(cache=True)
def _cross(
    pool: Arrays,
    tail: NDArray[np.float64],
    maps: Arrays,
    muon_maps: Arrays,
    calibration: Arrays,
    mus: NDArray[np.float64],
    signal: int,
    rng: np.random.Generator,
    out: Arrays,
) -> None:
    first = pool[0]
    jets, egs, muons, sums, counts = out
    em = np.zeros((80, 72), dtype=np.float32)
    had = np.zeros((80, 72), dtype=np.float32)
    grids = (
        np.zeros((80, 72), dtype=np.int32),
        np.zeros((80, 72), dtype=np.int32),
        np.zeros((80, 72), dtype=np.int32),
    )
    threshold = np.zeros(80, dtype=np.float32)
    true = np.zeros((64, 4))
    n_slices = len(tail)
    for i in range(len(mus)):
        n_true = 0
        vertices = rng.poisson(mus[i])
        for _ in range(vertices):
            stratum = 0
            u = rng.random()
            if u < tail[-1]:
                stratum = n_slices - int(np.searchsorted(tail, u, side="right"))
            event = first[stratum] + int(rng.random() * (first[stratum + 1] - first[stratum]))
            n_true = _overlay(event, int(rng.random() * 72), rng.random() < 0.5, pool, em, had, true, n_true)
        if signal > 0:
            event = first[signal] + int(rng.random() * (first[signal + 1] - first[signal]))
            n_true = _overlay(event, int(rng.random() * 72), rng.random() < 0.5, pool, em, had, true, n_true)
        hit = _digitise(em, had, maps, calibration[3], int(rng.random() * 65536), grids)
        density = calibration[2]
        estimate = -60.0 * np.log(max(1.0 - hit / 576.0, 0.002))
        for row in range(80):
            threshold[row] = 1.0 + 20.0 * estimate * density[row]
        n_jets = find_jets(grids[2], calibration[0], jets, i)
        n_egs = find_egs(grids[0], grids[1], calibration[1], hit, egs, i)
        n_muons = find_muons(true, n_true, muon_maps[0], muon_maps[1], rng, muons, i)
        find_sums(grids[0], grids[2], threshold, jets[i], n_jets, sums, i)
        counts[i, 0], counts[i, 1], counts[i, 2], counts[i, 3] = n_jets, n_egs, n_muons, vertices
