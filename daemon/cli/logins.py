"""Verbs of a laptop: log in at a retrigger elsewhere for a while, and out again."""

import getpass
import os

from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.desk import SERVER_VARIABLE, PlainHttp, Server
from daemon.cli.identity import Me, PasswordStdin, asked_password
from daemon.cli.kept_login import Kept, forget, keep, kept_at
from daemon.cli.offline import Json
from daemon.errors import RefusedError
from daemon.remote import address_of


@app.command()
def login(
    *,
    server: Server = "",
    plain_http: PlainHttp = False,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Log in at a server, to read there without a password for a while; what decides takes it all the same."""
    from daemon.cli.there import remote_at  # noqa: PLC0415 the client is paid for by those who are elsewhere

    url = _named(server, plain_http=plain_http)
    name = person or getpass.getuser()
    remote = remote_at(url)
    remote.visitor()  # whether a retrigger is there at all, before it is given a password
    me = remote.log_in(name, asked_password(name, password_stdin=password_stdin, at=url))
    cookie = remote.cookie
    remote.close()
    if cookie is None:
        raise RefusedError(f"{url} logged {me.name} in and gave no session; check its web.public_url")
    path = keep(url, Kept(me.name, *cookie))
    if json:
        say.machine(
            {"type": "logged_in", "server": url, "person": me.name, "roles": sorted(me.roles), "file": str(path)}
        )
    else:
        say.words(f"{me.name} ({', '.join(sorted(me.roles)) or 'no role'}) is logged in at {url}, kept in {path}.")
        if SERVER_VARIABLE not in os.environ:
            say.words(f"So that each verb goes there: export {SERVER_VARIABLE}={url}")


@app.command()
def logout(*, server: Server = "", plain_http: PlainHttp = False, json: Json = False) -> None:
    """Log out at a server: the session ends there, and its file here is removed."""
    from daemon.cli.there import remote_at  # noqa: PLC0415 the same

    url = _named(server, plain_http=plain_http)
    kept = kept_at(url)
    forget(url)
    if kept is not None:
        remote = remote_at(url, kept)
        if remote.visitor() is not None:
            remote.log_out()
        remote.close()
    if json:
        say.machine({"type": "logged_out", "server": url, "person": kept.person if kept else ""})
    else:
        say.words(f"{kept.person} is logged out at {url}." if kept else f"Nobody was logged in at {url} from here.")


def _named(server: str, *, plain_http: bool) -> str:
    named = server or os.environ.get(SERVER_VARIABLE, "")
    if not named:
        raise RefusedError(f"say where: --server https://HOST, or set {SERVER_VARIABLE}")
    return address_of(named, plain_http=plain_http)
