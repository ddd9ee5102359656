"""How fast crossings are made, and how they compare with real zero-bias data and with data.md section 3.

Run: .venv/bin/python benchmarks/simulate.py [events]        (20 000 events take about a minute on one core)
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.simulate import scenarios
from drift.simulate.detector import Detector
from drift.simulate.kernels import Crossings, Optics, cross, optics
from drift.simulate.menu import SEEDS
from drift.simulate.pools import MINIMUM_BIAS, SIGNALS, SLICES, load_pool
from drift.simulate.timeline import make_timeline
from drift.simulate.towers import BeamSpot, project

REAL_MEDIANS = {
    "ETM": (36,),
    "EG": (14, 9, 8, 6),
    "Jet": (58, 44, 35, 27, 22, 21, 20, 18, 18),
    "Mu": (10, 6),
}
"""Hardware pt at pileup 60: twice the pt offsets of AXOL1TL v4 (cms-hls4ml/AXOL1TL), which are medians in GeV."""
REAL_FRACTIONS = {
    "L1_SingleMu22": 2.4e-4,
    "L1_SingleJet180": 8.8e-5,
    "L1_HTT360er": 1.06e-4,
    "L1_SingleEG36er2p5": 4.9e-4,
    "L1_SingleIsoEG28er2p5": 7.3e-4,
    "L1_ETMHF100": 9.5e-5,
    "L1_DoubleEG_25_12_er2p5": 1.65e-4,
}
"""Fraction of zero-bias events at pileup 43-46 (L1 seed counts against pileup, 2022-23)."""
CHANGES = (
    "hem1516",
    "ecal_transparency",
    "calo_card",
    "hf_noise",
    "hot_tower",
    "jet_lut",
    "csc_sector",
    "beamspot_shift",
)


def main() -> None:
    """Print speed, medians, seed fractions, signals and the largest shift of each scenario."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    pools = [load_pool(name) for name in (MINIMUM_BIAS, *SLICES, *SIGNALS)]
    tables = optics(project(pools, BeamSpot(), 1), 1)
    rng = np.random.default_rng(1)
    cross(tables, Detector(), 10.0, 2, rng)
    for pileup in (20.0, 30.0, 45.0, 60.0):
        begun = time.process_time()
        made = cross(tables, Detector(), pileup, events, rng)
        print(f"pileup {pileup:.0f}: {events / (time.process_time() - begun):.0f} crossings a core-second")
    compare_medians(made)
    compare_fractions(cross(tables, Detector(), 45.0, 5 * events, rng))
    for index, name in enumerate(SIGNALS, start=1 + len(SLICES)):
        signal = cross(tables, Detector(), 45.0, 2000, rng, index)
        seeds = ("L1_SingleMu22", "L1_SingleIsoEG28er2p5", "L1_HTT280er")
        print(f"{name}: " + ", ".join(f"{seed} {SEEDS[seed](signal).mean():.3f}" for seed in seeds))
    compare_changes(tables, events)


def compare_medians(made: Crossings) -> None:
    """Print medians of present objects beside the real ones."""
    columns: dict[str, NDArray[Any]] = {
        "ETM": made.sums[:, 2:3, 0],
        "EG": made.egs[:, :, 0],
        "Jet": made.jets[:, :, 0],
        "Mu": made.muons[:, :, 0],
    }
    for name, real in REAL_MEDIANS.items():
        found = [int(np.median(column[column > 0])) for column in columns[name].T[: len(real)]]
        print(f"median hardware pt at pileup 60, {name}: {found} (real {list(real)})")


def compare_fractions(made: Crossings) -> None:
    """Print the fraction of crossings that pass each seed beside the real one."""
    for name, real in REAL_FRACTIONS.items():
        passed = SEEDS[name](made)
        print(f"{name}: {passed.mean():.1e} +- {np.sqrt(passed.sum()) / len(passed):.1e} (real {real:.1e})")


def compare_changes(tables: Optics, events: int) -> None:
    """Print what each scenario at full strength does at pileup 50: the largest KS distance and the counts that move."""
    quiet = make_timeline(1, 1, 10_001, 10)[0].lumisections[0]
    reference = cross(tables, scenarios.detector_of(quiet, {}), 50.0, 2 * events, np.random.default_rng(2))
    rates: dict[str, Callable[[Crossings], float]] = {
        "jet35": lambda c: float((c.jets[:, :, 0] >= 70).sum() / len(c.counts)),
        "EG15": lambda c: float((c.egs[:, :, 0] >= 30).sum() / len(c.counts)),
        "ETM": lambda c: float(c.sums[:, 2, 0].mean()),
        "ETMHF": lambda c: float(c.sums[:, 4, 0].mean()),
        "muons": lambda c: float(c.counts[:, 2].mean()),
    }
    for name in CHANGES:
        ((_, parameters),) = scenarios.parse(name)
        detector = scenarios.detector_of(quiet, {})
        edit = scenarios.KINDS[name].detector
        assert edit is not None
        edit(detector, parameters, 1.0)
        used = tables
        if detector.beam_spot != BeamSpot():
            used = optics(project([load_pool(n) for n in (MINIMUM_BIAS, *SLICES)], detector.beam_spot, 1), 1)
        after = cross(used, detector, 50.0, events, np.random.default_rng(3))
        moved = ", ".join(f"{key} {100 * (rate(after) / rate(reference) - 1):+.0f} %" for key, rate in rates.items())
        print(f"{name}: KS {largest_distance(reference, after):.3f}; {moved}")


def largest_distance(one: Crossings, other: Crossings) -> float:
    """Return the largest Kolmogorov-Smirnov distance among the momenta of the ranked objects and MET phi."""
    columns: list[tuple[NDArray[Any], NDArray[Any]]] = [(one.jets[:, k, 0], other.jets[:, k, 0]) for k in range(10)]
    columns += [(one.egs[:, k, 0], other.egs[:, k, 0]) for k in range(4)]
    columns += [(one.muons[:, k, 0], other.muons[:, k, 0]) for k in range(4)]
    columns += [(one.sums[:, 2, k], other.sums[:, 2, k]) for k in range(2)]
    return max(_distance(a, b) for a, b in columns)


def _distance(one: NDArray[np.integer], other: NDArray[np.integer]) -> float:
    top = int(max(one.max(), other.max())) + 1
    a, b = (np.cumsum(np.bincount(x, minlength=top)) / len(x) for x in (one, other))
    return float(np.abs(a - b).max())


if __name__ == "__main__":
    main()
