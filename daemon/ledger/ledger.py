"""The ledger: the one place where the daemon, the page and the command line meet.

Every method is one transaction.  What was returned from is on the disk.  Nothing here decides anything.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, insert, select, update

from daemon.ledger import accounts as people_rows
from daemon.ledger import chain, counting, intake, offline, outbox, work
from daemon.ledger import schema as t
from daemon.ledger.accounts import Account
from daemon.ledger.chain import Head, StoredFact
from daemon.ledger.doors import DoorRows
from daemon.ledger.engine import connect, reading, writing
from daemon.ledger.history import History, history
from daemon.ledger.lead import Lead, lead
from daemon.lifecycle.codec import canonical, parse, time_text
from daemon.lifecycle.facts import Fact


@dataclass(frozen=True, kw_only=True)
class StatusRow:
    """A small thing a process says about itself, and when it said so."""

    body: Mapping[str, Any]
    at: datetime


class Ledger:
    """One ledger, on SQLite or PostgreSQL; safe to use from several threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> "Ledger":
        """Open the ledger at this URL, bringing it to the newest schema.

        Raises:
            LedgerError: It cannot be reached or is no database we use.
            NewerSchemaError: A newer retrigger wrote it; it is left as it is.
        """
        return cls(connect(url))

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- facts ---

    def append(self, subject: str, facts: Sequence[Fact], *, expect_sequence: int | None = None) -> int:
        """Append facts under one subject, all or none; returns the sequence of the last one.

        Args:
            subject: A candidate id, a slot, a stream, ``daemon`` or ``people``.
            facts: In order.
            expect_sequence: Sequence of the subject's last fact as the caller saw it; 0 if it has none; None for any.

        Raises:
            StaleSequenceError: The subject has another last fact by now; read again and decide again.
        """
        return self.append_all([(subject, facts, expect_sequence)])

    def append_all(self, entries: Iterable[tuple[str, Sequence[Fact], int | None]]) -> int:
        """Append facts under several subjects in one transaction: (subject, facts, expected sequence or None)."""
        with writing(self._engine) as connection:
            return chain.append(connection, entries)

    def facts(self, subject: str | None = None, kind: str | None = None, after: int = 0) -> list[StoredFact]:
        """Return facts in order, of one subject or kind, with a sequence above `after`."""
        with reading(self._engine) as connection:
            return chain.facts(connection, subject, kind, after)

    def subjects(self, kind: str) -> list[str]:
        """Return every subject that has a fact of this kind, in order of the first."""
        with reading(self._engine) as connection:
            return chain.subjects(connection, kind)

    def newest_facts(self) -> dict[str, StoredFact]:
        """Return the newest fact of every kind."""
        with reading(self._engine) as connection:
            return chain.newest(connection)

    def head(self) -> Head:
        """Return the end of the chain."""
        with reading(self._engine) as connection:
            return chain.head(connection)

    def clock(self) -> datetime | None:
        """Return the latest time any fact bears: the time below which expiry never goes back."""
        with reading(self._engine) as connection:
            return chain.clock(connection)

    def verify(self) -> list[str]:
        """Return everything that is wrong with the record, one sentence each; empty if it is whole."""
        with reading(self._engine) as connection:
            end = chain.head(connection)
            broken = chain.check(chain.records(connection), end)
            if broken:  # what the chain says of the tables can be trusted only when the chain is whole
                return broken
            return [*intake.check_files(connection), *counting.recount(connection)]

    def export(self, path: Path) -> Head:
        """Write the whole chain as JSON lines, the head last; `verify_export` checks it without a database."""
        with reading(self._engine) as connection:
            return offline.write(path, chain.records(connection), chain.head(connection))

    def hashes(self, after: int = 0) -> list[tuple[int, str]]:
        """Return sequence and hash of every fact above `after`."""
        with reading(self._engine) as connection:
            return chain.hashes(connection, after)

    def records(self, after: int, last: int) -> Iterator[Mapping[str, Any]]:
        """Yield the records above `after` up to `last` as they are exported, in bounded batches."""
        with reading(self._engine) as connection:
            for record in chain.records(connection, after):
                if record["sequence"] > last:
                    return
                yield record

    def history(self, run: int, lumisection: int, slot: str) -> History:
        """Return what was live in the slot for this lumisection, who approved it and on what evidence."""
        with reading(self._engine) as connection:
            return history(connection, run, lumisection, slot)

    # --- files and lumisections ---

    def take_file(
        self,
        file: intake.FileTaken,
        outcomes: Sequence[intake.Outcome],
        watch_state: bytes | None,
        facts: Sequence[tuple[str, Fact]],
    ) -> bool:
        """Record a file and everything that follows from it, in one transaction.

        A lumisection that another file already delivered is filed as an overlap and not counted; ask `recorded` first,
        so that the watch does not see it twice either.

        Returns:
            False, with nothing changed, if a file with these bytes was taken before.  A file whose outcome is
            ``duplicate`` is recorded once per path.
        """
        with writing(self._engine) as connection:
            return intake.take_file(connection, file, outcomes, watch_state, facts)

    def file_taken(self, sha256: str) -> intake.FileTaken | None:
        """Return the fate of the file with these bytes, None if it never came."""
        with reading(self._engine) as connection:
            return intake.file_taken(connection, sha256)

    def files(self, outcome: intake.FileOutcome | None = None, limit: int = 1_000) -> list[intake.FileTaken]:
        """Return the latest files, newest first."""
        with reading(self._engine) as connection:
            return intake.files(connection, outcome, limit)

    def outcome(self, stream: str, run: int, lumisection: int) -> intake.Outcome | None:
        """Return what became of one lumisection, None if it never came."""
        with reading(self._engine) as connection:
            return intake.outcome(connection, stream, run, lumisection)

    def outcomes(
        self,
        stream: str,
        *,
        results: Iterable[str] | None = None,
        certified: bool | None = None,
        between: tuple[tuple[int, int], tuple[int, int]] | None = None,
        limit: int | None = None,
    ) -> list[intake.Outcome]:
        """Return outcomes in order of (run, lumisection), with the certification said last.

        Args:
            stream: Whose.
            results: Only these results.
            certified: Only those certified so; None for all.
            between: First and last (run, lumisection), both included.
            limit: Only the latest so many.
        """
        with reading(self._engine) as connection:
            return intake.outcomes(
                connection, stream, results=results, certified=certified, between=between, limit=limit
            )

    def recorded(self, stream: str, pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        """Return which (run, lumisection) already have their outcome."""
        with reading(self._engine) as connection:
            return intake.recorded(connection, stream, pairs)

    def latest(self, stream: str) -> tuple[int, int] | None:
        """Return the last (run, lumisection) with an outcome, None if there is none."""
        with reading(self._engine) as connection:
            return intake.latest(connection, stream)

    def fills(self, stream: str, runs: int) -> list[intake.FillSpan]:
        """Return the fills of the latest `runs` runs of a stream, in order."""
        with reading(self._engine) as connection:
            return intake.fills(connection, stream, runs)

    def overlaps(self, stream: str, limit: int = 1_000) -> list[intake.Overlap]:
        """Return the lumisections that were delivered again, newest first."""
        with reading(self._engine) as connection:
            return intake.overlaps(connection, stream, limit)

    def certify(self, said: Iterable[tuple[int, int, bool]], now: datetime) -> int:
        """Record certifications (run, lumisection, certified) that are new or changed; returns how many."""
        with writing(self._engine) as connection:
            return intake.certify(connection, said, now)

    def watch_state(self, stream: str) -> bytes | None:
        """Return the watch as it was after the last file taken."""
        with reading(self._engine) as connection:
            return intake.watch_state(connection, stream)

    # --- work ---

    def add_work(self, kind: str, scheduled_for: datetime, payload: Mapping[str, Any]) -> bool:
        """Queue work; False if this kind is queued, or was done, for this time already."""
        with writing(self._engine) as connection:
            return work.add(connection, kind, scheduled_for, payload)

    def claim_work(
        self, now: datetime, lease_s: float, owner: str, kinds: Iterable[str] | None = None
    ) -> work.Work | None:
        """Take the oldest due work that nobody holds, None if there is none."""
        with writing(self._engine) as connection:
            return work.claim(connection, now, lease_s, owner, kinds)

    def work_waits(self, kind: str) -> bool:
        """Return whether work of this kind is queued or under way."""
        with reading(self._engine) as connection:
            return work.waits(connection, kind)

    def renew_work(self, claimed: work.Work, now: datetime, lease_s: float) -> None:
        """Lengthen a lease; raises LeaseLostError if it is lost."""
        with writing(self._engine) as connection:
            work.renew(connection, claimed, now, lease_s)

    def finish_work(self, claimed: work.Work, now: datetime) -> None:
        """Close work as done; raises LeaseLostError if its lease is lost."""
        with writing(self._engine) as connection:
            work.finish(connection, claimed, now)

    def fail_work(self, claimed: work.Work, reason: str, now: datetime, retry_at: datetime | None = None) -> None:
        """Give work back for a later try, or close it as failed; raises LeaseLostError if its lease is lost."""
        with writing(self._engine) as connection:
            work.fail(connection, claimed, reason, now, retry_at)

    # --- messages to people ---

    def route(self, channels: Iterable[str], now: datetime) -> int:
        """Owe every fact that people are told of, and that was not routed yet, to these channels; returns how many."""
        with writing(self._engine) as connection:
            return outbox.route(connection, channels, now)

    def claim_delivery(self, now: datetime, lease_s: float) -> outbox.Delivery | None:
        """Take the oldest message that is due; one whose sending was interrupted comes back as `unsure`."""
        with writing(self._engine) as connection:
            return outbox.claim(connection, now, lease_s)

    def close_delivery(self, taken: outbox.Delivery, now: datetime, *, error: str = "") -> None:
        """Mark a message as sent, or as given up with why; raises LeaseLostError if somebody else has it by now."""
        with writing(self._engine) as connection:
            outbox.close(connection, taken, now, error)

    def retry_delivery(self, taken: outbox.Delivery, error: str, retry_at: datetime, *, unsure: bool) -> None:
        """Give a message back for later; `unsure` when it may have arrived all the same."""
        with writing(self._engine) as connection:
            outbox.retry(connection, taken, error, retry_at, unsure=unsure)

    def outbox(self) -> outbox.Waiting:
        """Return what the outbox holds, for metrics."""
        with reading(self._engine) as connection:
            return outbox.waiting(connection)

    # --- the running processes ---

    def lead(self, owner: str, now: datetime) -> AbstractContextManager[Lead]:
        """Hold the lead of this ledger while in the context; raises LeadershipTakenError if another daemon has it."""
        return lead(self._engine, owner, now)

    def put_status(self, name: str, body: Mapping[str, Any], now: datetime) -> None:
        """Say something small about a running process; outside the chain, overwritten each time."""
        values = {"body": canonical(body).decode(), "at": time_text(now)}
        with writing(self._engine) as connection:
            done = connection.execute(update(t.status).where(t.status.c.name == name).values(**values))
            if done.rowcount == 0:
                connection.execute(insert(t.status).values(name=name, **values))

    def status(self) -> dict[str, StatusRow]:
        """Return what every process last said about itself."""
        with reading(self._engine) as connection:
            return {
                row.name: StatusRow(body=parse(row.body), at=datetime.fromisoformat(row.at))
                for row in connection.execute(select(t.status))
            }

    def figures(self) -> counting.Figures:
        """Return every count the metrics show; the cost does not grow with the lumisections."""
        with reading(self._engine) as connection:
            return counting.figures(connection)

    @property
    def doors(self) -> DoorRows:
        """The rows behind the doors of the page."""
        return DoorRows(self._engine)

    # --- people ---

    def accounts(self, person: str | None = None) -> list[Account]:
        """Return all accounts, or the one asked for."""
        with reading(self._engine) as connection:
            return people_rows.accounts(connection, person)

    def put_account(self, account: Account, fact: Fact) -> None:
        """Insert or change an account, together with the fact that says so."""
        with writing(self._engine) as connection:
            chain.append(connection, [("people", (fact,), None)])
            people_rows.put_account(connection, account)

    def note_login(self, person: str, failures: int, locked_until: datetime | None) -> None:
        """Keep how often in a row a password was wrong."""
        with writing(self._engine) as connection:
            people_rows.note_login(connection, person, failures, locked_until)


def each_fact(stored: Iterable[StoredFact]) -> Iterator[Fact]:
    """Yield the bare facts, as `fold` wants them."""
    return (one.fact for one in stored)
