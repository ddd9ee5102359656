"""Ageing over fills: how often the slow path cries wolf on healthy fills, and how many fills it needs.

Streams are `benchmarks/drift_faults.py`'s, in short fills: a reference of 20 fills, healthy fills of another seed, and
fills in which all energies change by so much more every fill, from the fourth one on.  Each stream is heard by a watch,
fast path and slow, and by the slow path alone, since in short fills the fast path, which looks back over 256
lumisections, sees several fills at once.  Takes about seven minutes on one core, of which one makes the crossings.
"""

import argparse
import json
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
from drift_faults import BUDGET, healthy, stream

from drift.conditions import Conditions
from drift.faults import Fault, Gain
from drift.profile import LumisectionSummary
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.slow import SHARE, SlowEvidence
from drift.support import unfit
from drift.watch import Watch

HEALTHY_FILLS = 3
SLOW = "too slow for any one fill"


@dataclass
class Alone:
    """The slow path without a fast one beside it; every alarm is acknowledged."""

    reference: Reference
    evidence: SlowEvidence
    fill: int | None = None
    clock: int = 0

    def take(self, summary: LumisectionSummary, conditions: Conditions) -> str | None:
        """Take one lumisection in; return what is told of the fills before it."""
        if unfit(self.reference, summary, conditions) is not None:
            return None
        assert conditions.pileup is not None
        said = self.closed() if conditions.fill != self.fill else None
        self.fill = conditions.fill
        factor = self.reference.events / summary.events
        value = self.reference.streams.standard(summary, conditions.pileup) * np.sqrt(factor)
        place = (self.clock, summary.run, summary.lumisection)
        self.evidence.add(self.reference, value, factor, conditions.pileup, place)
        self.clock += 1
        return said

    def closed(self) -> str | None:
        """End the fill; return what is told."""
        self.evidence.close(self.reference, self.clock)
        told = self.evidence.told(self.reference, float(-np.log(BUDGET * SHARE)))
        if told is None:
            return None
        self.evidence.forget(self.reference)
        return f"{told.found.verdict}: {told.found.text}"


@dataclass(frozen=True)
class Campaign:
    """Sizes of the streams."""

    length: int
    events: int

    def gain(self, rate: float, index: int) -> Fault | None:
        """Return the fault in force at a lumisection: each fill after the healthy ones has one rate more."""
        steps = index // self.length - HEALTHY_FILLS + 1
        return Gain(1 + rate * steps) if steps > 0 else None

    def reference(self, seed: int, fills: int) -> Reference:
        """Return a reference of healthy fills."""
        made = stream(seed, fills, 10_000, "none", healthy, self.events, self.length)
        return Reference.fit(((summary, conditions) for summary, conditions, _ in made), AXOL1TL_57)

    def ageing(self, reference: Reference, seed: int, fills: int, rate: float) -> dict[str, Any]:
        """Return after how many ageing fills, the last one begun included, each of the two listeners tells."""
        watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream="slow")
        alone = Alone(reference, SlowEvidence.fresh(reference.slow, reference.benign))
        told: dict[str, Any] = {"rate": rate, "seed": seed, "watch": None, "alone": None}
        made = stream(
            seed, fills, 40_000, "none", lambda index: self.gain(rate, index), self.events, self.length
        )  # fmt: skip
        for summary, conditions, index in made:
            fill = index // self.length + 1 - HEALTHY_FILLS
            alarm = watch.take(summary, conditions).alarm if told["watch"] is None else None
            if alarm is not None:
                path = "slow" if SLOW in alarm.text else "fast"
                told |= {"watch": fill - (path == "slow"), "path": path, "watch text": alarm.text}
            said = alone.take(summary, conditions) if told["alone"] is None else None
            if said is not None:
                told |= {"alone": fill - 1, "alone text": said}
            if told["watch"] is not None and told["alone"] is not None:
                break
        return told

    def null(self, reference: Reference, seed: int, fills: int) -> dict[str, Any]:
        """Return what is told of healthy fills, and the largest evidence over the limit's."""
        watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream="slow")
        alone = Alone(reference, SlowEvidence.fresh(reference.slow, reference.benign))
        alarms, said, highest = [], [], -np.inf
        for summary, conditions, _ in stream(seed, fills, 20_000, "none", healthy, self.events, self.length):
            alarm = watch.take(summary, conditions).alarm
            if alarm is not None:
                alarms.append(alarm.text)
                watch.acknowledge()
            before = alone.evidence.fills
            told = alone.take(summary, conditions)
            said += [] if told is None else [told]
            if alone.evidence.fills > before:
                highest = max(highest, alone.evidence.log_total(reference))
        return {
            "healthy fills": fills, "watch": alarms, "alone": said, "lumisections": alone.clock,
            "highest": round(float(highest), 2), "limit": round(float(-np.log(BUDGET * SHARE)), 2),
        }  # fmt: skip


def main() -> None:
    """Fit a reference, watch healthy and ageing fills, print a row each."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--first-seed", type=int, default=5000)
    ask.add_argument("--reference-fills", type=int, default=20)
    ask.add_argument("--null-fills", type=int, default=320)
    ask.add_argument("--most-fills", type=int, default=30)
    ask.add_argument("--replicates", type=int, default=5)
    ask.add_argument("--rates", default="-0.001 -0.002 -0.004", help="relative change of gain a fill")
    ask.add_argument("--lumisections", type=int, default=60, help="of each fill")
    ask.add_argument("--events", type=int, default=1000, help="of each lumisection")
    given = ask.parse_args()
    campaign = Campaign(given.lumisections, given.events)
    reference = campaign.reference(given.first_seed, given.reference_fills)
    print(json.dumps({"advice": reference.advice, "slow streams": int(reference.slow.used.sum())}), flush=True)
    for k, rate in enumerate(float(one) for one in given.rates.split()):
        rows = []
        for i in range(given.replicates):
            rows.append(campaign.ageing(reference, given.first_seed + 100 * (k + 1) + i, given.most_fills, rate))
            print(json.dumps(rows[-1]), flush=True)
        line: dict[str, Any] = {"rate": rate}
        for who in ("watch", "alone"):
            line[who] = [one[who] for one in rows]
            line[f"median {who}"] = statistics.median(given.most_fills if one is None else one for one in line[who])
        print(json.dumps(line), flush=True)
    if given.null_fills:
        print(json.dumps(campaign.null(reference, given.first_seed + 1, given.null_fills)), flush=True)


if __name__ == "__main__":
    main()
