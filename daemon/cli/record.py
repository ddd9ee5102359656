"""Verbs that read the record, and the accounts: history, audit, status, people."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.assemble import parts, utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.identity import Me, PasswordStdin, authenticate
from daemon.cli.offline import ConfigFile, Json
from daemon.errors import RefusedError
from daemon.ledger import verify_export
from daemon.lifecycle import facts as f
from daemon.lifecycle import open_faults
from daemon.lifecycle.codec import plain
from daemon.shelf import champion_digest
from daemon.snapshot import last_loop_view

audit_app = typer.Typer(help="The hash chain of facts.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")
people_app = typer.Typer(help="Accounts and roles.", no_args_is_help=True)
app.add_typer(people_app, name="people")


@app.command()
def history(
    *,
    run: Annotated[int, typer.Option("--run", min=1)],
    lumisection: Annotated[int, typer.Option("--lumisection", min=1)],
    config_file: ConfigFile = Path("retrigger.toml"),
    json: Json = False,
) -> None:
    """Answer what ran at a run and lumisection, who approved it, and on what evidence."""
    with parts(config.load(config_file)) as ready:
        slot, stream = ready.settings.stream.slot, ready.settings.stream.name
        found = ready.ledger.history(run, lumisection, slot)
        outcome = ready.ledger.outcome(stream, run, lumisection)
    if json:
        say.machine({"type": "history", **plain(found), "outcome": plain(outcome)})
    else:
        say.words(f"run {run} lumisection {lumisection}, slot {slot}")
        say.words(
            f"  ran       {found.digest or 'unknown to this record'}{'  (imported champion)' if found.imported else ''}"
        )
        for approval in found.approvals:
            say.words(
                f"  approved  {approval.person} as {approval.role} at {approval.at:%Y-%m-%d %H:%M:%S} UTC: "
                f"{approval.reason}"
            )
        if found.candidate:
            say.words(f"  candidate {found.candidate}, live since {found.since[0]}:{found.since[1]}")
            say.words(f"  evidence  {found.evidence_root} in {found.bundle_path}")
        for gate in found.gates:
            say.words(f"  gate {gate.number:2d}   {gate.verdict:12s} {gate.name}: {gate.summary}")
        seen = f"{outcome.result}{': ' + outcome.reason if outcome.reason else ''}" if outcome else "never delivered"
        say.words(f"  data      {stream}: {seen}")
    if not found.digest:
        raise typer.Exit(say.BAD_VERDICT)


@audit_app.command("verify")
def audit_verify(
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    export: Annotated[Path | None, typer.Option(help="Verify this exported record instead, offline.")] = None,
    json: Json = False,
) -> None:
    """Recompute the hash chain; exit 1 when a record was edited, dropped or reordered."""
    if export is not None:
        problems = verify_export(export)
        where = str(export)
    else:
        with parts(config.load(config_file)) as ready:
            problems = ready.ledger.verify()
            head = ready.ledger.head()
            where = f"{ready.settings.ledger.url}, head {head.sequence} {head.hash[:16]}"
    if json:
        say.machine({"type": "audit", "where": where, "problems": list(problems)})
    else:
        say.words(f"{where}: {'the chain holds' if not problems else f'{len(problems)} problem(s)'}")
        for problem in problems:
            say.words(f"  {problem}")
    if problems:
        raise typer.Exit(say.BAD_VERDICT)


@audit_app.command("export")
def audit_export(
    out: Annotated[Path, typer.Argument(help="A JSON-lines file.")],
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    json: Json = False,
) -> None:
    """Write the whole record to a file that verifies offline."""
    with parts(config.load(config_file)) as ready:
        head = ready.ledger.export(out)
    if json:
        say.machine({"type": "export", "file": str(out), "sequence": head.sequence, "hash": head.hash})
    else:
        say.words(f"Wrote {out}: {head.sequence} facts, head {head.hash}.  Keep the head somewhere else.")


@app.command()
def alarms(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """List every alarm that was raised, oldest first."""
    with parts(config.load(config_file)) as ready:
        stored = ready.ledger.facts(subject=ready.settings.stream.name, kind="alarm_raised")
        raised = [one.fact for one in stored if isinstance(one.fact, f.AlarmRaised)]
    if json:
        for fact in raised:
            say.machine({"type": "alarm", "id": fact.alarm_id, "alarm": plain(fact.alarm)})
        return
    if not raised:
        say.words("No alarm was raised.")
    for fact in raised:
        say.words(f"{fact.alarm_id}: {fact.alarm.get('text', '')}  To do: {fact.alarm.get('action', '')}")


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
            "files": {outcome: n for (where, outcome), n in figures.files.items() if where == stream},
            "alarms": {verdict: n for (where, verdict), n in figures.alarms.items() if where == stream},
            "open_faults": [one.alarm_id for one in standing],
            "champion": champion_digest(ready.ledger, slot),
            "running": ready.sight.running() or "",
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
    say.words(f"faults       {', '.join(standing) or 'none open'}")
    say.words(f"{slot:12s} record {record}, read back {seen}")
    candidates = tree["candidates"]
    assert isinstance(candidates, dict)
    say.words(f"candidates   {', '.join(f'{name} {phase}' for name, phase in candidates.items()) or 'none'}")


@people_app.command("add")
def people_add(
    name: str,
    *,
    role: Annotated[list[str], typer.Option("--role", help="Give it several times for several roles.")],
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Open an account; the first one needs nobody, later ones need somebody with the role root."""
    with parts(config.load(config_file)) as ready:
        by = "setup"
        if any("root" in one.roles for one in ready.people.everybody()):
            me = authenticate(ready, person, password_stdin=password_stdin)
            if "root" not in me.roles:
                raise RefusedError(f"{me.name} may not open accounts; it takes the role root")
            by = me.name
        password = _new_password(name, password_stdin=password_stdin)
        added = ready.people.add_person(name, password, role, by=by, now=utc_now())
    if json:
        say.machine({"type": "person", "name": added.name, "roles": sorted(added.roles)})
    else:
        say.words(f"{added.name}: {', '.join(sorted(added.roles))}")


def _new_password(name: str, *, password_stdin: bool) -> str:
    if password_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt(f"new password of {name}", hide_input=True, confirmation_prompt=True))


@people_app.command("list")
def people_list(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """List accounts and their roles."""
    with parts(config.load(config_file)) as ready:
        everybody = ready.people.everybody()
    if json:
        for one in everybody:
            say.machine({"type": "person", "name": one.name, "roles": sorted(one.roles)})
        return
    say.table("people", ["name", "roles"], ((one.name, ", ".join(sorted(one.roles))) for one in everybody))
