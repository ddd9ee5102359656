"""The rows behind the doors of the page: passkeys, identities of a single sign-on, kept answers, readings.

What they mean is the business of `daemon.passkeys`, `daemon.sign_on`, `daemon.web` and `daemon.fatigue`.  A passkey and
an identity come with the fact that says so; the rest is no record, and may be forgotten.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from daemon.errors import LedgerError
from daemon.ledger import chain
from daemon.ledger import schema as t
from daemon.ledger.engine import reading, writing
from daemon.lifecycle.codec import time_text
from daemon.lifecycle.facts import Fact

ANSWERS_KEPT = timedelta(days=7)
UNDER_WAY = timedelta(minutes=2)
"""Longer than any answer takes; what has none after that was begun by a process that is gone."""
READINGS_KEPT = timedelta(days=400)


@dataclass(frozen=True, kw_only=True)
class Passkey:
    """One registered credential.

    Attributes:
        credential_id: As the authenticator names it, base64url.
        person: For whom it speaks.
        key_id: Its name in the record, SHA-256 of its public key.
        public: What checks its assertions, in the form of `daemon.lifecycle.assertions`.
        label: What its owner calls it.
        sign_count: The highest count seen; 0 for those that do not count.
        added_at: Since when.
        revoked_at: Since when it speaks for nobody; None while it speaks.
    """

    credential_id: str
    person: str
    key_id: str
    public: str
    label: str
    sign_count: int
    added_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class Kept:
    """An answer kept under an idempotency key; `status` is None while it is being worked out."""

    asked: str
    status: int | None
    body: str


@dataclass(frozen=True)
class Reading:
    """Somebody opened the page of an open request."""

    person: str
    request_id: str
    at: datetime


class DoorRows:
    """Those rows of one ledger; every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def passkeys(self, person: str | None = None) -> list[Passkey]:
        """Return every passkey, revoked ones included, or one person's, oldest first."""
        query = select(t.passkeys).order_by(t.passkeys.c.added_at, t.passkeys.c.credential_id)
        if person is not None:
            query = query.where(t.passkeys.c.person == person)
        with reading(self._engine) as connection:
            return [_passkey(row) for row in connection.execute(query)]

    def add_passkey(self, passkey: Passkey, fact: Fact) -> None:
        """Keep a passkey together with the fact that says so.

        Raises:
            LedgerError: This credential is registered already, for whomever.
        """
        values = {**vars(passkey), "added_at": time_text(passkey.added_at), "revoked_at": None}
        try:
            with writing(self._engine) as connection:
                chain.append(connection, [("people", (fact,), None)])
                connection.execute(insert(t.passkeys).values(**values))
        except LedgerError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise LedgerError("this passkey is registered already; take another one") from error
            raise

    def revoke_key(self, key_id: str, now: datetime, fact: Fact) -> None:
        """Let a key speak for nobody any more: the fact that says so and, if it is a passkey, its row, together."""
        with writing(self._engine) as connection:
            chain.append(connection, [("people", (fact,), None)])
            mine = (t.passkeys.c.key_id == key_id) & t.passkeys.c.revoked_at.is_(None)
            connection.execute(update(t.passkeys).where(mine).values(revoked_at=time_text(now)))

    def count_up(self, credential_id: str, found: int, to: int) -> bool:
        """Move a sign count on; False if another assertion moved it meanwhile."""
        mine = (t.passkeys.c.credential_id == credential_id) & (t.passkeys.c.sign_count == found)
        with writing(self._engine) as connection:
            return connection.execute(update(t.passkeys).where(mine).values(sign_count=to)).rowcount == 1

    def person_of(self, issuer: str, subject: str) -> str | None:
        """Return whose identity this is; None if nobody's."""
        query = select(t.identities.c.person).where(t.identities.c.issuer == issuer, t.identities.c.subject == subject)
        with reading(self._engine) as connection:
            return connection.scalar(query)

    def link(self, issuer: str, subject: str, person: str, fact: Fact, *, instead_of: str | None = None) -> None:
        """Let an identity speak for a person from now on, and no more for another, with the fact that says so.

        Raises:
            LedgerError: The identity is linked, or the person has another one.
        """
        with writing(self._engine) as connection:
            chain.append(connection, [("people", (fact,), None)])
            if instead_of is not None:
                theirs = (t.identities.c.issuer == issuer) & (t.identities.c.subject == subject)
                connection.execute(delete(t.identities).where(theirs, t.identities.c.person == instead_of))
            connection.execute(insert(t.identities).values(issuer=issuer, subject=subject, person=person))

    def keep(self, person: str, key: str, asked: str, now: datetime) -> Kept | None:
        """Begin to work out an answer under this key; returns what is kept under it already, None if nothing was.

        An answer that was begun long ago and never came was cut off with its process, and is begun anew.  Of several
        that come at once, one begins.
        """
        try:
            return self._keep(person, key, asked, now)
        except LedgerError as error:
            if isinstance(error.__cause__, IntegrityError):  # PostgreSQL: another began it since we looked
                return self._keep(person, key, asked, now)
            raise

    def _keep(self, person: str, key: str, asked: str, now: datetime) -> Kept | None:
        mine = (t.answers.c.person == person) & (t.answers.c.key == key)
        with writing(self._engine) as connection:
            connection.execute(delete(t.answers).where(t.answers.c.at < time_text(now - ANSWERS_KEPT)))
            row = connection.execute(select(t.answers).where(mine)).one_or_none()
            if row is not None and (row.status is not None or row.at >= time_text(now - UNDER_WAY)):
                return Kept(row.asked, row.status, row.body)
            if row is not None:  # that very row: another may have begun since, and is not to be forgotten
                connection.execute(
                    delete(t.answers).where(mine, t.answers.c.at == row.at, t.answers.c.status.is_(None))
                )
            values = {"person": person, "key": key, "asked": asked, "status": None, "body": "", "at": time_text(now)}
            connection.execute(insert(t.answers).values(**values))
            return None

    def answered(self, person: str, key: str, status: int | None, body: str = "") -> None:
        """Keep the answer; None as status forgets the key, so that it can be tried again."""
        mine = (t.answers.c.person == person) & (t.answers.c.key == key)
        with writing(self._engine) as connection:
            if status is None:
                connection.execute(delete(t.answers).where(mine, t.answers.c.status.is_(None)))
            else:
                connection.execute(update(t.answers).where(mine).values(status=status, body=body))

    def note_reading(self, person: str, request_id: str, now: datetime) -> None:
        """Keep that somebody opened the page of a request."""
        with writing(self._engine) as connection:
            connection.execute(delete(t.readings).where(t.readings.c.at < time_text(now - READINGS_KEPT)))
            connection.execute(insert(t.readings).values(person=person, request_id=request_id, at=time_text(now)))

    def readings(self) -> list[Reading]:
        """Return every reading, oldest first."""
        with reading(self._engine) as connection:
            return [
                Reading(row.person, row.request_id, datetime.fromisoformat(row.at))
                for row in connection.execute(select(t.readings).order_by(t.readings.c.id))
            ]


def _passkey(row: Row[Any]) -> Passkey:
    values = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
    revoked = values["revoked_at"]
    return Passkey(
        **{
            **values,
            "added_at": datetime.fromisoformat(values["added_at"]),
            "revoked_at": datetime.fromisoformat(revoked) if revoked else None,
        }
    )
