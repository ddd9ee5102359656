"""Who sits at the terminal: the same accounts as on the page, the password asked for or piped."""

import getpass
import sys
from typing import Annotated

import typer

from daemon.assemble import Parts, utc_now
from daemon.errors import LoginRefusedError
from daemon.people import Person

Me = Annotated[
    str, typer.Option("--person", help="Your account; left out: your login name.", envvar="RETRIGGER_PERSON")
]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def authenticate(ready: Parts, person: str, *, password_stdin: bool) -> Person:
    """Return the person after checking the password.

    Raises:
        LoginRefusedError: The account or the password is wrong, or nobody is there to ask.
    """
    name = person or getpass.getuser()
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    elif sys.stdin.isatty():
        password = getpass.getpass(f"password of {name}: ")
    else:
        raise LoginRefusedError("nobody is there to type a password; pipe it and say --password-stdin")
    return ready.people.check_password(name, password, utc_now())
