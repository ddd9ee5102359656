"""Facts in one hash chain: append, read, verify, export.

Record n's hash is SHA-256 over the canonical JSON of its sequence, subject, fact and the hash before it.  So an edit,
a gap or another order shows at its place, here or offline on an export.  That the *end* was not cut off shows against
the head, which is kept apart, and against any head that was written down elsewhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from daemon.errors import FactError, StaleSequenceError
from daemon.ledger import schema as t
from daemon.ledger.counting import count
from daemon.lifecycle import facts as f
from daemon.lifecycle.announcing import told
from daemon.lifecycle.codec import canonical, digest, parse, time_text
from daemon.lifecycle.facts import Fact, from_json, to_json

GENESIS = "0" * 64
FIELDS = ("sequence", "subject", "kind", "body", "previous", "hash")


@dataclass(frozen=True, kw_only=True)
class StoredFact:
    """A fact with its place in the chain."""

    sequence: int
    subject: str
    fact: Fact
    hash: str
    previous: str


@dataclass(frozen=True, kw_only=True)
class Head:
    """The end of the chain: write it down elsewhere, and nobody can cut the record off unseen."""

    sequence: int
    hash: str


def link(sequence: int, subject: str, body: Any, previous: str) -> str:
    """Return the hash of one record."""
    return digest({"sequence": sequence, "subject": subject, "fact": body, "previous": previous})


def append(connection: Connection, entries: Iterable[tuple[str, Sequence[Fact], int | None]]) -> int:
    """Append facts under their subjects; all or none.  Returns the last sequence of the chain.

    Args:
        connection: In a writing transaction.
        entries: (subject, facts, the sequence of the subject's last fact as the caller saw it, or None for any).

    Raises:
        StaleSequenceError: A subject has another last fact than the caller saw.
    """
    end = connection.execute(select(t.head).where(t.head.c.id == 1).with_for_update()).one()
    sequence, previous, clock = end.sequence, end.hash, end.clock
    for subject, facts, expected in entries:
        if expected is not None:
            _expect(connection, subject, expected)
        for fact in facts:
            sequence += 1
            body = to_json(fact)
            this = link(sequence, subject, body, previous)
            row = {"sequence": sequence, "subject": subject, "kind": fact.kind, "previous": previous, "hash": this}
            connection.execute(insert(t.facts).values(body=canonical(body).decode(), **row))
            count(connection, "facts", "", fact.kind)
            if told(fact):
                connection.execute(insert(t.outbox).values(sequence=sequence, at=time_text(fact.at)))
            if isinstance(fact, f.AlarmRaised):
                count(connection, "alarms", fact.stream, str(fact.alarm.get("verdict", "unknown")))
            previous, clock = this, max(clock, time_text(fact.at))
    if sequence != end.sequence:
        connection.execute(update(t.head).values(sequence=sequence, hash=previous, clock=clock))
    return int(sequence)


def _expect(connection: Connection, subject: str, expected: int) -> None:
    found = connection.scalar(select(func.max(t.facts.c.sequence)).where(t.facts.c.subject == subject)) or 0
    if found != expected:
        raise StaleSequenceError(
            f"{subject}: its last fact is number {found}, you decided on number {expected}; "
            "read it again and decide again"
        )


def facts(
    connection: Connection,
    subject: str | None = None,
    kind: str | None = None,
    after: int = 0,
    upto: int | None = None,
) -> list[StoredFact]:
    """Return facts in chain order, with a sequence above `after` and not above `upto`."""
    query = select(t.facts).where(t.facts.c.sequence > after).order_by(t.facts.c.sequence)
    if upto is not None:
        query = query.where(t.facts.c.sequence <= upto)
    if subject is not None:
        query = query.where(t.facts.c.subject == subject)
    if kind is not None:
        query = query.where(t.facts.c.kind == kind)
    return [_stored(row) for row in connection.execute(query)]


def _stored(row: Any) -> StoredFact:
    fact = from_json(parse(row.body))
    return StoredFact(sequence=row.sequence, subject=row.subject, fact=fact, hash=row.hash, previous=row.previous)


def subjects(connection: Connection, kind: str) -> list[str]:
    """Return every subject that has a fact of this kind, in the order of the first one."""
    first = func.min(t.facts.c.sequence)
    query = select(t.facts.c.subject).where(t.facts.c.kind == kind).group_by(t.facts.c.subject).order_by(first)
    return list(connection.scalars(query))


def newest(connection: Connection) -> dict[str, StoredFact]:
    """Return the newest fact of every kind; the cost grows with the kinds, not with the facts."""
    last = select(func.max(t.facts.c.sequence)).group_by(t.facts.c.kind)
    rows = connection.execute(select(t.facts).where(t.facts.c.sequence.in_(last)))
    return {row.kind: _stored(row) for row in rows}


def head(connection: Connection) -> Head:
    """Return the end of the chain."""
    row = connection.execute(select(t.head).where(t.head.c.id == 1)).one()
    return Head(sequence=row.sequence, hash=row.hash)


def clock(connection: Connection) -> datetime | None:
    """Return the latest time any fact bears, None in an empty chain."""
    latest = connection.scalar(select(t.head.c.clock).where(t.head.c.id == 1))
    return datetime.fromisoformat(latest) if latest else None


def hashes(connection: Connection, after: int = 0) -> list[tuple[int, str]]:
    """Return sequence and hash of every fact above `after`: all that a Merkle tree needs."""
    query = select(t.facts.c.sequence, t.facts.c.hash).where(t.facts.c.sequence > after).order_by(t.facts.c.sequence)
    return [(int(row.sequence), str(row.hash)) for row in connection.execute(query)]


def stored(row: dict[str, Any]) -> StoredFact:
    """Return the fact of a record as it was exported.

    Raises:
        FactError: It is of no kind that this version knows.
    """
    fact = from_json(parse(row["body"]))
    return StoredFact(
        sequence=row["sequence"], subject=row["subject"], fact=fact, hash=row["hash"], previous=row["previous"]
    )


def records(connection: Connection, start: int = 0, batch: int = 5_000) -> Iterator[dict[str, Any]]:
    """Yield every record as it is exported, in chain order and bounded batches."""
    at = start
    while True:
        query = select(t.facts).where(t.facts.c.sequence > at).order_by(t.facts.c.sequence).limit(batch)
        rows = connection.execute(query).all()
        if not rows:
            return
        for row in rows:
            yield dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
        at = rows[-1].sequence


def check(rows: Iterable[dict[str, Any]], end: Head | None) -> list[str]:
    """Return what is wrong with a chain, one sentence a problem; an empty list is a whole chain.

    Args:
        rows: Records in the order found.
        end: The head written down elsewhere, if there is one.
    """
    problems: list[str] = []
    expected, previous = 1, GENESIS
    for row in rows:
        found, this, problem = check_record(row, expected, previous)
        problems += problem
        expected, previous = found + 1, this
    if end is not None and (end.sequence, end.hash) != (expected - 1, previous):
        problems.append(
            f"the record ends at number {expected - 1} ({previous[:16]}), "
            f"its head says {end.sequence} ({end.hash[:16]}); records were cut off or added"
        )
    return problems


def check_record(row: dict[str, Any], expected: int, previous: str) -> tuple[int, str, list[str]]:
    """Return a record's sequence and hash, and what is wrong with it given its place.

    Args:
        row: As `records` yields it, or as it was found in an export.
        expected: The sequence that belongs here.
        previous: Hash of the record before.
    """
    missing = [name for name in FIELDS if name not in row]
    if added := sorted(set(row) - set(FIELDS)):
        return expected, previous, [f"record {expected}: says {added} besides what a record says; it was edited"]
    if missing or not isinstance(row["sequence"], int) or isinstance(row["sequence"], bool):
        return expected, previous, [f"record {expected}: lacks {missing or 'a number'}; it was damaged"]
    sequence, problems = row["sequence"], []
    where = f"record {sequence}"
    if sequence != expected:
        problems.append(f"{where}: found where number {expected} belongs; records were deleted, doubled or reordered")
    if row["previous"] != previous:
        problems.append(f"{where}: does not follow the record before it")
    try:
        body = parse(row["body"])
        if canonical(body).decode() != row["body"]:
            problems.append(f"{where}: its text is not the canonical form; it was rewritten")
        if not isinstance(body, dict) or body.get("kind") != row["kind"]:
            problems.append(f"{where}: is filed as {row['kind']} and says something else; it was edited")
        if link(sequence, row["subject"], body, row["previous"]) != row["hash"]:
            problems.append(f"{where}: does not give its hash; it was edited")
    except (ValueError, TypeError, FactError, RecursionError) as error:
        problems.append(f"{where}: cannot be read ({error}); it was damaged")
    return sequence, str(row["hash"]), problems
