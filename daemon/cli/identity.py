"""Who sits at the terminal: the same accounts as on the page, the password asked for or piped."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from daemon.assemble import Parts, utc_now
from daemon.decisions import Signer
from daemon.errors import LoginRefusedError, RefusedError
from daemon.key_file import read_key
from daemon.lifecycle.signing import sign
from daemon.people import Person

Me = Annotated[
    str, typer.Option("--person", help="Your account; left out: your login name.", envvar="RETRIGGER_PERSON")
]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
KeyFile = Annotated[
    Path | None, typer.Option("--key", help="Sign with this private key, as `retrigger people keygen` made it.")
]


def signer(key: Path | None) -> Signer | None:
    """Return what signs with the key in this file; None without one.

    Raises:
        PeopleError: The file holds no key, or others may read it.
    """
    if key is None:
        return None
    private = read_key(key)
    return lambda message: sign(private, message)


def authenticate(ready: Parts, person: str, *, password_stdin: bool) -> Person:
    """Return the person after checking the password.

    Raises:
        LoginRefusedError: The account or the password is wrong, or nobody is there to ask.
    """
    name = person or getpass.getuser()
    return ready.people.check_password(name, asked_password(name, password_stdin=password_stdin), utc_now())


def asked_password(name: str, *, password_stdin: bool, at: str = "") -> str:
    """Return the password that is piped, or typed; `at` says where it is for.

    Raises:
        LoginRefusedError: Nobody is there to ask.
    """
    if password_stdin:
        return sys.stdin.readline().rstrip("\n")
    if sys.stdin.isatty():
        return getpass.getpass(f"password of {name}{f' at {at}' if at else ''}: ")
    reading = f", or to read alone, log in before: retrigger login --server {at}" if at else ""
    raise LoginRefusedError(f"nobody is there to type a password; pipe it and say --password-stdin{reading}")


def authenticate_root(ready: Parts, person: str, *, password_stdin: bool, to: str) -> Person:
    """Return the person after checking the password and that they hold the role root; `to` says what for.

    Raises:
        LoginRefusedError: As `authenticate`.
        RefusedError: They are no root.
    """
    me = authenticate(ready, person, password_stdin=password_stdin)
    if "root" not in me.roles:
        raise RefusedError(f"{me.name} may not {to}; it takes the role root")
    return me


def new_password(name: str, *, password_stdin: bool) -> str:
    """Return a new password: the next line that is piped, or what is typed twice."""
    if password_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt(f"new password of {name}", hide_input=True, confirmation_prompt=True))
