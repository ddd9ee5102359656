"""How soon retrigger sees each failure mode at 4 000 events a lumisection, one false alarm a month, and its verdicts.

The reference, the healthy streams and the faults have seeds of their own; `--first-seed` moves all of them.  Streams
are drawn once (`benchmarks.drift_store`) and watched as often as the detector changes.  `benchmarks.drift_page` writes
what came out as a page.
"""

import argparse
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detectors import BUDGET
from benchmarks.drift_draw import EVENTS, FILL, MODES, POINTS, STEPS, conditions_of, dead, healthy, pool, stream
from benchmarks.drift_peers import POINTS as ALL_POINTS
from benchmarks.drift_peers import ROWS, fault_seed, machine, reference_for
from benchmarks.drift_store import (
    RAMPED,
    WATCHED,
    StreamPlan,
    draw,
    draw_all,
    each,
    fault_plan,
    null_plan,
    read,
    reference_plan,
)
from drift.reference import Reference
from drift.watch import Watch

__all__ = [
    "BUDGET", "EVENTS", "FILL", "MODES", "POINTS", "STEPS", "conditions_of", "dead", "fault_run", "healthy", "null_run",
    "pool", "stream",
]  # fmt: skip

_reference: Reference


def fault_run(given: tuple[str, str, int]) -> dict[str, Any]:
    """Watch one fault through a reference on disk.

    Args:
        given: Path of the reference, the fault, e.g. ``dead:0.02``, and a seed.
    """
    reference_path, point, seed = given
    return _fault_row(Reference.load(Path(reference_path)), fault_plan(point, seed))


def null_run(given: tuple[str, int, int]) -> dict[str, Any]:
    """Watch healthy fills through a reference on disk: its path, a seed, how many fills."""
    reference_path, seed, fills = given
    return _null_row(Reference.load(Path(reference_path)), null_plan("N3", seed, fills))


def _fault_row(reference: Reference, plan: StreamPlan) -> dict[str, Any]:
    watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream=plan.point)
    within = RAMPED if plan.point.startswith(("ramp", "nramp")) else WATCHED
    row: dict[str, Any] = {"what": "fault", "point": plan.point, "seed": plan.seed, "delay": None, "early": 0}
    since = 0
    for one in read(draw(plan)):
        decision = watch.take(one.summary, one.conditions)
        since += one.index >= plan.onset
        passed = decision.log_evidence >= -np.log(BUDGET) and decision.state != "excluded"
        if passed and since and row["delay"] is None:
            row["delay"] = since
        if decision.alarm is not None and not since:
            row["early"] += 1
            watch.acknowledge()
        elif decision.alarm is not None:
            row |= _said(decision.alarm) | {"told": since}
            break
        if since >= within:
            break
    if row["delay"] is not None and "verdict" not in row and (last := watch.conclude()) is not None:
        row |= _said(last) | {"told": since}
    mode, _, size = plan.point.partition(":")
    kind = {"glitch": "dead", "recur": "dead", "ramp": "gain", "nramp": "noise"}.get(mode, mode)
    return row | {"broken": MODES[kind](float(size), np.random.default_rng([plan.seed, 13])).broken}


def _said(alarm: Any) -> dict[str, Any]:
    lead = alarm.contributors[0]
    return {"verdict": alarm.verdict, "lead": lead.name, "object": alarm.object, "text": alarm.text}


def _null_row(reference: Reference, plan: StreamPlan) -> dict[str, Any]:
    watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream="null")
    states: dict[str, int] = {}
    alarms, highest, spent = [], -np.inf, 0.0
    for one in read(draw(plan)):
        begun = time.process_time()
        decision = watch.take(one.summary, one.conditions)
        spent += time.process_time() - begun
        states[decision.state] = states.get(decision.state, 0) + 1
        if decision.state in {"quiet", "warn"}:
            highest = max(highest, decision.log_evidence)
        if decision.alarm is not None:
            alarms.append((decision.alarm.verdict, round(decision.alarm.log_evidence, 1), decision.alarm.text))
            watch.acknowledge()
    total = sum(states.values())
    return {
        "what": "null", "kind": plan.point, "seed": plan.seed, "lumisections": total, "states": states,
        "alarms": alarms, "highest": round(float(highest), 2), "ms": round(spent / total * 1e3, 2),
    }  # fmt: skip


def _row(plan: StreamPlan) -> dict[str, Any]:
    return _null_row(_reference, plan) if plan.onset < 0 else _fault_row(_reference, plan)


def main() -> None:
    """Fit a reference, watch healthy streams and faults, write a JSON line each."""
    global _reference  # noqa: PLW0603 forked workers inherit it
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--first-seed", type=int, default=6000)
    ask.add_argument("--reference-fills", type=int, default=20)
    ask.add_argument("--null-streams", type=int, default=2)
    ask.add_argument("--null-fills", type=int, default=26)
    ask.add_argument("--replicates", type=int, default=5)
    ask.add_argument("--points", default=" ".join(ALL_POINTS))
    ask.add_argument("--workers", type=int, default=2)
    ask.add_argument("--rows", type=Path, default=ROWS / "faults.jsonl")
    given = ask.parse_args()
    taught = reference_plan(given.first_seed, given.reference_fills)
    nulls = [null_plan("N3", given.first_seed + 1 + k, given.null_fills) for k in range(given.null_streams)]
    points = given.points.split()
    faults = [fault_plan(p, fault_seed(given.first_seed, p, k)) for p in points for k in range(given.replicates)]
    draw_all([taught, *nulls, *faults], given.workers)
    _reference = reference_for(taught)
    head = {
        "what": "campaign", "seed": given.first_seed, "reference_fills": given.reference_fills,
        "replicates": given.replicates, "points": given.points, "lumisections": FILL, "events": EVENTS,
        "versions": {name: version(name) for name in ("retrigger", "numpy", "scipy", "numba")}, "machine": machine(),
    }  # fmt: skip
    given.rows.parent.mkdir(parents=True, exist_ok=True)
    with given.rows.open("w", encoding="utf-8") as out:
        out.write(json.dumps(head) + "\n")
        for row in each(_row, [*nulls, *faults], given.workers):
            out.write(json.dumps(row) + "\n")
            print(json.dumps(row), file=sys.stderr)


if __name__ == "__main__":
    main()
