"""The verb `status`: where the daemon stands, and what it was told that keeps it from seeing more."""

from collections.abc import Mapping
from pathlib import Path

import typer

from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.desk import PlainHttp, Server, desk
from daemon.cli.identity import Me, PasswordStdin
from daemon.cli.offline import ConfigFile, Json
from daemon.input_faults import fault_words
from daemon.standing import troubled


@app.command()
def status(
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Say where the daemon stands; exit 1 when it is in trouble, stands still for a minute, or a fault is open."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        tree = at.status()
    if json:
        say.machine(tree)
    else:
        if at.place:
            say.words(f"server       {at.place}")
        _status_words(tree, str(tree["stream"]), str(tree["slot"]))
    if troubled(tree):
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
