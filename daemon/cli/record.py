"""Verbs that read the record, and the accounts: history, audit, alarms, people."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon import config
from daemon.assemble import parts, utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.identity import Me, PasswordStdin, authenticate
from daemon.cli.offline import ConfigFile, Json
from daemon.decisions import closing_words, closings
from daemon.errors import RefusedError
from daemon.ledger import verify_export
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import plain

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
    """List every alarm that was raised, oldest first, and whether it is closed."""
    with parts(config.load(config_file)) as ready:
        stored = [one.fact for one in ready.ledger.facts(subject=ready.settings.stream.name)]
        raised, closed = [one for one in stored if isinstance(one, f.AlarmRaised)], closings(stored)
    if json:
        for fact in raised:
            say.machine(_alarm_tree(fact, closed.get(fact.alarm_id)))
        return
    if not raised:
        say.words("No alarm was raised.")
    for fact in raised:
        by = closed.get(fact.alarm_id)
        after = f"To do: {fact.alarm.get('action', '')}" if by is None else f"It is {closing_words(by)}"
        say.words(f"{fact.alarm_id}: {fact.alarm.get('text', '')}  {after}")


def _alarm_tree(fact: f.AlarmRaised, by: f.FaultClosed | None) -> dict[str, Any]:
    closed = None if by is None else {"by": by.person, "at": by.at.isoformat(), "reason": by.reason}
    return {"type": "alarm", "id": fact.alarm_id, "closed": closed, "alarm": plain(fact.alarm)}


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
