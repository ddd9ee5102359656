"""How often retrigger cries wolf, and what it says of each named fault, on simulated fills.

`make week` runs full-length fills; smaller campaigns take the same options.  A reference is fitted from fills of
another seed without faults, then each scenario is watched from its first lumisection.  Crossings go from simulation to
counts in memory, so that files and their reading are not measured here.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drift.boxes import Box
from drift.conditions import Conditions
from drift.events import LumisectionEvents, ObjectColumns
from drift.profile import LumisectionSummary, Summariser
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.simulate import scenarios
from drift.simulate.grid import hardware_eta
from drift.simulate.kernels import Crossings, cross
from drift.simulate.objects import SUM_TYPES
from drift.simulate.stream import tables
from drift.simulate.timeline import Fill, Lumisection, make_timeline
from drift.specimens import Specimens
from drift.watch import Watch

BUDGET = 9e-6
SCENARIOS = (
    "none,pu_step,ps_column,menu_change,beamspot_shift,hem1516,calo_card,hf_noise,hot_tower,csc_sector,"
    "ecal_transparency,jet_lut"
)
COLUMNS = {"JET": ("jets", 0, 0, 1, 3), "EG": ("egs", 1, 0, 1, 3), "MU": ("muons", 2, 0, 3, 4)}


@dataclass(frozen=True)
class Plan:
    """One stream to simulate and watch."""

    scenario: str
    seed: int
    fills: int
    lumisections: int | None
    events: int
    first_fill: int


def timeline_of(plan: Plan) -> tuple[tuple[Fill, ...], tuple[scenarios.Change, ...]]:
    """Return the fills of a plan, disturbed as its scenario says, and the changes."""
    quiet = make_timeline(plan.fills, plan.seed, plan.first_fill, plan.lumisections)
    changes = scenarios.place(plan.scenario, quiet, plan.seed)
    return scenarios.apply(quiet, changes), changes


def events_of(lumisection: Lumisection, crossings: Crossings, eta_of_row: np.ndarray) -> LumisectionEvents:
    """Return trigger objects of simulated crossings as they would be read from a file."""
    n = len(crossings.counts)
    features = np.zeros((len(AXOL1TL_57.features), n), dtype=np.int16)
    met = SUM_TYPES.index(2)
    features[AXOL1TL_57.index("MET_pt")] = crossings.sums[:, met, 0]
    features[AXOL1TL_57.index("MET_phi")] = crossings.sums[:, met, 1]
    objects = {}
    for kind, (name, counted, pt_at, eta_at, phi_at) in COLUMNS.items():
        table = getattr(crossings, name)
        keep = np.arange(table.shape[1])[None, :] < crossings.counts[:, counted][:, None]
        pt = np.where(keep, table[:, :, pt_at], 0).astype(np.int16)
        eta = table[:, :, eta_at] if kind == "MU" else eta_of_row[table[:, :, eta_at].astype(np.int64)]
        phi = 2 * table[:, :, 2] + 1 if kind == "JET" else table[:, :, phi_at]
        values = {"pt": pt, "eta": np.where(keep, eta, 0).astype(np.int16)}
        values["phi"] = np.where(keep, phi, 0).astype(np.int16)
        objects[kind] = ObjectColumns(*(values[one][keep] for one in ("pt", "eta", "phi")))
        for row in AXOL1TL_57.rows(kind):
            feature = AXOL1TL_57.features[row]
            features[row] = values[feature.quantity][:, feature.rank - 1]
    return LumisectionEvents(lumisection.run, lumisection.number, features, objects)


def conditions_of(lumisection: Lumisection) -> Conditions:
    """Return what the conditions files would say, pileup with their one decimal."""
    return Conditions(
        lumisection.run,
        lumisection.number,
        lumisection.fill,
        round(lumisection.measured_pileup, 1),
        lumisection.bunches,
        lumisection.prescale_name,
        "STABLE BEAMS",
        lumisection.dcs_ok,
        lumisection.certified,
        lumisection.dead_time,
    )


def counted(plan: Plan, specimens: Specimens | None = None) -> Iterator[tuple[LumisectionSummary, Conditions]]:
    """Yield the summary and conditions of every lumisection of a plan; keep events of certified ones where asked to."""
    fills, changes = timeline_of(plan)
    parameters = {change.name: dict(change.parameters) for change in changes}
    summariser = Summariser(AXOL1TL_57)
    eta_of_row = hardware_eta()
    for lumisection in (one for fill in fills for one in fill.lumisections):
        rng = np.random.default_rng([plan.seed, lumisection.run, lumisection.number, 3])
        detector = scenarios.detector_of(lumisection, parameters)
        crossings = cross(tables(detector.beam_spot), detector, lumisection.pileup, plan.events, rng)
        events, conditions = events_of(lumisection, crossings, eta_of_row), conditions_of(lumisection)
        if specimens is not None and conditions.usable and conditions.certified and conditions.pileup is not None:
            specimens.add(events, conditions.pileup)
        yield summariser.fill(events), conditions


def watched(reference_path: Path, plan: Plan) -> dict[str, Any]:
    """Simulate and watch one stream, and say what was decided beside what was true."""
    reference = Reference.load(reference_path)
    watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream=plan.scenario)
    states: Counter[str] = Counter()
    order: dict[tuple[int, int], int] = {}
    alarms, highest, spent = [], -np.inf, 0.0
    for summary, conditions in counted(plan):
        order[summary.run, summary.lumisection] = len(order)
        started = time.process_time()
        decision = watch.take(summary, conditions)
        spent += time.process_time() - started
        states[decision.state] += 1
        if decision.state in {"quiet", "warn"}:
            highest = max(highest, decision.log_evidence)
        alarms += [decision.alarm] if decision.alarm is not None else []
    last = watch.conclude()
    alarms += [last] if last is not None else []
    _, changes = timeline_of(plan)
    truth = [(one.name, scenarios.KINDS[one.name], one) for one in changes]
    expected = [kind.expected for _, kind, _ in truth if kind.expected != "quiet"]
    first = min((one.first for _, kind, one in truth if kind.expected != "quiet"), default=None)
    boxes = [kind.box(one.parameters) for _, kind, one in truth if kind.box is not None]
    overlap = None
    if boxes and alarms and alarms[0].box is not None:
        overlap = overlap_of(alarms[0].box, boxes[0])
    return {
        "scenario": plan.scenario,
        "seed": plan.seed,
        "lumisections": len(order),
        "states": dict(states),
        "highest_before_alarm": round(float(highest), 2),
        "expected": expected,
        "verdicts": [one.verdict for one in alarms],
        "said": [(one.cause, one.object, one.rung.word, one.modes[0].name if one.modes else "") for one in alarms],
        "delay": None if first is None or not alarms else order[alarms[0].run, alarms[0].lumisection] - first + 1,
        "onset_error": None if first is None or not alarms else order[alarms[0].onset] - first,
        "box_overlap": overlap,
        "early": bool(first is not None and alarms and order[alarms[0].run, alarms[0].lumisection] < first),
        "text": [one.text for one in alarms],
        "against": [one.against for one in alarms],
        "ms_per_lumisection": round(spent / len(order) * 1e3, 2),
    }


def overlap_of(found: Box, said: dict[str, Any]) -> float:
    """Return how well a box agrees with the one the truth names: intersection over union."""
    eta, phi = said["eta"], said["phi"]
    return round(found.overlap(Box(said["object"], (eta[0], eta[1]), (phi[0], phi[1]))), 2)


def main() -> None:
    """Run the campaign and print one JSON object a stream, then a table."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--scenarios", default=SCENARIOS)
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--first-seed", type=int, default=100)
    ask.add_argument("--fills", type=int, default=6)
    ask.add_argument("--lumisections", type=int, default=0, help="of each fill; 0 for the natural length")
    ask.add_argument("--events", type=int, default=300)
    ask.add_argument("--reference-seed", type=int, default=1)
    ask.add_argument("--workers", type=int, default=2)
    ask.add_argument("--out", type=Path, default=Path("drift_week.jsonl"))
    given = ask.parse_args()
    length = given.lumisections or None
    plans = [
        Plan(name, given.first_seed + seed, given.fills, length, given.events, 10_001)
        for seed in range(given.seeds)
        for name in given.scenarios.split(",")
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(given.workers) as pool:
        path = Path(folder) / "reference.npz"
        quiet = Plan("none", given.reference_seed, given.fills, length, given.events, 9_001)
        rng = np.random.default_rng(given.reference_seed)
        specimens = Specimens(AXOL1TL_57, rng)
        reference = Reference.fit(counted(quiet, specimens), AXOL1TL_57)
        reference.with_library(specimens.groups(reference.pileup_low, reference.pileup_high), rng).save(path)
        with given.out.open("a", encoding="utf-8") as out:
            for row in pool.map(watched, [path] * len(plans), plans):
                rows.append(row)
                out.write(json.dumps(row) + "\n")
                out.flush()
                print(json.dumps(row), flush=True)
    for name in given.scenarios.split(","):
        mine = [row for row in rows if row["scenario"] == name]
        said = Counter(tuple(row["verdicts"]) for row in mine)
        print(f"{name:20s} {sum(row['lumisections'] for row in mine):7d} LS  {dict(said)}")


if __name__ == "__main__":
    main()
