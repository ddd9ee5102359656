"""What the pages stand on: the ledger, the people, eyes for the world, the rules and a clock, in one frozen value."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import BoundedSemaphore

from fastapi import Request

from daemon.decisions import Looks
from daemon.ledger import Ledger
from daemon.lifecycle import Policy
from daemon.passkeys import Passkeys
from daemon.people import Knocks, People, Person
from daemon.sign_on import SignOn
from daemon.web.challenges import Challenges
from daemon.web.sessions import Session, Sessions

PASSWORDS_AT_ONCE = BoundedSemaphore(2)  # argon2 takes 64 MiB and a core for each
LOG_INS_AT_ONCE = BoundedSemaphore(2)  # apart: a crowd before the door holds nobody up inside


@dataclass(frozen=True)
class Proxy:
    """A proxy that logs people in itself and names them in a header; off unless configured."""

    header: str
    sources: frozenset[str]

    def name_in(self, request: Request) -> str:
        """Return whom the proxy names; empty when the request did not come from it or names nobody, or two."""
        if request.client is None or request.client.host not in self.sources:
            return ""
        named = request.headers.getlist(self.header)
        return named[0].strip() if len(named) == 1 else ""


@dataclass(frozen=True, kw_only=True)
class Office:
    """Everything a route may use.

    Attributes:
        ledger: The record.
        people: Local accounts.
        looks: Sees bundle, board, beam and certification; the same eyes as the loop's.
        policy: In force.
        stream: Whose alarms and lumisections are shown.
        slot: Whose model.
        public_url: Where people reach the page; ``https`` makes cookies secure.
        clock: Returns the time, UTC.
        sessions: Who is logged in.
        tokens: Returns unguessable text.
        challenges: What their passkeys were asked to sign.
        passkeys: Who registered which.
        sign_on: A single sign-on, where one is configured.
        proxy: A proxy whose word about names is taken, where one is configured.
        explanations: Folder of the explanations of alarms; None where none are kept.
        places: Where the record goes outside this host, by name.
        knocks: Wrong passwords at the log-in.
    """

    ledger: Ledger
    people: People
    looks: Looks
    policy: Policy
    stream: str
    slot: str
    public_url: str
    clock: Callable[[], datetime]
    sessions: Sessions
    tokens: Callable[[], str]
    challenges: Challenges
    passkeys: Passkeys
    sign_on: SignOn | None = None
    proxy: Proxy | None = None
    explanations: Path | None = None
    places: tuple[str, ...] = ()
    knocks: Knocks = field(default_factory=Knocks)

    @property
    def secure(self) -> bool:
        """Whether the page is reached by https."""
        return self.public_url.startswith("https://")

    @property
    def cookie(self) -> str:
        """Name of the session cookie; browsers accept ``__Host-`` by https alone."""
        return "__Host-retrigger" if self.secure else "retrigger"

    def check_password(self, name: str, password: str, now: datetime) -> Person:
        """Return the person in a session whose password this is; a few at a time, so as not to fill the memory.

        Raises:
            LoginRefusedError: It is not right, or the account waits or is closed.
        """
        with PASSWORDS_AT_ONCE:
            return self.people.check_password(name, password, now)

    def log_in(self, name: str, password: str, now: datetime) -> Person:
        """Return the person who comes in by password; whoever fails here makes nobody wait who is inside already.

        Raises:
            LoginRefusedError: It is not right, or the log-in of this account waits, or it is closed.
        """
        with LOG_INS_AT_ONCE:
            return self.people.check_password(name, password, now, self.knocks)

    def person_of(self, session: Session) -> Person | None:
        """Return the person of a session with the roles they hold now.

        None when the account was closed, or its password is another one than when the session began.
        """
        person = self.people.find(session.person)
        return person if person is not None and person.mark == session.mark else None

    def begin(self, person: Person, now: datetime, how: str) -> str:
        """Return the token of a new session of somebody who was recognised just now."""
        return self.sessions.begin(person.name, now, how, person.mark)
