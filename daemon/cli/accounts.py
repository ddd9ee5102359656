"""Verbs that change an account that is there: people roles, people close, people password."""

from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.assemble import parts, utc_now
from daemon.cli import say
from daemon.cli.identity import Me, PasswordStdin, authenticate, authenticate_root, new_password
from daemon.cli.offline import ConfigFile, Json
from daemon.cli.record import people_app
from daemon.cli.service import Reason
from daemon.errors import RefusedError

Name = Annotated[str, typer.Argument(metavar="NAME", help="An open account.")]


@people_app.command("roles")
def people_roles(
    name: Name,
    roles: Annotated[list[str], typer.Argument(metavar="ROLE...", help="All that they hold from now on.")],
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Give a person these roles and no others; it takes another root, and approvals that need a lost role go stale."""
    with parts(config.load(config_file)) as ready:
        me = authenticate_root(ready, person, password_stdin=password_stdin, to="change roles")
        if me.name == name:
            raise RefusedError(f"{name} cannot change roles of their own; another root does it")
        now = ready.people.set_roles(name, roles, by=me.name, now=utc_now())
    if json:
        say.machine({"type": "person", "name": now.name, "roles": sorted(now.roles)})
    else:
        say.words(f"{now.name}: {', '.join(sorted(now.roles))}")


@people_app.command("close")
def people_close(
    name: Name,
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Close an account for good, with its keys; it takes the role root, and approvals that rest on it go stale."""
    with parts(config.load(config_file)) as ready:
        me = authenticate_root(ready, person, password_stdin=password_stdin, to="close accounts")
        ready.people.revoke(name, reason, by=me.name, now=utc_now())
    if json:
        say.machine({"type": "person_closed", "name": name, "by": me.name})
    else:
        say.words(f"The account of {name} is closed; nothing that rests on it counts any more.")


@people_app.command("password")
def people_password(
    name: Name,
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Set a password anew: your own with the old one, another's with the role root; piped, the new one is next."""
    with parts(config.load(config_file)) as ready:
        me = authenticate(ready, person or name, password_stdin=password_stdin)
        if me.name != name and "root" not in me.roles:
            raise RefusedError(f"{me.name} may set their own password only; for others it takes the role root")
        password = new_password(name, password_stdin=password_stdin)
        ready.people.set_password(name, password, by=me.name, now=utc_now())
    if json:
        say.machine({"type": "password_changed", "name": name, "by": me.name})
    else:
        say.words(f"The password of {name} is new; the old one is void, and every open session of {name} ends.")
