"""Where a verb is heard: at the ledger of this host, or at a retrigger elsewhere over its API (`--server`).

A verb is written once, for a `Desk`; `daemon.cli.here` and `daemon.cli.there` are the two.
"""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import typer

from daemon.cli.identity import Me, PasswordStdin
from daemon.cli.offline import ConfigFile
from daemon.errors import RefusedError
from daemon.ledger import History, Outcome
from daemon.record.asked import Told
from daemon.switches import Switch

SERVER_VARIABLE = "RETRIGGER_SERVER"
HERE = Path("retrigger.toml")
Server = Annotated[
    str,
    typer.Option(
        "--server",
        metavar="URL",
        help=f"Say it to the retrigger at this address, not to a ledger here; or set {SERVER_VARIABLE}.",
    ),
]
PlainHttp = Annotated[
    bool, typer.Option("--plain-http", help="Let a password go unencrypted to another machine all the same.")
]
Says = Literal["approve", "reject", "revoke", "rollback", "waive", "confirm", "break-glass", "review"]


@dataclass(frozen=True, kw_only=True)
class Word:
    """What a person says of a candidate.

    Attributes:
        says: The verb.
        candidate: Of which.
        reason: One sentence.
        code: Of what they saw.
        role: In which role; empty takes the first one that fits.
        klass: Of a rejection.
        gate: To be waived.
        hours: For how long.
        key: File of the private key that signs; None rests on the password alone.
    """

    says: Says
    candidate: str
    reason: str
    code: str = ""
    role: str = ""
    klass: str = ""
    gate: str = ""
    hours: float = 24.0
    key: Path | None = None


@dataclass(frozen=True)
class Row:
    """One candidate in a list."""

    id: str
    phase: str
    trigger: str
    reason: str
    bundle: str
    missing_roles: tuple[str, ...]
    closing: str


class Desk(Protocol):
    """Hears what a person asks and says; who they are it settles by itself, when it has to."""

    @property
    def place(self) -> str:
        """Where it is, for a sentence; empty on this host."""

    def rows(self) -> list[Row]:
        """Return every candidate, oldest first."""

    def story(self, candidate_id: str) -> dict[str, Any]:
        """Return everything that is said of one candidate (`daemon.stories`).

        Raises:
            RefusedError: There is none.
        """

    def say(self, word: Word) -> dict[str, Any]:
        """Record a word of this person's, once, and return the candidate's story after it.

        Raises:
            StalePageError: The code is of something that is no longer so.
            RefusedError: The rules do not allow it; the text says which.
            LoginRefusedError: It was not shown that it is them.
        """

    def status(self) -> dict[str, Any]:
        """Return where the daemon stands (`daemon.standing`)."""

    def alarms(self) -> list[dict[str, Any]]:
        """Return every alarm, oldest first (`daemon.decisions.alarms_told`)."""

    def close_alarm(self, alarm_id: str, reason: str) -> None:
        """Record that an alarm is dealt with."""

    def acknowledge(self, alarm_id: str, reason: str) -> str:
        """Record that this person looks after an alarm; returns their name."""

    def silence(self, alarm_id: str, reason: str, hours: float) -> str:
        """Record that nobody wants messages about an alarm for some hours; returns until when."""

    def train(self, reason: str, action: Literal["weights", "threshold"]) -> str:
        """Ask for a candidate; returns who asked."""

    def switch(self, what: Switch, reason: str) -> tuple[str, str]:
        """Record what is switched on or off; returns the kind of the fact, and who said it."""

    def ran(self, run: int, lumisection: int, slot: str) -> tuple[History, Outcome | None, str]:
        """Return what ran there, what became of its data, and in which stream."""

    def told(self, *, digest: str = "", person: str = "") -> list[Told]:
        """Return what the record says of a digest, or of a person."""


@contextmanager
def desk(
    config_file: Path, server: str, *, plain_http: bool = False, person: str = "", password_stdin: bool = False
) -> Iterator[Desk]:
    """Open the desk that a verb was given: a server by option, a configuration by option, a server by environment.

    Raises:
        RefusedError: Both a server and a configuration were named.
    """
    here_meant = config_file != HERE  # `daemon.cli.offline.ConfigFile` makes one that was typed another one
    if server and here_meant:
        raise RefusedError(f"say --server {server} or --config {config_file}, not both: each is a record of its own")
    named = server or ("" if here_meant else os.environ.get(SERVER_VARIABLE, ""))
    if named:
        from daemon.cli.there import there  # noqa: PLC0415 the client is paid for by those who are elsewhere

        with there(named, plain_http=plain_http, person=person, password_stdin=password_stdin) as far:
            yield far
        return
    from daemon.cli.here import here  # noqa: PLC0415 the ledger is paid for by those who are on its host

    with here(config_file, person=person, password_stdin=password_stdin) as near:
        yield near


def at_a_desk(verb: Callable[..., None]) -> Callable[..., None]:
    """Open the desk for a verb whose first argument it is, and give it the options that say where, and by whom."""

    def heard(
        *,
        config_file: ConfigFile = HERE,
        server: Server = "",
        plain_http: PlainHttp = False,
        person: Me = "",
        password_stdin: PasswordStdin = False,
        **asked: Any,
    ) -> None:
        with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
            verb(at, **asked)

    own, (*where, _) = inspect.signature(verb), inspect.signature(heard).parameters.values()
    _, *of_the_verb, json = own.parameters.values()
    update_wrapper(heard, verb)
    heard.__signature__ = own.replace(parameters=[*of_the_verb, *where, json])  # type: ignore[attr-defined]  # typer's
    return heard
