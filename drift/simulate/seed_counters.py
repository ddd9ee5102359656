"""What hardware counts of some seeds in each lumisection, which a few hundred zero-bias events cannot.

A compact model, not the simulated objects: a rate that follows pileup by a power, energies by another, and loses what
falls into a dead region.  Its absolute values are of the order of real ones; it serves to compare a detector with
itself, as the events do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from drift.simulate import menu
from drift.simulate.timeline import LUMISECTION_SECONDS, Fill, Lumisection

Parameters = Mapping[str, Mapping[str, float]]
STREAM = 4
"""Of random numbers of a lumisection; its events have another."""


@dataclass(frozen=True)
class Counter:
    """One seed.

    Attributes:
        object: What it selects: EG, MU, JET, MET, or ALL.
        hz: Rate of a colliding bunch at pileup 50, before the prescale.
        growth: Power of pileup.
        steep: Relative change of the rate per relative change of the energy scale.
    """

    object: str
    hz: float
    growth: float
    steep: float


COUNTERS: Mapping[str, Counter] = MappingProxyType(
    {
        "L1_SingleMu7": Counter("MU", 25.0, 1.0, 0.0),
        "L1_SingleMu22": Counter("MU", 2.8, 1.0, 0.0),
        "L1_SingleEG36er2p5": Counter("EG", 6.0, 1.0, 4.0),
        "L1_SingleJet180": Counter("JET", 1.1, 1.2, 5.0),
        "L1_HTT360er": Counter("JET", 1.4, 3.0, 5.0),
        "L1_ETMHF100": Counter("MET", 1.3, 3.0, 4.0),
        "L1_AXO_Nominal": Counter("ALL", 0.45, 1.6, 3.0),
        "L1_AXO_Tight": Counter("ALL", 0.10, 1.8, 3.0),
    }
)
MISCOUNTED = "L1_AXO_Nominal"
"""The seed that the scenario ``seed_rate`` is about."""


def write(path: Path, timeline: Sequence[Fill], parameters: Parameters, seed: int) -> None:
    """Write a CSV row for every lumisection and seed: counts behind prescale and dead time, and both.

    Args:
        path: Where.
        timeline: What happened.
        parameters: Parameters of each change of the scenario, by name.
        seed: Of the stream; with run and lumisection it fixes the counts.
    """
    lines = ["run,lumisection,seed,counts,prescale,dead_time"]
    for lumisection in (one for fill in timeline for one in fill.lumisections):
        rng = np.random.default_rng([seed, lumisection.run, lumisection.number, STREAM])
        for name, counter in COUNTERS.items():
            prescale = menu.prescale_of(name, lumisection.prescale_index)
            mean = expected(name, counter, lumisection, parameters) / prescale
            counts = int(rng.poisson(mean))
            lines.append(
                f"{lumisection.run},{lumisection.number},{name},{counts},{prescale},{lumisection.dead_time:.6f}"
            )
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def expected(name: str, counter: Counter, lumisection: Lumisection, parameters: Parameters) -> float:
    """Return the mean counts before the prescale, of the detector as it is in this lumisection."""
    live = LUMISECTION_SECONDS * (1.0 - lumisection.dead_time) * lumisection.bunches
    rate = counter.hz * (lumisection.pileup / 50.0) ** counter.growth
    scale = _energy(counter.object, lumisection, parameters) ** counter.steep
    factor = 1.0
    for change, severity in lumisection.severity.items():
        factor *= 1.0 + severity * (_effect(change, parameters.get(change, {}), name, counter.object) - 1.0)
    return float(live * rate * scale * factor)


def _energy(kind: str, lumisection: Lumisection, parameters: Parameters) -> float:
    """Return the energy scale of an object type: benign wander and what a scenario does to it."""
    lost = parameters.get("ecal_transparency", {}).get("f", 0.0) * lumisection.severity.get("ecal_transparency", 0.0)
    table = parameters.get("jet_lut", {}).get("scale", 1.0) - 1.0
    em = 1.0 + lumisection.em_wander - 0.35 * lost
    jet = (0.4 * em + 0.6 * (1.0 + lumisection.had_wander)) * (1.0 + lumisection.severity.get("jet_lut", 0.0) * table)
    return {"EG": em, "JET": jet, "MET": (em + jet) / 2, "ALL": (em + jet) / 2}.get(kind, 1.0)


def _effect(change: str, p: Mapping[str, float], name: str, kind: str) -> float:
    """Return by what a change at full severity multiplies the rate of a seed."""
    if change in {"seed_rate", "luminosity"}:
        return p["factor"] if change == "luminosity" or name == MISCOUNTED else 1.0
    by_object: dict[str, float] = {}
    if change == "hem1516":
        lost = (1.0 - p["gain"]) * (p["eta_high"] - p["eta_low"]) / 6.0 * (p["phi_high"] - p["phi_low"]) / (2 * np.pi)
        by_object = {"JET": 1.0 - lost, "MET": 1.0 + 2 * lost, "ALL": 1.0 - lost / 2}
    elif change == "calo_card":
        lost = p["width_degrees"] / 360.0
        by_object = {"EG": 1.0 - lost, "JET": 1.0 - lost, "MET": 1.0 + 2 * lost, "ALL": 1.0 - lost / 2}
    elif change == "csc_sector":
        by_object = {"MU": 1.0 - 1 / 48}
    elif change == "hf_noise":
        by_object = dict.fromkeys(("MET", "ALL"), 1.0 + 0.5 * p["sigma_gev"])
    elif change == "hot_tower":
        by_object = dict.fromkeys(("EG", "ALL"), 1.0 + 0.05 * p["sigma_gev"])
    return by_object.get(kind, 1.0)
