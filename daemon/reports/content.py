"""Everything a report shows, as one JSON value: the order, what the watch saw, and what was expected of it.

Runs in a child process, for it reads every summary of a fill.  Nothing here draws.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from daemon import fill_trail
from drift.conditions import Conditions, ConditionsTable
from drift.counter_folder import CounterFolder
from drift.errors import DriftError
from drift.fill_picture import FillPicture, box_of
from drift.rate_reference import RateReference, exposure
from drift.reference import Reference

VERSION = 1
GRAVEST = ("broken_detector", "contract", "real_shift", "expected_change", "transient")
"""Verdicts in the order in which one of them leads a report."""
MOST_SEEDS = 6
MOST_ROWS = 60
OF_A_SEED = ("at", "seen", "due", "low", "high", "bunches", "pileup", "sigma")
"""By lumisection: where, rates in Hz (counted, predicted, ends of its 95 % band), bunches, pileup, deviation."""
WORDS = {
    "broken_detector": "BROKEN DETECTOR",
    "contract": "INPUTS BREAK THEIR CONTRACT",
    "real_shift": "REAL SHIFT",
    "expected_change": "EXPECTED CHANGE",
    "transient": "TRANSIENT",
}


def content_of(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the report of an order shows.

    Raises:
        DriftError: Reference, conditions or a summary cannot be read.
        ValueError: A trail is damaged.
    """
    alarms = sorted(order["alarms"], key=_gravity)
    lead = alarms[0] if alarms else None
    told = {(one["run"], one["lumisection"]): dict(one) for one in order["outcomes"]}
    table = ConditionsTable.load(Path(order["conditions"]))
    onset = None if lead is None else (int(lead["onset"]["run"]), int(lead["onset"]["lumisection"]))
    picture = FillPicture(
        Reference.load(Path(order["reference"])), onset, box_of(None if lead is None else lead.get("box"))
    )
    for step in _steps(order):
        row = told.get((step.run, step.lumisection))
        if row is not None and "state" not in row:
            row |= {"state": step.state, "log_evidence": step.log_evidence}
            at = table.at(step.run, step.lumisection)
            row["compared"] = at is not None and picture.take(step.summary, at)
    rows = [told[place] | _known(table.at(*place)) for place in sorted(told)]
    shown = [row for row in rows if row.get("compared")]
    inside = picture.inside()
    return {
        "version": VERSION,
        **{name: order[name] for name in ("stream", "slot", "fill", "budget", "champion", "candidates", "quarantined")},
        "verdict": "quiet" if lead is None else lead["verdict"],
        "headline": headline(order["fill"], alarms, rows),
        "lead": lead,
        "alarms": sorted(alarms, key=lambda one: (one["run"], one["lumisection"])),
        "lumisections": rows,
        "compared": [f"{row['run']}:{row['lumisection']}" for row in shown],
        "outcomes": dict(sorted(Counter(row["result"] for row in rows).items())),
        "excluded": _reasons(rows),
        "streams": picture.streams,
        "pulls": picture.pulls,
        "maps": [one.to_json() for one in picture.maps()],
        "inside": inside,
        "scores": picture.scores if any(picture.scores) else [],
        "rates": _rates(order, [table.at(*place) for place in sorted(told)]),
        "without_trail": sum("state" not in row and row["result"] == "watched" for row in rows),
    }


def headline(fill: int, alarms: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdict line of a fill: quiet, or what, where and since when."""
    watched = sum(row["result"] == "watched" for row in rows)
    if not alarms:
        return f"Fill {fill}: quiet. {watched} of {len(rows)} lumisections watched, no alarm."
    lead, more = alarms[0], len(alarms) - 1
    box = lead.get("box")
    where = f" in {box['object']} at {_span('η', box['eta'])}, {_span('φ', box['phi'])}" if box else ""
    if not box and lead.get("object"):
        where = f" in {lead['object']}"
    others = f", and {more} more alarm{'s' if more > 1 else ''}" if more else ""
    onset = lead["onset"]
    return (
        f"Fill {fill}: {WORDS.get(lead['verdict'], lead['verdict'])}{where}, since {onset['run']}:"
        f"{onset['lumisection']}{others}."
    )


def _span(name: str, edges: Sequence[float]) -> str:
    return f"{name} {edges[0]:.2f} to {edges[1]:.2f}".replace("-", "\N{MINUS SIGN}")


def _gravity(alarm: Mapping[str, Any]) -> tuple[int, int, int]:
    verdict = alarm["verdict"]
    rank = GRAVEST.index(verdict) if verdict in GRAVEST else len(GRAVEST)
    return rank, int(alarm["run"]), int(alarm["lumisection"])


def _steps(order: Mapping[str, Any]) -> Iterator[fill_trail.Step]:
    for sha256 in order["files"]:
        yield from fill_trail.read(Path(order["trail"]), sha256)


def _known(at: Conditions | None) -> dict[str, Any]:
    if at is None:
        return {"prescale_column": None, "bunches": None, "beam_mode": None}
    return {"prescale_column": at.prescale_column, "bunches": at.bunches, "beam_mode": at.beam_mode}


def _reasons(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return why lumisections were not watched: result, reason, how many, the first of them; the commonest first."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["result"] != "watched":
            found.setdefault((row["result"], row["reason"]), []).append(f"{row['run']}:{row['lumisection']}")
    order = sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [
        {"result": result, "reason": reason, "count": len(places), "first": places[0]}
        for (result, reason), places in order[:MOST_ROWS]
    ]


def _rates(order: Mapping[str, Any], known: Sequence[Conditions | None]) -> list[dict[str, Any]]:
    """Return what counters said of the seeds that departed most from their prediction, by lumisection."""
    if order["rate_reference"] is None:
        return []
    reference = RateReference.load(Path(order["rate_reference"]))
    try:
        folder = CounterFolder.load([Path(order["counters"])])
    except DriftError:
        return []
    found: dict[str, dict[str, Any]] = {}
    for at in known:
        counts = None if at is None else folder.at(at.run, at.lumisection)
        if at is None or counts is None or at.pileup is None or not at.usable:
            continue
        for model in reference.models:
            one = counts.get(model.seed)
            live, _ = (0.0, "") if one is None else exposure(at, one)
            if one is None or not live or not model.speaks(at.pileup) or not at.bunches:
                continue
            row = found.setdefault(model.seed, {"seed": model.seed} | {name: [] for name in OF_A_SEED})
            due = model.predict(at.pileup, at.bunches, live / at.bunches)
            values = (one.counts / live * at.bunches, due.rate_hz, due.low_hz, due.high_hz)
            row["at"].append(f"{at.run}:{at.lumisection}")
            for name, value in zip(OF_A_SEED[1:], (*values, at.bunches, at.pileup), strict=False):
                row[name].append(round(value, 4))
            row["sigma"].append(round(float(model.deviation(one.counts, live, at.pileup).item()), 2))
    loud = sorted(found.values(), key=lambda row: (-abs(sum(row["sigma"]) / len(row["sigma"])), row["seed"]))
    return loud[:MOST_SEEDS]


def load(path: Path) -> dict[str, Any]:
    """Read an order."""
    order: dict[str, Any] = json.loads(path.read_bytes())
    return order
