"""One daemon leads at a time.

On SQLite the lead is an `flock` on a file beside the database, on PostgreSQL a session-level advisory lock: both end
with the process that holds them, however it ends.  Each lead gets a larger token than the one before, so that a target
can refuse a daemon which lost its lead without noticing.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, func, insert, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from daemon.errors import LeadershipTakenError
from daemon.ledger import schema as t
from daemon.ledger.engine import writing
from daemon.lifecycle.codec import time_text

LEAD_LOCK = 0x6C65_6164  # "lead"


@dataclass(frozen=True)
class Lead:
    """The right to act, while it is held.  `token` goes with every write to a target."""

    token: int
    connection: Connection | None = None

    def held(self) -> bool:
        """Return whether the lock is still ours; ask it again just before each deployment."""
        if self.connection is None:
            return True  # an flock is ours until we close it
        try:
            query = text(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :key AND pid = pg_backend_pid()"
            )
            return bool(self.connection.scalar(query, {"key": LEAD_LOCK}))
        except DBAPIError:
            return False


@contextmanager
def lead(engine: Engine, owner: str, now: datetime) -> Iterator[Lead]:
    """Hold the lead of this ledger.

    Raises:
        LeadershipTakenError: Somebody else holds it.
    """
    take = _flock if engine.dialect.name == "sqlite" else _advisory_lock
    with take(engine) as connection:
        yield Lead(_next_token(engine, owner, now), connection)


def _next_token(engine: Engine, owner: str, now: datetime) -> int:
    with writing(engine) as connection:
        connection.execute(select(t.head.c.id).with_for_update()).one()
        token = int(connection.scalar(select(func.max(t.leads.c.token))) or 0) + 1
        connection.execute(insert(t.leads).values(token=token, owner=owner, at=time_text(now)))
    return token


@contextmanager
def _flock(engine: Engine) -> Iterator[None]:
    path = Path(f"{engine.url.database}.lead")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LeadershipTakenError(
                f"{path} is locked: another daemon leads on this ledger; stop it first"
            ) from error
        yield None
    finally:
        os.close(handle)


@contextmanager
def _advisory_lock(engine: Engine) -> Iterator[Connection]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LEAD_LOCK}):
            raise LeadershipTakenError(f"another daemon leads on {engine.url.database}; stop it first")
        try:
            yield connection
        finally:
            with suppress(SQLAlchemyError):  # a session that is gone holds nothing
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LEAD_LOCK})
            connection.invalidate()  # ends the session; a busy server takes its time to see that
