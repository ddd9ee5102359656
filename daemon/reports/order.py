"""What one report is made of: everything the record says of a fill, as one JSON value.

Equal orders over equal files give equal reports, byte for byte; no clock is asked.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

from daemon.config import Settings
from daemon.file_names import IN_NAME
from daemon.ledger import FileTaken, FillSpan, Ledger, Outcome
from daemon.lifecycle import champion_at, champions
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import time_text

FARTHEST = 2**31 - 1
MOST_QUARANTINED = 1_000
TOLD = {
    "candidate_requested": "asked for",
    "training_failed": "training failed",
    "gates_evaluated": "gates ran",
    "proposed": "proposed",
    "approved": "approved",
    "rejected": "rejected",
    "deployed": "deployed",
    "rolled_back": "rolled back",
}


def order_of(ledger: Ledger, settings: Settings, span: FillSpan) -> dict[str, Any]:
    """Return what the report of a fill is made of."""
    stream, drift = settings.stream.name, settings.drift
    outcomes = ledger.outcomes(stream, between=((span.first_run, 0), (span.last_run, FARTHEST)))
    files = list(dict.fromkeys(one.file_sha256 for one in outcomes))
    taken = [one for one in map(ledger.file_taken, files) if one is not None]
    times = [one.at for one in taken]
    return {
        "stream": stream,
        "slot": settings.stream.slot,
        "fill": span.fill,
        "outcomes": [_row(one) for one in outcomes],
        "files": files,
        "trail": str(settings.state / "trail"),
        "conditions": str(settings.conditions.folder),
        "counters": None if drift.rate_reference is None else str(settings.conditions.counters),
        "reference": str(drift.reference),
        "rate_reference": None if drift.rate_reference is None else str(drift.rate_reference),
        "budget": math.log(1.0 / drift.false_alarms_per_lumisection),
        "alarms": _alarms(ledger, stream, span),
        "quarantined": _quarantined(ledger.files("quarantined", MOST_QUARANTINED), stream, span),
        "champion": _champion(ledger, settings.stream.slot, span),
        "candidates": _candidates(ledger, min(times), max(times)) if times else [],
    }


def _row(one: Outcome) -> dict[str, Any]:
    names = ("run", "lumisection", "result", "reason", "events", "pileup")
    return {name: getattr(one, name) for name in names}


def _alarms(ledger: Ledger, stream: str, span: FillSpan) -> list[dict[str, Any]]:
    raised = [stored.fact for stored in ledger.facts(subject=stream, kind="alarm_raised")]
    return [
        {"id": one.alarm_id, **one.alarm}
        for one in raised
        if isinstance(one, f.AlarmRaised) and span.first_run <= int(one.alarm.get("run", 0)) <= span.last_run
    ]


def _quarantined(files: Sequence[FileTaken], stream: str, span: FillSpan) -> list[dict[str, str]]:
    """Return the files of this fill that could not be read, by the run in their names."""
    found = []
    for one in files:
        named = IN_NAME.search(PurePath(one.path).name)
        if one.stream == stream and named is not None and span.first_run <= int(named[1]) <= span.last_run:
            found.append({"name": PurePath(one.path).name, "code": one.code, "reason": one.reason})
    return sorted(found, key=lambda one: (one["name"], one["reason"]))


def _champion(ledger: Ledger, slot: str, span: FillSpan) -> str:
    """Return the digest that the record says the slot ran at the end of the fill, empty when nobody said."""
    kinds = ("champion_imported", "deployed", "rolled_back")
    stored = sorted((one for kind in kinds for one in ledger.facts(kind=kind)), key=lambda one: one.sequence)
    found = champion_at(champions((one.fact for one in stored), slot), span.last_run, FARTHEST)
    return "" if found is None else found.digest


def _candidates(ledger: Ledger, begin: datetime, end: datetime) -> list[dict[str, str]]:
    """Return what happened to candidates from the first file of the fill to its last."""
    rows = [
        (one.sequence, {"candidate": one.subject, "at": time_text(one.fact.at), "words": words})
        for kind, words in TOLD.items()
        for one in ledger.facts(kind=kind)
        if begin <= one.fact.at <= end
    ]
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]
