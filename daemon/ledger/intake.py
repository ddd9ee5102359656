"""Files and lumisections: exactly one outcome each, in one transaction with everything that follows from it.

What the watch decided, the watch's own state, the alarms and the file's fate are committed together.  A kill at any
instant leaves either all of a file or nothing of it, and then the file is simply read again.

Certification comes later and is corrected; so it is never written into an outcome.  `certifications` is a list of
what was said and when, and an outcome is read with what was said last.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Row, Select, and_, func, insert, literal, or_, select, tuple_, update

from daemon.ledger import chain
from daemon.ledger import schema as t
from daemon.ledger.counting import count
from daemon.lifecycle.codec import digest, time_text
from daemon.lifecycle.facts import Fact, FileRecorded

Run = TypeVar("Run")
FileOutcome = Literal["accepted", "quarantined", "duplicate"]
CHUNK = 300  # lumisections per query, below the limits of both databases


@dataclass(frozen=True, kw_only=True)
class FileTaken:
    """One delivered file and its fate.  `code` and `reason` are empty for an accepted one."""

    path: str
    sha256: str
    bytes: int
    stream: str
    outcome: FileOutcome
    at: datetime
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one lumisection of one stream.

    `result` is ``watched``, ``excluded``, ``out_of_support``, ``data_gap``, ``late`` or another word of the watch;
    `events_path` names the .npy file of its features, empty if none was kept.
    """

    stream: str
    run: int
    lumisection: int
    result: str
    reason: str
    events: int
    fill: int | None
    pileup: float | None
    certified: bool | None
    events_path: str
    events_sha256: str
    file_sha256: str


@dataclass(frozen=True, kw_only=True)
class FillSpan:
    """One fill of a stream: its first and last run with an outcome, and how many lumisections have one."""

    fill: int
    first_run: int
    last_run: int
    lumisections: int


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """A lumisection that another file delivered again; it was not counted."""

    stream: str
    run: int
    lumisection: int
    file_sha256: str
    first_file_sha256: str
    events: int
    at: datetime


def take_file(
    connection: Connection,
    file: FileTaken,
    outcomes: Sequence[Outcome],
    watch_state: bytes | None,
    facts: Sequence[tuple[str, Fact]],
) -> bool:
    """Record a file and all that follows from it; False, and no change, if it was taken before."""
    connection.execute(select(t.head.c.id).with_for_update()).one()  # one writer at a time, on PostgreSQL too
    if _taken(connection, file):
        return False
    connection.execute(insert(t.files).values(**_columns(file)))
    count(connection, "files", file.stream, file.outcome)
    if file.outcome == "quarantined":
        count(connection, "quarantined", file.stream, file.code)

    fresh = _settle_overlaps(connection, file, outcomes)
    if fresh:
        connection.execute(insert(t.outcomes), [vars(outcome) for outcome in fresh])
    numbers, events = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for outcome in fresh:
        numbers[outcome.stream, outcome.result] += 1
        events[outcome.stream, outcome.result] += outcome.events
    for (stream, result), number in sorted(numbers.items()):
        count(connection, "outcomes", stream, result, number)
        count(connection, "events", stream, result, events[stream, result])

    if watch_state is not None:
        put_watch_state(connection, file.stream, watch_state, file.sha256)
    entry = FileRecorded(
        at=file.at,
        actor="daemon",
        stream=file.stream,
        sha256=file.sha256,
        outcome=file.outcome,
        lumisections=len(fresh),
        outcomes_digest=_outcomes_digest(fresh),
    )
    chain.append(connection, [("files", (entry,), None), *((subject, (fact,), None) for subject, fact in facts)])
    return True


def _outcomes_digest(outcomes: Iterable[Outcome]) -> str:
    """Return one digest over all a file brought, in the order of run and lumisection."""
    return digest([vars(one) for one in sorted(outcomes, key=lambda one: (one.stream, one.run, one.lumisection))])


def _taken(connection: Connection, file: FileTaken) -> bool:
    """Whether these bytes have this fate already.  A quarantined file may be delivered again and then accepted."""
    query = select(t.files.c.id).where(t.files.c.sha256 == file.sha256)
    here, fate = t.files.c.path == file.path, t.files.c.outcome
    if file.outcome == "duplicate":
        query = query.where(here, fate != "quarantined")
    elif file.outcome == "accepted":
        query = query.where(or_(fate == "accepted", and_(here, fate == "duplicate")))
    else:
        query = query.where(or_(fate != "duplicate", here))
    return connection.execute(query.limit(1)).first() is not None


def _columns(value: FileTaken | Overlap) -> dict[str, Any]:
    return {**vars(value), "at": time_text(value.at)}


def _settle_overlaps(connection: Connection, file: FileTaken, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes that are new; the others are filed as overlaps, once per file."""
    keys = [(outcome.stream, outcome.run, outcome.lumisection) for outcome in outcomes]
    first = _first_files(connection, keys)
    fresh, again = [], {}
    for key, outcome in zip(keys, outcomes, strict=True):
        if key not in first:
            first[key] = outcome.file_sha256
            fresh.append(outcome)
            continue
        again[key] = Overlap(
            stream=outcome.stream,
            run=outcome.run,
            lumisection=outcome.lumisection,
            file_sha256=outcome.file_sha256,
            first_file_sha256=first[key],
            events=outcome.events,
            at=file.at,
        )
    if again:
        connection.execute(insert(t.redelivered), [_columns(overlap) for overlap in again.values()])
        for stream, number in sorted(Counter(overlap.stream for overlap in again.values()).items()):
            count(connection, "overlaps", stream, "", number)
    return fresh


def _first_files(connection: Connection, keys: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int, int], str]:
    o, found = t.outcomes.c, {}
    for (stream, run), numbers in _by_run(((stream, run), lumisection) for stream, run, lumisection in keys):
        here = (o.stream == stream, o.run == run, o.lumisection.in_(numbers))
        for row in connection.execute(select(o.lumisection, o.file_sha256).where(*here)):
            found[stream, run, row.lumisection] = row.file_sha256
    return found


def _by_run(pairs: Iterable[tuple[Run, int]]) -> Iterator[tuple[Run, list[int]]]:
    """Yield lumisections by run, in chunks: given pairs SQLite would scan the table, these it finds by index."""
    runs: dict[Run, list[int]] = {}
    for run, lumisection in pairs:
        runs.setdefault(run, []).append(lumisection)
    for run, numbers in runs.items():
        for start in range(0, len(numbers), CHUNK):
            yield run, numbers[start : start + CHUNK]


def recorded(connection: Connection, stream: str, pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return which (run, lumisection) of the stream have their outcome already.

    Ask this before feeding a watch: a lumisection that is recorded must not be watched again.
    """
    found = _first_files(connection, [(stream, run, lumisection) for run, lumisection in pairs])
    return {(run, lumisection) for _, run, lumisection in found}


def file_taken(connection: Connection, sha256: str) -> FileTaken | None:
    """Return the fate of the file with these bytes, None if it was never taken."""
    query = (
        select(t.files)
        .where(t.files.c.sha256 == sha256)
        .order_by(t.files.c.outcome != "accepted", t.files.c.id)
        .limit(1)
    )
    row = connection.execute(query).first()
    return _file(row) if row else None


def files(connection: Connection, outcome: FileOutcome | None = None, limit: int = 1_000) -> list[FileTaken]:
    """Return the latest files, newest first."""
    query = select(t.files).order_by(t.files.c.id.desc()).limit(limit)
    if outcome is not None:
        query = query.where(t.files.c.outcome == outcome)
    return [_file(row) for row in connection.execute(query)]


def _file(row: Row[Any]) -> FileTaken:
    values = {name: getattr(row, name) for name in FileTaken.__dataclass_fields__}
    return FileTaken(**{**values, "at": datetime.fromisoformat(row.at)})


def overlaps(connection: Connection, stream: str, limit: int = 1_000) -> list[Overlap]:
    """Return the latest lumisections that were delivered again, newest first."""
    query = (
        select(t.redelivered).where(t.redelivered.c.stream == stream).order_by(t.redelivered.c.id.desc()).limit(limit)
    )
    names = Overlap.__dataclass_fields__
    return [
        Overlap(**{**{name: getattr(row, name) for name in names}, "at": datetime.fromisoformat(row.at)})
        for row in connection.execute(query)
    ]


def check_files(connection: Connection) -> list[str]:
    """Return where files and lumisections differ from what the chain says of them; slow, for audits."""
    problems, told = [], set()
    for stored in chain.facts(connection, kind=FileRecorded.kind):
        entry = stored.fact
        if not isinstance(entry, FileRecorded) or entry.outcome == "duplicate":
            continue
        told.add(entry.sha256)
        if entry.outcome != "accepted":
            continue
        rows = connection.execute(select(t.outcomes).where(t.outcomes.c.file_sha256 == entry.sha256)).all()
        if _outcomes_digest(_as_written(row) for row in rows) != entry.outcomes_digest:
            problems.append(
                f"record {stored.sequence}: file {entry.sha256[:16]} brought {entry.lumisections} lumisections, "
                f"the table holds {len(rows)} of another content; they were edited"
            )
    known = set(connection.scalars(select(t.files.c.sha256).where(t.files.c.outcome != "duplicate")))
    strays = set(connection.scalars(select(t.outcomes.c.file_sha256).distinct())) - told
    problems += [
        f"file {sha256[:16]}: is in the record and not in the table; it was deleted" for sha256 in told - known
    ]
    problems += [
        f"file {sha256[:16]}: is in the tables and not in the record; it was added"
        for sha256 in (known | strays) - told
    ]
    return problems


# --- reading outcomes ---------------------------------------------------------------------------------------------


def outcomes(
    connection: Connection,
    stream: str,
    *,
    results: Iterable[str] | None = None,
    certified: bool | None = None,
    between: tuple[tuple[int, int], tuple[int, int]] | None = None,
    limit: int | None = None,
) -> list[Outcome]:
    """Return outcomes in order of (run, lumisection), each with the certification said last.

    Args:
        connection: Reading.
        stream: Whose.
        results: Only these results.
        certified: Only those certified so; None for all.
        between: First and last (run, lumisection), both included.
        limit: The *latest* so many.
    """
    query = _with_certification().where(t.outcomes.c.stream == stream)
    if results is not None:
        query = query.where(t.outcomes.c.result.in_(list(results)))
    if between is not None:
        here = tuple_(t.outcomes.c.run, t.outcomes.c.lumisection)
        first, last = (tuple_(*(literal(number) for number in pair)) for pair in between)
        query = query.where(and_(here >= first, here <= last))
    query = query.order_by(t.outcomes.c.run.desc(), t.outcomes.c.lumisection.desc())
    if limit is not None and certified is None:
        query = query.limit(limit)
    found = [_outcome(row) for row in connection.execute(query)]
    if certified is not None:
        found = [outcome for outcome in found if outcome.certified is certified][:limit]
    return found[::-1]


def outcome(connection: Connection, stream: str, run: int, lumisection: int) -> Outcome | None:
    """Return what became of one lumisection, None if it never came."""
    o = t.outcomes.c
    query = _with_certification().where(o.stream == stream, o.run == run, o.lumisection == lumisection)
    row = connection.execute(query).first()
    return _outcome(row) if row else None


def latest(connection: Connection, stream: str) -> tuple[int, int] | None:
    """Return the last (run, lumisection) that has an outcome."""
    o = t.outcomes.c
    query = select(o.run, o.lumisection).where(o.stream == stream).order_by(o.run.desc(), o.lumisection.desc()).limit(1)
    row = connection.execute(query).first()
    return (row.run, row.lumisection) if row else None


def fills(connection: Connection, stream: str, runs: int) -> list[FillSpan]:
    """Return the fills of the latest `runs` runs, in order; a lumisection without a fill belongs to its run's."""
    o = t.outcomes.c
    latest_runs = select(o.run).where(o.stream == stream).distinct().order_by(o.run.desc()).limit(runs)
    query = (
        select(o.run, func.max(o.fill).label("fill"), func.count().label("lumisections"))
        .where(o.stream == stream, o.run.in_(latest_runs))
        .group_by(o.run)
        .order_by(o.run)
    )
    found: dict[int, FillSpan] = {}
    for row in connection.execute(query):
        if row.fill is not None:
            before = found.get(row.fill, FillSpan(fill=row.fill, first_run=row.run, last_run=row.run, lumisections=0))
            found[row.fill] = replace(before, last_run=row.run, lumisections=before.lumisections + row.lumisections)
    return list(found.values())


def _with_certification() -> Select[Any]:
    o, c = t.outcomes, t.certifications
    said_last = (
        select(c.c.certified)
        .where(c.c.run == o.c.run, c.c.lumisection == o.c.lumisection)
        .order_by(c.c.id.desc())
        .limit(1)
        .correlate(o)
        .scalar_subquery()
    )
    return select(o, func.coalesce(said_last, o.c.certified).label("certified_now"))


def _outcome(row: Row[Any]) -> Outcome:
    certified = None if row.certified_now is None else bool(row.certified_now)
    return replace(_as_written(row), certified=certified)


def _as_written(row: Row[Any]) -> Outcome:
    return Outcome(**{name: getattr(row, name) for name in Outcome.__dataclass_fields__})


def certify(connection: Connection, said: Iterable[tuple[int, int, bool]], now: datetime) -> int:
    """Record certifications of (run, lumisection) that differ from what was said last; returns how many."""
    connection.execute(select(t.head.c.id).with_for_update()).one()
    wanted = {(run, lumisection): certified for run, lumisection, certified in said}
    keys, known = sorted(wanted), {}
    c = t.certifications.c
    for run, numbers in _by_run(keys):
        here = (c.run == run, c.lumisection.in_(numbers))
        for row in connection.execute(select(c.lumisection, c.certified).where(*here).order_by(c.id)):
            known[run, row.lumisection] = row.certified
    rows = [
        {"run": run, "lumisection": lumisection, "certified": wanted[run, lumisection], "at": time_text(now)}
        for run, lumisection in keys
        if known.get((run, lumisection)) is not wanted[run, lumisection]
    ]
    if rows:
        connection.execute(insert(t.certifications), rows)
    return len(rows)


# --- the watch ----------------------------------------------------------------------------------------------------


def put_watch_state(connection: Connection, stream: str, state: bytes, file_sha256: str) -> None:
    """Keep the watch as it was after this file."""
    values = {"state": state, "file_sha256": file_sha256}
    done = connection.execute(update(t.watch_states).where(t.watch_states.c.stream == stream).values(**values))
    if done.rowcount == 0:
        connection.execute(insert(t.watch_states).values(stream=stream, **values))


def watch_state(connection: Connection, stream: str) -> bytes | None:
    """Return the watch as it was after the last file taken."""
    return connection.scalar(select(t.watch_states.c.state).where(t.watch_states.c.stream == stream))
