"""What the machine and the shift crew do over some fills: pileup, runs, dead time, prescale columns, certification.

One timeline feeds files, conditions and truth, so they cannot disagree.  Shapes follow 2018-2024 running: a ramp, a
plateau levelled in a saw-tooth, a decay, optimisation dips.  `lumisections_per_fill` plays the same shape in
fewer steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

LUMISECTION_SECONDS = 23.3104
REVOLUTION_HZ = 11245.5
CROSS_SECTION_CM2 = 8.0e-26
"""Inelastic cross-section that turns luminosity into pileup: 80 mb at 13.6 TeV, as brilcalc uses."""
FIRST_RUN = 398_000
EPOCH = datetime(2026, 4, 20, 6, 0, 0, tzinfo=UTC)
_LONGEST_FILL = timedelta(hours=24)
"""More than any fill and the gap after it, so that streams of later fills are later in time too."""
COLUMNS = ("2p2E34", "2p0E34", "1p8E34", "1p6E34", "1p4E34", "1p2E34", "1p0E34", "0p8E34", "0p6E34")
_COLUMN_LUMINOSITY = (2.2, 2.0, 1.8, 1.6, 1.4, 1.2, 1.0, 0.8, 0.6)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lumisection:
    """Everything that is true of one lumisection.

    Attributes:
        fill: LHC fill.
        run: Run number.
        number: Lumisection number within the run, from 1.
        start: Its beginning, UTC.
        pileup: True mean number of collisions a crossing.
        measured_pileup: What the luminometer says.
        bunches: Colliding bunches.
        dead_time: Fraction of the time when the trigger could not fire.
        prescale_index: Index into `COLUMNS`.
        prescale_name: Its name.
        dcs_ok: All high voltages on.
        certified: In the golden list.
        em_wander: Benign relative change of the ECAL response.
        had_wander: Benign relative change of the HCAL response.
        severity: How far each change of the scenario has come, 0 to 1, by name.
        menu: Trigger menu in use.
    """

    fill: int
    run: int
    number: int
    start: datetime
    pileup: float
    measured_pileup: float
    bunches: int
    dead_time: float
    prescale_index: int
    prescale_name: str
    dcs_ok: bool
    certified: bool
    em_wander: float
    had_wander: float
    severity: Mapping[str, float] = field(default_factory=dict)
    menu: str = "v1_0_0"

    @property
    def luminosity_1e30(self) -> float:
        """Instantaneous luminosity delivered, 1e30 per cm2 and second."""
        return self.measured_pileup * self.bunches * REVOLUTION_HZ / CROSS_SECTION_CM2 / 1e30


@dataclass(frozen=True)
class Fill:
    """One fill: its beam times and its lumisections in order."""

    number: int
    injection: datetime
    stable_from: datetime
    dumped: datetime
    lumisections: tuple[Lumisection, ...]


def make_timeline(fills: int, seed: int, first_fill: int, lumisections_per_fill: int | None) -> tuple[Fill, ...]:
    """Return fills of undisturbed running.

    Args:
        fills: How many.
        seed: Fixes every choice; the first fills do not depend on how many follow.
        first_fill: Number of the first.
        lumisections_per_fill: Length of each fill; None draws the natural 8 to 15 hours.

    Raises:
        ValueError: A count is below one.
    """
    if fills < 1 or (lumisections_per_fill is not None and lumisections_per_fill < 1):
        raise ValueError(
            f"simulate: {fills} fills of {lumisections_per_fill} lumisections asked; both must be at least 1"
        )
    ahead = first_fill - 10_001
    run, clock, made = FIRST_RUN + 37 * (ahead + 1), EPOCH + ahead * _LONGEST_FILL, []
    for index in range(fills):
        rng = np.random.default_rng([seed, first_fill + index, 1])
        fill = _make_fill(first_fill + index, run, clock, lumisections_per_fill, rng)
        made.append(fill)
        run = fill.lumisections[-1].run + int(rng.integers(1, 12))
        clock = fill.dumped + timedelta(hours=float(rng.uniform(2.0, 6.0)))
    return tuple(made)


def prescale_index(luminosity_1e30: float) -> int:
    """Return the column for a luminosity: the lowest that is not below it."""
    below = [k for k, value in enumerate(_COLUMN_LUMINOSITY) if value * 1e4 * 1.03 >= luminosity_1e30]
    return max(below, default=0)


def pileup_shape(length: int, rng: np.random.Generator, plateau_shift: float = 0.0) -> Floats:
    """Return the pileup of each lumisection of a fill: ramp, levelled saw-tooth, decay, dips.

    Args:
        length: Number of lumisections.
        rng: Random numbers.
        plateau_shift: Added to the levelled value.
    """
    hours = rng.uniform(8.0, 15.0)
    if rng.random() < 0.3:
        hours *= rng.uniform(0.35, 1.0)  # dumped early
    levelled = min(rng.uniform(3.0, 8.0), 0.9 * hours)
    natural = hours * 3600.0 / LUMISECTION_SECONDS
    ramp = min(max(1, round(rng.uniform(10, 25) * length / natural)), max(1, length // 6))
    start, top = rng.uniform(60.4, 61.2) + plateau_shift, rng.uniform(1.0, 1.4)
    period = max(3.0, 20.0 * min(1.0, 3.0 * length / natural))
    t = hours * (np.arange(length) + 0.5) / length
    pileup = start + top * (1.0 - (np.arange(length) / period + rng.random()) % 1.0)
    pileup *= np.exp(-np.maximum(t - levelled, 0.0) / 12.5)
    climb = (np.arange(ramp) + 1.0) / (ramp + 1.0)
    pileup[:ramp] *= climb * rng.uniform(0.85, 1.0, ramp)
    for _ in range(min(3, length // 20)):
        place = int(rng.integers(ramp, length))
        pileup[place : place + int(rng.integers(1, 3))] *= rng.uniform(0.85, 0.95)
    return np.asarray(pileup, dtype=np.float64)


def _make_fill(number: int, first_run: int, clock: datetime, length: int | None, rng: np.random.Generator) -> Fill:
    count = length or int(rng.uniform(8.0, 15.0) * 3600.0 / LUMISECTION_SECONDS)
    pileup = pileup_shape(count, rng)
    runs, numbers = _split_into_runs(count, first_run, rng)
    dead = _dead_time(count, rng)
    dcs, golden = _certify(runs, dead, rng)
    em = _breathing(count, rng)
    had = rng.normal(0.0, 0.001)
    bunches = int(rng.choice([2340, 2345, 2352]))
    calibration = 1.0 + rng.normal(0.0, 0.002)
    stable = clock + timedelta(minutes=float(rng.uniform(55, 90)))
    lumisections = []
    for k in range(count):
        measured = float(pileup[k] * calibration * (1.0 + rng.normal(0.0, 0.001)))
        column = prescale_index(measured * bunches * REVOLUTION_HZ / CROSS_SECTION_CM2 / 1e30)
        lumisections.append(
            Lumisection(
                fill=number,
                run=int(runs[k]),
                number=int(numbers[k]),
                start=stable + timedelta(seconds=k * LUMISECTION_SECONDS),
                pileup=float(pileup[k]),
                measured_pileup=measured,
                bunches=bunches,
                dead_time=float(dead[k]),
                prescale_index=column,
                prescale_name=COLUMNS[column],
                dcs_ok=bool(dcs[k]),
                certified=bool(golden[k]),
                em_wander=float(em[k]),
                had_wander=float(had),
            )
        )
    dumped = stable + timedelta(seconds=count * LUMISECTION_SECONDS)
    return Fill(number, clock, stable, dumped, tuple(lumisections))


def _split_into_runs(
    count: int, first_run: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return run and lumisection number of each lumisection: one to three runs a fill."""
    splits = int(rng.choice([0, 1, 2], p=[0.45, 0.35, 0.2])) if count >= 24 else int(rng.random() < 0.3 and count >= 6)
    where = np.sort(rng.choice(np.arange(2, count - 1), size=splits, replace=False)) if splits else np.zeros(0, int)
    part = np.searchsorted(where, np.arange(count), side="right")
    first = np.concatenate([np.zeros(1, int), where])
    return first_run + part.astype(np.int64), (np.arange(count) - first[part] + 1).astype(np.int64)


def _dead_time(count: int, rng: np.random.Generator) -> Floats:
    dead = rng.lognormal(np.log(0.03), 0.35, count)
    dead = np.where(rng.random(count) < 0.02, rng.uniform(0.2, 0.8, count), dead)
    return np.minimum(dead, 0.99)


def _certify(
    runs: NDArray[np.int64], dead: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which lumisections have high voltage on, and which are golden: about 1.6 ranges a run."""
    dcs = np.ones(len(runs), dtype=np.bool_)
    dcs[0] = False
    golden = np.ones(len(runs), dtype=np.bool_)
    for run in np.unique(runs):
        places = np.flatnonzero(runs == run)
        if rng.random() < 0.15 and len(places) > 10:
            lost = int(rng.integers(len(places)))
            dcs[places[lost : lost + int(rng.integers(1, 3))]] = False
        if rng.random() < 0.6 and len(places) > 10:
            lost = int(rng.integers(len(places)))
            golden[places[lost : lost + 1 + int(0.01 * len(places))]] = False
    return dcs, golden & dcs & (dead < 0.5)


def _breathing(count: int, rng: np.random.Generator) -> Floats:
    """Return an AR(1) wander of 0.3 % about a small offset of the fill, correlated over a tenth of it."""
    keep = np.exp(-10.0 / count)
    wander = np.zeros(count)
    value = rng.normal(0.0, 0.003)
    for k in range(count):
        value = keep * value + np.sqrt(1.0 - keep * keep) * rng.normal(0.0, 0.003)
        wander[k] = value
    return np.clip(wander, -0.006, 0.006) + rng.normal(0.0, 0.001)
