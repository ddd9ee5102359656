"""What every peer is shown, and how what it says becomes one JSON row.

Runs in the peers' environments, so it needs numpy alone.  A peer is taught with the reference's events and gives each
lumisection one number, larger when odder, and whether it alarms as it comes out of the box.
"""

import argparse
import json
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Events = NDArray[np.int16]
SUPPORT = (0.01, 0.99)
REFERENCE_LUMISECTIONS = 60


@dataclass(frozen=True, eq=False)
class Stream:
    """One stored stream, as much of it as may be judged.

    Attributes:
        point: ``N3`` or a fault, e.g. ``gain:0.05``.
        seed: Its seed.
        since: For each lumisection, how many have come since the fault began, itself included; 0 before.
        events: Events of each lumisection, each of shape ``(n, 57)``.
    """

    point: str
    seed: int
    since: list[int]
    events: list[Events]


Judge = Callable[[Sequence[Events]], list[tuple[float, bool]]]
"""Gives each lumisection of a stream a number and says whether it alarms by default."""


def load(plan: dict[str, Any], need: int, support: tuple[float, float] = (0.0, 1e9)) -> Stream:
    """Return the lumisections of a stored stream that hold enough events, inside a range of pileup."""
    with np.load(plan["path"]) as found:
        ends, usable, pileup = found["feature_ends"], found["usable"], found["pileup"]
        index, features = found["index"], found["features"]
    since = np.cumsum(index >= plan["onset"]) if plan["onset"] >= 0 else np.zeros(len(index), dtype=int)
    begins = np.concatenate([[0], ends[:-1]])
    fit = usable & (ends - begins >= need) & (pileup >= support[0]) & (pileup <= support[1])
    fit &= (since <= plan["within"]) & (index >= plan["onset"] - plan["before"])
    kept = np.flatnonzero(fit)
    return Stream(
        plan["point"], plan["seed"], since[kept].tolist(), [features[begins[k] : begins[k] + need] for k in kept]
    )


def support_of(plan: dict[str, Any]) -> tuple[float, float]:
    """Return the pileup range of the reference."""
    with np.load(plan["path"]) as found:
        low, high = np.quantile(found["pileup"][found["usable"]], SUPPORT)
    return float(low), float(high)


def run(name: str, packages: Sequence[str], teach: Callable[[list[Events], tuple[str, ...]], dict[str, Judge]]) -> None:
    """Teach a peer, show it every stream, and write a row for each of its methods.

    Args:
        name: Of the peer.
        packages: Whose versions are told.
        teach: Takes lumisections of the reference and the names of the inputs, returns the peer's methods.
    """
    ask = argparse.ArgumentParser()
    ask.add_argument("manifest", type=Path)
    ask.add_argument("rows", type=Path)
    given = ask.parse_args()
    manifest = json.loads(given.manifest.read_text(encoding="utf-8"))
    need, support = manifest["events"], support_of(manifest["reference"])
    reference = load(manifest["reference"], need, support).events
    reference = reference[:: max(1, len(reference) // REFERENCE_LUMISECTIONS)]
    streams = [load(plan, need, support) for plan in manifest["streams"]]
    begun = time.process_time()
    methods = teach(reference, tuple(manifest["inputs"]))
    taught = time.process_time() - begun
    rows = [_row(method, judge, streams) for method, judge in methods.items()]
    whole = {
        "peer": name, "versions": {one: version(one) for one in packages}, "python": platform.python_version(),
        "events": need, "taught_s": round(taught, 2), "reference_lumisections": len(reference), "methods": rows,
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), "seed": manifest["seed"],
    }  # fmt: skip
    given.rows.write_text(json.dumps(whole) + "\n", encoding="utf-8")
    print(json.dumps(whole), file=sys.stderr)


def _row(method: str, judge: Judge, streams: Sequence[Stream]) -> dict[str, Any]:
    begun, said = time.process_time(), [judge(one.events) for one in streams]
    spent = (time.process_time() - begun) / sum(len(one) for one in said) * 1e3
    quiet = [pair for one, pairs in zip(streams, said, strict=True) if one.point == "N3" for pair in pairs]
    threshold = float(np.nextafter(max(score for score, _ in quiet), np.inf))
    faults = []
    for one, pairs in zip(streams, said, strict=True):
        if one.point != "N3":
            loud = [since for since, (score, _) in zip(one.since, pairs, strict=True) if since and score >= threshold]
            usual = [since for since, (_, alarm) in zip(one.since, pairs, strict=True) if since and alarm]
            faults.append({
                "point": one.point, "seed": one.seed, "delay": loud[0] if loud else None,
                "by_default": usual[0] if usual else None,
            })  # fmt: skip
    default = round(1000 * sum(alarm for _, alarm in quiet) / len(quiet), 1)
    return {
        "method": method, "ms": round(spent, 1), "null": len(quiet), "usual_alarms_per_1000": default,
        "threshold": threshold, "faults": faults,
    }  # fmt: skip
