"""Messages owed to people: written with the fact they tell of, delivered later, never forgotten.

A row of `outbox` is inserted by the chain in the transaction that appends its fact.  Routing owes it to each channel; a
claim takes one under a lease.  A claim whose lease ran out was interrupted between sending and marking: nobody can know
whether the message arrived, so it comes back marked `unsure`, and the channel says so or makes the repetition harmless.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select, update

from daemon.errors import LeaseLostError
from daemon.ledger import chain
from daemon.ledger import schema as t
from daemon.ledger.chain import StoredFact
from daemon.lifecycle.codec import time_text

OWED, SENDING, SENT, GIVEN_UP = "owed", "sending", "sent", "given_up"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message claimed for one channel.

    Attributes:
        stored: The fact it tells of.
        channel: Name of the way it goes.
        attempt: Counted from 1.
        unsure: Whether an earlier attempt may have arrived.
        owed_since: When the fact came into the record.
    """

    stored: StoredFact
    channel: str
    attempt: int
    unsure: bool
    owed_since: datetime


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What the outbox holds: messages by (channel, state), and when the oldest that is still owed came."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    oldest: datetime | None = None


def route(connection: Connection, channels: Iterable[str], now: datetime) -> int:
    """Owe what was not routed yet to these channels; with no channel it goes to nobody, and stays in the record."""
    names = sorted(set(channels))
    query = select(t.outbox.c.sequence).where(t.outbox.c.routed_at.is_(None)).order_by(t.outbox.c.sequence)
    due = list(connection.scalars(query.with_for_update(skip_locked=True)))
    at = time_text(now)
    fresh = {"state": OWED, "attempts": 0, "not_before": at, "unsure": False, "error": ""}
    rows = [{"sequence": sequence, "channel": name, **fresh} for sequence in due for name in names]
    if rows:
        connection.execute(insert(t.deliveries), rows)
    for sequence in due:
        connection.execute(update(t.outbox).where(t.outbox.c.sequence == sequence).values(routed_at=at))
    return len(rows)


def claim(connection: Connection, now: datetime, lease_s: float) -> Delivery | None:
    """Take the oldest delivery that is due; None when there is none.  One channel that is down holds up no other."""
    at, d = time_text(now), t.deliveries.c
    free = d.lease_until.is_(None) | (d.lease_until <= at)
    query = select(t.deliveries).where(d.closed_at.is_(None), d.not_before <= at, free)
    row = connection.execute(
        query.order_by(d.not_before, d.sequence, d.channel).limit(1).with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    unsure = bool(row.unsure) or row.state == SENDING
    taken = {
        "state": SENDING,
        "attempts": row.attempts + 1,
        "unsure": unsure,
        "lease_until": time_text(now + timedelta(seconds=lease_s)),
    }
    connection.execute(update(t.deliveries).where(d.sequence == row.sequence, d.channel == row.channel).values(**taken))
    owed = connection.scalar(select(t.outbox.c.at).where(t.outbox.c.sequence == row.sequence))
    (stored,) = chain.facts(connection, after=row.sequence - 1, upto=row.sequence)
    return Delivery(
        stored=stored,
        channel=row.channel,
        attempt=row.attempts + 1,
        unsure=unsure,
        owed_since=datetime.fromisoformat(str(owed)),
    )


def close(connection: Connection, taken: Delivery, now: datetime, error: str) -> None:
    """Mark it as sent, or with an error as given up.

    Raises:
        LeaseLostError: Somebody else claimed it since.
    """
    state = GIVEN_UP if error else SENT
    values = {"state": state, "closed_at": time_text(now), "lease_until": None, "error": error}
    _settle(connection, taken, values)


def retry(connection: Connection, taken: Delivery, error: str, retry_at: datetime, *, unsure: bool) -> None:
    """Give it back for a later try.

    Raises:
        LeaseLostError: Somebody else claimed it since.
    """
    values = {"state": OWED, "not_before": time_text(retry_at), "lease_until": None, "error": error}
    _settle(connection, taken, {**values, "unsure": taken.unsure or unsure})


def waiting(connection: Connection) -> Waiting:
    """Return how many messages stand how, by channel, and since when the oldest is owed."""
    d = t.deliveries.c
    groups = connection.execute(select(d.channel, d.state, func.count()).group_by(d.channel, d.state))
    counts = {(row[0], row[1]): int(row[2]) for row in groups}
    owed = select(func.min(t.outbox.c.at)).join(t.deliveries, d.sequence == t.outbox.c.sequence)
    oldest = connection.scalar(owed.where(d.closed_at.is_(None)))
    return Waiting(counts=counts, oldest=None if oldest is None else datetime.fromisoformat(oldest))


def _settle(connection: Connection, taken: Delivery, values: Mapping[str, object]) -> None:
    d = t.deliveries.c
    mine = (
        (d.sequence == taken.stored.sequence)
        & (d.channel == taken.channel)
        & (d.attempts == taken.attempt)
        & d.closed_at.is_(None)
    )
    if connection.execute(update(t.deliveries).where(mine).values(**values)).rowcount == 0:
        raise LeaseLostError(
            f"message {taken.stored.sequence} to {taken.channel}: attempt {taken.attempt} is no longer its own; "
            "another relay has taken it over, drop the result"
        )
