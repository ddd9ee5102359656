"""How soon retrigger sees each failure mode at 4 000 events a lumisection, at one false alarm a month.

Streams are drawn from a pool of simulated crossings (`drift.simulate.resample`) along the simulator's own timelines,
with benign wander of gain, efficiency and azimuth, and pass through fault operators (`drift.faults`).  The reference,
the null streams and the fault streams have seeds of their own; `--first-seed` moves all of them.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from drift.conditions import Conditions
from drift.faults import Box, Decorrelate, Fault, Gain, Hot, Loss, Noise, sector_loss
from drift.profile import LumisectionSummary, Summariser
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.simulate import scenarios
from drift.simulate.resample import CrossingPool, State
from drift.simulate.timeline import Lumisection, make_timeline
from drift.watch import Watch

BUDGET = 9e-6
EVENTS = 4000
FILL = 400
HEALTHY, FAULTY = 20, 90
POOL = 400_000
POOL_SEED = 20_261

GAIN_WANDER, GAIN_FILL = 0.001, 0.001
EFFICIENCY_WANDER, EFFICIENCY_FILL = 0.004, 0.003
PHI_MODULATION = 0.01
RHO = 0.9
BASE_LOSS = 0.02
"""Efficiency wander is a loss of 2 % that goes up and down."""

_pool: CrossingPool | None = None


def pool() -> CrossingPool:
    """Return the pool of crossings, made once in each process and kept on disk between runs."""
    global _pool  # noqa: PLW0603 one pool a process
    if _pool is None:
        _pool = CrossingPool.make(POOL, POOL_SEED)
    return _pool


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


def conditions_of(one: Lumisection) -> Conditions:
    """Return what the conditions files would say."""
    return Conditions(
        one.run, one.number, one.fill, round(one.measured_pileup, 1), one.bunches, one.prescale_name, "STABLE BEAMS",
        one.dcs_ok, one.certified, one.dead_time,
    )  # fmt: skip


Faults = Callable[[int], Fault | None]


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
    """Yield summaries, conditions and the lumisection's index, by which the fault in force is asked for.

    One lumisection in a hundred is missing, one in fifty is short (a tenth to a half of the events).  Those
    before ``begin`` are not made: every one has random numbers of its own, and the wander goes on through them.
    """
    counting, index = summariser or Summariser(AXOL1TL_57), 0
    timeline = make_timeline(fills, seed, first_fill, length)
    for fill in scenarios.apply(timeline, scenarios.place(scenario, timeline, seed)):
        wander = Wander.of(seed, fill.number)
        for one in fill.lumisections:
            state = wander.next()
            if index < begin:
                index += 1
                continue
            rng = np.random.default_rng([seed, one.run, one.number, 12])
            n = int(events * max(0.3, 1 + 0.15 * rng.normal()))
            n = int(n * rng.uniform(0.1, 0.5)) if rng.random() < 0.02 else n
            recorded = pool().draw(one.pileup, n, rng, state)
            now = fault(index)
            recorded = now.apply(recorded, rng) if now is not None else recorded
            index += 1
            if rng.random() >= 0.01:
                yield (
                    counting.fill(recorded.as_events(AXOL1TL_57, one.run, one.number)),
                    conditions_of(one),
                    index - 1,
                )


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


def fault_run(given: tuple[str, str, int]) -> dict[str, Any]:
    """Watch one fault that begins after twenty healthy lumisections somewhere in a fill."""
    reference_path, point, seed = given
    reference = Reference.load(Path(reference_path))
    mode, size = point.split(":")
    rng = np.random.default_rng([seed, 13])
    begin = int(rng.integers(30, FILL - HEALTHY - FAULTY - 10))
    fault = MODES[mode](float(size), rng)
    watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream=point)
    count = 0
    told: dict[str, Any] | None = None
    onset = begin + HEALTHY
    made = stream(seed, 1, 30_000 + seed, "none", lambda index: fault if index >= onset else None)
    for summary, conditions, index in made:
        if index < begin:
            continue
        decision = watch.take(summary, conditions)
        count += index >= onset
        crossed = count if decision.log_evidence >= -np.log(BUDGET) and decision.state != "excluded" else None
        told = told or (None if crossed is None else {"delay": count if index >= onset else -1})
        if decision.alarm is not None:
            lead = decision.alarm.contributors[0]
            told = (told or {"delay": count}) | {
                "verdict": decision.alarm.verdict, "lead": lead.name, "object": lead.object, "broken": fault.broken,
                "text": decision.alarm.text,
            }  # fmt: skip
            break
        if count >= FAULTY:
            break
    return {"point": point, "seed": seed, **(told or {"delay": None})}


def null_run(given: tuple[str, int, int, str]) -> dict[str, Any]:
    """Watch healthy fills; every alarm is acknowledged and counted."""
    reference_path, seed, fills, scenario = given
    reference = Reference.load(Path(reference_path))
    watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream="null")
    states: dict[str, int] = {}
    alarms, highest, spent = [], -np.inf, 0.0
    for summary, conditions, _ in stream(seed, fills, 20_000 + 100 * seed, scenario, healthy):
        begun = time.process_time()
        decision = watch.take(summary, conditions)
        spent += time.process_time() - begun
        states[decision.state] = states.get(decision.state, 0) + 1
        if decision.state in {"quiet", "warn"}:
            highest = max(highest, decision.log_evidence)
        if decision.alarm is not None:
            alarms.append((decision.alarm.verdict, round(decision.alarm.log_evidence, 1), decision.alarm.text))
            watch.acknowledge()
    total = sum(states.values())
    return {
        "null": scenario, "seed": seed, "lumisections": total, "states": states, "alarms": alarms,
        "highest": round(float(highest), 2), "ms": round(spent / total * 1e3, 2),
    }  # fmt: skip


PROTOTYPE = {
    "dead:0.0005": ("≤ 40", "48"), "dead:0.002": ("3", "3"), "dead:0.005": ("2", "2"), "dead:0.02": ("1", "1"),
    "gain:0.01": ("≤ 20", "28"), "gain:0.02": ("≤ 6", "8"), "gain:0.05": ("1", "1"),
    "eggain:0.01": ("≤ 60", "> 90"), "eggain:0.02": ("≤ 15", "27"),
    "mu:0.1": ("≤ 35", "38"), "mu:0.3": ("≤ 5", "6"), "mu:1.0": ("1", "1"),
    "metdec:0.05": ("≤ 25", "26"), "metdec:0.2": ("1", "1"),
    "hot:0.0005": ("≤ 50", "64"), "hot:0.002": ("≤ 4", "5"), "hot:0.01": ("1", "1"),
}  # fmt: skip
"""Median delay that is asked for, and what the design's prototype had on its own generator (shared/design/drift.md)."""


def page(nulls: list[dict[str, Any]], rows: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """Return the campaign as a page of docs."""
    total, alarms = sum(one["lumisections"] for one in nulls), [alarm for one in nulls for alarm in one["alarms"]]
    watched = sum(one["states"].get(state, 0) for one in nulls for state in ("quiet", "warn", "alarm"))
    made = f"{given.replicates} streams a fault, reference of {given.reference_fills} fills of {FILL} lumisections"
    nuisances = "pileup steps, prescale columns, short or missing lumisections, wander"
    highest, spent = max(one["highest"] for one in nulls), np.mean([one["ms"] for one in nulls])
    seen = f"{len(alarms)} alarms in {total} lumisections, {watched} of them watched ({nuisances})"
    lines = [
        "# Drift: faults at 4 000 events a lumisection",
        "",
        f"Written by `make bench-drift`; seeds from {given.first_seed}, {made},",
        f"retrigger {version('retrigger')}, numpy {np.__version__}. Streams: `benchmarks/drift_faults.py`.",
        "",
        f"**Healthy**: {seen};",
        f"largest log evidence {highest} of {-np.log(BUDGET):.1f}; {spent:.1f} ms a lumisection.",
        "",
        "Delay is the lumisection after the onset in which the evidence passes its limit; `-` is not within 90.",
        "",
        "| fault | asked | prototype | median | all | verdicts |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for point in given.points.split():
        mine = [row for row in rows if row["point"] == point]
        delays = sorted(row["delay"] if row["delay"] is not None else np.inf for row in mine)
        said = ["-" if delay == np.inf else str(delay) for delay in delays]
        verdicts = Counter(str(row.get("verdict", "none")) for row in mine)
        asked, had = PROTOTYPE.get(point, ("", ""))
        lines.append(
            f"| {point} | {asked} | {had} | {said[len(said) // 2]} | {' '.join(said)} | "
            f"{', '.join(f'{n} {name}' for name, n in verdicts.most_common())} |"
        )
    broken = [row for row in rows if row.get("broken")]
    shifts = sum(row["verdict"] == "real_shift" for row in broken)
    lines += ["", f"Of {len(broken)} told faults of a broken detector, {shifts} were called a real shift.", ""]
    return "\n".join(lines)


def main() -> None:
    """Fit a reference, watch null streams and faults, print a row each."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--first-seed", type=int, default=1000)
    ask.add_argument("--reference-fills", type=int, default=20)
    ask.add_argument("--null-streams", type=int, default=2)
    ask.add_argument("--null-fills", type=int, default=10)
    ask.add_argument("--replicates", type=int, default=5)
    ask.add_argument("--points", default=" ".join(f"{mode}:{size}" for mode, sizes in POINTS.items() for size in sizes))
    ask.add_argument("--workers", type=int, default=2)
    ask.add_argument("--out", type=Path, help="where the page goes; left out: standard output")
    given = ask.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference.npz"
        made = stream(given.first_seed, given.reference_fills, 10_000, "pu_step", healthy)
        Reference.fit(((summary, conditions) for summary, conditions, _ in made), AXOL1TL_57).save(reference)
        nulls = [
            (str(reference), given.first_seed + 1 + k, given.null_fills, "pu_step,ps_column")
            for k in range(given.null_streams)
        ]
        runs = [
            (str(reference), point, given.first_seed + 500 + 10 * i + k)
            for i, point in enumerate(given.points.split())
            for k in range(given.replicates)
        ]
        with ProcessPoolExecutor(given.workers) as workers:
            rows = list(workers.map(fault_run, runs))
            healthy_rows = list(workers.map(null_run, nulls))
    for row in [*rows, *healthy_rows]:
        print(json.dumps(row), file=sys.stderr)
    text = page(healthy_rows, rows, given)
    if given.out is None:
        print(text)
    else:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
