"""What the benchmark's streams are: healthy wander, nuisances, and the faults of the design's protocol.

Streams are drawn from a pool of simulated crossings (`drift.simulate.resample`) along the simulator's own timelines,
with benign wander of gain, efficiency and azimuth, and pass through fault operators (`drift.faults`).  A lumisection
has random numbers of its own, so what is not asked for need not be drawn.  Nothing here watches.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from drift.conditions import Conditions
from drift.events import LumisectionEvents
from drift.faults import Box, Candidates, Decorrelate, Fault, Gain, Hot, Loss, Noise, Recorded, sector_loss
from drift.profile import LumisectionSummary, Summariser
from drift.schema import AXOL1TL_57
from drift.simulate import scenarios
from drift.simulate.resample import CrossingPool, State
from drift.simulate.timeline import Lumisection, make_timeline

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "bench-drift"
EVENTS = 4000
FILL = 400
POOL = 400_000
POOL_SEED = 20_261

GAIN_WANDER, GAIN_FILL = 0.001, 0.001
EFFICIENCY_WANDER, EFFICIENCY_FILL = 0.004, 0.003
PHI_MODULATION = 0.01
RHO = 0.9
BASE_LOSS = 0.02
"""Efficiency wander is a loss of 2 % that goes up and down."""
RECURS = (60, 40)
"""A fault that heals: from this lumisection of each fill on, for so many."""


def digest_of(paths: Iterable[Path]) -> str:
    """Return a short digest of files, and of numpy's version, on which every drawn bit depends."""
    whole = hashlib.sha256(np.__version__.encode())
    for path in sorted(paths):
        whole.update(path.read_bytes())
    return whole.hexdigest()[:12]


@cache
def digest_of_drawing() -> str:
    """Return a digest of all code that a drawn stream depends on."""
    counted = ("faults", "profile", "layout", "kernels", "schema", "summary", "packing", "events", "fourier")
    ours = [ROOT / "benchmarks" / f"{name}.py" for name in ("drift_draw", "embedding")]
    simulated = (ROOT / "drift" / "simulate").glob("*.py")
    return digest_of([*ours, *simulated, *(ROOT / "drift" / f"{name}.py" for name in counted)])


@cache
def pool() -> CrossingPool:
    """Return the pool of crossings: simulated once (half a minute), kept on disk, mapped by every process."""
    simulated = digest_of((ROOT / "drift" / "simulate").glob("*.py"))
    folder = BUILD / f"pool-{POOL}-{POOL_SEED}-{simulated}"
    names = [f"{kind}_{one}" for kind in ("JET", "EG", "MU") for one in ("pt", "eta", "phi")]
    if not folder.exists():
        made = CrossingPool.make(POOL, POOL_SEED)
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as writing:
            for name in names:
                kind, one = name.split("_")
                np.save(Path(writing) / f"{name}.npy", getattr(made.recorded.objects[kind], one))
            np.save(Path(writing) / "met_pt.npy", made.recorded.met_pt)
            np.save(Path(writing) / "met_phi.npy", made.recorded.met_phi)
            np.save(Path(writing) / "first.npy", made.first)
            shutil.copytree(writing, folder.with_suffix(".partial"), dirs_exist_ok=True)
            folder.with_suffix(".partial").rename(folder)
    read = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c")) for name in [*names, "met_pt", "met_phi"]}
    objects = {
        kind: Candidates(read[f"{kind}_pt"], read[f"{kind}_eta"], read[f"{kind}_phi"], turn, high)
        for kind, turn, high in (("JET", 144, 2047), ("EG", 144, 511), ("MU", 576, 511))
    }
    return CrossingPool(Recorded(objects, read["met_pt"], read["met_phi"]), np.load(folder / "first.npy"))


@dataclass
class Wander:
    """Benign wander of one fill: gain, efficiency, azimuthal modulation."""

    rng: np.random.Generator
    gain_fill: float
    loss_fill: float
    depth: float
    phase: float
    gain: float = 0.0
    loss: float = 0.0

    @classmethod
    def of(cls, seed: int, fill: int) -> "Wander":
        """Return the wander a fill starts with."""
        rng = np.random.default_rng([seed, fill, 11])
        return cls(
            rng,
            float(rng.normal(0, GAIN_FILL)),
            float(rng.normal(0, EFFICIENCY_FILL)),
            float(abs(rng.normal(0, PHI_MODULATION))),
            float(rng.uniform(0, 2 * np.pi)),
        )

    def next(self) -> State:
        """Return the state of a healthy detector at this moment, and go one lumisection on."""
        step = np.sqrt(1 - RHO**2)
        self.gain = RHO * self.gain + step * float(self.rng.normal(0, GAIN_WANDER))
        self.loss = RHO * self.loss + step * float(self.rng.normal(0, EFFICIENCY_WANDER))
        loss = BASE_LOSS + self.loss_fill + self.loss
        return State(1.0 + self.gain_fill + self.gain, loss, self.depth, self.phase)


@dataclass(frozen=True)
class Habits:
    """How regular a stream is.

    Attributes:
        wander: Whether the detector wanders; without, every lumisection is counting statistics alone.
        missing: Fraction of lumisections that never arrive.
        short: Fraction that hold a tenth to a half of their events.
        twice: Fraction that arrive twice.
    """

    wander: bool = True
    missing: float = 0.01
    short: float = 0.02
    twice: float = 0.0


USUAL = Habits()
NULLS = {
    "N1": ("none", Habits(wander=False)),
    "N3": ("pu_step,ps_column", USUAL),
    "N4": ("pu_step:up=12:down=30", USUAL),
    "N6": ("none", Habits(missing=0.1, short=0.1, twice=0.05)),
}
"""Healthy streams of the protocol: counting statistics alone; fills with pileup steps and other prescale columns (which
contain N2); pileup outside the reference's; missing, short and duplicate lumisections."""


def conditions_of(one: Lumisection) -> Conditions:
    """Return what the conditions files would say."""
    return Conditions(
        one.run, one.number, one.fill, round(one.measured_pileup, 1), one.bunches, one.prescale_name, "STABLE BEAMS",
        one.dcs_ok, one.certified, one.dead_time,
    )  # fmt: skip


Faults = Callable[[int], Fault | None]


def drawn(
    seed: int,
    fills: int,
    first_fill: int,
    scenario: str,
    fault: Faults,
    events: int = EVENTS,
    length: int | None = FILL,
    habits: Habits = USUAL,
    kept: tuple[int, int] = (0, 2**31),
    source: CrossingPool | None = None,
) -> Iterator[tuple[LumisectionEvents, Conditions, int]]:
    """Yield events, conditions and the lumisection's index, by which the fault in force is asked for.

    Args:
        seed: Fixes every bit.
        fills: How many.
        first_fill: Number of the first.
        scenario: Changes of the machine, see `drift.simulate.scenarios`.
        fault: The fault in force at an index.
        events: Mean events in a lumisection.
        length: Lumisections in a fill; None for the natural length.
        habits: What is irregular.
        kept: First index asked for, and the one after the last.
        source: Crossings to draw from; the pool of all campaigns when none is given.
    """
    crossings = source or pool()
    index, timeline = 0, make_timeline(fills, seed, first_fill, length)
    for fill in scenarios.apply(timeline, scenarios.place(scenario, timeline, seed)):
        wander = Wander.of(seed, fill.number)
        for one in fill.lumisections:
            state, place, index = wander.next() if habits.wander else State(loss=BASE_LOSS), index, index + 1
            if not kept[0] <= place < kept[1]:
                continue
            rng = np.random.default_rng([seed, one.run, one.number, 12])
            n = int(events * max(0.3, 1 + 0.15 * rng.normal()))
            n = int(n * rng.uniform(0.1, 0.5)) if rng.random() < habits.short else n
            recorded = crossings.draw(one.pileup, n, rng, state)
            now = fault(place)
            recorded = now.apply(recorded, rng) if now is not None else recorded
            if rng.random() < habits.missing:
                continue
            for _ in range(1 + int(habits.twice > 0 and rng.random() < habits.twice)):
                yield recorded.as_events(AXOL1TL_57, one.run, one.number), conditions_of(one), place


def stream(
    seed: int,
    fills: int,
    first_fill: int,
    scenario: str,
    fault: Faults,
    events: int = EVENTS,
    length: int = FILL,
    summariser: Summariser | None = None,
    begin: int = 0,
) -> Iterator[tuple[LumisectionSummary, Conditions, int]]:
    """Yield summaries instead of events, from an index on; see `drawn`."""
    counting = summariser or Summariser(AXOL1TL_57)
    made = drawn(seed, fills, first_fill, scenario, fault, events, length, kept=(begin, 2**31))
    for found, conditions, index in made:
        yield counting.fill(found), conditions, index


def healthy(_: int) -> None:
    """No fault at all."""


def dead(fraction: float, rng: np.random.Generator) -> Loss:
    """A box of a fraction of the area |eta| < 3.4, somewhere, sends nothing."""
    eta, phi = round(156 * np.sqrt(fraction)), max(2, round(144 * np.sqrt(fraction)))
    low = int(rng.integers(-60, 60 - eta)) if eta < 100 else -78
    start = int(rng.integers(0, 144))
    return Loss(("JET", "EG"), 1.0, Box((low, low + max(eta, 2)), (start, start + phi)), "a box")


MODES: dict[str, Callable[[float, np.random.Generator], Fault]] = {
    "dead": dead,
    "deff": lambda a, rng: replace(dead(0.05, rng), fraction=a),
    "gain": lambda a, _: Gain(1 + a),
    "eggain": lambda a, _: Gain(1 + a, ("EG",), met=False),
    "mu": lambda a, rng: sector_loss("MU", int(rng.integers(12)), 12, a, 576),
    "metdec": lambda a, _: Decorrelate(a),
    "noise": lambda a, _: Noise(2 * a),
    "hot": lambda a, rng: Hot("JET", a, 2 * int(rng.integers(-30, 30)), 2 * int(rng.integers(72)) + 1),
}
POINTS = {
    "dead": (0.0005, 0.002, 0.005, 0.02, 0.1),
    "deff": (0.1, 0.3),
    "gain": (0.01, 0.02, 0.05, -0.02),
    "eggain": (0.01, 0.02),
    "mu": (0.1, 0.3, 1.0),
    "metdec": (0.05, 0.2),
    "noise": (0.5, 1.0),
    "hot": (0.0005, 0.002, 0.01),
}
STEPS = tuple(f"{mode}:{size}" for mode, sizes in POINTS.items() for size in sizes)
WIDER = ("dead:0.5", "gain:-0.005", "gain:0.005", "metdec:0.02", "noise:0.2")
"""Sizes of the protocol at which everybody, or nobody, should speak."""
RAMPS = ("ramp:-0.005", "ramp:-0.02", "ramp:-0.05", "nramp:2.0")
"""Relative gain, and GeV of noise in missing momentum, gained in 1 000 lumisections."""
PASSING = ("glitch:0.1", "recur:0.005")
"""A tenth of the area gone for one lumisection; half a percent of it, in every fill for forty lumisections."""


def fault_at(point: str, seed: int, onset: int, length: int) -> Faults:
    """Return the fault of a point of the protocol as it develops from an onset on.

    Raises:
        ValueError: The point is not one.
    """
    mode, _, size = point.partition(":")
    rng = np.random.default_rng([seed, 13])
    if mode == "ramp":
        return lambda index: Gain(1 + float(size) * (index - onset + 1) / 1000) if index >= onset else None
    if mode == "nramp":
        return lambda index: Noise(2 * float(size) * (index - onset + 1) / 1000) if index >= onset else None
    kind = {"glitch": "dead", "recur": "dead"}.get(mode, mode)
    if kind not in MODES:
        raise ValueError(f"fault {point!r} is not known; known are {', '.join([*MODES, 'ramp', 'nramp', *PASSING])}")
    one = MODES[kind](float(size), rng)
    if mode == "glitch":
        return lambda index: one if index == onset else None
    if mode == "recur":
        return lambda index: one if RECURS[0] <= index % length < sum(RECURS) and index >= onset else None
    return lambda index: one if index >= onset else None
