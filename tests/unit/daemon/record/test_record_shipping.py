"""The record reaches every place, whatever dies, hangs or is full meanwhile."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from benchmarks.record_edits import NOON
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.record import (
    Cadence,
    CommandPlace,
    FolderPlace,
    HeadSigner,
    Sent,
    Shipping,
    check_export,
    own_key,
    sent,
    short_name,
)

CADENCE = Cadence(facts=5, minutes=10)
KEEP = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / f"{int(os.environ['RETRIGGER_FIRST']):012d}-{int(os.environ['RETRIGGER_LAST']):012d}.jsonl").write_bytes(
    sys.stdin.buffer.read())
"""


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


@pytest.fixture
def keys(tmp_path):
    return [own_key(tmp_path / "record.pem", "record").public]


def shipping(ledger, tmp_path, *places, patience_s=20.0):
    key = own_key(tmp_path / "record.pem", "record")
    return Shipping(ledger, lambda: HeadSigner(ledger, key, CADENCE), places, owner="me", patience_s=patience_s)


def say(ledger, count=1, at=NOON):
    for number in range(count):
        ledger.append("daemon", [f.Paused(at=at, actor="timo", reason=f"access {number}")])


def folder_at(tmp_path, name="away"):
    (tmp_path / name).mkdir()
    return FolderPlace(tmp_path / name)


def keeping(tmp_path, name="kept"):
    (tmp_path / name).mkdir()
    return CommandPlace((sys.executable, "-c", KEEP, str(tmp_path / name)), 60.0)


def test_a_folder_and_a_command_get_the_record_in_parts_that_verify_together(ledger, tmp_path, keys):
    ship = shipping(ledger, tmp_path, folder_at(tmp_path), keeping(tmp_path))
    for hour in range(4):
        say(ledger, 6)
        ship.step(NOON + timedelta(hours=hour))

    names = [path.name for path in sorted((tmp_path / "away").iterdir())]
    assert names[:2] == ["000000000001-000000000006.jsonl", "000000000007-000000000013.jsonl"]
    for place in ("away", "kept"):
        found = check_export(tmp_path / place, keys)
        assert found.problems == []
        assert (found.facts, found.heads) == (27, 7)


def test_nothing_new_is_nothing_to_send(ledger, tmp_path):
    place = folder_at(tmp_path)
    ship = shipping(ledger, tmp_path, place)
    say(ledger)
    for hour in range(3):
        ship.step(NOON + timedelta(hours=hour))

    assert sent(ledger, place.name) == Sent(delivered=1, exports=1)
    assert len(ledger.facts(kind="head_signed")) == 1


def test_without_a_place_no_head_is_signed_and_no_key_is_made(ledger, tmp_path):
    say(ledger, 9)
    Shipping(ledger, lambda: pytest.fail("a signer was asked for"), (), owner="me").step(NOON)

    assert ledger.facts(kind="head_signed") == []


def test_a_failed_export_is_counted_told_and_tried_again_ever_more_rarely(ledger, tmp_path, keys):
    place, other = FolderPlace(tmp_path / "not mounted"), folder_at(tmp_path)
    ship = shipping(ledger, tmp_path, place, other)
    say(ledger, 6)
    ship.step(NOON)
    first = sent(ledger, place.name)
    ship.step(NOON + timedelta(seconds=5))
    waiting = sent(ledger, place.name).failures
    ship.step(NOON + timedelta(seconds=16))
    again = sent(ledger, place.name).failures
    ship.step(NOON + timedelta(seconds=40))
    longer = sent(ledger, place.name).failures
    place.folder.mkdir()
    say(ledger, 6)
    ship.step(NOON + timedelta(minutes=30))

    assert (first.failures, waiting, again, longer) == (1, 1, 2, 2)
    assert "cannot be written" in first.error
    assert sent(ledger, place.name) == Sent(delivered=13, exports=1, failures=2)
    assert sent(ledger, other.name) == Sent(delivered=13, exports=2)
    assert check_export(place.folder, keys).problems == []


def test_a_place_that_is_away_for_long_is_owed_one_piece_of_work(ledger, tmp_path):
    place = FolderPlace(tmp_path / "not mounted")
    ship = shipping(ledger, tmp_path, place)
    for hour in range(20):
        say(ledger)
        ship.step(NOON + timedelta(hours=hour))
    rows = []
    while (work := ledger.claim_work(NOON + timedelta(days=9), 60, "test")) is not None:
        rows.append(work.kind)

    assert len(rows) == 1


@pytest.mark.parametrize(
    ("argv", "timeout_s", "words"),
    [
        ((sys.executable, "-c", "import sys; sys.exit('disk full')"), 60.0, "left with 1: disk full"),
        ((sys.executable, "-c", "import time; time.sleep(60)"), 0.5, "did not end within 0 s; it was killed"),
        (("/no/such/program",), 60.0, "cannot be started"),
    ],
)
def test_a_command_that_fails_hangs_or_is_not_there_is_told_by_name(ledger, tmp_path, argv, timeout_s, words):
    place = CommandPlace(argv, timeout_s)
    say(ledger)
    shipping(ledger, tmp_path, place).step(NOON)

    assert words in sent(ledger, place.name).error
    assert sent(ledger, place.name).delivered == 0


def test_a_place_that_hangs_holds_up_neither_the_loop_nor_the_others(ledger, tmp_path):
    slow = CommandPlace((sys.executable, "-c", "import sys, time; sys.stdin.read(); time.sleep(3)"), 60.0)
    other = folder_at(tmp_path)
    ship = shipping(ledger, tmp_path, slow, other, patience_s=0.2)
    say(ledger)
    ship.step(NOON)
    begun = time.monotonic()
    say(ledger, 6)
    ship.step(NOON + timedelta(minutes=1))
    spent = time.monotonic() - begun
    before = sent(ledger, slow.name).delivered
    while any(thread.is_alive() for thread in ship._under_way.values()):
        time.sleep(0.1)
    ship.step(NOON + timedelta(minutes=2))

    assert spent < 2.5
    assert before == 0
    assert sent(ledger, other.name).delivered == 8
    assert sent(ledger, slow.name).delivered >= 1


def test_a_folder_that_was_emptied_gets_everything_anew(ledger, tmp_path, keys):
    place = folder_at(tmp_path)
    ship = shipping(ledger, tmp_path, place)
    say(ledger, 6)
    ship.step(NOON)
    for path in place.folder.iterdir():
        path.unlink()
    say(ledger, 6)
    ship.step(NOON + timedelta(hours=1))

    assert check_export(place.folder, keys).problems == []
    assert sent(ledger, place.name).delivered == 13


@pytest.mark.parametrize("edit", ["first part gone", "last part gone", "part doubled", "parts exchanged"])
def test_a_folder_with_a_part_lost_doubled_or_exchanged_does_not_verify(ledger, tmp_path, keys, edit):
    place = folder_at(tmp_path)
    ship = shipping(ledger, tmp_path, place)
    for hour in range(3):
        say(ledger, 6)
        ship.step(NOON + timedelta(hours=hour))
    parts = sorted(place.folder.iterdir())
    kept = check_export(place.folder, keys).last
    match edit:
        case "first part gone":
            parts[0].unlink()
        case "last part gone":
            parts[-1].unlink()
        case "part doubled":
            (place.folder / "000000000099-000000000099.jsonl").write_bytes(parts[-1].read_bytes())
        case _:
            one, other = parts[0].read_bytes(), parts[1].read_bytes()
            parts[0].write_bytes(other)
            parts[1].write_bytes(one)

    assert check_export(place.folder, keys, [kept]).problems != []


KILLED = """
import sys
from datetime import timedelta
from benchmarks.record_edits import NOON
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.record import Cadence, FolderPlace, HeadSigner, Shipping, own_key
from pathlib import Path
home, start = Path(sys.argv[1]), int(sys.argv[2])
with Ledger.open(f"sqlite:///{home}/ledger.db") as ledger:
    key = own_key(home / "record.pem", "record")
    ship = Shipping(ledger, lambda: HeadSigner(ledger, key, Cadence(facts=2, minutes=10)), [FolderPlace(home / "away")],
                    owner=str(start))
    print("ready", flush=True)
    for number in range(10_000):
        ledger.append("daemon", [f.Paused(at=NOON, actor="timo", reason="access")])
        ship.step(NOON + timedelta(days=start, seconds=number))
"""


def test_a_daemon_killed_while_it_exports_leaves_a_record_that_goes_on(tmp_path):
    (tmp_path / "away").mkdir()
    for start in range(4):
        argv = [sys.executable, "-c", KILLED, str(tmp_path), str(start)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ}) as child:
            child.stdout.readline()
            time.sleep(0.4 + 0.31 * start)
            child.send_signal(signal.SIGKILL)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        say(ledger, 6)
        shipping(ledger, tmp_path, FolderPlace(tmp_path / "away")).step(NOON + timedelta(days=9))
        facts, newest = ledger.head().sequence, ledger.facts(kind="head_signed")[-1].fact.size
        whole = ledger.verify()
    found = check_export(tmp_path / "away", [own_key(tmp_path / "record.pem", "record").public])

    assert whole == []
    assert found.problems == []
    assert found.facts == newest == facts - 1


def test_a_segment_says_what_it_is_on_its_first_line(ledger, tmp_path, keys):
    place = folder_at(tmp_path)
    say(ledger)
    shipping(ledger, tmp_path, place).step(NOON)
    (part,) = place.folder.iterdir()
    lines = [json.loads(line) for line in part.read_text().splitlines()]

    assert lines[0] == {"record": {"first": 1, "format": "retrigger-record/1", "keys": [keys[0].keyid]}}
    assert [set(line) for line in lines[1:]] == [{"sequence", "subject", "kind", "body", "previous", "hash"}, {"head"}]


def test_a_place_that_is_a_command_is_shown_without_its_words():
    shown = {short_name(f"upload --token {secret}") for secret in ("hunter2", "hunter3")}

    assert short_name("/mnt/record") == "/mnt/record"
    assert len(shown) == 2
    assert all(name.startswith("upload … ") and "hunter" not in name for name in shown)
