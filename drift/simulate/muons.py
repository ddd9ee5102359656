"""Which true muons the muon trigger sees, and with what momentum.

Efficiency and resolution follow barrel, overlap and endcap; the assigned momentum is the one of 90 % efficiency, so it
is high by a fifth.  One part in a hundred is badly measured, upwards, which feeds the single-muon rate.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from drift.simulate.objects import MUONS, Hardware

MUON_COLUMNS = ("hwPt", "hwEta", "hwPhi", "hwEtaAtVtx", "hwPhiAtVtx", "hwQual", "hwCharge", "hwIso")


@njit(cache=True)
def _sector_efficiency(efficiency: NDArray[np.float32], edges: NDArray[np.float64], eta: float, phi: float) -> float:
    region = np.searchsorted(edges, eta) - 1
    if region < 0 or region >= len(efficiency):
        return 0.0
    return float(efficiency[region, int(phi * (12.0 / (2.0 * np.pi))) % 12])


@njit(cache=True)
def _wrap(value: float, period: int) -> int:
    return round(value) % period


@njit(cache=True)
def find_muons(
    true: NDArray[np.float64],
    n_true: int,
    efficiency: NDArray[np.float32],
    edges: NDArray[np.float64],
    rng: np.random.Generator,
    out: Hardware,
    index: int,
) -> int:
    """Write the eight highest muons to ``out[index]`` and return their number.

    Args:
        true: pt (GeV), eta, phi, charge of each muon of the crossing.
        n_true: How many.
        efficiency: Plateau by eta region and sector.
        edges: Edges of the eta regions.
        rng: Random numbers.
        out: Columns `MUON_COLUMNS`, shape ``(n_events, 8, 8)``.
        index: Which event.
    """
    found = np.zeros((64, 8), dtype=np.int32)
    n = 0
    for i in range(n_true):
        pt, eta, phi, charge = true[i, 0], true[i, 1], true[i, 2], true[i, 3]
        plateau = _sector_efficiency(efficiency, edges, eta, phi)
        endcap = abs(eta) > 1.24
        reach = 2.6 if endcap else 3.4  # GeV, where half of the muons reach the second station
        if n >= 64 or rng.random() > plateau / (1.0 + np.exp(-(pt - reach) / 0.35)):
            continue
        width = 0.26 if endcap else (0.22 if abs(eta) > 0.83 else 0.17)
        curvature = max(1.0 + width * rng.standard_normal(), 0.25)
        if rng.random() < 0.01:
            curvature *= 0.3 + 0.5 * rng.random()
        good = rng.random()
        eta_hw = round((eta + 0.015 * rng.standard_normal()) / 0.010875)
        phi_hw = _wrap((phi + 0.015 * rng.standard_normal()) * (576 / (2 * np.pi)) - 0.5, 576)
        found[n, 0] = min(max(int(2.0 * 1.2 * pt / curvature), 2), 511)
        found[n, 1] = found[n, 3] = min(max(eta_hw, -225), 225)
        found[n, 4] = phi_hw
        found[n, 2] = _wrap(phi_hw - charge * (1.4 / max(pt, 3.0)) * (576 / (2 * np.pi)), 576)
        found[n, 5] = 12 if good < 0.86 else (8 if good < 0.95 else 4)
        found[n, 6] = 1 if charge < 0 else 0
        found[n, 7] = 1 if rng.random() < 0.5 else 0
        n += 1
    order = np.argsort(-found[:n, 0], kind="mergesort")
    kept = min(n, MUONS)
    for k in range(kept):
        for column in range(8):
            out[index, k, column] = found[order[k], column]
    return kept
