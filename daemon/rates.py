"""Seed counts of some fills against the rates fitted to others, without daemon or ledger: one line a seed.

Evidence and alarms are `drift.rate_watch`'s; here counts meet conditions, and what was seen is summed for a report.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from daemon.errors import SetupError
from daemon.output import saving, writable
from drift.conditions import Conditions, ConditionsTable
from drift.counter_forms import LUMISECTION_S
from drift.counters import CounterTable, SeedCount
from drift.lifetime import fill_means, lifetime
from drift.rate_evidence import SeedDeviation
from drift.rate_reference import REVOLUTION_HZ, RateReference, exposure
from drift.rate_watch import RateDecision, RateWatch
from drift.succession import fill_of
from drift.tails import TailRate, counted_rate, sampled_rate

CROSS_SECTION_CM2 = 8.0e-26
"""80 mb, the inelastic cross-section by which luminosity is quoted as pileup."""
INVERSE_FEMTOBARN_CM2 = 1e39
Pair = tuple[Conditions, dict[str, SeedCount]]


@dataclass
class _Seen:
    """What was counted of one seed: where it was watched, or, when it cannot be, in all usable lumisections."""

    counts: int = 0
    live_s: float = 0.0
    looked_at: float = 0.0
    bunches: list[int] = field(default_factory=list)
    expected: float = 0.0
    shown: list[SeedDeviation] = field(default_factory=list)
    at: list[tuple[int, int, int, float]] = field(default_factory=list)
    log_evidence: float = -np.inf

    def rate(self, least_counts: int) -> TailRate:
        """Return the rate, or that there are too few counts for one."""
        if not self.looked_at:
            return counted_rate(self.counts, self.live_s, least_counts=least_counts)
        hz = float(np.mean(self.bunches)) * REVOLUTION_HZ
        return sampled_rate(self.counts, round(self.looked_at), hz, least_counts=least_counts)


def fit_rates(counts: list[Path], conditions: Path, output: Path, *, least_counts: int) -> dict[str, Any]:
    """Fit and save a rate reference from certified lumisections; return what it rests on.

    Raises:
        CountersError: A counter file cannot be used.
        ConditionsError: The conditions folder cannot be listed.
        RatesUnfitError: The fills do not suffice.
        SetupError: The conditions folder holds none, or the reference cannot be written where it should go.
    """
    writable(output, "the rate reference")
    table = CounterTable.load(counts)
    reference = RateReference.fit(_pairs(table, conditions), least_counts=least_counts)
    with saving(output, "the rate reference"):
        reference.save(output)
    return {
        "path": str(output),
        "digest": reference.digest,
        "lumisections": reference.lumisections,
        "fills": reference.fills,
        "seeds": {one.seed: one.family for one in reference.models},
        "inconclusive": dict(reference.inconclusive),
        "faults": list(table.faults),
    }


def watch_rates(
    reference_counts: list[Path],
    counts: list[Path],
    conditions: Path,
    *,
    reference_conditions: Path | None,
    false_alarms_per_lumisection: float,
    budget: float,
    least_counts: int,
) -> Iterator[dict[str, Any]]:
    """Yield the public JSON lines: every alarm as it comes, then every seed, the summary last.

    Args:
        reference_counts: Counter files of healthy, certified fills.
        counts: Counter files to compare.
        conditions: Folder of conditions.
        reference_conditions: Folder of the healthy fills' conditions, when it is another.
        false_alarms_per_lumisection: The budget of false alarms.
        budget: Relative deviation of a rate that may build up before the model's lifetime is over.
        least_counts: Below it a rate is inconclusive.

    Raises:
        CountersError: A counter file cannot be used.
        ConditionsError: A conditions folder cannot be listed.
        RatesUnfitError: The healthy fills do not suffice.
        SetupError: A conditions folder holds none.
    """
    before = CounterTable.load(reference_counts)
    reference = RateReference.fit(_pairs(before, reference_conditions or conditions), least_counts=least_counts)
    table = CounterTable.load(counts)
    watch = RateWatch(reference, false_alarms_per_lumisection=false_alarms_per_lumisection)
    models = {one.seed: one for one in reference.models}
    seen: dict[str, _Seen] = {seed: _Seen() for seed in table.seeds}
    states: dict[str, int] = {}
    luminosity, alarms = 0.0, 0
    for at, by_seed in _pairs(table, conditions):
        decision = watch.take(at, by_seed)
        states[decision.state] = states.get(decision.state, 0) + 1
        luminosity += _inverse_femtobarn(at)
        if decision.state != "excluded":
            shown = {one.seed: one for one in decision.seeds}
            counted = {seed: one for seed, one in by_seed.items() if seed in shown or seed not in models}
            _add(seen, at, counted, shown, luminosity)
            for seed, evidence in watch.by_seed().items():
                if seed in seen:
                    seen[seed].log_evidence = max(seen[seed].log_evidence, evidence)
        if decision.onset is not None:
            alarms += 1
            yield _alarm(at, decision)
    why = dict(reference.inconclusive)
    for seed, one in seen.items():
        model = models.get(seed)
        line = _seed_line(seed, one, one.rate(least_counts), budget)
        if model is None:
            yield line | {"model": None, "why": why.get(seed, "not among the reference counts")}
        else:
            yield line | {"model": model.family, "chosen_by": model.chosen_by, "why": ""}
    yield {
        "type": "summary",
        "lumisections": len(table.places),
        "states": states,
        "seeds_watched": len(models),
        "seeds_inconclusive": len(why),
        "seeds_missing": sorted({*models} - {*table.seeds}),
        "alarms": alarms,
        "reference": {"lumisections": reference.lumisections, "fills": reference.fills, "digest": reference.digest},
        "counts": vars(table.tally),
        "reference_counts": vars(before.tally),
        "faults": [*before.faults, *table.faults],
    }


def _pairs(table: CounterTable, folder: Path) -> Iterable[Pair]:
    known = ConditionsTable.load(folder)
    if not known.runs():
        why = f" that can be understood ({known.faults[0]})" if known.faults else ""
        raise SetupError(
            f"{folder} holds no conditions{why}: no luminosity CSV and no OMS file by lumisection; name the folder of "
            "these counts' conditions"
        )
    for run, lumisection, by_seed in table:
        yield known.at(run, lumisection) or Conditions(run, lumisection), by_seed


def _inverse_femtobarn(at: Conditions) -> float:
    if at.pileup is None or at.bunches is None:
        return 0.0
    per_s = at.pileup * at.bunches * REVOLUTION_HZ / CROSS_SECTION_CM2
    return per_s * LUMISECTION_S / INVERSE_FEMTOBARN_CM2


def _add(
    seen: Mapping[str, _Seen],
    at: Conditions,
    counts: Mapping[str, SeedCount],
    shown: Mapping[str, SeedDeviation],
    luminosity: float,
) -> None:
    """Add the counts of one lumisection, with what they show of the seeds that are watched."""
    for seed, count in counts.items():
        bunch_s, _ = exposure(at, count)
        if bunch_s <= 0 or at.bunches is None:
            continue
        one, live_s = seen[seed], bunch_s / at.bunches
        one.counts += count.counts
        one.live_s += live_s
        one.looked_at += (count.crossings or 0.0) / count.prescale
        one.bunches.append(at.bunches)
        if seed in shown:
            one.expected += shown[seed].predicted_hz * live_s
            one.shown.append(shown[seed])
            one.at.append((at.run, at.lumisection, fill_of(at), luminosity))


def _alarm(at: Conditions, decision: RateDecision) -> dict[str, Any]:
    assert decision.onset is not None
    return {
        "type": "alarm",
        "stream": "rates",
        "run": at.run,
        "lumisection": at.lumisection,
        "onset": {"run": decision.onset[0], "lumisection": decision.onset[1]},
        "log_evidence": round(decision.log_evidence, 2),
        "text": decision.reason,
        "contributors": [
            {"seed": one.object, "sign": one.sign, "log_evidence": round(one.log_evidence, 2)}
            for one in decision.contributors
        ],
    }


def _seed_line(seed: str, one: _Seen, rate: TailRate, budget: float) -> dict[str, Any]:
    line: dict[str, Any] = {
        "type": "seed",
        "seed": seed,
        "answer": rate.answer,
        "counts": rate.counts,
        "observed_hz": rate.rate_hz,
        "low_hz": rate.low_hz,
        "high_hz": _finite(rate.high_hz),
        "reason": rate.reason,
        "lumisections": len(one.shown),
    }
    if not one.shown:
        return line | {"predicted_hz": None, "deviation": None, "sigma": None, "log_evidence": None, "lifetime": None}
    sigma = np.array([each.sigma for each in one.shown])
    farthest = int(np.abs(sigma).argmax())
    ratio = np.array([each.observed_hz / each.predicted_hz if each.predicted_hz else 1.0 for each in one.shown])
    scatter = np.array([each.scatter if np.isfinite(each.scatter) else 1e6 for each in one.shown])
    places = np.array([(fill, where) for _, _, fill, where in one.at])
    means = fill_means(places[:, 0].astype(np.int64), places[:, 1], ratio - 1.0, scatter**2)
    life = lifetime(means, budget, axis="fb^-1")
    return line | {
        "predicted_hz": one.expected / one.live_s,
        "deviation": one.counts / one.expected - 1.0 if one.expected and rate.rate_hz is not None else None,
        "sigma": float(sigma.mean()),
        "sigma_most": float(sigma[farthest]),
        "sigma_most_at": {"run": one.at[farthest][0], "lumisection": one.at[farthest][1]},
        "log_evidence": one.log_evidence,
        "lifetime": {
            "answer": life.answer,
            "best": life.best,
            "low": life.low,
            "high": _finite(life.high),
            "now": life.now,
            "axis": life.axis,
            "confidence": life.confidence,
            "budget": budget,
            "text": life.text,
        },
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
