"""One suite for the ledger, run on SQLite and on a real PostgreSQL."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from daemon.errors import LeadershipTakenError, LeaseLostError, LedgerError, NewerSchemaError, StaleSequenceError
from daemon.ledger import FileTaken, Head, Ledger, Outcome, each_fact, verify_export
from daemon.ledger.schema import APPEND_ONLY, metadata
from daemon.lifecycle import Phase, fold
from daemon.lifecycle import facts as f
from tests.unit.daemon.lifecycle_examples import NOON, SLOT, Course, sha

STREAM = "zero-bias"
BINARIES = Path("/usr/lib/postgresql/15/bin")


def as_postgres(*argv):
    """Debian's PostgreSQL refuses root: run it as its own user."""
    prefix = []
    if os.geteuid() == 0:
        prefix = [shutil.which("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run([*prefix, *argv], check=True, capture_output=True, cwd="/")


@contextmanager
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory):
    if not (BINARIES / "pg_ctl").exists():
        pytest.skip("PostgreSQL 15 of Debian is not installed (apt install postgresql)")
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/retrigger-pg-XXXXXX"], text=True).strip())
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    with free_port() as port:
        pass
    data = str(folder / "data")
    as_postgres(
        str(BINARIES / "initdb"), "-D", data, "-U", "retrigger", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"
    )
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    as_postgres(str(BINARIES / "pg_ctl"), "-D", data, "-o", options, "-w", "-l", str(folder / "log"), "start")
    try:
        yield f"postgresql://retrigger@127.0.0.1:{port}/postgres"
    finally:
        as_postgres(str(BINARIES / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    server = request.getfixturevalue("postgresql")
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return server


@pytest.fixture
def ledger(url):
    with Ledger.open(url) as opened:
        yield opened


def paused(reason="access", at=NOON):
    return f.Paused(at=at, actor="timo", reason=reason)


def file(number=1, **changed):
    words = {"path": f"/in/{number}.root", "sha256": sha(f"file {number}"), "bytes": 10, "stream": STREAM}
    return FileTaken(**({**words, "outcome": "accepted", "at": NOON} | changed))


def lumisection(number, run=1, from_file=1, **changed):
    words = {
        "stream": STREAM,
        "run": run,
        "lumisection": number,
        "result": "watched",
        "reason": "",
        "events": 100,
        "fill": 9000,
        "pileup": 52.5,
        "certified": None,
        "events_path": f"/events/{run}_{number}.npy",
        "events_sha256": sha(f"events {run} {number}"),
        "file_sha256": sha(f"file {from_file}"),
    }
    return Outcome(**(words | changed))


def sql(ledger, statement, **values):
    with ledger._engine.begin() as connection:
        connection.execute(text(statement), values)


# --- the chain ----------------------------------------------------------------------------------------------------


def test_facts_come_back_in_order_with_their_links(ledger):
    ledger.append("daemon", [paused("one"), paused("two")])
    ledger.append(SLOT, [f.ChampionImported(at=NOON, actor="root", slot=SLOT, digest=sha("a"), bundle_path="/a")])

    stored = ledger.facts()
    assert [one.sequence for one in stored] == [1, 2, 3]
    assert [one.fact.reason for one in ledger.facts(subject="daemon")] == ["one", "two"]
    assert [one.subject for one in ledger.facts(kind="champion_imported")] == [SLOT]
    assert [one.sequence for one in ledger.facts(after=2)] == [3]
    assert stored[1].previous == stored[0].hash
    assert ledger.head() == Head(sequence=3, hash=stored[-1].hash)
    assert ledger.subjects("paused") == ["daemon"]
    assert ledger.verify() == []


def test_a_whole_candidate_survives_the_ledger(ledger):
    course = Course().to(Phase.LIVE)
    for fact in course.facts:
        ledger.append("c-0001", [fact])

    assert fold(each_fact(ledger.facts(subject="c-0001"))) == course.candidate


def test_who_decided_on_an_older_state_is_refused_and_nothing_is_appended(ledger):
    first = ledger.append("daemon", [paused()], expect_sequence=0)
    ledger.append("other", [paused()])
    second = ledger.append("daemon", [paused()], expect_sequence=first)

    with pytest.raises(StaleSequenceError, match=r"number 3.*number 1"):
        ledger.append("daemon", [paused()], expect_sequence=first)
    assert ledger.head().sequence == second == 3


def test_facts_of_several_subjects_are_appended_all_or_none(ledger):
    with pytest.raises(StaleSequenceError):
        ledger.append_all([("a", [paused()], None), ("b", [paused()], 7)])

    assert ledger.facts() == []


def test_two_writers_never_fork_the_chain(url, ledger):
    def write(name):
        with Ledger.open(url) as mine:
            for _ in range(10):
                mine.append(name, [paused()])

    writers = [threading.Thread(target=write, args=(name,)) for name in ("a", "b", "c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert ledger.head().sequence == 30
    assert ledger.verify() == []


def test_the_clock_is_the_latest_time_of_any_fact(ledger):
    assert ledger.clock() is None
    ledger.append("daemon", [paused(at=NOON + timedelta(days=1))])
    ledger.append("daemon", [paused(at=NOON)])

    assert ledger.clock() == NOON + timedelta(days=1)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_the_database_itself_refuses_to_edit_the_record(ledger, table, verb):
    ledger.append("daemon", [paused()])
    ledger.take_file(file(1), [lumisection(1)], None, [])
    ledger.take_file(file(2), [lumisection(1, from_file=2)], None, [])
    ledger.certify([(1, 1, True)], NOON)
    with ledger.lead("me", NOON):
        pass
    column = "token" if table == "leads" else "id" if table != "facts" else "sequence"
    statement = f"UPDATE {table} SET {column} = {column} + 100" if verb == "UPDATE" else f"DELETE FROM {table}"

    with pytest.raises(DBAPIError, match="append-only"):
        sql(ledger, statement)


def defeat_triggers(ledger):
    """What somebody with the database's own rights can do."""
    for table in APPEND_ONLY:
        if ledger._engine.dialect.name == "sqlite":
            sql(ledger, f"DROP TRIGGER {table}_no_update")
            sql(ledger, f"DROP TRIGGER {table}_no_delete")
        else:
            sql(ledger, f"ALTER TABLE {table} DISABLE TRIGGER ALL")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE facts SET body = replace(body, 'two', 'too') WHERE sequence = 2", "record 2: does not give its hash"),
        ("UPDATE facts SET subject = 'x' WHERE sequence = 2", "record 2: does not give its hash"),
        ("UPDATE facts SET kind = 'resumed' WHERE sequence = 2", "record 2: is filed as resumed"),
        ("UPDATE facts SET body = ' ' || body WHERE sequence = 2", "record 2: its text is not the canonical"),
        ("UPDATE facts SET body = '{' WHERE sequence = 2", "record 2: cannot be read"),
        ("UPDATE facts SET hash = 'x' WHERE sequence = 2", "record 2: does not give its hash"),
        ("DELETE FROM facts WHERE sequence = 2", "record 3: found where number 2 belongs"),
        ("DELETE FROM facts WHERE sequence = 1", "record 2: found where number 1 belongs"),
        ("UPDATE facts SET sequence = 9 WHERE sequence = 2", "record 3: found where number 2 belongs"),
        ("DELETE FROM facts WHERE sequence >= 3", "records were cut off"),
        ("UPDATE outcomes SET events = 99 WHERE lumisection = 1", "record 4: file"),
        ("DELETE FROM outcomes WHERE lumisection = 2", "record 4: file"),
        ("DELETE FROM files", "is in the record and not in the table"),
        ("UPDATE counters SET count = count + 1 WHERE topic = 'outcomes'", "counter outcomes"),
    ],
)
def test_whatever_is_edited_behind_its_back_the_record_names_it(ledger, statement, words):
    ledger.append("daemon", [paused("one"), paused("two"), paused("three")])
    ledger.take_file(file(), [lumisection(1), lumisection(2)], b"state", [])
    assert ledger.verify() == []
    defeat_triggers(ledger)
    sql(ledger, statement)

    assert any(words in problem for problem in ledger.verify())


def test_an_export_verifies_with_the_file_alone(ledger, tmp_path):
    ledger.append("daemon", [paused("é ∧ 日本"), paused("two")])
    head = ledger.export(tmp_path / "record.jsonl")

    lines = (tmp_path / "record.jsonl").read_text("utf-8").splitlines()
    assert verify_export(tmp_path / "record.jsonl", head) == []
    assert json.loads(lines[-1]) == {"head": {"sequence": 2, "hash": head.hash}}
    assert len(lines) == 3


# --- files and lumisections ---------------------------------------------------------------------------------------


def test_a_file_is_taken_once_with_all_that_follows_from_it(ledger):
    alarm = f.AlarmRaised(at=NOON, actor="daemon", stream=STREAM, alarm_id="a", alarm={"verdict": "broken_detector"})
    first = ledger.take_file(file(), [lumisection(1), lumisection(2)], b"after", [(STREAM, alarm)])
    again = ledger.take_file(file(), [lumisection(1), lumisection(2)], b"twice", [(STREAM, alarm)])

    assert (first, again) == (True, False)
    assert ledger.watch_state(STREAM) == b"after"
    assert len(ledger.facts(subject=STREAM)) == 1
    assert ledger.outcome(STREAM, 1, 2) == lumisection(2)
    assert ledger.outcome(STREAM, 1, 3) is None
    assert ledger.latest(STREAM) == (1, 2)
    assert ledger.file_taken(file().sha256) == file()
    assert ledger.verify() == []


def test_the_same_bytes_under_another_name_are_a_duplicate_once_per_name(ledger):
    copy = {"path": "/in/copy.root", "outcome": "duplicate", "code": "same_bytes", "reason": "as /in/1.root"}
    ledger.take_file(file(), [lumisection(1)], None, [])

    assert ledger.take_file(file(path="/in/copy.root"), [lumisection(1)], None, []) is False
    assert [ledger.take_file(file(**copy), [], None, []) for _ in range(2)] == [True, False]
    assert ledger.figures().files == {(STREAM, "accepted"): 1, (STREAM, "duplicate"): 1}
    assert ledger.verify() == []


def test_a_lumisection_of_a_second_file_is_told_and_not_counted_twice(ledger):
    ledger.take_file(file(1), [lumisection(1), lumisection(2)], None, [])
    ledger.take_file(file(2), [lumisection(n, from_file=2, events=7) for n in (2, 3)], None, [])

    (overlap,) = ledger.overlaps(STREAM)
    assert (overlap.lumisection, overlap.events) == (2, 7)
    assert overlap.first_file_sha256 == sha("file 1")
    assert ledger.outcome(STREAM, 1, 2).events == 100
    assert ledger.recorded(STREAM, [(1, n) for n in range(1, 6)]) == {(1, 1), (1, 2), (1, 3)}
    assert ledger.figures().outcomes == {(STREAM, "watched"): 3}
    assert ledger.figures().events == {(STREAM, "watched"): 207}
    assert ledger.figures().overlaps == {STREAM: 1}
    assert ledger.verify() == []


def test_one_file_that_says_a_lumisection_twice_is_an_overlap_of_itself(ledger):
    ledger.take_file(file(), [lumisection(1), lumisection(1, events=7), lumisection(1, events=8)], None, [])

    assert ledger.outcome(STREAM, 1, 1).events == 100
    assert len(ledger.overlaps(STREAM)) == 1
    assert ledger.verify() == []


def test_a_quarantined_file_is_counted_by_its_code(ledger):
    ledger.take_file(file(outcome="quarantined", code="truncated", reason="ends early"), [], None, [])

    assert ledger.figures().quarantined == {(STREAM, "truncated"): 1}
    assert [one.reason for one in ledger.files("quarantined")] == ["ends early"]
    assert ledger.files("accepted") == []


def test_files_in_any_order_give_the_same_outcomes(url, ledger, tmp_path):
    files = {n: [lumisection(ls, from_file=n) for ls in range(10 * n, 10 * n + 3)] for n in range(1, 6)}
    for number in (3, 1, 5, 5, 2, 4, 1):
        ledger.take_file(file(number), files[number], None, [])

    assert ledger.outcomes(STREAM) == [outcome for number in sorted(files) for outcome in files[number]]


def test_certification_comes_later_and_the_last_word_counts(ledger):
    ledger.take_file(file(), [lumisection(n) for n in range(1, 5)], None, [])
    assert ledger.certify([(1, 1, True), (1, 2, True), (1, 3, False)], NOON) == 3
    assert ledger.certify([(1, 1, True), (1, 2, False)], NOON) == 1

    assert [outcome.certified for outcome in ledger.outcomes(STREAM)] == [True, False, False, None]
    assert [outcome.lumisection for outcome in ledger.outcomes(STREAM, certified=False)] == [2, 3]
    assert ledger.outcome(STREAM, 1, 2).certified is False
    assert ledger.verify() == []


def test_outcomes_are_asked_for_by_result_range_and_number(ledger):
    results = ["watched", "excluded", "late", "watched"]
    rows = [lumisection(n, run, result=results[n]) for run in (1, 2) for n in range(4)]
    ledger.take_file(file(), rows, None, [])

    assert [(o.run, o.lumisection) for o in ledger.outcomes(STREAM, between=((1, 3), (2, 1)))] == [
        (1, 3),
        (2, 0),
        (2, 1),
    ]
    assert len(ledger.outcomes(STREAM, results=["watched", "late"])) == 6
    assert [(o.run, o.lumisection) for o in ledger.outcomes(STREAM, limit=2)] == [(2, 2), (2, 3)]
    assert ledger.outcomes("another stream") == []


def test_a_file_of_many_lumisections_is_one_transaction(ledger):
    ledger.take_file(file(), [lumisection(n) for n in range(1, 1001)], None, [])

    assert len(ledger.recorded(STREAM, [(1, n) for n in range(1, 2001)])) == 1000
    assert ledger.verify() == []


# --- work, lead, status -------------------------------------------------------------------------------------------


def test_work_is_queued_once_for_its_time(ledger):
    assert ledger.add_work("retrain", NOON, {"slot": SLOT})
    assert not ledger.add_work("retrain", NOON, {"slot": SLOT})
    assert ledger.add_work("retrain", NOON + timedelta(hours=1), {})

    assert ledger.figures().work_open == {"retrain": 2}


def test_work_is_claimed_by_one_and_again_when_its_lease_runs_out(url, ledger):
    ledger.add_work("retrain", NOON, {"slot": SLOT})
    with Ledger.open(url) as other:
        first = ledger.claim_work(NOON, 60, "one")
        assert other.claim_work(NOON, 60, "two") is None
        second = other.claim_work(NOON + timedelta(seconds=60), 60, "two")

        assert (first.attempt, second.attempt) == (1, 2)
        assert second.token > first.token
        assert first.payload == {"slot": SLOT}
        with pytest.raises(LeaseLostError, match="drop the result"):
            ledger.finish_work(first, NOON)
        other.finish_work(second, NOON)
    assert ledger.claim_work(NOON + timedelta(days=1), 60, "one") is None
    assert not ledger.add_work("retrain", NOON, {})


def test_work_that_fails_comes_back_when_told_or_never(ledger):
    ledger.add_work("retrain", NOON, {})
    later = NOON + timedelta(minutes=5)
    ledger.fail_work(ledger.claim_work(NOON, 60, "one"), "disk full", NOON, retry_at=later)

    assert ledger.claim_work(NOON, 60, "one") is None
    again = ledger.claim_work(later, 60, "one")
    ledger.fail_work(again, "disk full", later)
    assert again.attempt == 2
    assert ledger.claim_work(later + timedelta(days=1), 60, "one") is None
    assert ledger.figures().work_open == {}


def test_a_renewed_lease_is_kept_and_a_lost_one_is_not(ledger):
    ledger.add_work("retrain", NOON, {})
    mine = ledger.claim_work(NOON, 60, "one")
    ledger.renew_work(mine, NOON, 600)

    assert ledger.claim_work(NOON + timedelta(seconds=599), 60, "two") is None
    ledger.claim_work(NOON + timedelta(seconds=601), 60, "two")
    with pytest.raises(LeaseLostError):
        ledger.renew_work(mine, NOON, 60)


def test_work_is_claimed_by_kind_and_oldest_first(ledger):
    ledger.add_work("tick", NOON + timedelta(seconds=1), {})
    ledger.add_work("retrain", NOON + timedelta(seconds=2), {})
    ledger.add_work("tick", NOON, {})
    now = NOON + timedelta(minutes=1)

    claimed = [ledger.claim_work(now, 60, "one", kinds=["tick"]) for _ in range(3)]
    assert [one and one.scheduled_for for one in claimed] == [NOON, NOON + timedelta(seconds=1), None]


def test_one_daemon_leads_and_the_next_has_a_larger_token(url, ledger):
    with Ledger.open(url) as other:
        with ledger.lead("one", NOON) as first:
            assert first.held()
            with pytest.raises(LeadershipTakenError, match="another daemon leads"), other.lead("two", NOON):
                pass
        with other.lead("two", NOON) as second:
            assert second.held()
            assert second.token > first.token


def test_a_process_says_how_it_is_outside_the_chain(ledger):
    ledger.put_status("loop", {"cycle": 1}, NOON)
    ledger.put_status("loop", {"cycle": 2}, NOON + timedelta(seconds=5))

    assert ledger.status()["loop"].body == {"cycle": 2}
    assert ledger.status()["loop"].at == NOON + timedelta(seconds=5)
    assert ledger.head().sequence == 0


def test_figures_count_what_was_said(ledger):
    for verdict in ("broken_detector", "real_shift", "broken_detector"):
        alarm = f.AlarmRaised(at=NOON, actor="daemon", stream=STREAM, alarm_id="a", alarm={"verdict": verdict})
        ledger.append(STREAM, [alarm])

    figures = ledger.figures()
    assert figures.alarms == {(STREAM, "broken_detector"): 2, (STREAM, "real_shift"): 1}
    assert figures.facts == {"alarm_raised": 3}
    assert (figures.head_sequence, figures.head_hash) == (3, ledger.head().hash)


# --- history ------------------------------------------------------------------------------------------------------


def test_history_says_what_ran_who_approved_it_and_on_what_evidence(ledger):
    course = Course().to(Phase.LIVE)
    ledger.append(SLOT, [f.ChampionImported(at=NOON, actor="root", slot=SLOT, digest=sha("old"), bundle_path="/old")])
    ledger.append("c-0001", course.facts)

    before, after = ledger.history(400_100, 16, SLOT), ledger.history(400_100, 17, SLOT)
    assert (before.digest, before.imported, before.approvals) == (sha("old"), True, ())
    assert (after.digest, after.candidate) == (course.candidate.bundle_digest, "c-0001")
    assert [(one.person, one.role) for one in after.approvals] == [("mila", "ml_expert"), ("timo", "trigger_oncall")]
    assert after.evidence_root == course.candidate.gates.evidence_root
    assert after.since == (400_100, 17)
    assert after.gates[0].name == "bit_exact"
    assert ledger.history(1, 1, "another slot").digest == ""


# --- opening ------------------------------------------------------------------------------------------------------


def test_what_was_acknowledged_is_there_after_opening_again(url):
    with Ledger.open(url) as first:
        first.append("daemon", [paused()])
    with Ledger.open(url) as second:
        assert second.head().sequence == 1
        assert second.verify() == []


def test_a_newer_schema_is_refused_and_left_alone(url):
    with Ledger.open(url) as mine:
        sql(mine, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(NewerSchemaError, match="9999"):
        Ledger.open(url)


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(ledger):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with ledger._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    assert [one for one in differences if "alembic_version" not in str(one)] == []


def test_two_daemons_that_open_an_empty_database_at_once_make_one_ledger(url):
    failures = []

    def open_it():
        try:
            with Ledger.open(url) as mine:
                mine.append("daemon", [paused()])
        except LedgerError as error:
            failures.append(error)

    openers = [threading.Thread(target=open_it) for _ in range(4)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()

    assert failures == []
    with Ledger.open(url) as ledger:
        assert ledger.head().sequence == 4
