"""Verbs that tie what a person holds to their account: people link."""

from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.assemble import parts, utc_now
from daemon.cli import say
from daemon.cli.identity import Me, PasswordStdin, authenticate_root
from daemon.cli.offline import ConfigFile
from daemon.cli.record import people_app
from daemon.errors import RefusedError
from daemon.identities import confirm, link


@people_app.command("link")
def people_link(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An account.")],
    *,
    issuer: Annotated[str, typer.Option("--issuer", help="The single sign-on, as its tokens name it.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Who it is there: the token's `sub`.")] = "",
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Let an identity of the single sign-on open a local account; without one: confirm what a first sign-on opened."""
    if bool(issuer) != bool(subject):
        raise RefusedError("say both --issuer and --subject, or neither to confirm the account of a first sign-on")
    with parts(config.load(config_file)) as ready:
        me = authenticate_root(ready, person, password_stdin=password_stdin, to="link identities")
        if me.name == name:
            raise RefusedError(f"{name} cannot link an identity of their own; another root links it")
        if issuer:
            link(ready.ledger, name, issuer, subject, by=me.name, now=utc_now())
        else:
            said = confirm(ready.ledger, name, by=me.name, now=utc_now())
            issuer, subject = said.issuer, said.identity
    say.words(f"{subject} of {issuer} opens the account of {name}; its groups give the roles from the next sign-on")
