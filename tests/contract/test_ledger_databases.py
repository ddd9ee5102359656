"""One suite for the ledger, run on SQLite and on a real PostgreSQL."""

import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from daemon.errors import LedgerError, NewerSchemaError, StaleSequenceError
from daemon.ledger import Account, Head, Ledger, each_fact, verify_export
from daemon.ledger.schema import APPEND_ONLY, metadata
from daemon.lifecycle import Phase, fold
from daemon.lifecycle import facts as f
from tests.contract.ledger_examples import STREAM, file, lumisection, paused, sql
from tests.unit.daemon.lifecycle_examples import NOON, SLOT, Course, sha

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


# --- what the record's keepers read -------------------------------------------------------------------------------


def test_every_hash_and_every_record_is_read_in_order_between_two_places(ledger):
    ledger.append("daemon", [paused(f"{count}") for count in range(5)])
    stored = ledger.facts()

    assert ledger.hashes() == [(one.sequence, one.hash) for one in stored]
    assert ledger.hashes(after=3) == ledger.hashes()[3:]
    assert [one["sequence"] for one in ledger.records(1, 4)] == [2, 3, 4]
    assert [one["hash"] for one in ledger.records(0, 99)] == [one.hash for one in stored]


def test_the_newest_fact_of_every_kind_is_the_last_that_was_appended(ledger):
    known = f.ChampionImported(at=NOON, actor="root", slot=SLOT, digest=sha("a"), bundle_path="/a")
    ledger.append("daemon", [paused("one")])
    ledger.append(SLOT, [known])
    ledger.append("daemon", [paused("two")])

    newest = ledger.newest_facts()

    assert set(newest) == {"paused", "champion_imported"}
    assert newest["paused"].fact.reason == "two"
    assert newest["champion_imported"].sequence == 2


def test_the_fills_of_the_latest_runs_span_their_runs(ledger):
    rows = [lumisection(number, run=run, fill=fill) for run, fill in ((1, 8), (2, 9), (3, 9)) for number in (1, 2)]
    ledger.take_file(file(), [*rows, lumisection(3, run=3, fill=None)], None, [])

    spans = [(one.fill, one.first_run, one.last_run, one.lumisections) for one in ledger.fills(STREAM, 3)]

    assert spans == [(8, 1, 1, 2), (9, 2, 3, 5)]
    assert [one.fill for one in ledger.fills(STREAM, 2)] == [9]
    assert ledger.fills("another", 3) == []


def test_work_of_a_kind_waits_until_it_is_done(ledger):
    ledger.add_work("export:left", NOON, {})
    assert ledger.work_waits("export:left")
    assert not ledger.work_waits("export:right")

    claimed = ledger.claim_work(NOON, 60.0, "me")
    assert ledger.work_waits("export:left")
    ledger.finish_work(claimed, NOON)

    assert not ledger.work_waits("export:left")


def test_wrong_passwords_are_counted_beside_the_chain_and_a_right_one_forgets_them(ledger):
    said = f.PersonAdded(at=NOON, actor="root", person="mila", roles=("viewer",))
    account = Account(person="mila", password_hash="x", roles=frozenset({"viewer"}))
    ledger.put_account(account, said)
    locked = NOON + timedelta(minutes=5)

    ledger.note_login("mila", 3, locked)
    ledger.note_login("mila", 4, locked)
    assert ledger.accounts("mila") == [replace(account, failures=4, locked_until=locked)]
    ledger.note_login("mila", 0, None)

    assert ledger.accounts() == [account]
    assert len(ledger.facts()) == 1
