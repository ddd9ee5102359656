"""The verb `status`: where the daemon stands, and what it was told that keeps it from seeing more."""

from collections.abc import Mapping
from pathlib import Path

import typer

from daemon import config
from daemon.assemble import parts, places_of, utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConfigFile, Json
from daemon.input_faults import fault_words
from daemon.lifecycle import open_faults
from daemon.lifecycle.codec import plain
from daemon.record import sent
from daemon.shelf import champion_digest
from daemon.snapshot import last_loop_view


@app.command()
def status(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """Say where the daemon stands; exit 1 when it is in trouble, stands still for a minute, or a fault is open."""
    with parts(config.load(config_file)) as ready:
        now = utc_now()
        view = last_loop_view(ready.ledger)
        figures = ready.ledger.figures()
        age_s = None if view is None or view.last_turn is None else (now - view.last_turn).total_seconds()
        stream, slot = ready.settings.stream.name, ready.settings.stream.slot
        standing = open_faults(one.fact for one in ready.ledger.facts(subject=stream))
        tree = {
            "type": "status",
            "turned_s_ago": age_s,
            "doing": view.doing if view else "never ran here",
            "beam_mode": view.beam_mode if view else "",
            "lumisections": {result: n for (where, result), n in figures.outcomes.items() if where == stream},
            "input_faults": {} if view is None else {what: list(pair) for what, pair in view.faults.items()},
            "declared": [] if view is None else [dict(one) for one in view.declared],
            "files": {outcome: n for (where, outcome), n in figures.files.items() if where == stream},
            "alarms": {verdict: n for (where, verdict), n in figures.alarms.items() if where == stream},
            "open_faults": [one.alarm_id for one in standing],
            "champion": champion_digest(ready.ledger, slot),
            "running": ready.sight.running() or "",
            "record": {
                place.name: {**plain(sent(ready.ledger, place.name)), "facts": ready.ledger.head().sequence}
                for place in places_of(ready.settings)
            },
            "candidates": {one.id: str(one.phase) for one in ready.sight.candidates()},
        }
    if json:
        say.machine(tree)
    else:
        _status_words(tree, stream, slot)
    if age_s is None or age_s > 60.0 or standing or str(tree["doing"]).startswith("in trouble"):
        raise typer.Exit(say.BAD_VERDICT)


def _status_words(tree: Mapping[str, object], stream: str, slot: str) -> None:
    def counted(name: str) -> str:
        counts = tree[name]
        assert isinstance(counts, dict)
        return ", ".join(f"{number} {word}" for word, number in sorted(counts.items())) or "none"

    age_s, standing = tree["turned_s_ago"], tree["open_faults"]
    assert isinstance(standing, list)
    turned = f"last turn {age_s:.0f} s ago: {tree['doing']}" if isinstance(age_s, float) else "never ran here"
    record, seen = str(tree["champion"])[:16] or "nothing", str(tree["running"])[:16] or "nothing"
    say.words(f"loop         {turned}")
    say.words(f"beam mode    {tree['beam_mode'] or 'unknown'}")
    say.words(f"{stream:12s} {counted('lumisections')}; files: {counted('files')}; alarms: {counted('alarms')}")
    _inputs_words(tree)
    say.words(f"faults       {', '.join(standing) or 'none open'}")
    say.words(f"{slot:12s} record {record}, read back {seen}")
    _record_words(tree["record"])
    candidates = tree["candidates"]
    assert isinstance(candidates, dict)
    say.words(f"candidates   {', '.join(f'{name} {phase}' for name, phase in candidates.items()) or 'none'}")


def _record_words(places: object) -> None:
    """Say how far the record has left this host, and what keeps it."""
    assert isinstance(places, dict)
    for name, stands in places.items():
        failed = f"; {stands['failures']} failed" if stands["failures"] else ""
        trouble = f", now {stands['error']}" if stands["error"] else ""
        say.words(f"record       {name}: {stands['delivered']} of {stands['facts']} facts{failed}{trouble}")
    if not places:
        say.words("record       goes nowhere outside this host; name places in [record]")


def _inputs_words(tree: Mapping[str, object]) -> None:
    """Say what was not understood in the inputs, and what declared changes keep from being compared."""
    faults, declared = tree["input_faults"], tree["declared"]
    assert isinstance(faults, dict)
    assert isinstance(declared, list)
    for what, (count, newest) in faults.items():
        say.words(f"{what:12s} {fault_words(count, newest)}")
    for one in declared:
        say.words(f"declared     {one['words']}")
