"""Draw the events that peers in environments of their own are shown, and say where they lie.

Few streams: these peers take up to seconds a lumisection.  All events come from the same plans as everybody's.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.drift_draw import BUILD
from benchmarks.drift_peers import fault_seed
from benchmarks.drift_store import StreamPlan, draw_all, fault_plan, null_plan, reference_plan
from drift.schema import AXOL1TL_57

EVENTS = 2000
"""Events kept and shown of each lumisection of 4 000; nannyml wants all chunks alike."""
POINTS = "dead:0.02 dead:0.1 dead:0.5 gain:0.02 gain:0.05 mu:1.0 metdec:0.2 hot:0.01"
BEFORE, WITHIN = 0, 30


def entry(plan: StreamPlan) -> dict[str, Any]:
    """Return what a runner is told of a stream."""
    return {
        "path": str(plan.path), "point": plan.point, "seed": plan.seed, "onset": plan.onset, "before": BEFORE,
        "within": WITHIN,
    }  # fmt: skip


def main() -> None:
    """Draw and write the manifest."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--first-seed", type=int, default=6000)
    ask.add_argument("--reference-fills", type=int, default=4)
    ask.add_argument("--null-fills", type=int, default=1)
    ask.add_argument("--replicates", type=int, default=2)
    ask.add_argument("--points", default=POINTS)
    ask.add_argument("--workers", type=int, default=2)
    ask.add_argument("--manifest", type=Path, default=BUILD / "peers.json")
    given = ask.parse_args()
    reference = reference_plan(given.first_seed, given.reference_fills, EVENTS)
    streams = [null_plan("N3", given.first_seed + 201, given.null_fills, EVENTS)]
    streams += [
        fault_plan(point, fault_seed(given.first_seed, point, k), EVENTS)
        for point in given.points.split()
        for k in range(given.replicates)
    ]
    draw_all([reference, *streams], given.workers)
    manifest = {
        "seed": given.first_seed, "events": EVENTS, "inputs": list(AXOL1TL_57.names), "reference": entry(reference),
        "streams": [entry(plan) for plan in streams],
    }  # fmt: skip
    given.manifest.parent.mkdir(parents=True, exist_ok=True)
    given.manifest.write_text(json.dumps(manifest), encoding="utf-8")


if __name__ == "__main__":
    main()
