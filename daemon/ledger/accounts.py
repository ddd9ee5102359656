"""The rows behind local accounts.  What they mean, and how a password is checked, is `daemon.people`'s business."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from daemon.ledger import schema as t
from daemon.lifecycle.codec import canonical, parse, time_text


@dataclass(frozen=True, kw_only=True)
class Account:
    """One person's row, with the state of their log-ins."""

    person: str
    password_hash: str
    roles: frozenset[str]
    revoked_at: datetime | None = None
    failures: int = 0
    locked_until: datetime | None = None


def accounts(connection: Connection, person: str | None = None) -> list[Account]:
    """Return all accounts by name, or the one asked for."""
    query = select(t.people, t.logins.c.failures, t.logins.c.locked_until).select_from(t.people.outerjoin(t.logins))
    if person is not None:
        query = query.where(t.people.c.person == person)
    return [
        Account(
            person=row.person,
            password_hash=row.password_hash,
            roles=frozenset(parse(row.roles)),
            revoked_at=_time(row.revoked_at),
            failures=row.failures or 0,
            locked_until=_time(row.locked_until),
        )
        for row in connection.execute(query.order_by(t.people.c.person))
    ]


def put_account(connection: Connection, account: Account) -> None:
    """Insert or change a person's row."""
    values = {
        "password_hash": account.password_hash,
        "roles": canonical(account.roles).decode(),
        "revoked_at": _text(account.revoked_at),
    }
    done = connection.execute(update(t.people).where(t.people.c.person == account.person).values(**values))
    if done.rowcount == 0:
        connection.execute(insert(t.people).values(person=account.person, **values))


def note_login(connection: Connection, person: str, failures: int, locked_until: datetime | None) -> None:
    """Keep how often in a row the person's password was wrong, and until when they wait."""
    values = {"failures": failures, "locked_until": _text(locked_until)}
    done = connection.execute(update(t.logins).where(t.logins.c.person == person).values(**values))
    if done.rowcount == 0:
        connection.execute(insert(t.logins).values(person=person, **values))


def _text(at: datetime | None) -> str | None:
    return time_text(at) if at else None


def _time(at: str | None) -> datetime | None:
    return datetime.fromisoformat(at) if at else None
