"""Work that must be done once, by whoever holds its lease.

A tick inserts an idempotent row; a claim takes the oldest due row under a lease, counts the attempt, and hands out a
token.  Whoever comes back after losing the lease is refused by the token.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from daemon.errors import LeaseLostError
from daemon.ledger import schema as t
from daemon.lifecycle.codec import canonical, parse, time_text


@dataclass(frozen=True, kw_only=True)
class Work:
    """A claimed piece of work; `attempt` counts from 1, `token` grows with every claim."""

    id: int
    kind: str
    scheduled_for: datetime
    payload: Mapping[str, Any]
    attempt: int
    token: int
    lease_until: datetime


def add(connection: Connection, kind: str, scheduled_for: datetime, payload: Mapping[str, Any]) -> bool:
    """Queue work; False if this kind is already queued, or was done, for this time."""
    due = time_text(scheduled_for)
    here = (t.work.c.kind == kind) & (t.work.c.scheduled_for == due)
    if connection.execute(select(t.work.c.id).where(here)).first():
        return False
    row = {"kind": kind, "scheduled_for": due, "not_before": due, "payload": canonical(payload).decode()}
    try:
        with connection.begin_nested():
            connection.execute(insert(t.work).values(**row, attempts=0, token=0, owner="", error=""))
    except IntegrityError:  # another writer was faster, on PostgreSQL
        return False
    return True


def claim(
    connection: Connection, now: datetime, lease_s: float, owner: str, kinds: Iterable[str] | None = None
) -> Work | None:
    """Take the oldest due work that nobody holds, None if there is none."""
    at = time_text(now)
    w = t.work.c
    free = or_(w.lease_until.is_(None), w.lease_until <= at)
    query = select(t.work).where(w.closed_at.is_(None), w.not_before <= at, free)
    if kinds is not None:
        query = query.where(w.kind.in_(list(kinds)))
    row = connection.execute(query.order_by(w.not_before, w.id).limit(1).with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    until = now + timedelta(seconds=lease_s)
    taken = {"attempts": row.attempts + 1, "token": row.token + 1, "owner": owner, "lease_until": time_text(until)}
    connection.execute(update(t.work).where(w.id == row.id).values(**taken))
    return Work(
        id=row.id,
        kind=row.kind,
        scheduled_for=datetime.fromisoformat(row.scheduled_for),
        payload=parse(row.payload),
        attempt=row.attempts + 1,
        token=row.token + 1,
        lease_until=until,
    )


def waits(connection: Connection, kind: str) -> bool:
    """Return whether work of this kind is queued or under way."""
    query = select(t.work.c.id).where(t.work.c.kind == kind, t.work.c.closed_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def finish(connection: Connection, work: Work, now: datetime) -> None:
    """Close the work as done.

    Raises:
        LeaseLostError: Somebody else claimed it since.
    """
    _close(connection, work, {"closed_at": time_text(now), "lease_until": None, "error": ""})


def fail(connection: Connection, work: Work, reason: str, now: datetime, retry_at: datetime | None) -> None:
    """Give the work back for `retry_at`, or close it as failed when that is None.

    Raises:
        LeaseLostError: Somebody else claimed it since.
    """
    values: dict[str, Any] = {"error": reason, "lease_until": None}
    if retry_at is None:
        values["closed_at"] = time_text(now)
    else:
        values["not_before"] = time_text(retry_at)
    _close(connection, work, values)


def renew(connection: Connection, work: Work, now: datetime, lease_s: float) -> None:
    """Lengthen the lease of work that is still going on.

    Raises:
        LeaseLostError: Somebody else claimed it since.
    """
    _close(connection, work, {"lease_until": time_text(now + timedelta(seconds=lease_s))})


def _close(connection: Connection, work: Work, values: Mapping[str, Any]) -> None:
    mine = (t.work.c.id == work.id) & (t.work.c.token == work.token) & t.work.c.closed_at.is_(None)
    if connection.execute(update(t.work).where(mine).values(**values)).rowcount == 0:
        raise LeaseLostError(
            f"work {work.id} ({work.kind}): token {work.token} is no longer its own; "
            "its lease ran out or it is closed, drop the result"
        )
