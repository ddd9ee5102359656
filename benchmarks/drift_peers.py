"""Every detector at one false-alarm rate: how soon each sees the faults of the protocol on the same streams.

Thresholds are matched on a healthy stream with a seed of its own: each peer gets the smallest at which it raises no
alarm there.  That is in-sample and flatters peers; healthy streams of other seeds then say what it is worth.  retrigger
is shown at its own limit, and once more held to the peers' rule.  Streams and what was said of them stay under
build/bench-drift/, so a campaign that was stopped goes on where it was.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detectors import (
    BUDGET,
    DETECTORS,
    OURS,
    RIVER,
    RIVER_DEFAULTS,
    SCORED,
    TURNED,
    Trace,
    certified_of,
    default_thresholds,
    fitted,
    kswin_least,
    river_alarms,
    trace,
)
from benchmarks.drift_draw import BUILD, FILL, PASSING, RAMPS, RECURS, ROOT, STEPS, WIDER, digest_of
from benchmarks.drift_library import with_library
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
from benchmarks.peers_fair import Peer
from drift.listeners import parameters_for
from drift.reference import Reference
from drift.schema import AXOL1TL_57

POINTS = (*STEPS, *WIDER, *RAMPS, *PASSING)
ROWS = ROOT / "docs" / "benchmarks" / "rows"
LADDERS = {
    "ADWIN": [10.0**-power for power in np.geomspace(1.5, 300.0, 60)],
    "Page-Hinkley": [2.0**power for power in np.arange(2.0, 14.0, 0.125)],
}
"""Values tried, the most talkative first."""
AT_PEERS_RULE = f"{OURS}, peers' rule"

_reference: Reference
_peers: dict[str, Peer]
_folder: Path


def fault_seed(first_seed: int, point: str, replicate: int) -> int:
    """Return the seed of a replicate of a fault, the same whichever other faults are asked for."""
    return first_seed + 500 + 10 * POINTS.index(point) + replicate


def reference_for(plan: StreamPlan) -> Reference:
    """Return the reference fitted from a stored stream, fitted once for each state of the code."""
    path = BUILD / f"reference-{plan.path.stem}-{_code()}.npz"
    if not path.exists():
        fitted_to = Reference.fit(((one.summary, one.conditions) for one in read(draw(plan))), AXOL1TL_57)
        with_library(fitted_to, plan.seed).save(path)
    return Reference.load(path)


def _code() -> str:
    ours = [
        ROOT / "benchmarks" / f"{name}.py"
        for name in ("detectors", "peers_fair", "drift_draw", "drift_library", "embedding")
    ]
    return digest_of([*(ROOT / "drift").glob("*.py"), *ours])


def traced(plan: StreamPlan) -> Trace:
    """Return what retrigger and the memoryless peers say of a stream, watching it unless that was done."""
    path = _folder / f"{plan.path.stem}.npz"
    if not path.exists():
        trace(read(plan.path), plan.seed, _reference, _peers).save(path)
        print(f"watched {plan.path.stem}", flush=True)
    return Trace.load(path)


def listened(given: tuple[str, float | None, StreamPlan]) -> list[int]:
    """Return where a river detector alarms on a stream, at one value of its parameter or, for None, by default."""
    name, value, plan = given
    path = _folder / f"{plan.path.stem}.{name}.{value}.json"
    if not path.exists():
        found = list(river_alarms(name, _parameters(name, value), read(plan.path), _reference))
        path.write_text(json.dumps(found))
    alarms: list[int] = json.loads(path.read_text())
    return alarms


def _parameters(name: str, value: float | None) -> dict[str, float]:
    if value is None:
        return RIVER_DEFAULTS[name]
    derived = parameters_for(RIVER[name], BUDGET, len(_reference.streams.labels))
    return derived | {TURNED[name]: value}


def quietest(ladder: Sequence[float], loud: Callable[[float], bool]) -> float | None:
    """Return the first value of a ladder that is not loud, as all after it are taken to be; None when the last is."""
    if loud(ladder[-1]):
        return None
    low, high = 0, len(ladder) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if loud(ladder[middle]) else (low, middle)
    return ladder[low]


def matched(given: tuple[str, StreamPlan]) -> float | None:
    """Return the most talkative value of a river detector's parameter that is silent on a stream; None when none is."""
    name, plan = given
    path = _folder / f"{plan.path.stem}.{name}.matched.json"
    if not path.exists():
        if name == "KSWIN":
            value: float | None = kswin_least(read(plan.path), _reference) * 0.999
        else:
            value = quietest(LADDERS[name], lambda one: _loud(name, one, plan))
        path.write_text(json.dumps(value))
    found: float | None = json.loads(path.read_text())
    return found


def _loud(name: str, value: float, plan: StreamPlan) -> bool:
    return next(river_alarms(name, _parameters(name, value), read(plan.path), _reference), None) is not None


def threshold_of(scores: np.ndarray) -> float:
    """Return the smallest threshold at which a score raises no alarm."""
    return float(np.nextafter(scores.max(), np.inf))


def places_of(scores: np.ndarray, threshold: float) -> list[int]:
    """Return where a score alarms; what says nothing never does."""
    return [int(place) for place in np.flatnonzero((scores >= threshold) & (scores > -np.inf))]


def alarms_of(plan: StreamPlan, thresholds: Mapping[str, float], river: Mapping[str, float]) -> dict[str, list[int]]:
    """Return the places of all alarms on a stream by detector."""
    said = traced(plan)
    found = {}
    for name, threshold in thresholds.items():
        scores = said.scores[OURS] if name == AT_PEERS_RULE else said.scores[name]
        found[name] = places_of(scores, threshold)
    for name, value in river.items():
        found[name] = listened((name, value, plan))
    return found


def fault_row(plan: StreamPlan, said: Trace, alarms: Mapping[str, list[int]]) -> dict[str, Any]:
    """Return how soon each detector saw a fault, in lumisections that arrived since it began."""
    since = np.cumsum(said.index >= plan.onset)
    within = RAMPED if plan.point in RAMPS else WATCHED
    delays: dict[str, int | None] = {}
    seen: dict[str, int] = {}
    for name, places in alarms.items():
        after = [place for place in places if said.index[place] >= plan.onset]
        inside = [place for place in after if RECURS[0] <= said.index[place] % FILL < sum(RECURS)]
        if plan.point.startswith("recur"):
            seen[name] = len({int(said.index[place]) // FILL for place in inside})
            first = [int(said.index[place]) % FILL - RECURS[0] + 1 for place in inside]
            delays[name] = first[0] if first else None
        else:
            delays[name] = int(since[after[0]]) if after and since[after[0]] <= within else None
    early = {name: sum(bool(said.index[place] < plan.onset) for place in places) for name, places in alarms.items()}
    told = next((one[1:] for one in said.told if said.index[one[0]] >= plan.onset), None)
    row = {"what": "fault", "point": plan.point, "seed": plan.seed, "delay": delays, "early": early, "told": told}
    return row | ({"seen": seen} if seen else {})


def null_row(plan: StreamPlan, said: Trace, alarms: Mapping[str, list[int]]) -> dict[str, Any]:
    """Return what each detector cried on a healthy stream."""
    return {
        "what": "null", "kind": plan.point, "seed": plan.seed, "lumisections": len(said.index),
        "spoken": int(said.spoke.sum()), "highest": round(float(said.scores[OURS].max()), 2),
        "alarms": {name: len(places) for name, places in alarms.items()},
    }  # fmt: skip


def campaign(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Draw, watch, match and yield the rows of the campaign."""
    global _reference, _peers, _folder  # noqa: PLW0603 forked workers inherit what was taught once
    taught = reference_plan(given.first_seed, given.reference_fills)
    null = null_plan("N3", given.first_seed + 1, given.null_fills)
    fresh = [
        null_plan(kind, given.first_seed + 101 + place, given.test_fills)
        for place, kind in enumerate(("N1", "N3", "N4", "N6"))
    ]
    faults = [
        fault_plan(point, fault_seed(given.first_seed, point, k))
        for point in given.points.split()
        for k in range(given.replicates)
    ]
    draw_all([taught, null, *fresh, *faults], given.workers)
    _reference = reference_for(taught)
    _peers = {name: fitted(_reference, taught.path, name) for name in SCORED}
    _folder = BUILD / f"traces-{_reference.digest[:12]}-{_code()}"
    _folder.mkdir(parents=True, exist_ok=True)
    list(each(traced, [null, *fresh, *faults], given.workers))
    found = dict(zip(RIVER, each(matched, [(name, null) for name in RIVER], given.workers), strict=True))
    values = {name: value for name, value in found.items() if value is not None}
    work: list[tuple[str, float | None, StreamPlan]] = [(name, None, null) for name in RIVER]
    work += [(name, value, plan) for plan in (*fresh, *faults) for name, value in values.items()]
    list(each(listened, work, given.workers))
    scores = traced(null).scores
    thresholds = {name: threshold_of(row) for name, row in scores.items() if name != OURS}
    thresholds |= {OURS: float(-np.log(BUDGET)), AT_PEERS_RULE: threshold_of(scores[OURS])}
    exchanged = {
        name: np.array([_peers[name].odd(one) for one in certified_of(_reference, taught.path)])
        for name in SCORED
        if name.startswith("MMD")
    }
    usual = default_thresholds(_reference, exchanged)
    spoken = int(traced(null).spoke.sum())
    loud = {name: len(places_of(scores[name], threshold)) for name, threshold in usual.items()}
    loud |= {name: len(listened((name, None, null))) for name in RIVER} | {OURS: len(traced(null).told)}
    yield {
        "what": "campaign", "seed": given.first_seed, "reference_fills": given.reference_fills, "points": given.points,
        "replicates": given.replicates, "null": len(traced(null).index), "spoken": spoken,
        "highest": round(float(scores[OURS].max()), 2), "thresholds": thresholds | values, "usual": usual,
        "never_silent": [name for name, value in found.items() if value is None],
        "usual_alarms_per_1000": {name: round(1000 * count / spoken, 2) for name, count in loud.items()},
        "versions": {name: version(name) for name in ("retrigger", "numpy", "scipy", "river", "numba")},
        "machine": machine(),
    }  # fmt: skip
    for plan in fresh:
        yield null_row(plan, traced(plan), alarms_of(plan, thresholds, values))
    for plan in faults:
        yield fault_row(plan, traced(plan), alarms_of(plan, thresholds, values))


def machine() -> str:
    """Return what this was measured on, in words."""
    cards = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in cards if line.startswith("model name")), platform.machine())
    return f"{model}, Python {platform.python_version()}, one core a stream"


def main() -> None:
    """Run the campaign and write one JSON object a line."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--first-seed", type=int, default=6000)
    ask.add_argument("--reference-fills", type=int, default=20)
    ask.add_argument("--null-fills", type=int, default=26, help="of 400 lumisections; thresholds are matched on them")
    ask.add_argument("--test-fills", type=int, default=10, help="of each kind of healthy stream")
    ask.add_argument("--replicates", type=int, default=5)
    ask.add_argument("--points", default=" ".join(POINTS))
    ask.add_argument("--workers", type=int, default=2)
    ask.add_argument("--rows", type=Path, default=ROWS / "peers.jsonl")
    given = ask.parse_args()
    rows = list(campaign(given))
    given.rows.parent.mkdir(parents=True, exist_ok=True)
    given.rows.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} rows, {len(DETECTORS)} detectors in {given.rows}", file=sys.stderr)


if __name__ == "__main__":
    main()
