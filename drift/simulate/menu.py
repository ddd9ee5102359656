"""The algorithm bits of the trigger menu, from the objects of each crossing, with prescales by column.

A small part of a real menu, so that files carry bits that come and go with menu and column.  Nothing downstream may
depend on which bits there are.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from drift.simulate.kernels import Crossings
from drift.simulate.objects import SUM_TYPES

Bits = NDArray[np.bool_]
Seed = Callable[[Crossings], Bits]

_WITHIN_2P5 = (14, 65)
"""First and last tower row inside |eta| < 2.5."""


def _jet(gev: float) -> Seed:
    return lambda c: np.asarray(c.jets[:, 0, 0] >= 2 * gev)


def _eg(gev: float, *, isolated: bool = False) -> Seed:
    def seed(c: Crossings) -> Bits:
        good = (c.egs[:, :, 0] >= 2 * gev) & (c.egs[:, :, 1] >= _WITHIN_2P5[0]) & (c.egs[:, :, 1] <= _WITHIN_2P5[1])
        return np.asarray((good & (c.egs[:, :, 4] > 0)).any(axis=1) if isolated else good.any(axis=1))

    return seed


def _double_eg(leading: float, trailing: float) -> Seed:
    def seed(c: Crossings) -> Bits:
        central = (c.egs[:, :, 1] >= _WITHIN_2P5[0]) & (c.egs[:, :, 1] <= _WITHIN_2P5[1])
        pt = np.where(central, c.egs[:, :, 0], 0)
        return np.asarray(((pt >= 2 * leading).sum(axis=1) >= 1) & ((pt >= 2 * trailing).sum(axis=1) >= 2))

    return seed


def _muon(*gev: float, quality: int = 12) -> Seed:
    def seed(c: Crossings) -> Bits:
        pt = np.where(c.muons[:, :, 5] >= quality, c.muons[:, :, 0], 0)
        passed = np.ones(len(pt), dtype=np.bool_)
        for count, threshold in enumerate(gev, start=1):
            passed &= (pt >= 2 * threshold).sum(axis=1) >= count
        return passed

    return seed


def _sum(kind: int, gev: float) -> Seed:
    place = SUM_TYPES.index(kind)
    return lambda c: np.asarray(c.sums[:, place, 0] >= 2 * gev)


SEEDS: Mapping[str, Seed] = MappingProxyType(
    {
        "L1_ZeroBias": lambda c: np.ones(len(c.counts), dtype=np.bool_),
        **{f"L1_SingleJet{gev}": _jet(gev) for gev in (35, 60, 90, 120, 180, 200)},
        **{f"L1_SingleEG{gev}er2p5": _eg(gev) for gev in (8, 10, 15, 26, 36)},
        "L1_SingleIsoEG28er2p5": _eg(28, isolated=True),
        "L1_SingleIsoEG30er2p5": _eg(30, isolated=True),
        "L1_DoubleEG_25_12_er2p5": _double_eg(25, 12),
        **{f"L1_SingleMu{gev}": _muon(gev) for gev in (3, 5, 7, 22)},
        "L1_DoubleMu_15_7": _muon(15, 7, quality=8),
        "L1_TripleMu_5_3_3": _muon(5, 3, 3, quality=8),
        **{f"L1_HTT{gev}er": _sum(1, gev) for gev in (120, 160, 200, 280, 360)},
        **{f"L1_ETMHF{gev}": _sum(8, gev) for gev in (50, 90, 100)},
    }
)
_ADDED = ("L1_SingleJet200", "L1_SingleIsoEG30er2p5", "L1_TripleMu_5_3_3")
_REMOVED = ("L1_SingleJet120", "L1_SingleEG10er2p5", "L1_HTT160er")
MENUS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "v1_0_0": tuple(name for name in SEEDS if name not in _ADDED),
        "v1_1_0": tuple(name for name in SEEDS if name not in _REMOVED),
    }
)
_PRESCALED: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "L1_SingleJet35": (40, 40, 36, 32, 28, 24, 20, 16, 12),
        "L1_SingleJet60": (16, 16, 14, 12, 11, 10, 8, 6, 5),
        "L1_SingleEG8er2p5": (60, 60, 54, 48, 42, 36, 30, 24, 18),
        "L1_SingleEG15er2p5": (16, 16, 14, 8, 8, 8, 6, 5, 4),
        "L1_SingleMu3": (30, 30, 27, 24, 21, 18, 15, 12, 9),
        "L1_SingleMu7": (22, 22, 20, 18, 15, 13, 11, 9, 7),
    }
)
"""Prescale factors of some seeds by column: in proportion to the real ones, small enough to leave some events."""


def decide(crossings: Crossings, menu: str, column: int, rng: np.random.Generator) -> dict[str, Bits]:
    """Return the final decision of every bit of a menu, prescales applied.

    Args:
        crossings: Objects of each crossing.
        menu: Key of `MENUS`.
        column: Index of the prescale column.
        rng: Gives the phase of each prescale counter.
    """
    bits = {}
    for name in MENUS[menu]:
        passed = SEEDS[name](crossings)
        if name in _PRESCALED:
            factor = _PRESCALED[name][column]
            passed = passed & ((np.cumsum(passed) + int(rng.integers(factor))) % factor == 0)
        bits[name] = np.asarray(passed, dtype=np.bool_)
    return bits


def prescale_of(name: str, column: int) -> int:
    """Return by how much a bit is prescaled in a column."""
    return _PRESCALED[name][column] if name in _PRESCALED else 1
