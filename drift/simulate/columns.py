"""Crossings as the columns of an L1Nano file: branch names, types and physical units as CMSSW writes them.

Flat dictionaries of arrays for `Events`; jagged columns are awkward arrays.  Only bunch crossing 0 is written.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from drift.simulate import grid, menu
from drift.simulate.kernels import Crossings
from drift.simulate.objects import SUM_TYPES
from drift.simulate.timeline import Lumisection

ORBITS_PER_LUMISECTION = 1 << 18
Columns = dict[str, Any]


def events_of(lumisection: Lumisection, crossings: Crossings, rng: np.random.Generator) -> Columns:
    """Return the event columns of one lumisection: scalars by name, and one awkward record array per collection.

    Args:
        lumisection: Where and when.
        crossings: Trigger objects of its events.
        rng: Draws orbit, bunch and reconstructed vertices.
    """
    n = len(crossings.counts)
    orbits = np.sort(rng.integers(0, ORBITS_PER_LUMISECTION, n)) + (lumisection.number - 1) * ORBITS_PER_LUMISECTION
    vertices = rng.binomial(crossings.counts[:, 3], 0.7)
    columns: Columns = {
        "run": np.full(n, lumisection.run, dtype=np.uint32),
        "luminosityBlock": np.full(n, lumisection.number, dtype=np.uint32),
        "event": (orbits.astype(np.uint64) * np.uint64(3564) + np.arange(n, dtype=np.uint64)).astype(np.uint64),
        "bunchCrossing": rng.integers(1, 3565, n).astype(np.uint32),
        "orbitNumber": orbits.astype(np.uint32),
        "PV_npvs": np.minimum(vertices, 255).astype(np.uint8),
        "L1Jet": _jets(crossings),
        "L1EG": _egs(crossings),
        "L1Mu": _muons(crossings),
        "L1EtSum": _sums(crossings),
    }
    columns.update(menu.decide(crossings, lumisection.menu, lumisection.prescale_index, rng))
    return columns


def join(parts: Sequence[Mapping[str, Any]]) -> Columns:
    """Return the columns of several lumisections one after another."""
    joined: Columns = {}
    for name, first in parts[0].items():
        values = [part[name] for part in parts]
        joined[name] = np.concatenate(values) if isinstance(first, np.ndarray) else ak.concatenate(values)
    return joined


def _jagged(counts: NDArray[np.int32], fields: Mapping[str, NDArray[Any]]) -> ak.Array:
    """Return records of the first ``counts`` entries of each row."""
    keep = np.arange(next(iter(fields.values())).shape[1])[None, :] < counts[:, None]
    flat = ak.zip({name: np.ascontiguousarray(values[keep]) for name, values in fields.items()})
    return ak.unflatten(flat, counts)


def _short(values: NDArray[Any]) -> NDArray[np.int16]:
    return values.astype(np.int16)


def _float(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return floats with a 12-bit mantissa, as NanoAOD stores them."""
    raw = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (raw + np.uint32(1 << 10)) & np.uint32(0xFFFFF800)
    return rounded.view(np.float32)


def _signed_phi(values: NDArray[Any], units: int) -> NDArray[np.float32]:
    phi = values * (2 * np.pi / units)
    return _float(np.where(phi > np.pi, phi - 2 * np.pi, phi))


def _calorimeter(pt: NDArray[Any], row: NDArray[Any], column: NDArray[Any], hw_phi: NDArray[Any]) -> Columns:
    hw_eta = grid.hardware_eta()[row]
    return {
        "pt": _float(pt * 0.5),
        "eta": _float(hw_eta * 0.0435),
        "phi": _signed_phi(hw_phi, 144),
        "hwPt": _short(pt),
        "hwEta": _short(hw_eta),
        "hwPhi": _short(hw_phi),
        "towerIEta": _short(grid.ieta(row.astype(np.int64))),
        "towerIPhi": _short(column + 1),
    }


def _jets(c: Crossings) -> ak.Array:
    pt, row, column, pileup = (c.jets[:, :, k] for k in range(4))
    fields = _calorimeter(pt, row, column, 2 * column + 1)
    zero = np.zeros_like(pt)
    return _jagged(c.counts[:, 0], fields | {"puEt": _short(pileup), "hwQual": zero, "hwIso": zero, "bx": zero})


def _egs(c: Crossings) -> ak.Array:
    pt, row, column, hw_phi, iso, quality = (c.egs[:, :, k] for k in range(6))
    fields = _calorimeter(pt, row, column, hw_phi)
    zero = np.zeros_like(pt)
    return _jagged(c.counts[:, 1], fields | {"hwQual": _short(quality), "hwIso": _short(iso), "bx": zero})


def _muons(c: Crossings) -> ak.Array:
    pt, eta, phi, eta_vertex, phi_vertex, quality, charge, iso = (c.muons[:, :, k] for k in range(8))
    fields: Columns = {
        "pt": _float(pt * 0.5),
        "eta": _float(eta * 0.010875),
        "phi": _signed_phi(phi, 576),
        "etaAtVtx": _float(eta_vertex * 0.010875),
        "phiAtVtx": _signed_phi(phi_vertex, 576),
        "hwPt": _short(pt),
        "hwEta": _short(eta),
        "hwPhi": _short(phi),
        "hwEtaAtVtx": _short(eta_vertex),
        "hwPhiAtVtx": _short(phi_vertex),
        "hwQual": _short(quality),
        "hwIso": _short(iso),
        "hwCharge": _short(charge),
        "hwChargeValid": np.ones_like(pt),
        "bx": np.zeros_like(pt),
    }
    return _jagged(c.counts[:, 2], fields)


def _sums(c: Crossings) -> ak.Array:
    pt, phi = c.sums[:, :, 0], c.sums[:, :, 1]
    kinds = np.broadcast_to(np.array(SUM_TYPES, dtype=np.int32), pt.shape)
    fields: Columns = {
        "pt": _float(pt * np.where(kinds == 21, 1.0, 0.5)),
        "phi": _signed_phi(phi, 144),
        "hwPt": pt.astype(np.int32),
        "hwPhi": phi.astype(np.int32),
        "etSumType": kinds,
        "bx": np.zeros_like(pt, dtype=np.int16),
    }
    return _jagged(np.full(len(pt), len(SUM_TYPES), dtype=np.int32), fields)
