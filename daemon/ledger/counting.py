"""Counts that stay exact and cheap: one row per label, changed in the transaction that changes what it counts."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.sql.expression import ColumnElement

from daemon.ledger import schema as t

Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What the metrics show, in one reading.

    Attributes:
        outcomes: Lumisections by (stream, result).
        events: Events by (stream, result).
        files: Files by (stream, outcome).
        quarantined: Quarantined files by (stream, code).
        overlaps: Lumisections delivered again by another file, by stream.
        alarms: By (stream, verdict).
        facts: By kind.
        work_open: Unfinished work by kind.
        head_sequence: Number of records in the chain.
        head_hash: Hash of the last one.
    """

    outcomes: dict[Pair, int] = field(default_factory=dict)
    events: dict[Pair, int] = field(default_factory=dict)
    files: dict[Pair, int] = field(default_factory=dict)
    quarantined: dict[Pair, int] = field(default_factory=dict)
    overlaps: dict[str, int] = field(default_factory=dict)
    alarms: dict[Pair, int] = field(default_factory=dict)
    facts: dict[str, int] = field(default_factory=dict)
    work_open: dict[str, int] = field(default_factory=dict)
    head_sequence: int = 0
    head_hash: str = ""


def count(connection: Connection, topic: str, stream: str, label: str, by: int = 1) -> None:
    """Add to one counter; the caller holds the write lock or the head row."""
    where = (t.counters.c.topic == topic) & (t.counters.c.stream == stream) & (t.counters.c.label == label)
    done = connection.execute(update(t.counters).where(where).values(count=t.counters.c["count"] + by))
    if done.rowcount == 0:
        connection.execute(insert(t.counters).values(topic=topic, stream=stream, label=label, count=by))


def figures(connection: Connection) -> Figures:
    """Return every figure; the cost does not grow with the number of lumisections."""
    topics: dict[str, dict[Pair, int]] = {}
    for row in connection.execute(select(t.counters)):
        topics.setdefault(row.topic, {})[row.stream, row.label] = row._mapping["count"]  # noqa: SLF001  # public name; row.count is a method
    open_work = select(t.work.c.kind, func.count()).where(t.work.c.closed_at.is_(None)).group_by(t.work.c.kind)
    end = connection.execute(select(t.head).where(t.head.c.id == 1)).one()
    return Figures(
        outcomes=topics.get("outcomes", {}),
        events=topics.get("events", {}),
        files=topics.get("files", {}),
        quarantined=topics.get("quarantined", {}),
        overlaps={stream: n for (stream, _), n in topics.get("overlaps", {}).items()},
        alarms=topics.get("alarms", {}),
        facts={kind: n for (_, kind), n in topics.get("facts", {}).items()},
        work_open={kind: n for kind, n in connection.execute(open_work).all()},  # noqa: C416  # rows are no pairs to mypy
        head_sequence=end.sequence,
        head_hash=end.hash,
    )


def recount(connection: Connection) -> list[str]:
    """Return the counters that disagree with what they count; slow, for audits."""
    o, files = t.outcomes, t.files
    true: dict[str, dict[Pair, int]] = {
        "outcomes": _groups(connection, o.c.stream, o.c.result, func.count()),
        "events": _groups(connection, o.c.stream, o.c.result, func.sum(o.c.events)),
        "files": _groups(connection, files.c.stream, files.c.outcome, func.count()),
    }
    kept: dict[str, dict[Pair, int]] = {topic: {} for topic in true}
    for row in connection.execute(select(t.counters).where(t.counters.c.topic.in_(true))):
        kept[row.topic][row.stream, row.label] = row._mapping["count"]  # noqa: SLF001  # public name; row.count is a method
    return [
        f"counter {topic} {stream}/{label}: says {kept[topic].get((stream, label), 0)}, the tables hold "
        f"{true[topic].get((stream, label), 0)}; rows or the counter were edited"
        for topic in true
        for stream, label in sorted(true[topic].keys() | kept[topic].keys())
        if kept[topic].get((stream, label), 0) != true[topic].get((stream, label), 0)
    ]


def _groups(
    connection: Connection, first: ColumnElement[str], second: ColumnElement[str], what: ColumnElement[int]
) -> dict[Pair, int]:
    rows = connection.execute(select(first, second, what).group_by(first, second))
    return {(row[0], row[1]): int(row[2]) for row in rows}
