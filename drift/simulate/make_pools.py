"""Make the particle pools anew with Pythia 8, in the form in which they are shipped.

Run by `make pools`, in an environment of its own that holds pythia8mc, numpy and pyarrow and nothing else, so this file
imports nothing of retrigger; a test holds its names and codes against `drift.simulate.pools`.
About ten minutes on two cores, most of it spent in starting Pythia nine times.
"""

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

PYTHIA_VERSION = "8.317.2"
BEAM_ENERGY_GEV = 13_600.0
LEAST_PHOTON_PT_GEV = 0.2
LEAST_NEUTRAL_HADRON_PT_GEV = 0.35
LEAST_CHARGED_PT_GEV = 0.4
"""Inside `TRACKING_ETA`: slower ones curl up in 3.8 T before they meet the barrel."""
LEAST_FORWARD_CHARGED_PT_GEV = 0.25
TRACKING_ETA = 2.4
LARGEST_ETA = 5.25
TAIL_FROM_GEV = 20.0
"""Hardest-parton pt from which the slices replace minimum bias."""

_PT_FLOOR_GEV = 0.1
_PT_STEPS = 1023.0 / np.log(40_000.0)
_KINDS = {22: 0, 211: 1, 321: 2, 13: 5, 11: 6}
_OTHER_CHARGED, _NEUTRAL_HADRON, _NEGATIVE = 3, 4, 128
_ABOUT = {
    "pt": "0.1*exp(pt*log(40000)/1023) GeV",
    "eta": "eta*0.01",
    "phi": "phi*2pi/1024",
    "kind": "0 photon,1 pi,2 K,3 other charged hadron,4 neutral hadron,5 muon,6 electron; bit7=negative",
    "generator": "Pythia 8.317 pp 13.6 TeV default (Monash) tune",
}

Particle = tuple[float, float, float, int]


class NoPythiaError(RuntimeError):
    """Pythia is absent or not of the version that the pools are made with."""


class GenerationError(RuntimeError):
    """Pythia refused a setting, did not start, or gave up."""


@dataclass(frozen=True)
class Recipe:
    """How one pool is generated.

    Attributes:
        name: Name of the pool, the file stem.
        events: Events to keep.
        settings: Pythia settings beside beams and seed.
        below_gev: Keep only events whose hardest parton is below this pt; None keeps all.
    """

    name: str
    events: int
    settings: tuple[str, ...]
    below_gev: float | None = None


def _slice(name: str, events: int, low: int, high: int | None) -> Recipe:
    limits = (f"PhaseSpace:pTHatMin = {low}", *((f"PhaseSpace:pTHatMax = {high}",) if high else ()))
    return Recipe(name, events, ("HardQCD:all = on", *limits))


def _z_to(name: str, particle: int) -> Recipe:
    decay = ("23:onMode = off", f"23:onIfAny = {particle}", "PhaseSpace:mHatMin = 60.")
    return Recipe(name, 300, ("WeakSingleBoson:ffbar2gmZ = on", *decay))


RECIPES = (
    Recipe("minbias_pthat_lt20", 6800, ("SoftQCD:inelastic = on",), below_gev=TAIL_FROM_GEV),
    _slice("qcd20", 1200, 20, 40),
    _slice("qcd40", 1000, 40, 80),
    _slice("qcd80", 800, 80, 160),
    _slice("qcd160", 600, 160, None),
    Recipe("TTbar", 300, ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on")),
    _z_to("ZToEE", 11),
    _z_to("ZToMuMu", 13),
    Recipe("HToTauTau", 300, ("HiggsSM:all = on", "25:onMode = off", "25:onIfAny = 15")),
)


def encode(particles: Sequence[Particle]) -> dict[str, NDArray[Any]]:
    """Return the columns of one event: pt, eta and phi in steps of ten bits, and the kind.

    Args:
        particles: pt in GeV, pseudorapidity, azimuth in radians, and PDG code, negative for a negative charge.
    """
    table = np.array([row[:3] for row in particles], dtype=np.float64).reshape(-1, 3)
    codes = [row[3] for row in particles]
    return {
        "pt": np.rint(np.log(np.maximum(table[:, 0], _PT_FLOOR_GEV) / _PT_FLOOR_GEV) * _PT_STEPS).astype(np.uint16),
        "eta": np.rint(table[:, 1] * 100.0).astype(np.int16),
        "phi": (np.rint(table[:, 2] * (1024.0 / (2.0 * np.pi))).astype(np.int64) % 1024).astype(np.uint16),
        "kind": np.array(codes, dtype=np.uint8),
    }


def kind_of(pdg: int, charge: float) -> int:
    """Return the code of a particle's kind, bit 7 set for a negative charge."""
    kind = _KINDS.get(abs(pdg), _OTHER_CHARGED if charge else _NEUTRAL_HADRON)
    return kind | (_NEGATIVE if charge < 0 else 0)


def least_pt_gev(pdg: int, charge: float, eta: float) -> float:
    """Return the pt below which a particle leaves nothing worth keeping in a trigger tower."""
    if charge:
        return LEAST_CHARGED_PT_GEV if abs(eta) < TRACKING_ETA else LEAST_FORWARD_CHARGED_PT_GEV
    return LEAST_PHOTON_PT_GEV if pdg == 22 else LEAST_NEUTRAL_HADRON_PT_GEV


def visible(event: Any) -> list[Particle]:
    """Return pt, eta, phi and kind of what a calorimeter can see of a Pythia event."""
    seen = [p for p in event if p.isFinal() and p.isVisible() and abs(p.eta()) < LARGEST_ETA]
    return [
        (p.pT(), p.eta(), p.phi(), kind_of(p.id(), p.charge()))
        for p in seen
        if p.pT() >= least_pt_gev(p.id(), p.charge(), p.eta())
    ]


def start(recipe: Recipe, seed: int) -> Any:
    """Return a Pythia ready to generate.

    Raises:
        NoPythiaError: The package is absent.
        GenerationError: Pythia refused a setting or did not start.
    """
    try:
        pythia = importlib.import_module("pythia8mc").Pythia("", False)
    except ModuleNotFoundError:
        raise NoPythiaError(
            "pythia8mc is not installed; run `make pools`, "
            f"or pip install --only-binary :all: pythia8mc=={PYTHIA_VERSION}"
        ) from None
    common = ("Print:quiet = on", f"Beams:eCM = {BEAM_ENERGY_GEV}", "Random:setSeed = on", f"Random:seed = {seed}")
    for setting in (*common, *recipe.settings):
        if not pythia.readString(setting):
            raise GenerationError(f"{recipe.name}: Pythia does not know {setting!r}; pythia8mc=={PYTHIA_VERSION} does")
    if not pythia.init():
        raise GenerationError(f"{recipe.name}: Pythia did not start with {recipe.settings}")
    return pythia


def events_of(pythia: Any, recipe: Recipe, most: int) -> Iterator[list[Particle]]:
    """Yield the visible particles of the events that a recipe keeps, at most so many.

    Raises:
        GenerationError: Ten events in a row failed.
    """
    kept, failed = 0, 0
    while kept < most:
        if not pythia.next():
            failed += 1
            if failed == 10:
                raise GenerationError(f"{recipe.name}: Pythia failed ten times in a row after {kept} events")
            continue
        failed = 0
        if recipe.below_gev is not None and pythia.infoPython().pTHat() >= recipe.below_gev:
            continue
        kept += 1
        yield visible(pythia.event)


def make_pool(recipe: Recipe, folder: Path, seed: int, most: int) -> str:
    """Write one pool and return a sentence about it."""
    pythia = start(recipe, seed)
    events = [encode(particles) for particles in events_of(pythia, recipe, most)]
    info = pythia.infoPython()
    columns = {name: pa.array([event[name] for event in events]) for name in ("pt", "eta", "phi", "kind")}
    said = _ABOUT | {
        "sigma_mb": repr(info.sigmaGen()),
        "n_generated": str(info.nAccepted()),
        "comment": "; ".join(recipe.settings),
    }
    path = folder / f"{recipe.name}.parquet"
    aside = path.with_suffix(".part")
    pq.write_table(pa.table(columns).replace_schema_metadata(said), aside, compression="zstd", compression_level=19)
    aside.replace(path)
    particles = sum(len(event["pt"]) for event in events) / max(len(events), 1)
    return (
        f"{recipe.name}: {len(events)} events, {particles:.1f} particles each, sigma {info.sigmaGen():.4g} mb, "
        f"{path.stat().st_size / 1e6:.2f} MB"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pools that are asked for; return 0, or 2 with one readable line when Pythia is absent or fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [recipe.name for recipe in RECIPES]
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pools", help="folder for the pools")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="make just these")
    parser.add_argument("--events", type=int, default=None, help="events of each pool, to try it out")
    parser.add_argument("--seed", type=int, default=20_260, help="seed of the first pool")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    wanted = [(index, recipe) for index, recipe in enumerate(RECIPES) if recipe.name in chosen.only]
    with ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) as pool:
        waiting = [
            pool.submit(make_pool, recipe, chosen.out, chosen.seed + index, chosen.events or recipe.events)
            for index, recipe in wanted
        ]
        try:
            for done in as_completed(waiting):
                sys.stdout.write(f"{done.result()}\n")
                sys.stdout.flush()
        except (NoPythiaError, GenerationError) as error:
            pool.shutdown(cancel_futures=True)
            sys.stderr.write(f"make_pools: {error}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
