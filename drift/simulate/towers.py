"""What the particles of each pool event leave in the trigger towers, worked out once.

A particle is bent in 3.8 T, meets the barrel (r = 1.29 m) or the endcap (z = 3.2 m), and leaves electromagnetic and
hadronic transverse energy in a few towers.  Soft pions and kaons sometimes decay to a muon on the way.
Crossings are then sums of such events (`kernels`), which is four times faster than following particles anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from drift.simulate.pools import Pool
from drift.towers import EDGES

BARREL_RADIUS_M = 1.29
ENDCAP_DISTANCE_M = 3.2
BEAM_SPOT_SIGMA_M = 0.036
_RADIUS_PER_GEV_M = 1.0 / (0.3 * 3.8)

Floats = NDArray[np.float64]
Offsets = NDArray[np.int64]


@dataclass(frozen=True)
class BeamSpot:
    """Where collisions happen: mean displacement along the beam and across it, metres."""

    z_m: float = 0.0
    x_m: float = 0.0


@dataclass(frozen=True)
class Deposits:
    """Sparse tower deposits and true muons of many events, pool after pool.

    Attributes:
        first_event: First event of each pool, shape ``(n_pools + 1,)``.
        offsets: First deposit of each event.
        row: Tower row 0..79.
        column: Tower column 0..71.
        em: Electromagnetic transverse energy, GeV.
        had: Hadronic transverse energy, GeV.
        muon_offsets: First muon of each event.
        muons: Columns pt (GeV), eta, phi (radians), charge; shape ``(n_muons, 4)``.
    """

    first_event: NDArray[np.int64]
    offsets: NDArray[np.int64]
    row: NDArray[np.uint8]
    column: NDArray[np.uint8]
    em: NDArray[np.float32]
    had: NDArray[np.float32]
    muon_offsets: NDArray[np.int64]
    muons: NDArray[np.float32]


def project(pools: Sequence[Pool], beam_spot: BeamSpot, seed: int) -> Deposits:
    """Return the tower deposits of every event of the pools, in their order.

    Args:
        pools: Particle pools.
        beam_spot: Mean collision point; each event is smeared by 3.6 cm along the beam.
        seed: Fixes every random choice of the projection.
    """
    parts = [_project_pool(pool, beam_spot, seed + 7919 * index) for index, pool in enumerate(pools)]
    deposits = [part[1] for part in parts]
    muons = [part[3] for part in parts]
    towers = np.concatenate(deposits)
    return Deposits(
        first_event=np.cumsum([0] + [pool.events for pool in pools]).astype(np.int64),
        offsets=_join_offsets([part[0] for part in parts]),
        row=towers[:, 0].astype(np.uint8),
        column=towers[:, 1].astype(np.uint8),
        em=np.ascontiguousarray(towers[:, 2], dtype=np.float32),
        had=np.ascontiguousarray(towers[:, 3], dtype=np.float32),
        muon_offsets=_join_offsets([part[2] for part in parts]),
        muons=np.ascontiguousarray(np.concatenate(muons), dtype=np.float32),
    )


def _join_offsets(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    counts = np.concatenate([np.diff(part) for part in parts])
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)]).astype(np.int64)


_Projected = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]


def _project_pool(pool: Pool, beam_spot: BeamSpot, seed: int) -> _Projected:
    room = 8 * len(pool.pt) + 64
    deposits = np.zeros((room, 4))
    muons = np.zeros((len(pool.pt) // 4 + 64, 4))
    offsets = np.zeros(pool.events + 1, dtype=np.int64)
    muon_offsets = np.zeros(pool.events + 1, dtype=np.int64)
    spot = np.array([beam_spot.z_m, beam_spot.x_m, BEAM_SPOT_SIGMA_M])
    _project(
        pool.offsets,
        pool.pt,
        pool.eta,
        pool.phi,
        pool.kind,
        EDGES,
        spot,
        np.random.default_rng(seed),
        np.random.default_rng([seed, 1]),
        offsets,
        deposits,
        muon_offsets,
        muons,
    )
    return offsets, deposits[: offsets[-1]], muon_offsets, muons[: muon_offsets[-1]]


@njit(cache=True)
def _row_of(
    eta: float,
    edges: Floats,
) -> int:
    """Return the row of a pseudorapidity, -1 outside the calorimeter."""
    magnitude = abs(eta)
    if magnitude >= edges[-1]:
        return -1
    k = np.searchsorted(edges, magnitude, side="right") - 1
    return int(40 + k) if eta >= 0 else int(39 - k)


@njit(cache=True)
def _impact(
    pt: float,
    eta: float,
    phi: float,
    charge: int,
    z0: float,
    x0: float,
) -> tuple[float, float]:
    """Return pseudorapidity and azimuth seen from the detector's centre where a particle meets the calorimeter."""
    slope = np.sinh(eta)
    if charge == 0:
        reach, turn, radius = BARREL_RADIUS_M, 0.0, 0.0
    else:
        radius = pt * _RADIUS_PER_GEV_M
        ratio = BARREL_RADIUS_M / (2.0 * radius)
        turn = np.arcsin(ratio) if ratio < 1.0 else 1.0e9
        reach = 2.0 * radius * turn
    z = z0 + slope * reach
    r = BARREL_RADIUS_M
    if abs(z) > ENDCAP_DISTANCE_M:
        z = ENDCAP_DISTANCE_M if eta > 0 else -ENDCAP_DISTANCE_M
        reach = (z - z0) / slope
        if charge == 0:
            r = reach
        else:
            turn = reach / (2.0 * radius)
            r = abs(2.0 * radius * np.sin(turn))
            turn = turn % (2.0 * np.pi)
    hit_phi = phi - charge * turn
    x = r * np.cos(hit_phi) + x0
    y = r * np.sin(hit_phi)
    return np.arcsinh(z / max(np.hypot(x, y), 0.02)), np.arctan2(y, x) % (2.0 * np.pi)


@njit(cache=True)
def _shares(kind: int, pt: float, eta: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return electromagnetic and hadronic transverse energy of one particle after response and resolution, GeV."""
    energy = max(pt * np.cosh(eta), 0.1)
    if kind in (0, 6):
        em = pt * max(0.0, 1.0 + rng.standard_normal() * np.hypot(0.03 / np.sqrt(energy), 0.01))
        return 0.985 * em, 0.015 * em
    if kind == 5:
        cosh = np.cosh(eta)
        return min(0.3 / cosh, pt), min(2.0 / cosh, pt)
    response = 0.62 + 0.30 * (1.0 - np.exp(-energy / 12.0))
    width = np.hypot(0.95 / np.sqrt(energy), 0.08)
    seen = pt * response * max(0.0, 1.0 + rng.standard_normal() * width)
    share = 0.05 if rng.random() < 0.38 else 0.12 + 0.68 * rng.random()
    return seen * share, seen * (1.0 - share)


@njit(cache=True)
def _put(
    deposits: Floats,
    n: int,
    row: int,
    column: int,
    em: float,
    had: float,
) -> int:
    """Append one deposit if it is worth keeping; return the new count."""
    if row < 0 or row > 79 or em + had < 0.02 or n >= len(deposits):
        return n
    deposits[n, 0] = row
    deposits[n, 1] = column % 72
    deposits[n, 2] = em
    deposits[n, 3] = had
    return n + 1


@njit(cache=True)
def _decay(kind: int, pt: float, rng: np.random.Generator) -> float:
    """Return the pt of the muon a pion or kaon decays to before the calorimeter, 0 for no decay.

    Probability L m / (c tau p_T) with L = 1.3 m, c tau = 7.80 m (pion) and 3.71 m (kaon, 64 % to a muon).
    """
    if pt < 2.0:
        return 0.0
    chance = 0.0232 / pt if kind == 1 else 0.11 / pt
    if rng.random() > chance:
        return 0.0
    low = 0.57 if kind == 1 else 0.05
    return pt * (low + (1.0 - low) * rng.random())


@njit(cache=True)
def _spread(
    deposits: Floats, n: int, eta: float, phi: float, em: float, had: float, edges: Floats, rng: np.random.Generator
) -> int:
    """Share one shower between the tower it meets and its nearest neighbours."""
    row = _row_of(eta, edges)
    if row < 0:
        return n
    place = phi * (72.0 / (2.0 * np.pi))
    column = int(place)
    inside = place - column
    side = 1 if inside > 0.5 else -1
    leak_em = 0.22 * max(0.0, abs(inside - 0.5) - 0.25)
    leak_had = 0.10 + 0.25 * max(0.0, abs(inside - 0.5) - 0.25)
    up_down = 1 if rng.random() < 0.5 else -1
    if had + em > 0.6:
        n = _put(deposits, n, row, column + side + 72, em * leak_em, had * leak_had)
        n = _put(deposits, n, row + up_down, column, em * 0.03, had * 0.08)
        return _put(deposits, n, row, column, em * (0.97 - leak_em), had * (0.92 - leak_had))
    return _put(deposits, n, row, column, em, had)


@njit(cache=True)
def _project(  # noqa: PLR0917 numba takes no keywords
    first: Offsets,
    pts: Floats,
    etas: Floats,
    phis: Floats,
    kinds: NDArray[np.uint8],
    edges: Floats,
    spot: Floats,
    fate: np.random.Generator,
    shower: np.random.Generator,
    offsets: Offsets,
    deposits: Floats,
    muon_offsets: Offsets,
    muons: Floats,
) -> None:
    """Follow every particle.

    What becomes of it is drawn apart from where its shower goes: a moved beam spot meets the same decays and energies.
    """
    n = 0
    m = 0
    for event in range(len(first) - 1):
        z0 = spot[0] + spot[2] * fate.standard_normal()
        for i in range(first[event], first[event + 1]):
            kind = kinds[i] & 127
            pt, eta, phi = pts[i], etas[i], phis[i]
            charge = 0
            if kind in (1, 2, 3, 5, 6):
                charge = -1 if kinds[i] & 128 else 1
            muon_pt = pt if kind == 5 else 0.0
            if kind in (1, 2):
                muon_pt = _decay(kind, pt, fate)
            if muon_pt > 2.0 and abs(eta) < 2.45 and m < len(muons):
                muons[m, 0], muons[m, 1], muons[m, 2], muons[m, 3] = muon_pt, eta, phi, charge
                m += 1
                if kind != 5:
                    kind = 5
            em, had = _shares(kind, pt, eta, fate)
            hit_eta, hit_phi = _impact(pt, eta, phi, charge, z0, spot[1])
            if kind == 0 and fate.random() < 0.3:  # converted in the tracker: two bent halves
                share = fate.random()
                for sign in (-1, 1):
                    part = share if sign > 0 else 1.0 - share
                    bend = 0.12 / max(pt * part, 0.2)
                    n = _spread(
                        deposits,
                        n,
                        hit_eta,
                        (hit_phi + sign * bend) % (2 * np.pi),
                        em * part,
                        had * part,
                        edges,
                        shower,
                    )
            else:
                n = _spread(deposits, n, hit_eta, hit_phi, em, had, edges, shower)
        offsets[event + 1] = n
        muon_offsets[event + 1] = m
