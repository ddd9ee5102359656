"""Verbs about alarms that were raised, here or elsewhere: list them, take one on, ask for quiet, close one."""

from typing import Annotated

import typer

from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.desk import Desk, at_a_desk
from daemon.cli.offline import Json
from daemon.cli.service import Reason
from daemon.cli.words import where
from daemon.errors import RefusedError

AlarmId = Annotated[str, typer.Argument(metavar="ALARM", help="Its name, as `retrigger alarms` lists it.")]


@app.command()
@at_a_desk
def alarms(
    at: Desk,
    *,
    json: Json = False,
) -> None:
    """List every alarm that was raised, oldest first, and whether it is closed."""
    raised = at.alarms()
    if json:
        for one in raised:
            say.machine(one)
        return
    if not raised:
        say.words(f"No alarm was raised{where(at)}.")
    elif at.place:
        say.words(f"alarms{where(at)}")
    for one in raised:
        by = one["closed"]
        at_minute = by["at"][:16].replace("T", " ") if by else ""
        after = (
            f"It is closed by {by['by']} at {at_minute} UTC: {say.one_line(by['reason'])}"
            if by
            else f"To do: {one['alarm'].get('action', '')}"
        )
        say.words(f"{one['id']}: {one['alarm'].get('text', '')}  {after}")


@app.command()
@at_a_desk
def acknowledge(
    at: Desk,
    alarm: AlarmId,
    *,
    reason: Reason,
    json: Json = False,
) -> None:
    """Take an alarm on: who is in the record, and Alertmanager is quiet about it for a shift."""
    by = at.acknowledge(alarm, reason)
    if json:
        say.machine({"type": "alarm_acknowledged", "id": alarm, "by": by})
    else:
        say.words(f"{by} looks after {alarm}; it stays open until it is closed: retrigger faults --close {alarm}")


@app.command()
@at_a_desk
def silence(
    at: Desk,
    alarm: AlarmId,
    *,
    hours: Annotated[float, typer.Option(help="For how many hours.")],
    reason: Reason,
    json: Json = False,
) -> None:
    """Ask for no messages about an alarm for some hours, 72 at most; the watch goes on."""
    until = at.silence(alarm, reason, hours)
    if json:
        say.machine({"type": "alarm_silenced", "id": alarm, "until": until})
    else:
        say.words(f"Quiet about {alarm} until {until[:16].replace('T', ' ')} UTC; it stays open.")


@app.command()
@at_a_desk
def faults(
    at: Desk,
    *,
    close: Annotated[str, typer.Option(help="Close this alarm (its id, see `retrigger alarms`).")] = "",
    reason: Annotated[str, typer.Option(help="What it was, in one sentence.")] = "",
    json: Json = False,
) -> None:
    """List open detector faults, or close an alarm: retraining is blocked while a fault is open."""
    if close and not reason.strip():
        raise RefusedError(f'to close an alarm, say what it was: retrigger faults --close {close} --reason "…"')
    if close:
        at.close_alarm(close, reason)
    standing = [one for one in at.alarms() if one["fault"]]
    if json:
        say.machine({"type": "faults", "open": [{"id": one["id"], "alarm": one["alarm"]} for one in standing]})
        return
    if not standing:
        say.words("No detector fault is open.")
    for one in standing:
        say.words(f"{one['id']}: {one['alarm'].get('text', one['alarm'].get('verdict'))}")
