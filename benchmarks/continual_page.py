"""Write docs/benchmarks/continual.md from the rows of the campaign; what the numbers do not support is not said.

Nothing is measured here.
"""

import argparse
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import continual_learners as learners
from benchmarks.continual import FRACTION, INTERVAL, ROOT, ROWS
from benchmarks.continual_scores import (
    KEPT,
    TOLERANCE,
    Estimate,
    Row,
    best_possible,
    by_seed,
    estimate,
    forgetting,
    in_tolerance,
    kept,
    matrix_of,
    now,
    old,
    paired,
    read,
)
from benchmarks.continual_streams import DEGRADATIONS, EVENTS, FILLS, LUMISECTIONS, SIGNAL_EVENTS
from benchmarks.drift_page import table

PAGE = ROOT / "docs" / "benchmarks" / "continual.md"
ORDER = ("frozen", *learners.POLICIES, "all fills kept", "online")
RIVER = ("river trees", "river linear")
STARTING = tuple(name for name in ORDER if name not in {"frozen", "full retrain", "all fills kept"})
SHOWN = ("naive fine-tune", "replay", "replay + LwF")


def over_seeds(rows: Sequence[Row], degradation: str, learner: str, value: Callable[[Row], float]) -> Estimate:
    """Return one number's mean over the seeds."""
    return estimate(value(row) for row in by_seed(rows, degradation, learner).values())


def spent(row: Row) -> float:
    """Return the CPU seconds of learning in a fill, averaged over the degraded ones."""
    return float(np.mean(row["cost_s"][1:]))


def forgot(row: Row) -> float:
    """Return the forgetting of a learner that was asked everywhere."""
    value = forgetting(row)
    assert value is not None
    return value


def main_table(rows: Sequence[Row], degradation: str) -> list[str]:
    """Return the table of one degradation: efficiency, AUC, forgetting, cost."""
    body: list[list[object]] = []
    for name in (*ORDER, *RIVER):
        if not by_seed(rows, degradation, name):
            continue
        count = len(by_seed(rows, degradation, name))
        fewer = f" ({count} seeds)" if count < len({row["seed"] for row in rows}) else ""
        line: list[object] = [name + fewer, over_seeds(rows, degradation, name, now).text()]
        gain = paired(rows, degradation, name, "frozen", now)
        change = over_seeds(rows, degradation, name, kept)
        whole = name in ORDER
        line.append("" if name == "frozen" else gain.text(sign="+"))
        line.append(over_seeds(rows, degradation, name, old).text())
        line.append("" if name == "frozen" else change.text(".1f", 100.0, "+") + " %")
        line.append(over_seeds(rows, degradation, name, lambda row: now(row, "auc")).text())
        line.append(over_seeds(rows, degradation, name, lambda row: old(row, "auc")).text())
        line.append(over_seeds(rows, degradation, name, forgot).text() if whole else "")
        line.append(over_seeds(rows, degradation, name, spent).text(".2f"))
        body.append(line)
    head = (
        "learner", "efficiency now", "less frozen's", "efficiency on the healthy fill", "change there", "AUC now",
        "AUC healthy", "forgetting", "CPU s a fill",
    )  # fmt: skip
    return table(head, body)


def rate_table(rows: Sequence[Row]) -> list[str]:
    """Return the shares of intervals in tolerance."""
    body: list[list[object]] = []
    for name in ORDER:
        line: list[object] = [name]
        for degradation in DEGRADATIONS:
            for threshold in ("fixed", "follows"):
                share = over_seeds(
                    rows, degradation, name, partial(in_tolerance, threshold=threshold, fraction=FRACTION)
                )
                line.append(share.text(".0f", 100.0))
        body.append(line)
    head = ["%", *(f"{degradation}, {way}" for degradation in DEGRADATIONS for way in ("fixed", "follows"))]
    return table(head, body)


def matrices(rows: Sequence[Row], degradation: str) -> list[str]:
    """Return efficiency after each fill on each fill, for a few learners."""
    lines: list[str] = []
    for name in SHOWN:
        found = by_seed(rows, degradation, name)
        if not found:
            continue
        body = [
            [f"after fill {after}", *("" if one is None else f"{one:.3f}" for one in line)]
            for after, line in enumerate(matrix_of(found))
        ]
        lines += [f"{name}:", "", *table([degradation, *(f"on fill {one}" for one in range(FILLS + 1))], body)]
    return lines


def last_rows(rows: Sequence[Row]) -> list[str]:
    """Return, for each degradation, the last model's efficiency on every fill."""
    lines: list[str] = []
    for degradation in DEGRADATIONS:
        body = []
        for name in ORDER:
            found = by_seed(rows, degradation, name)
            if found:
                last = matrix_of(found)[-1]
                body.append([name, *("" if one is None else f"{one:.3f}" for one in last)])
        lines += table([degradation, *(f"on fill {one}" for one in range(FILLS + 1))], body)
    return lines


def verdicts(rows: Sequence[Row]) -> list[str]:
    """Return what to use under each degradation, by one rule."""
    lines = []
    for degradation in DEGRADATIONS:
        gains = {name: paired(rows, degradation, name, "frozen", now) for name in ORDER if name != "frozen"}
        changes = {name: over_seeds(rows, degradation, name, kept) for name in gains}
        better = [name for name, gain in gains.items() if gain.surely_positive]
        worse = [name for name, gain in gains.items() if gain.surely_negative]
        keeping = [name for name in better if changes[name].mean > KEPT]
        shift = paired_rate(rows, degradation)
        say = f"* **{degradation}** ({DEGRADATIONS[degradation]}): "
        say += f"surely better than frozen on the last fill: {_named(better, gains)}. "
        if worse:
            say += f"Surely worse: {_named(worse, gains)}. "
        say += f"Of the better ones, these lose less than 2 % on the healthy fill: {', '.join(keeping) or 'none'}. "
        say += f"A threshold that follows puts {shift.text('.0f', 100.0, '+')} % points more intervals in tolerance. "
        chosen = max(keeping, key=lambda name: gains[name].mean - gains[name].half, default=None)
        say += _advice(shift.surely_positive, chosen)
        lines += textwrap.wrap(say, 120, subsequent_indent="  ", break_on_hyphens=False)
    return [*lines, ""]


def _advice(threshold: bool, chosen: str | None) -> str:
    if chosen is None:
        return "Use: the threshold alone; no policy earns its risk." if threshold else "Use: nothing is shown to help."
    return f"Use: the threshold, and {chosen}." if threshold else f"Use: {chosen}; the threshold is not shown to help."


def _named(names: Sequence[str], gains: dict[str, Estimate]) -> str:
    return ", ".join(f"{name} ({gains[name].text(sign='+')})" for name in names) or "none"


def paired_rate(rows: Sequence[Row], degradation: str) -> Estimate:
    """Return by how much the share in tolerance grows when the frozen model's threshold follows."""
    found = by_seed(rows, degradation, "frozen").values()
    return estimate(in_tolerance(row, "follows", FRACTION) - in_tolerance(row, "fixed", FRACTION) for row in found)


def must_show(rows: Sequence[Row]) -> list[str]:
    """Return the answer to what was asked: the old stratum after five fills at another pileup."""
    lines: list[list[object]] = []
    for name in STARTING:
        change = over_seeds(rows, "pileup", name, kept)
        if change.mean + change.half > 0 > change.mean - change.half:
            found = "no change is shown"
        else:
            found = "a gain" if change.mean > 0 else "a loss"
        met = "below 2 %" if change.mean > KEPT else "not below 2 %"
        sure = ", surely" if change.mean - change.half > KEPT else ""
        lines.append([name, change.text(".1f", 100.0, "+") + " %", found, met + (sure if met == "below 2 %" else "")])
    return table(("policy", "change of efficiency at fixed rate on the old stratum", "so", "mean loss is"), lines)


def published(rows: Sequence[Row]) -> list[str]:
    """Return our gain in intervals in tolerance beside the published ones."""
    body = []
    for degradation in DEGRADATIONS:
        found = by_seed(rows, degradation, "frozen").values()
        fixed = float(np.mean([in_tolerance(row, "fixed", FRACTION) for row in found]))
        follows = float(np.mean([in_tolerance(row, "follows", FRACTION) for row in found]))
        more = f"{100 * (follows / fixed - 1):+.0f} %" if fixed > 0 else f"from none to {100 * follows:.0f} %"
        body.append([degradation, f"{100 * fixed:.0f} %", f"{100 * follows:.0f} %", more])
    return table(("degradation", "constant threshold", "threshold that follows", "more intervals in tolerance"), body)


def said(*sentences: str) -> list[str]:
    """Return one paragraph, wrapped, and the empty line after it."""
    return [*textwrap.wrap(" ".join(sentences), 120, break_long_words=False, break_on_hyphens=False), ""]


def origin(rows: Sequence[Row]) -> list[str]:
    """Return where the numbers come from."""
    seeds = ", ".join(str(one) for one in sorted({row["seed"] for row in rows}))
    stamps = sorted({(row["code"], row["python"], row["torch"], row["numpy"], row["river"]) for row in rows})
    cpu = sum(sum(row["cost_s"]) for row in rows) / 60
    return said(
        "Written by `benchmarks/continual_page.py` from `rows/continual.jsonl`; `make bench-continual` measures again.",
        f"Seeds {seeds}; every number is a mean over seeds with Student's 95 % interval.",
        f"Learning alone took {cpu:.0f} CPU minutes, one thread a process.",
        *(f"Code {c}, Python {p}, torch {t}, numpy {n}, river {r}." for c, p, t, n, r in stamps),
    )


def setting() -> list[str]:
    """Return what was done."""
    return said(
        f"A champion is trained on a healthy fill of our simulator at pileup 40 ({2 * LUMISECTIONS} lumisections of",
        f"{EVENTS} zero-bias crossings, every other one for measuring); its power-of-two scales are frozen.",
        f"{FILLS} fills of {LUMISECTIONS} lumisections follow while the detector degrades. After each, every policy",
        "learns from that fill alone, from the candidate that it made before (full: from fresh weights), all with",
        "6-bit quantisation. Efficiency is the share of signal crossings (H to tau tau, ttbar, Z to ee, Z to mu mu,",
        f"{SIGNAL_EVENTS} of each, averaged) above the integer threshold that passes {100 * FRACTION:.0f} % of that",
        "fill's zero bias: more than a seed gets, so that passes can be counted. `all fills kept` is a retrain on",
        f"everything seen so far. Full and all fills kept: {learners.FULL_EPOCHS} passes at {learners.FULL_RATE:g}",
        f"(all fills kept: as many steps); online: one pass at {learners.ONLINE_RATE:g}; the others:",
        f"{learners.TUNING_EPOCHS} passes at {learners.TUNING_RATE:g}. Strengths were chosen on seed 90, which takes",
        "no part. River's half-space trees and linear one-class model, on inputs scaled to the ranges of the healthy",
        f"fill, see {learners.RIVER_EVENTS} events a fill, are measured on fewer, and can",
        "never become firmware.",
    )


def rates(rows: Sequence[Row]) -> list[str]:
    """Return the section on the rate."""
    interval = INTERVAL * EVENTS
    return [
        "## The rate",
        "",
        *said(
            f"Share of intervals ({INTERVAL} lumisections, {interval} crossings) whose rate is within",
            f"{100 * TOLERANCE:.0f} % of its target, in the fill after the one that was learned from. `fixed`: the",
            "threshold set at deployment (frozen: after the healthy fill). `follows`: set anew from the lumisections",
            "just before. The others' fixed threshold is renewed with each candidate, the frozen champion's never is.",
            f"Counting alone allows {100 * best_possible(interval, FRACTION):.0f} %.",
        ),
        *rate_table(rows),
        *said(
            "Published for threshold control on real data: +56 % (HT) and +28 % (anomaly) more intervals in tolerance",
            "than a constant threshold (arXiv 2606.23993). Ours, of the frozen champion on simulated degradations, are",
            "no comparison, only a scale:",
        ),
        *published(rows),
    ]


def limits() -> list[str]:
    """Return what the numbers do not say."""
    luck = (
        "* A variational autoencoder is trained to reconstruct, not to find these signals; what fresh weights",
        "happen to find differs from seed to seed, which is why full retrains have wide intervals.",
    )
    size = (f"* One simulator, one network, fills of {LUMISECTIONS * EVENTS} crossings; real fills bring millions.",)
    other = (
        "* EPJ WoC 295 09037 (continual learning beats plain retraining under degradation) has a supervised vertex",
        "network; its figures cannot be held against these.",
    )
    items = [" ".join(one) for one in (luck, size, other)]
    wrapped = [textwrap.wrap(item, 120, subsequent_indent="  ") for item in items]
    return [line for lines in wrapped for line in lines]


def page(rows: Sequence[Row]) -> str:
    """Return the page."""
    count = (len(ORDER) - 1) * len(DEGRADATIONS)
    lines = ["# Learning while the detector degrades", "", *origin(rows), "## What was done", "", *setting()]
    lines += ["## What to use", "", *verdicts(rows)]
    lines += said(
        "The rule: a policy is better when the paired interval of its gain over the frozen champion lies above zero.",
        "Of those that lose less than 2 % on the healthy fill the one whose interval begins highest is named.",
        f"These are {count} comparisons at 95 %: one or two intervals miss by chance.",
    )
    lines += ["## Five fills at another pileup", "", *must_show(rows)]
    lines += ["## Efficiency, AUC, forgetting, cost", ""]
    for degradation, sentence in DEGRADATIONS.items():
        lines += [f"**{degradation}**: {sentence}.", "", *main_table(rows, degradation)]
    lines += [*rates(rows), "## Forgetting", ""]
    lines += said("Efficiency at the fixed rate of the model after each fill (rows) on each fill (columns), pileup:")
    lines += [*matrices(rows, "pileup"), "The last model on every fill:", "", *last_rows(rows)]
    lines += ["## What this does not say", "", *limits()]
    return "\n".join(lines) + "\n"


def lacking(rows: Sequence[Row]) -> list[str]:
    """Return the cells that the rows lack, of all seeds that they have; river's baselines may have fewer."""
    there = {(row["degradation"], row["seed"], row["learner"]) for row in rows}
    seeds = sorted({seed for _, seed, _ in there})
    cells = [(one, seed, name) for one in DEGRADATIONS for seed in seeds for name in ORDER]
    return [f"{one} seed {seed} {name}" for one, seed, name in cells if (one, seed, name) not in there]


def main() -> None:
    """Write the page; leave with 1 when the campaign is not whole."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--out", type=Path, default=PAGE)
    asked = parser.parse_args()
    rows = read(asked.rows)
    missing = lacking(rows)
    if missing or not rows:
        raise SystemExit(f"{asked.rows} lacks {len(missing)} cells, e.g. {missing[:3]}; run benchmarks.continual again")
    asked.out.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
