"""Verbs about the whole daemon, here or elsewhere: a wish for a candidate, pause and freeze."""

from typing import Annotated, Literal

import typer

from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.desk import Desk, at_a_desk
from daemon.cli.offline import Json
from daemon.cli.service import Reason
from daemon.cli.words import where
from daemon.switches import Switch


@app.command()
@at_a_desk
def train(
    at: Desk,
    *,
    reason: Reason,
    action: Annotated[
        Literal["weights", "threshold"],
        typer.Option(help="weights: a new network; threshold: keep the champion's and derive only where to cut."),
    ] = "weights",
    json: Json = False,
) -> None:
    """Ask for a candidate now; the running daemon trains it."""
    by = at.train(reason, action)
    if json:
        say.machine({"type": "asked", "by": by, "reason": reason, "action": action})
    else:
        say.words(f"Asked{where(at)}.  The daemon answers in its next turn: retrigger candidates")


@app.command()
@at_a_desk
def pause(
    at: Desk,
    *,
    reason: Reason,
    json: Json = False,
) -> None:
    """Stop every forward step; watching goes on."""
    _turn(at, "pause", reason, json=json)


@app.command()
@at_a_desk
def resume(
    at: Desk,
    *,
    reason: Reason,
    json: Json = False,
) -> None:
    """Let the daemon go on."""
    _turn(at, "resume", reason, json=json)


@app.command()
@at_a_desk
def freeze(
    at: Desk,
    *,
    reason: Reason,
    json: Json = False,
) -> None:
    """Forbid every write forward; watching and training go on, and going back is always allowed."""
    _turn(at, "freeze", reason, json=json)


@app.command()
@at_a_desk
def unfreeze(
    at: Desk,
    *,
    reason: Reason,
    json: Json = False,
) -> None:
    """Allow deployments again."""
    _turn(at, "unfreeze", reason, json=json)


def _turn(at: Desk, what: Switch, reason: str, *, json: bool) -> None:
    kind, by = at.switch(what, reason)
    if json:
        say.machine({"type": kind, "by": by})
    else:
        say.words(f"{kind} by {by}{where(at)}.")
