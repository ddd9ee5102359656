"""The ledger where a database of its own kind is not the point: kills, random edits, cost, words of refusal."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from daemon.errors import FactError, LedgerError
from daemon.ledger import FileTaken, Head, Ledger, Outcome, verify_export
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import canonical
from tests.unit.daemon.lifecycle_examples import NOON, sha

ROOT = Path(__file__).parents[3]
FILES, PER_FILE = 40, 5


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/ledger.sqlite"


def taken(number):
    """File `number` of a run, with what a watch would say of it."""
    file = FileTaken(
        path=f"/in/{number}.root", sha256=sha(str(number)), bytes=1, stream="zb", outcome="accepted", at=NOON
    )
    rows = [
        Outcome(
            stream="zb",
            run=1,
            lumisection=number * PER_FILE + n,
            result="watched",
            reason="",
            events=10,
            fill=1,
            pileup=50.0,
            certified=None,
            events_path="",
            events_sha256="",
            file_sha256=file.sha256,
        )
        for n in range(PER_FILE)
    ]
    alarm = f.AlarmRaised(at=NOON, actor="daemon", stream="zb", alarm_id=str(number), alarm={"verdict": "transient"})
    return file, rows, f"state after {number}".encode(), [("zb", alarm)]


def take_all(url):
    with Ledger.open(url) as ledger:
        for number in range(FILES):
            ledger.take_file(*taken(number))


def told(url):
    with Ledger.open(url) as ledger:
        assert ledger.verify() == []
        return ledger.facts(), ledger.outcomes("zb"), ledger.watch_state("zb"), ledger.figures()


def take_all_under_fire(url, seed):
    """Take the files again and again, killed within every few files at a random instant; print how many kills it took.

    The child tells before each file, so a kill always falls among writes, however fast or loaded the machine is.
    """
    rng, kills, reach = random.Random(seed), 0, 0
    while True:
        reach += rng.randint(1, 4)
        told_by, tell = os.pipe()
        child = os.fork()
        if child == 0:
            with Ledger.open(url) as ledger:
                for number in range(FILES):
                    os.write(tell, b".")
                    ledger.take_file(*taken(number))
            os._exit(0)
        os.close(tell)
        begun = 0
        while begun < reach and os.read(told_by, 1):
            begun += 1
        time.sleep(rng.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        finished = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        os.close(told_by)
        if finished:
            break
        kills += 1
    sys.stdout.write(str(kills))


def test_kill_9_at_random_moments_loses_and_doubles_nothing(url, tmp_path):
    code = (
        "import sys; from tests.unit.daemon.test_ledger import take_all_under_fire as go; go(sys.argv[1], 20_261_123)"
    )
    argv = [sys.executable, "-c", code, url]
    answer = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
    take_all(url)
    take_all(f"sqlite:///{tmp_path}/undisturbed.sqlite")

    assert int(answer.stdout) >= FILES // 4 - 2
    assert told(url) == told(f"sqlite:///{tmp_path}/undisturbed.sqlite")


def test_a_ledger_is_opened_so_that_what_is_acknowledged_stays(url, tmp_path):
    with Ledger.open(url) as ledger, ledger._engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("sqlite://", "would forget"),
        ("sqlite:///:memory:", "would forget"),
        ("mysql://localhost/x", "sqlite or postgresql"),
        ("no url", "no database URL"),
        ("sqlite:////nowhere/at/all/ledger.sqlite", "check path"),
        ("postgresql://u:secret@127.0.0.1:1/x", "check path"),
    ],
)
def test_a_ledger_that_cannot_be_opened_says_why_and_no_password(bad, says):
    with pytest.raises(LedgerError, match=says) as refusal:
        Ledger.open(bad)

    assert "secret" not in str(refusal.value)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("a shopping list, " * 100)

    with pytest.raises(LedgerError, match="not a database"):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite")


def test_a_fact_that_json_cannot_say_leaves_no_trace(url):
    bad = f.AlarmRaised(at=NOON, actor="daemon", stream="zb", alarm_id="a", alarm={"log_evidence": float("inf")})
    file, rows, state, facts = taken(1)
    with Ledger.open(url) as ledger:
        with pytest.raises(FactError):
            ledger.take_file(file, rows, state, [*facts, ("zb", bad)])

        assert ledger.file_taken(file.sha256) is None
        assert ledger.facts() == []
        assert ledger.watch_state("zb") is None


def test_a_locked_database_is_an_error_with_a_sentence_not_a_loss(url, tmp_path):
    with Ledger.open(url) as ledger:
        holder = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with ledger._engine.connect() as connection:
            connection.connection.dbapi_connection.execute("PRAGMA busy_timeout=50").close()
        with pytest.raises(LedgerError, match="locked"):
            ledger.append("daemon", [f.Paused(at=NOON, actor="timo", reason="x")])
        holder.execute("ROLLBACK")
        holder.close()

        ledger.append("daemon", [f.Paused(at=NOON, actor="timo", reason="x")])
        assert ledger.head().sequence == 1


# --- the export ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("record")
    with Ledger.open(f"sqlite:///{folder}/ledger.sqlite") as ledger:
        ledger.append("daemon", [f.Paused(at=NOON, actor="timo", reason=f"reason {n}") for n in range(12)])
        ledger.take_file(*taken(1))
        head = ledger.export(folder / "record.jsonl")
    return (folder / "record.jsonl").read_bytes(), head


def scratch(tmp_path_factory):
    return tmp_path_factory.getbasetemp() / f"edited-{os.getpid()}.jsonl"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_edit_of_an_exported_record_is_found(record, tmp_path_factory, data):
    whole, head = record
    path, lines = scratch(tmp_path_factory), whole.splitlines(keepends=True)
    edit = data.draw(st.sampled_from(["bit", "delete", "double", "swap", "cut", "empty"]))
    at = data.draw(st.integers(0, len(lines) - 1))
    match edit:
        case "bit":
            place = data.draw(st.integers(0, len(whole) - 1))
            flipped = bytearray(whole)
            flipped[place] ^= 1 << data.draw(st.integers(0, 7))
            changed = bytes(flipped)
        case "delete":
            changed = b"".join(lines[:at] + lines[at + 1 :])
        case "double":
            changed = b"".join(lines[: at + 1] + lines[at:])
        case "swap":
            other = data.draw(st.integers(0, len(lines) - 1).filter(lambda n: n != at))
            lines[at], lines[other] = lines[other], lines[at]
            changed = b"".join(lines)
        case "cut":
            changed = whole[: data.draw(st.integers(0, len(whole) - 2))]
        case "empty":
            changed = b""
    path.write_bytes(changed)

    assert verify_export(path, head) != []


def test_a_record_cut_off_and_closed_anew_shows_against_a_head_written_down_elsewhere(record, tmp_path):
    whole, head = record
    lines = whole.splitlines(keepends=True)
    last = json.loads(lines[4])
    shorter = Head(sequence=last["sequence"], hash=last["hash"])
    end = canonical({"head": shorter}) + b"\n"
    (tmp_path / "record.jsonl").write_bytes(b"".join(lines[:5]) + end)

    assert verify_export(tmp_path / "record.jsonl") == []
    assert "was rewritten" in verify_export(tmp_path / "record.jsonl", head)[0]


def test_a_longer_record_still_holds_an_older_head(record, tmp_path):
    whole, _ = record
    (tmp_path / "record.jsonl").write_bytes(whole)
    older = json.loads(whole.splitlines()[3])

    assert verify_export(tmp_path / "record.jsonl", Head(sequence=older["sequence"], hash=older["hash"])) == []


# --- cost ---------------------------------------------------------------------------------------------------------


def test_a_full_table_is_asked_by_index_and_never_scanned(url):
    with Ledger.open(url) as ledger:
        statements = []
        event.listen(ledger._engine, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
        ledger.take_file(*taken(1))
        ledger.recorded("zb", [(1, n) for n in range(30)])
        ledger.certify([(1, 5, True)], NOON)
        ledger.outcome("zb", 1, 5)
        ledger.latest("zb")
        ledger.outcomes("zb", between=((1, 2), (1, 9)))
        ledger.facts(subject="zb")
        ledger.figures()
        asked = [one for one in statements if one[0].lstrip().startswith("SELECT")]
        with ledger._engine.connect() as connection:
            plans = {
                text: [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)]
                for text, parameters in asked
            }

    small = ("SCAN head", "SCAN counters")  # one row, and one row a label
    scans = [step for plan in plans.values() for step in plan if step.startswith("SCAN") and step not in small]
    assert len(plans) >= 10
    assert scans == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_figures_of_a_million_lumisections_cost_milliseconds(url):
    with Ledger.open(url) as ledger:
        seconds = []
        for number in range(200):
            file, rows, _, _ = taken(number)
            same = {**vars(rows[0]), "run": number, "file_sha256": file.sha256}
            many = [Outcome(**{**same, "lumisection": n}) for n in range(5_000)]
            begun = time.perf_counter()
            ledger.take_file(file, many, None, [])
            seconds.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        figures = ledger.figures()
        spent = time.perf_counter() - begun

    assert figures.outcomes == {("zb", "watched"): 1_000_000}
    assert spent < 0.1
    assert sorted(seconds[-20:])[10] < 3 * sorted(seconds[:20])[10]
