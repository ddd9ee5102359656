"""How often an alarm names the right object and the right kind of cause, also for a fault that nobody foresaw.

Each fault of `benchmarks/drift_faults.py` is watched twice: under a reference with the whole failure-mode library, and
under the same with the fault's own family of modes left out.  Detection is the same in both; the verdict may differ.
Faults beyond that campaign, alike all around, are counted apart: no rule knows them.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detectors import BUDGET
from benchmarks.drift_draw import BUILD, FILL, MODES, POINTS, stream
from benchmarks.drift_peers import reference_for
from benchmarks.drift_store import WATCHED, draw, reference_plan
from drift.faults import Box, Fault, Gain, Loss, StuckBit
from drift.reference import Reference
from drift.watch import Alarm, Watch
from drift.wide_faults import GainByEta, OtherPileup, Partly, Uniform


@dataclass(frozen=True)
class Truth:
    """What an alarm about a fault should say.

    Attributes:
        objects: Object types that are right.
        broken: Whether it is a broken detector.
        families: Failure modes that are this fault, left out for the second table.
    """

    objects: tuple[str, ...]
    broken: bool
    families: tuple[str, ...]


CALORIMETER = ("sector_eg", "sector_jet", "ring_eg", "ring_jet", "loss")
TRUTH = {
    "dead": Truth(("JET", "EG"), True, CALORIMETER),
    "deff": Truth(("JET", "EG"), True, CALORIMETER),
    "gain": Truth(("JET", "EG", "MET"), False, ("gain",)),
    "eggain": Truth(("EG",), False, ("gain",)),
    "mu": Truth(("MU",), True, ("sector_mu", "ring_mu")),
    "metdec": Truth(("MET",), True, ("mixed",)),
    "noise": Truth(("MET",), True, ("noise",)),
    "hot": Truth(("JET",), True, ("hot",)),
    "egloss": Truth(("EG",), True, ("loss",)),
    "jetloss": Truth(("JET",), True, ("loss",)),
    "ring": Truth(("EG",), True, ("ring_eg",)),
    "stuckphi": Truth(("JET",), True, ("stuck",)),
    "stuckpt": Truth(("EG",), True, ("stuck",)),
    "egage": Truth(("EG",), False, ("ageing",)),
    "jetgain": Truth(("JET",), False, ("gain",)),
    "metgain": Truth(("MET",), False, ("gain",)),
    "mueff": Truth(("MU",), False, ("efficiency",)),
    "lumi": Truth(("JET", "EG", "MU", "MET"), False, ("luminosity",)),
}
"""Hot towers have no mode in the streams to leave out: they are found on the maps in either table."""
BEYOND: dict[str, Callable[[float, np.random.Generator], Fault]] = {
    "egloss": lambda a, _: Uniform("EG", a),
    "jetloss": lambda a, _: Uniform("JET", a),
    "ring": lambda a, _: Loss(("EG",), a, Box((-20, 0), (0, 144)), "a ring"),
    "stuckphi": lambda a, _: Partly(StuckBit("JET", "phi", 3, 0), a),
    "stuckpt": lambda a, _: Partly(StuckBit("EG", "pt", 4, 1), a),
    "egage": lambda a, _: GainByEta(a, ("EG",)),
    "jetgain": lambda a, _: Gain(1 + a, ("JET",), met=False),
    "metgain": lambda a, _: Gain(1 + a, (), met=True),
    "mueff": lambda a, _: Uniform("MU", a),
    "lumi": lambda a, _: OtherPileup(1 + a),
}
BEYOND_POINTS = {
    "egloss": (0.03, 0.1),
    "jetloss": (0.05,),
    "ring": (0.1,),
    "stuckphi": (0.1, 1.0),
    "stuckpt": (0.1,),
    "egage": (0.1,),
    "jetgain": (0.02, -0.03),
    "metgain": (0.05,),
    "mueff": (0.2,),
    "lumi": (0.05, -0.05),
    "noise": (3.0, 6.0),
}
HEALTHY = 20
"""Lumisections before the fault."""
UNSEEN = ("deff:0.1", "mu:0.1", "metdec:0.05", "noise:0.5", "noise:1.0")
"""Points of the campaign that it told of seldom or never; left out by default."""


def points_of(table: dict[str, tuple[float, ...]]) -> tuple[str, ...]:
    """Return mode and size of each fault as ``mode:size``."""
    named = (f"{mode}:{size}" for mode, sizes in table.items() for size in sizes)
    return tuple(one for one in named if one not in UNSEEN)


def run(given: tuple[str, str, int]) -> dict[str, Any]:
    """Watch one fault under both references; return what each alarm said."""
    path, point, seed = given
    mode, size = point.split(":")
    rng = np.random.default_rng([seed, 13])
    begin = int(rng.integers(30, FILL - HEALTHY - WATCHED - 10))
    fault = (BEYOND | MODES)[mode](float(size), rng)
    onset = begin + HEALTHY
    whole = Reference.load(Path(path))
    assert whole.signatures is not None
    without = replace(whole, signatures=whole.signatures.without(TRUTH[mode].families))
    watches = [Watch(one, false_alarms_per_lumisection=BUDGET, stream=point) for one in (whole, without.digested())]
    count = 0
    told: list[dict[str, Any] | None] = [None, None]
    row: dict[str, Any] = {"point": point, "seed": seed}
    made = stream(seed, 1, 30_000 + seed, "none", lambda index: fault if index >= onset else None, begin=begin)
    for summary, conditions, index in made:
        count += index >= onset
        at = conditions
        if isinstance(fault, OtherPileup) and index >= onset and conditions.pileup is not None:
            at = replace(conditions, pileup=conditions.pileup / fault.factor)
        alarms = [watch.take(summary, at).alarm for watch in watches]
        if any(alarms) or count >= WATCHED:
            told = [one if one is None else _said(one) for one in alarms]
            row["delay"] = count if any(alarms) else None
            break
    return {**row, "whole": told[0], "without": told[1]}


def _said(alarm: Alarm) -> dict[str, Any]:
    best = alarm.modes[0] if alarm.modes else None
    return {
        "verdict": alarm.verdict, "cause": alarm.cause, "object": alarm.object, "rung": alarm.rung.word,
        "mode": "" if best is None else best.name, "probability": 0.0 if best is None else round(best.probability, 3),
        "text": alarm.text, "against": alarm.against,
    }  # fmt: skip


@dataclass(frozen=True)
class Score:
    """Counts of alarms."""

    told: int
    right_object: int
    right_class: int
    both: int
    broken: int
    called_shift: int

    @classmethod
    def of(cls, rows: Iterable[dict[str, Any]], which: str) -> "Score":
        """Count the alarms of one table."""
        counts: Counter[str] = Counter()
        for row in rows:
            said, truth = row[which], TRUTH[row["point"].split(":")[0]]
            if said is None:
                continue
            counts["told"] += 1
            named = said["object"] in truth.objects
            right = said["verdict"] == ("broken_detector" if truth.broken else "real_shift")
            counts["object"] += named
            counts["class"] += right
            counts["both"] += named and right
            counts["broken"] += truth.broken
            counts["shift"] += truth.broken and said["verdict"] == "real_shift"
        names = ("told", "object", "class", "both", "broken", "shift")
        return cls(*(counts[name] for name in names))

    def words(self) -> str:
        """Return the counts as a cell of a table would have them."""
        share = self.both / max(self.told, 1)
        return (
            f"object {self.right_object}, class {self.right_class}, both {self.both} of {self.told} ({share:.1%}); "
            f"{self.called_shift} of {self.broken} broken ones called a real shift"
        )


def page(rows: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """Return the campaign as a page of docs."""
    lines = [
        "# Drift: which object, which kind of cause",
        "",
        f"Written by `make bench-attribution`; seeds from {given.first_seed}, {given.replicates} streams a fault,",
        f"reference of {given.reference_fills} fills of {FILL} lumisections,",
        f"retrigger {version('retrigger')}, numpy {np.__version__}.",
        "",
    ]
    for title, table in (("Faults of the campaign", POINTS), ("Faults beyond it, alike all around", BEYOND_POINTS)):
        chosen = [row for row in rows if row["point"] in points_of(table)]
        lines += [f"**{title}.** With the whole library: {Score.of(chosen, 'whole').words()}.", ""]
        lines += [f"With the fault's own family of modes left out: {Score.of(chosen, 'without').words()}.", ""]
        head = "| fault | told | whole library: object, class | best mode | own modes left out |"
        lines += [head, "| --- | --- | --- | --- | --- |"]
        for point in points_of(table):
            mine = [row for row in chosen if row["point"] == point]
            if not mine:
                continue
            whole, without = Score.of(mine, "whole"), Score.of(mine, "without")
            named = Counter(row["whole"]["mode"] for row in mine if row["whole"] is not None)
            best = ", ".join(f"{n} {name}" for name, n in named.most_common(3))
            lines.append(
                f"| {point} | {whole.told} of {len(mine)} | {whole.right_object}, {whole.right_class} | {best} | "
                f"{without.right_object}, {without.right_class} |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Fit a reference, watch every fault under both libraries, print the tables."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--first-seed", type=int, default=1000)
    ask.add_argument("--reference-fills", type=int, default=20)
    ask.add_argument("--replicates", type=int, default=5)
    ask.add_argument("--points", default=" ".join((*points_of(POINTS), *points_of(BEYOND_POINTS))))
    ask.add_argument("--workers", type=int, default=2)
    ask.add_argument("--out", type=Path, help="where the page goes; left out: standard output")
    given = ask.parse_args()
    plan = reference_plan(given.first_seed, given.reference_fills)
    draw(plan)
    reference = BUILD / f"attribution-{given.first_seed}.npz"
    reference_for(plan).save(reference)
    runs = [
        (str(reference), point, given.first_seed + 500 + 10 * i + k)
        for i, point in enumerate(given.points.split())
        for k in range(given.replicates)
    ]
    with ProcessPoolExecutor(given.workers) as workers:
        rows = list(workers.map(run, runs))
    for row in rows:
        print(json.dumps(row), file=sys.stderr)
    text = page(rows, given)
    if given.out is None:
        print(text)
    else:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
