"""Verbs about the whole daemon, here or elsewhere: a wish for a candidate, pause and freeze."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.desk import Desk, PlainHttp, Server, desk
from daemon.cli.identity import Me, PasswordStdin
from daemon.cli.offline import ConfigFile, Json
from daemon.cli.service import Reason
from daemon.cli.words import where
from daemon.switches import Switch


@app.command()
def train(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    action: Annotated[
        Literal["weights", "threshold"],
        typer.Option(help="weights: a new network; threshold: keep the champion's and derive only where to cut."),
    ] = "weights",
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Ask for a candidate now; the running daemon trains it."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        by = at.train(reason, action)
    if json:
        say.machine({"type": "asked", "by": by, "reason": reason, "action": action})
    else:
        say.words(f"Asked{where(at)}.  The daemon answers in its next turn: retrigger candidates")


@app.command()
def pause(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Stop every forward step; watching goes on."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        _turn(at, "pause", reason, json=json)


@app.command()
def resume(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Let the daemon go on."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        _turn(at, "resume", reason, json=json)


@app.command()
def freeze(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Forbid every write forward; watching and training go on, and going back is always allowed."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        _turn(at, "freeze", reason, json=json)


@app.command()
def unfreeze(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Allow deployments again."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        _turn(at, "unfreeze", reason, json=json)


def _turn(at: Desk, what: Switch, reason: str, *, json: bool) -> None:
    kind, by = at.switch(what, reason)
    if json:
        say.machine({"type": kind, "by": by})
    else:
        say.words(f"{kind} by {by}{where(at)}.")
