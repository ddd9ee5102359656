"""Verbs of drills for approvers: drill propose, drill figures."""

from pathlib import Path
from typing import Annotated, Any

import typer

from daemon import config, fatigue
from daemon.assemble import parts, utc_now
from daemon.cli import say
from daemon.cli.drilling import drill
from daemon.cli.identity import Me, PasswordStdin, authenticate
from daemon.cli.offline import ConfigFile, Json
from daemon.drills import KINDS, given_answers, propose, source_of
from daemon.errors import RefusedError
from daemon.lifecycle import Policy
from daemon.shelf import whole_champion
from retrain.bundle import Bundle

KindName = Annotated[str, typer.Option("--kind", help=f"How it is bad: {', '.join(KINDS)}; left out: by turns.")]
IfDue = Annotated[bool, typer.Option("--if-due", help="Only if an approver is due one; for a timer.")]


@drill.command("propose")
def drill_propose(
    *,
    kind: KindName = "",
    if_due: IfDue = False,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Seed a bad candidate that can be approved and is never deployed; the page does not say what it is."""
    with parts(config.load(config_file)) as ready:
        me = authenticate(ready, person, password_stdin=password_stdin)
        if not me.roles & {"coordinator", "root"}:
            raise RefusedError(f"{me.name} cannot seed a drill; it takes coordinator or root")
        now, given = utc_now(), given_answers(ready.ledger)
        waiting = fatigue.due(_approvers(ready.people.roles(), ready.policy), given, now)
        if if_due and not waiting:
            say.words("no drill is due: every approver answered one in this quarter")
            return
        known = ready.sight.candidates()
        champion = whole_champion(ready.ledger, ready.sight.running())
        source = source_of(known, champion if isinstance(champion, Bundle) else None)
        seeded = sum(one.drill for one in known)
        chosen = kind or list(KINDS)[seeded % len(KINDS)]
        out = source.path.resolve().parent
        name = propose(ready.ledger, ready.sight, ready.policy, source, chosen, by=me.name, out=out, now=now)
    if json:
        say.machine({"type": "drill", "candidate": name, "kind": chosen, "due": list(waiting)})
    else:
        say.words(f"{name} is a drill ({KINDS[chosen].seen}); people are asked as for any candidate. Tell nobody.")


@drill.command("figures")
def drill_figures(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """Show how people answer: times, share of yes, drills caught; exit 1 when a limit is passed."""
    with parts(config.load(config_file)) as ready:
        given, now = given_answers(ready.ledger), utc_now()
        approvers = _approvers(ready.people.roles(), ready.policy)
        people = [fatigue.figures(name, given) for name in sorted(approvers | {one.person for one in given})]
        waiting = fatigue.due(approvers, given, now)
    if json:
        rows: list[dict[str, Any]] = [
            {**vars(one), "last_drill": one.last_drill and one.last_drill.isoformat(), "alarms": list(one.alarms)}
            for one in people
        ]
        say.machine({"type": "fatigue", "people": rows, "drill_due": list(waiting)})
    else:
        for one in people:
            read = "-" if one.read_s is None else f"{one.read_s:.0f} s"
            yes = "-" if one.yes_ratio is None else f"{100 * one.yes_ratio:.0f} %"
            drills = f"{one.caught} of {one.caught + one.missed} drills caught"
            say.words(f"{one.person:16s} {one.answers:4d} answers, {read} on the page, {yes} yes, {drills}")
            for alarm in one.alarms:
                say.words(f"  {alarm}")
        say.words(f"drill due: {', '.join(waiting) or 'nobody'}")
    if any(one.alarms for one in people):
        raise typer.Exit(say.BAD_VERDICT)


def _approvers(people: dict[str, frozenset[str]], policy: Policy) -> set[str]:
    needed = {role for tier in policy.tiers.values() for role in tier.roles}
    return {name for name, held in people.items() if held & needed}
