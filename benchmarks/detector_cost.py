"""What each detector costs: CPU time a lumisection and peak memory, each in a process of its own.

``python -m benchmarks.detector_cost`` starts one child a detector, which loads the reference, learns what it must,
and watches one stored stream twice; the second time is measured, so that compilation is not.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.detectors import BUDGET, DUMMIES, OURS, RIVER, SCORED, fitted
from benchmarks.drift_draw import ROOT
from benchmarks.drift_peers import ROWS, machine, reference_for
from benchmarks.drift_store import Kept, draw, null_plan, read, reference_plan
from drift.alternatives import RiverDetector
from drift.reference import Reference
from drift.watch import Watch

NOTHING = "reading alone"
NAMES = (NOTHING, OURS, *(name for name in SCORED if name not in DUMMIES), *RIVER)


def taker(name: str, reference: Reference, taught: Path) -> Callable[[Kept], Any]:
    """Return what takes a lumisection in."""
    if name == NOTHING:
        return lambda one: one
    if name == OURS:
        watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream="cost")
        return lambda one: watch.take(one.summary, one.conditions)
    if name in RIVER:
        river = RiverDetector(
            reference, detector=RIVER[name], false_alarms_per_lumisection=BUDGET, stream="cost"
        )  # fmt: skip
        return lambda one: river.take(one.summary, one.conditions)
    return fitted(reference, taught, name).score


def measure(name: str, first_seed: int, fills: int) -> dict[str, Any]:
    """Return the cost of one detector in this process."""
    taught, watched = reference_plan(first_seed, fills), null_plan("N1", first_seed + 101, 1)
    reference = reference_for(taught)
    take = taker(name, reference, taught.path)
    spent, count = 0.0, 0
    for turn in range(2):
        for one in read(draw(watched)):
            begun = time.process_time()
            take(one)
            spent += (time.process_time() - begun) * turn
            count += turn
    return {"what": "cost", "detector": name, "ms": round(spent / count * 1e3, 3), "rss_mb": _peak_mb()}


def _peak_mb() -> int:
    """Return this process's largest resident memory; getrusage would tell the parent's if that was larger."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)


def main() -> None:
    """Measure every detector, or be the child that measures one."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--first-seed", type=int, default=6000)
    ask.add_argument("--reference-fills", type=int, default=20)
    ask.add_argument("--only", help="measure this one in this process")
    ask.add_argument("--rows", type=Path, default=ROWS / "cost.jsonl")
    given = ask.parse_args()
    if given.only:
        print(json.dumps(measure(given.only, given.first_seed, given.reference_fills)))
        return
    draw(null_plan("N1", given.first_seed + 101, 1))
    reference_for(reference_plan(given.first_seed, given.reference_fills))
    rows = [{"what": "campaign", "seed": given.first_seed, "machine": machine()}]
    for name in NAMES:
        told = ["--first-seed", str(given.first_seed), "--reference-fills", str(given.reference_fills)]
        child = [sys.executable, "-m", "benchmarks.detector_cost", "--only", name, *told]
        answer = subprocess.run(child, capture_output=True, text=True, check=True, cwd=ROOT)
        rows.append(json.loads(answer.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    given.rows.parent.mkdir(parents=True, exist_ok=True)
    given.rows.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
