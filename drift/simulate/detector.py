"""The state of the detector during one lumisection: gains, noise and efficiencies by place.

A scenario changes these maps and nothing else; what the trigger objects do then follows from the towers.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drift.simulate.grid import COLUMNS, ROWS, row_centres
from drift.simulate.towers import BeamSpot

MUON_ETA_EDGES: NDArray[np.float64] = np.array([-2.45, -1.24, -0.83, 0.83, 1.24, 2.45])
"""Endcap, overlap, barrel, overlap, endcap."""
MUON_SECTORS = 12
ECAL_NOISE_GEV = 0.09
HCAL_NOISE_GEV = 0.14
FORWARD_NOISE_GEV = 0.20

Map = NDArray[np.float32]


def _noise(central: float, forward: float) -> Map:
    by_row = np.where(np.abs(row_centres()) > 3.0, forward, central)
    return np.repeat(by_row[:, None], COLUMNS, axis=1).astype(np.float32)


def _ones() -> Map:
    return np.ones((ROWS, COLUMNS), dtype=np.float32)


def _ecal_noise() -> Map:
    return _noise(ECAL_NOISE_GEV, 0.0)


def _hcal_noise() -> Map:
    return _noise(HCAL_NOISE_GEV, FORWARD_NOISE_GEV)


def _muon_efficiency() -> Map:
    return np.full((len(MUON_ETA_EDGES) - 1, MUON_SECTORS), 0.96, dtype=np.float32)


@dataclass
class Detector:
    """Gains, noise and efficiencies; scenarios edit a fresh one for each lumisection.

    Attributes:
        em_gain: Electromagnetic response relative to nominal, shape ``(80, 72)``.
        had_gain: Hadronic response relative to nominal, shape ``(80, 72)``.
        em_noise_gev: Gaussian noise of the electromagnetic layer, GeV, shape ``(80, 72)``.
        had_noise_gev: Gaussian noise of the hadronic layer, GeV, shape ``(80, 72)``.
        muon_efficiency: Plateau efficiency by eta region and 30 degree sector, shape ``(5, 12)``.
        jet_scale: Factor of the jet energy look-up table.
        beam_spot: Mean collision point.
    """

    em_gain: Map = field(default_factory=_ones)
    had_gain: Map = field(default_factory=_ones)
    em_noise_gev: Map = field(default_factory=_ecal_noise)
    had_noise_gev: Map = field(default_factory=_hcal_noise)
    muon_efficiency: Map = field(default_factory=_muon_efficiency)
    jet_scale: float = 1.0
    beam_spot: BeamSpot = field(default_factory=BeamSpot)
