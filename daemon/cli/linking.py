"""Verbs that tie what a person holds to their account: people link."""

from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.assemble import parts, utc_now
from daemon.cli import say
from daemon.cli.offline import ConfigFile
from daemon.cli.record import people_app
from daemon.identities import link


@people_app.command("link")
def people_link(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A local account.")],
    *,
    issuer: Annotated[str, typer.Option("--issuer", help="The single sign-on, as its tokens name it.")],
    subject: Annotated[str, typer.Option("--subject", help="Who it is there: the token's `sub`.")],
    config_file: ConfigFile = Path("retrigger.toml"),
) -> None:
    """Let an identity of the single sign-on open an account that exists; its groups then give the roles."""
    with parts(config.load(config_file)) as ready:
        link(ready.ledger, name, issuer, subject, by="root", now=utc_now())
    say.words(f"{subject} of {issuer} opens the account of {name}")
