"""Verbs about the accounts: people add, people list."""

from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.assemble import parts, utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.identity import Me, PasswordStdin, authenticate_root, new_password
from daemon.cli.offline import ConfigFile, Json

people_app = typer.Typer(help="Accounts and roles.", no_args_is_help=True)
app.add_typer(people_app, name="people")


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
            by = authenticate_root(ready, person, password_stdin=password_stdin, to="open accounts").name
        password = new_password(name, password_stdin=password_stdin)
        added = ready.people.add_person(name, password, role, by=by, now=utc_now())
    if json:
        say.machine({"type": "person", "name": added.name, "roles": sorted(added.roles)})
    else:
        say.words(f"{added.name}: {', '.join(sorted(added.roles))}")


@people_app.command("list")
def people_list(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """List accounts and their roles."""
    with parts(config.load(config_file)) as ready:
        everybody = ready.people.everybody()
        keys = ready.people.keys()
    ids = {one.name: [each for each, key in keys.items() if key.person == one.name] for one in everybody}
    if json:
        for one in everybody:
            say.machine({"type": "person", "name": one.name, "roles": sorted(one.roles), "keys": ids[one.name]})
        return
    rows = (
        (one.name, ", ".join(sorted(one.roles)), ", ".join(each[:16] for each in ids[one.name])) for one in everybody
    )
    say.table("people", ["name", "roles", "keys"], rows)
