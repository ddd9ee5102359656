"""What the continual-learning campaign learns from: fills of simulated crossings while the detector gets worse.

A fill is a healthy or degraded detector at a pileup that falls by a tenth; its even lumisections teach, its odd ones
measure, and each of four signals is laid over the same pileup.  Fill 0 is healthy; from fill 1 on the degradation grows
to its full size in fill 5, but for pileup, which steps at once.  Nothing here trains.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from drift.schema import AXOL1TL_57
from drift.simulate.detector import Detector
from drift.simulate.grid import region
from drift.simulate.kernels import Optics, cross, optics
from drift.simulate.pools import MINIMUM_BIAS, SIGNALS, SLICES, load_pool
from drift.simulate.resample import recorded_of
from drift.simulate.stream import PROJECTION_SEED
from drift.simulate.towers import BeamSpot, project
from retrain.contract import Features

FILLS = 5
"""Fills after the healthy one."""
LUMISECTIONS = 12
EVENTS = 2000
SIGNAL_EVENTS = 400
FIRST_FACTOR = 2
"""Fill 0 has so many times the lumisections: a champion had time to learn."""
PILEUP = 40.0
OTHER_PILEUP = 60.0
CARD = np.radians(20.0)
"""Azimuth that one layer-1 card of the calorimeter trigger covers."""
DEGRADATIONS: Mapping[str, str] = {
    "dead_sectors": "one more 20 degree card of the calorimeter trigger silent in each fill, five in the end",
    "gain_loss": "4 % of all calorimeter response lost in each fill, 20 % in the end",
    "smearing": "the response of towers spread by 6 % more in each fill (lognormal), 30 % in the end",
    "pileup": f"pileup {OTHER_PILEUP:.0f} instead of {PILEUP:.0f} in all five fills",
}


@dataclass(frozen=True, eq=False)
class Part:
    """One lumisection: its number, pileup and events, hardware integers of shape ``(57, n_events)``."""

    number: int
    pileup: float
    features: Features


@dataclass(frozen=True, eq=False)
class Fill:
    """One fill.

    Attributes:
        index: 0 is healthy.
        parts: Its lumisections in order of time.
        signals: Events of each signal at the fill's pileup, shape ``(57, n_events)``.
    """

    index: int
    parts: tuple[Part, ...]
    signals: Mapping[str, Features]

    @property
    def run(self) -> int:
        """A run number of its own."""
        return 400_000 + self.index

    @property
    def teaching(self) -> tuple[Part, ...]:
        """The lumisections that are learned from."""
        return self.parts[::2]

    @property
    def measuring(self) -> Features:
        """The zero-bias events that measure, shape ``(57, n_events)``."""
        return joined(self.parts[1::2])


def joined(parts: tuple[Part, ...]) -> Features:
    """Return the events of several lumisections one after another."""
    out: Features = np.ascontiguousarray(np.concatenate([part.features for part in parts], axis=1))
    return out


@cache
def tables() -> Optics:
    """Return the projected pools, minimum bias and slices first, then the signals; kept in the process."""
    pools = [load_pool(name) for name in (MINIMUM_BIAS, *SLICES, *SIGNALS)]
    return optics(project(pools, BeamSpot(), PROJECTION_SEED), PROJECTION_SEED)


def detector_at(degradation: str, index: int, seed: int) -> Detector:
    """Return the detector of a fill; what breaks, and in what pattern, follows from the seed."""
    detector = Detector()
    rng = np.random.default_rng([seed, 11])
    if degradation == "dead_sectors":
        first = rng.permutation(18)[:index] * CARD
        for start in first:
            silent = region(-3.0, 3.0, float(start), float(start + CARD))
            detector.em_gain[silent] = 0.0
            detector.had_gain[silent] = 0.0
    elif degradation == "gain_loss":
        detector.em_gain *= np.float32(1.0 - 0.04 * index)
        detector.had_gain *= np.float32(1.0 - 0.04 * index)
    elif degradation == "smearing":
        pattern = rng.standard_normal(detector.em_gain.shape)
        spread = np.exp(0.06 * index * pattern).astype(np.float32)
        detector.em_gain *= spread
        detector.had_gain *= spread
    return detector


def make_fill(
    degradation: str, index: int, seed: int, events: int = EVENTS, signal_events: int = SIGNAL_EVENTS
) -> Fill:
    """Return one fill; fill 0 is the same whatever the degradation is going to be.

    Args:
        degradation: A key of `DEGRADATIONS`.
        index: 0 to 5.
        seed: Fixes every bit.
        events: Zero-bias events a lumisection.
        signal_events: Events of each signal.
    """
    name = "healthy" if index == 0 else degradation
    detector = detector_at(name, index, seed)
    mean = OTHER_PILEUP if name == "pileup" else PILEUP
    count = LUMISECTIONS * (FIRST_FACTOR if index == 0 else 1)
    rng = np.random.default_rng([seed, index, *name.encode()])
    parts = []
    for number, factor in enumerate(np.linspace(1.05, 0.95, count), start=1):
        parts.append(Part(number, float(mean * factor), _events(detector, mean * factor, events, rng, 0)))
    signals = {
        signal: _events(detector, mean, signal_events, rng, 1 + len(SLICES) + place)
        for place, signal in enumerate(SIGNALS)
    }
    return Fill(index, tuple(parts), signals)


def _events(detector: Detector, pileup: float, count: int, rng: np.random.Generator, signal: int) -> Features:
    crossings = cross(tables(), detector, float(pileup), count, rng, signal)
    features: NDArray[np.int16] = recorded_of(crossings).as_events(AXOL1TL_57, 1, 1).features.astype(np.int16)
    return features
