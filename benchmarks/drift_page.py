"""Write docs/benchmarks/drift.md from the JSON lines of the campaigns; a campaign that was not run is said to lack.

Nothing is measured here, and nothing is watched; only the least possible delay is counted out.
"""

import argparse
import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.delay_floor import floor_of
from benchmarks.detectors import BUDGET, DETECTORS
from benchmarks.drift_draw import RAMPS, ROOT
from benchmarks.drift_peers import ROWS
from benchmarks.drift_store import RAMPED, WATCHED

Row = dict[str, Any]

PROTOTYPE = {
    "dead:0.0005": ("≤ 40", "48"), "dead:0.002": ("3", "3"), "dead:0.005": ("2", "2"), "dead:0.02": ("1", "1"),
    "dead:0.1": ("", "1"), "dead:0.5": ("", "1"), "deff:0.1": ("", "32"), "deff:0.3": ("", "3"),
    "gain:0.01": ("≤ 20", "28"), "gain:0.02": ("≤ 6", "8"), "gain:0.05": ("1", "1"), "gain:-0.005": ("", "miss"),
    "gain:0.005": ("", "> 90"), "eggain:0.01": ("≤ 60", "> 90"), "eggain:0.02": ("≤ 15", "27"),
    "mu:0.1": ("≤ 35", "38"), "mu:0.3": ("≤ 5", "6"), "mu:1.0": ("1", "1"),
    "metdec:0.02": ("", "miss"), "metdec:0.05": ("≤ 25", "26"), "metdec:0.2": ("1", "1"),
    "noise:0.2": ("", "29"), "noise:0.5": ("", "5"),
    "hot:0.0005": ("≤ 50", "64"), "hot:0.002": ("≤ 4", "5"), "hot:0.01": ("1", "1"), "ramp:-0.02": ("≤ 300", "334"),
}  # fmt: skip
"""Median delay that is asked for, and what the design's prototype had on its own generator."""
LARGE = 1e300
OBJECTS = {
    "dead": {"JET", "EG"}, "deff": {"JET", "EG"}, "gain": {"JET", "EG", "MET"}, "eggain": {"EG"}, "mu": {"MU"},
    "metdec": {"MET"}, "noise": {"MET"}, "hot": {"JET"}, "ramp": {"JET", "EG", "MET"}, "nramp": {"MET"},
}  # fmt: skip
"""Object types that may be named first."""


def lines_of(path: Path) -> list[Row]:
    """Return the rows of a campaign; none when it was not run."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def quantile(delays: Sequence[int | None], share: float) -> str:
    """Return a quantile of delays, the larger neighbour where it falls between two; `-` when that was not seen."""
    ordered = sorted(np.inf if one is None else float(one) for one in delays)
    found = ordered[min(len(ordered) - 1, int(np.ceil(share * len(ordered))) - 1)]
    return "-" if found == np.inf else f"{found:.0f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return a Markdown table and the empty line after it."""
    lines = [list(head), ["---"] * len(head), *rows]
    return [*("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines), ""]


def prose(text: str) -> list[str]:
    """Return a paragraph in lines, and the empty line after it."""
    return [*textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False), ""]


def source(head: Row) -> str:
    """Return where rows come from: seeds, versions, machine."""
    versions = ", ".join(f"{name} {one}" for name, one in head.get("versions", {}).items())
    return f"Seeds from {head['seed']}; {', '.join(part for part in (versions, head.get('machine', '')) if part)}."


def healthy(faults: list[Row]) -> list[str]:
    """Return the section on retrigger's false alarms."""
    nulls = [row for row in faults if row["what"] == "null"]
    if not nulls:
        return []
    total, alarms = sum(row["lumisections"] for row in nulls), sum(len(row["alarms"]) for row in nulls)
    watched = sum(row["states"].get(state, 0) for row in nulls for state in ("quiet", "warn", "alarm"))
    # at most this many a lumisection with 90 % confidence, so many having been seen
    limit = {0: 2.303, 1: 3.890, 2: 5.322, 3: 6.681}.get(alarms)
    bound = f" (at most one in {watched / limit:.0f} at 90 % confidence)" if limit is not None else ""
    return [
        "## Healthy streams", "",
        *prose(
            f"{source(faults[0])} {alarms} alarms in {total} lumisections, {watched} of them watched{bound}; pileup "
            "steps, "
            "other prescale columns, short and missing lumisections, wander. Largest log evidence "
            f"{max(row['highest'] for row in nulls)} of {-np.log(BUDGET):.1f}; "
            f"{np.mean([row['ms'] for row in nulls]):.1f} ms a lumisection."
        ),
    ]  # fmt: skip


def ours(faults: list[Row]) -> list[str]:
    """Return the section on retrigger's delays and verdicts."""
    head = faults[0] if faults else None
    if head is None:
        return ["## Delays of retrigger", "", "Not run: `make bench-drift`.", ""]
    seen = [row for row in faults if row["what"] == "fault"]
    rows = []
    for point in head["points"].split():
        mine = [row for row in seen if row["point"] == point]
        delays = [row["delay"] for row in mine]
        verdicts = Counter(str(row.get("verdict", "none")) for row in mine)
        floor = floor_of(point, tuple(row["seed"] for row in mine))
        said = "" if floor is None else ("< 1" if floor < 1 else f"{floor:.0f}")
        words = ", ".join(f"{n} {name}" for name, n in verdicts.most_common())
        missed = sum(one is None for one in delays)
        rows.append(
            [point, *PROTOTYPE.get(point, ("", "")), said, quantile(delays, 0.5), quantile(delays, 0.9), missed, words]
        )
    broken = [row for row in seen if row["broken"] and "verdict" in row]
    early = sum(row["early"] for row in seen)
    return [
        "## Delays of retrigger", "",
        *prose(
            f"{source(head)} {head['replicates']} streams a fault; reference of {head['reference_fills']} fills of "
            f"{head['lumisections']} lumisections of {head['events']} events. Delay: the lumisection since the onset "
            "in "
            f"which the evidence passes its limit of one false alarm in 111 000; `-`: not within {WATCHED} (ramps "
            f"{RAMPED}). It is told two later. Floor: ln A / KL of the counts in the region "
            "(`benchmarks/delay_floor.py`), "
            "below which no detector with this false-alarm rate can be."
        ),
        *table(["fault", "asked", "prototype", "floor", "median", "90 %", "missed", "verdicts"], rows),
        *prose(
            f"Of {len(broken)} told faults of a broken detector, "
            f"{sum(row['verdict'] == 'real_shift' for row in broken)} "
            f"were called a real shift. {early} alarms before an onset."
        ),
    ]  # fmt: skip


def right(row: Row) -> bool:
    """Whether an alarm names the right object, and the right kind of cause."""
    mode = row["point"].split(":")[0]
    kind = "broken_detector" if row["broken"] else "real_shift"
    return row["object"] in OBJECTS[mode] and row["verdict"] == kind


def attribution(faults: list[Row], rows: list[Row]) -> list[str]:
    """Return the section on who is named."""
    told = [row for row in faults if row["what"] == "fault" and "verdict" in row]
    told = [row for row in told if row["point"].split(":")[0] in OBJECTS]
    out = ["## Attribution", ""]
    if told:
        modes = sorted({row["point"].split(":")[0] for row in told})
        counted = [(mode, [row for row in told if row["point"].split(":")[0] == mode]) for mode in modes]
        good = sum(right(row) for row in told)
        out += [
            *prose(
                f"Right object in the first contributor, and right verdict: {good} of {len(told)} alarms "
                f"({good / len(told):.0%}); asked: 95 %, prototype: 87 %. "
                + "; ".join(f"{mode} {sum(map(right, mine))}/{len(mine)}" for mode, mine in counted) + "."
            ),
        ]  # fmt: skip
    plain = [{key: value for key, value in row.items() if not isinstance(value, dict | list)} for row in rows]
    plain = [row for row in plain if row.get("what") != "campaign"]
    if plain:
        keys = [key for key in plain[0] if key != "what"]
        out += [source(row) for row in rows if row.get("what") == "campaign"] + [""]
        out += table(keys, [[row.get(key, "") for key in keys] for row in plain])
    return out if len(out) > 2 else []


def matched(peers: list[Row]) -> list[str]:
    """Return the section that compares delays at one false-alarm rate."""
    if not peers:
        return ["## Every detector at one false-alarm rate", "", "Not run: `make bench-drift`.", ""]
    head, seen = peers[0], [row for row in peers if row["what"] == "fault"]
    names = [name for name in DETECTORS if name in head["thresholds"]]
    rows = []
    for point in head["points"].split():
        mine = [row for row in seen if row["point"] == point]
        cells = []
        for name in names:
            delays = [row["delay"][name] for row in mine]
            missed = sum(one is None for one in delays)
            some = f" ({missed})" if 0 < missed < len(delays) else ""
            every = "miss" if missed == len(delays) else f"{quantile(delays, 0.5)}, {quantile(delays, 0.9)}{some}"
            again = sum(row.get("seen", {}).get(name, 0) for row in mine)
            cells.append(f"{every}; {again}/{3 * len(mine)}" if "seen" in mine[0] else every)
        rows.append([point, *cells])
    return [
        "## Every detector at one false-alarm rate", "",
        *prose(
            f"{source(head)} {head['replicates']} streams a fault, thresholds matched on {head['null']} healthy "
            "lumisections: each peer has the smallest at which it raises no alarm there. That is in-sample and "
            "flatters "
            "them: it promises no more than one false alarm in as many lumisections, a tenth of what retrigger's own "
            "limit "
            "does. The second column holds retrigger to the peers' rule. KS, MMD and beta-binomial look at one "
            "lumisection "
            "of all 4 000 events; river's detectors at retrigger's own residual streams, with 120 healthy lumisections "
            "before. Delay: median, 90 %, and in brackets how many were missed, within "
            f"{WATCHED} lumisections ({', '.join(RAMPS)}: {RAMPED}). `recur` comes in three fills: in how many it was "
            "seen." + "".join(f" No setting silences {name}." for name in head.get("never_silent", []))
        ),
        *table(["fault", *names], rows),
    ]  # fmt: skip


def settings(peers: list[Row]) -> list[str]:
    """Return the section on default settings and on what matched thresholds are worth on other seeds."""
    if not peers:
        return []
    head, nulls = peers[0], [row for row in peers if row["what"] == "null"]
    kinds = [row["kind"] for row in nulls]
    rows = []
    for name in (name for name in DETECTORS if name in head["thresholds"]):
        threshold = head["thresholds"][name]
        usual = head["usual_alarms_per_1000"].get(name, "")
        first = head["usual"].get(name, "")
        cells = [f"{row['alarms'][name]}/{row['spoken']}" for row in nulls]
        said = f"{first:.3g}" if first != "" else ""
        rows.append([name, said, usual, f"{threshold:.4g}" if abs(threshold) < LARGE else "", *cells])
    return [
        "## Default settings, and thresholds on other healthy streams", "",
        *prose(
            f"{source(head)} By default: alarms in 1 000 lumisections of the {head['null']} on which thresholds were "
            "matched (river: its classes' own defaults). Then alarms at the matched threshold on streams of other "
            "seeds. "
            "N1: counting statistics alone; N3: pileup steps and other prescale columns; N4: pileup beyond the "
            "reference's; N6: a tenth missing, a tenth short, one in twenty twice."
        ),
        *table(["detector", "default", "alarms / 1 000", "matched", *kinds], rows),
    ]  # fmt: skip


def cost(rows: list[Row]) -> list[str]:
    """Return the section on CPU time and memory."""
    if not rows:
        return []
    measured = [[row["detector"], row["ms"], row["rss_mb"]] for row in rows if row["what"] == "cost"]
    return [
        "## CPU and memory", "",
        *prose(
            f"{source(rows[0])} CPU time a lumisection, summary in memory; peak of a process that reads a stored "
            "stream "
            "(and, for those that learn, 20 fills of it). Summing 4 000 events up takes 1.3 ms more, MMD's mean "
            "features "
            "3 ms."
        ),
        *table(["detector", "ms", "MB"], measured),
    ]  # fmt: skip


def own(rows: list[Row]) -> list[str]:
    """Return the section on peers that ran in environments of their own."""
    out = ["## Peers in their own environments", ""]
    if not rows:
        return [*out, "Not run: `make bench-peers`.", ""]
    lines = []
    for peer in rows:
        if "failed" in peer:
            lines.append([peer["peer"], peer["failed"], *[""] * 5])
            continue
        versions = f"{peer['versions'][peer['peer']]}, Python {peer['python']}"
        for one in peer["methods"]:
            points: dict[str, list[int | None]] = {}
            for fault in one["faults"]:
                points.setdefault(fault["point"], []).append(fault["delay"])
            seen = {point: [d for d in delays if d is not None] for point, delays in points.items()}
            words = ", ".join(f"{point} {' '.join(map(str, found))}" for point, found in seen.items() if found)
            cells = [one["null"], one["usual_alarms_per_1000"], f"{one['threshold']:.3g}", words or "none", one["ms"]]
            lines.append([f"{peer['peer']} {versions}", one["method"], *cells])
    shown = next((peer for peer in rows if "methods" in peer), None)
    if shown is not None:
        tried = ", ".join(dict.fromkeys(fault["point"] for fault in shown["methods"][0]["faults"]))
        out += [
            *prose(
                f"`make bench-peers`, seeds from {shown['seed']}: {shown['events']} events of a lumisection against "
                f"{shown['reference_lumisections']} lumisections of the reference, no pileup. Alarms by default in 1 "
                "000 "
                "healthy lumisections; then delays at the threshold that is silent on those (in-sample), within 30 "
                f"lumisections, one number for each stream in which it was seen. Faults: {tried}. alibi-detect is "
                "under "
                "BSL 1.1 since 2024 and is used in this benchmark only."
            ),
        ]  # fmt: skip
    return out + table(["peer", "method", "healthy", "alarms / 1 000", "threshold", "seen after", "ms"], lines)


def month(rows: list[Row]) -> list[str]:
    """Return the section on the physics simulator's scenarios."""
    out = ["## A simulated month", ""]
    if not rows:
        return [*out, "Not run: `make bench-month`.", ""]
    head = rows[0]
    lines = [
        [
            row["scenario"], row["seed"], row["lumisections"], row["states"].get("quiet", 0),
            ", ".join(row["verdicts"]) or "none", row["expected"] or "quiet",
            "" if row["delay"] is None else row["delay"], "" if row["onset_error"] is None else row["onset_error"],
            "" if row["box_overlap"] is None else row["box_overlap"], row["highest_before_alarm"],
        ]
        for row in rows if row["what"] == "month"
    ]  # fmt: skip
    nuisances = [row for row in rows if row["what"] == "month" and row["expected"] == ""]
    total = sum(row["lumisections"] for row in nuisances)
    watched = sum(row["states"].get(state, 0) for row in nuisances for state in ("quiet", "warn", "alarm", "transient"))
    cried = sum(len(row["verdicts"]) for row in nuisances)
    names = [
        "scenario",
        "seed",
        "lumisections",
        "quiet",
        "verdicts",
        "expected",
        "delay",
        "onset error",
        "box",
        "log M",
    ]
    return [
        *out,
        *prose(
            f"{source(head)} {head['plan']} Nuisances alone: {cried} alarms in {watched} lumisections watched "
            f"of {total}. Delay: lumisections from the onset until told. "
            "A transient is told while it lasts, as what it then looks like. Box: share that box and truth have in "
            "common; log M: the largest before the first alarm was told."
        ),
        *table(names, lines),
    ]  # fmt: skip


def page(folder: Path) -> str:
    """Return the page made of what lies in a folder."""
    faults, peers = lines_of(folder / "faults.jsonl"), lines_of(folder / "peers.jsonl")
    beside = [row for path in sorted(folder.glob("own-*.jsonl")) for row in lines_of(path)]
    lines = [
        "# Drift: how soon, how often wrongly, and beside others", "",
        *prose(
            "Written by `python -m benchmarks.drift_page` from `docs/benchmarks/rows/`; `make bench-drift` fills that "
            "folder, `make bench-peers` and `make bench-month` the parts that take longer. Streams: "
            "`benchmarks/drift_draw.py`, from a pool of simulated crossings, with benign wander. One false alarm in 30 "
            "days of lumisections is asked of retrigger."
        ),
        *prose(
            "`dead`: fraction of the area |η| < 3.4 that sends nothing; `deff`: fraction lost in a box of 5 %; `gain`, "
            "`eggain`: relative; `mu`: fraction of muons lost in 30°; `metdec`: events with missing momentum's "
            "direction "
            "of another event; `noise`: GeV in missing momentum; `hot`: events in which one tower sends a jet; `ramp`, "
            "`nramp`: gain and noise gained in 1 000 lumisections; `glitch`: a tenth of the area, one lumisection; "
            '`recur`: half a percent of it, forty lumisections in each fill. "Asked" and "prototype" are the '
            "design's, "
            "on another generator with four times as many muons and a missing momentum that follows jets more closely."
        ),
        "",
    ]  # fmt: skip
    parts = [
        healthy(faults), ours(faults), attribution(faults, lines_of(folder / "attribution.jsonl")), matched(peers),
        settings(peers), cost(lines_of(folder / "cost.jsonl")), own(beside), month(lines_of(folder / "month.jsonl")),
    ]  # fmt: skip
    return "\n".join([*lines, *(line for part in parts for line in part)]).rstrip() + "\n"


def main() -> None:
    """Write the page."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--rows", type=Path, default=ROWS, help="folder of JSON lines")
    ask.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks" / "drift.md")
    given = ask.parse_args()
    given.out.write_text(page(given.rows), encoding="utf-8")


if __name__ == "__main__":
    main()
