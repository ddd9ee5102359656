"""The physics simulator's scenarios over a month of full-length fills, at 1 000 events a lumisection.

Four weeks of eight fills carry one nuisance each and are watched by one watch without interruption.  Every fault is
put once into each of four other weeks and is simulated from 300 lumisections before it begins, more than evidence
reaches back, until a little after it is told.  All crossings are simulated, none resampled.  Fills are drawn in
parallel and kept, a JSON line is appended for each stream that is done, and a campaign that was stopped goes on.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift_draw import BUILD, ROOT, digest_of
from benchmarks.drift_peers import ROWS, machine
from benchmarks.drift_store import Drawn, each, read, write
from benchmarks.drift_week import BUDGET, Plan, conditions_of, events_of, overlap_of, timeline_of
from drift.conditions import Conditions
from drift.profile import LumisectionSummary, Summariser
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.simulate import scenarios
from drift.simulate.grid import hardware_eta
from drift.simulate.kernels import cross
from drift.simulate.stream import tables
from drift.simulate.timeline import Lumisection
from drift.watch import Alarm, Watch

NUISANCES = ("pu_step", "ps_column", "menu_change", "beamspot_shift")
FAULTS = (
    "hem1516", "calo_card", "hf_noise", "hot_tower", "csc_sector", "jet_lut", "ecal_transparency",
    "ecal_transparency:f=0.05",
)  # fmt: skip
LEAD, LONGEST, AFTER = 300, 4000, 30
"""Lumisections before a fault, at most after it, and after it was told."""

_reference: Reference


@dataclass(frozen=True)
class Part:
    """One fill of a plan, to be drawn."""

    plan: Plan
    fill: int

    @property
    def path(self) -> Path:
        """Where it is kept."""
        code = digest_of([*(ROOT / "drift" / "simulate").glob("*.py"), ROOT / "drift" / "layout.py"])
        plan = self.plan
        name = f"{plan.scenario}-{plan.seed}-{plan.first_fill}-{plan.lumisections}-{plan.events}-{self.fill}"
        return BUILD / f"month-{code}" / f"{name.replace(':', '_')}.npz"


def simulated(plan: Plan, first: int, last: int) -> Iterator[tuple[Drawn, Lumisection]]:
    """Yield events, conditions and index of the lumisections of a plan from one index up to another."""
    fills, changes = timeline_of(plan)
    parameters = {change.name: dict(change.parameters) for change in changes}
    eta_of_row = hardware_eta()
    for index, one in enumerate([one for fill in fills for one in fill.lumisections][first:last], first):
        rng = np.random.default_rng([plan.seed, one.run, one.number, 3])
        detector = scenarios.detector_of(one, parameters)
        crossings = cross(tables(detector.beam_spot), detector, one.pileup, plan.events, rng)
        yield (events_of(one, crossings, eta_of_row), conditions_of(one), index), one


def draw(part: Part) -> Path:
    """Draw a fill unless it is there."""
    if not part.path.exists():
        lengths = [len(fill.lumisections) for fill in timeline_of(part.plan)[0]]
        first = sum(lengths[: part.fill])
        made = simulated(part.plan, first, first + lengths[part.fill])
        write(
            part.path, {"scenario": part.plan.scenario, "seed": part.plan.seed}, (row for row, _ in made), embed=False
        )
    return part.path


def pairs(plan: Plan) -> Iterator[tuple[LumisectionSummary, Conditions]]:
    """Yield summaries and conditions of a plan whose fills have been drawn."""
    for fill in range(plan.fills):
        for one in read(Part(plan, fill).path):
            yield one.summary, one.conditions


def row_of(plan: Plan, states: Counter[str], alarms: list[Alarm], highest: float) -> dict[str, Any]:
    """Return what was decided beside what was expected."""
    return {
        "what": "month", "scenario": plan.scenario, "seed": plan.seed, "reference": _reference.digest[:12],
        "lumisections": states.total(), "states": dict(states), "highest_before_alarm": round(highest, 2),
        "verdicts": [one.verdict for one in alarms], "text": [one.text for one in alarms], "expected": "",
        "delay": None, "onset_error": None, "box_overlap": None,
    }  # fmt: skip


def quiet_weeks(plans: list[Plan]) -> Iterator[dict[str, Any]]:
    """Watch weeks of nuisances through, one after the other; every alarm is acknowledged."""
    watch = Watch(_reference, false_alarms_per_lumisection=BUDGET, stream="month")
    for plan in plans:
        states: Counter[str] = Counter()
        alarms, highest = [], -np.inf
        for summary, conditions in pairs(plan):
            decision = watch.take(summary, conditions)
            states[decision.state] += 1
            if decision.state in {"quiet", "warn"}:
                highest = max(highest, decision.log_evidence)
            if decision.alarm is not None:
                alarms.append(decision.alarm)
                watch.acknowledge()
        yield row_of(plan, states, alarms, float(highest))


def faulty_week(plan: Plan) -> dict[str, Any]:
    """Simulate and watch one fault until a little after it is told."""
    change = timeline_of(plan)[1][0]
    kind = scenarios.KINDS[change.name]
    watch = Watch(_reference, false_alarms_per_lumisection=BUDGET, stream=plan.scenario)
    summariser, states = Summariser(AXOL1TL_57), Counter[str]()
    order: dict[tuple[int, int], int] = {}
    alarms: list[Alarm] = []
    highest, stop, early = -np.inf, min(change.first + LONGEST, change.last + AFTER), 0
    for (events, conditions, index), one in simulated(plan, max(0, change.first - LEAD), change.first + LONGEST):
        order[one.run, one.number] = index
        decision = watch.take(summariser.fill(events), conditions)
        states[decision.state] += 1
        if decision.state in {"quiet", "warn"}:
            highest = max(highest, decision.log_evidence)
        if decision.alarm is not None and index < change.first:
            early += 1
            watch.acknowledge()
        elif decision.alarm is not None:
            stop = index + AFTER if not alarms else stop
            alarms.append(decision.alarm)
        if index >= stop:
            break
    row = row_of(plan, states, alarms, float(highest)) | {"expected": kind.expected, "early": early}
    if alarms:
        first = alarms[0]
        row["delay"] = order[first.run, first.lumisection] - change.first + 1
        row["onset_error"] = order[first.onset] - change.first
        if kind.box is not None and first.box is not None:
            row["box_overlap"] = overlap_of(first.box, kind.box(change.parameters))
    return row


def campaign(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Draw, fit, watch; yield a row as each stream is done."""
    global _reference  # noqa: PLW0603 forked workers inherit it
    length, names = given.lumisections or None, given.scenarios.split(",")
    healthy = Plan("none", given.first_seed, given.reference_fills, length, given.events, 9_001)
    quiet = [
        Plan(NUISANCES[week % len(NUISANCES)], given.first_seed + 1 + week, given.fills, length, given.events, first)
        for week, first in enumerate(range(10_001, 10_001 + 100 * given.weeks, 100))  # runs never go back in one watch
    ]
    parts = [Part(plan, fill) for plan in (healthy, *quiet) for fill in range(plan.fills)]
    for done, path in enumerate(each(draw, [part for part in parts if not part.path.exists()], given.workers), 1):
        print(f"drawn {done} {path.name}", file=sys.stderr, flush=True)
    code = digest_of((ROOT / "drift").glob("*.py"))
    kept = Part(healthy, given.reference_fills).path.with_name(f"reference-{given.first_seed}-{code}-{len(parts)}.npz")
    if not kept.exists():
        Reference.fit(pairs(healthy), AXOL1TL_57).save(kept)
    _reference = Reference.load(kept)
    done_before = _done(given.rows)
    if any((plan.scenario, plan.seed, _reference.digest[:12]) not in done_before for plan in quiet):
        yield from quiet_weeks(quiet)
    faulty = [
        Plan(name, given.first_seed + 101 + week, given.fills, length, given.events, 10_001)
        for name in names
        for week in range(given.weeks)
    ]
    left = [plan for plan in faulty if (plan.scenario, plan.seed, _reference.digest[:12]) not in done_before]
    yield from each(faulty_week, left, given.workers)


def _done(path: Path) -> set[tuple[str, int, str]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return {(row["scenario"], row["seed"], row["reference"]) for row in rows if row["what"] == "month"}


def main() -> None:
    """Run the campaign; rows of the same streams and reference are not made again."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--first-seed", type=int, default=7000)
    ask.add_argument("--weeks", type=int, default=4)
    ask.add_argument("--fills", type=int, default=8, help="in a week")
    ask.add_argument("--reference-fills", type=int, default=16)
    ask.add_argument("--lumisections", type=int, default=0, help="of each fill; 0 for the natural length")
    ask.add_argument("--events", type=int, default=1000)
    ask.add_argument("--scenarios", default=",".join(FAULTS))
    ask.add_argument("--workers", type=int, default=2)
    ask.add_argument("--rows", type=Path, default=ROWS / "month.jsonl")
    given = ask.parse_args()
    given.rows.parent.mkdir(parents=True, exist_ok=True)
    if not given.rows.exists():
        plan = (
            f"{given.weeks} weeks of {given.fills} fills with a nuisance each, reference of {given.reference_fills} "
            f"other fills, {given.lumisections or 'all'} lumisections a fill, {given.events} events a lumisection; "
            f"each fault once in each of {given.weeks} other weeks, "
            f"from {LEAD} lumisections before it to at most {LONGEST} after."
        )
        head = {
            "what": "campaign", "seed": given.first_seed, "plan": plan, "machine": machine(),
            "versions": {name: version(name) for name in ("retrigger", "numpy", "scipy", "numba")},
        }  # fmt: skip
        given.rows.write_text(json.dumps(head) + "\n", encoding="utf-8")
    for row in campaign(given):
        with given.rows.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
