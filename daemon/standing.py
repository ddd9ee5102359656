"""Where the daemon stands, in one tree for the terminal and the API: the loop, the board, the inputs, what is open."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from daemon.decisions import Looks
from daemon.ledger import Ledger
from daemon.lifecycle import open_faults
from daemon.lifecycle.codec import plain
from daemon.record import sent
from daemon.shelf import champion_digest
from daemon.snapshot import last_loop_view

LATE_S = 60.0


def standing(
    ledger: Ledger, looks: Looks, *, stream: str, slot: str, places: Iterable[str], now: datetime
) -> dict[str, Any]:
    """Return where the daemon stands, ready for JSON.

    Args:
        ledger: The record.
        looks: Sees the board.
        stream: Whose lumisections.
        slot: Whose model.
        places: Where the record goes outside this host, by name.
        now: UTC.
    """
    view = last_loop_view(ledger)
    figures = ledger.figures()
    age_s = None if view is None or view.last_turn is None else (now - view.last_turn).total_seconds()
    faults = open_faults(one.fact for one in ledger.facts(subject=stream))
    return {
        "type": "status",
        "stream": stream,
        "slot": slot,
        "turned_s_ago": age_s,
        "doing": view.doing if view else "never ran here",
        "beam_mode": view.beam_mode if view else "",
        "lumisections": {result: n for (where, result), n in figures.outcomes.items() if where == stream},
        "input_faults": {} if view is None else {what: list(pair) for what, pair in view.faults.items()},
        "declared": [] if view is None else [dict(one) for one in view.declared],
        "files": {outcome: n for (where, outcome), n in figures.files.items() if where == stream},
        "alarms": {verdict: n for (where, verdict), n in figures.alarms.items() if where == stream},
        "open_faults": [one.alarm_id for one in faults],
        "champion": champion_digest(ledger, slot),
        "running": looks.running() or "",
        "record": {name: {**plain(sent(ledger, name)), "facts": ledger.head().sequence} for name in places},
        "candidates": {one.id: str(one.phase) for one in looks.candidates()},
    }


def troubled(tree: dict[str, Any]) -> bool:
    """Return whether somebody should look: a fault is open, or the loop stands still or is in trouble."""
    age_s = tree["turned_s_ago"]
    return age_s is None or age_s > LATE_S or bool(tree["open_faults"]) or str(tree["doing"]).startswith("in trouble")
