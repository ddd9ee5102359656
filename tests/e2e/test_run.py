"""The daemon on real files: every lumisection once, whatever comes in which order, twice, late or damaged."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drift.simulate import simulate
from tests.e2e.homes import deliver, home_with_reference, outcomes, retrigger, run_once, watch_state


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with configuration and reference, and beside it one live fill that it has not seen."""
    base = tmp_path_factory.mktemp("run")
    simulate("none", 4, 7, base / "healthy", lumisections_per_fill=24, events_per_lumisection=100)
    live = simulate(
        "none", 1, 8, base / "live", lumisections_per_fill=24, events_per_lumisection=100, lumisections_per_file=4,
        first_fill=10_200,
    )  # fmt: skip
    home, report = home_with_reference(base, live.conditions)
    assert report["fills"] == 4
    assert report["failure_modes"] > 80
    return home, live


@pytest.fixture
def home(prepared, tmp_path):
    """A fresh copy of the prepared folder with nothing delivered yet."""
    return Path(shutil.copytree(prepared[0], tmp_path / "home"))


@pytest.fixture
def live(prepared):
    return prepared[1]


def test_each_lumisection_has_one_outcome_and_a_second_run_changes_nothing(home, live):
    deliver(home, *live.files)
    run_once(home)
    first = outcomes(home)
    run_once(home)

    assert len(first) == 24
    assert outcomes(home) == first
    assert {result for _, _, result, *_ in first} <= {"watched", "excluded", "out_of_support"}
    assert sum(result == "watched" for _, _, result, *_ in first) > 12
    assert retrigger("audit", "verify", "--config", home / "retrigger.toml")[0]["problems"] == []


def test_a_run_until_idle_takes_more_files_than_one_turn_does(home, tmp_path):
    """A turn takes at most eight; what is left is the next turn's, however short files are watched for being closed."""
    many = simulate(
        "none", 1, 9, tmp_path / "many", lumisections_per_fill=20, events_per_lumisection=20, lumisections_per_file=2,
        first_fill=10_300,
    )  # fmt: skip
    shutil.copytree(many.conditions, home / "conditions", dirs_exist_ok=True)
    deliver(home, *many.files)
    run_once(home)

    assert len(many.files) == 10
    assert len(outcomes(home)) == 20


def test_the_order_in_which_files_arrive_does_not_matter(home, live, tmp_path):
    straight = Path(shutil.copytree(home, tmp_path / "straight"))
    deliver(straight, *live.files)
    run_once(straight)
    shuffled = list(live.files)
    random.Random(3).shuffle(shuffled)
    deliver(home, shuffled[0])
    for file in shuffled[1:]:
        deliver(home, file)
    run_once(home)

    assert outcomes(home) == outcomes(straight)


def test_a_missing_file_is_waited_for_and_then_taken_in_order(home, live, tmp_path):
    straight = Path(shutil.copytree(home, tmp_path / "straight"))
    deliver(straight, *live.files)
    run_once(straight)
    first, gap, *rest = live.files
    deliver(home, first, *rest)
    run_once(home, status=1)
    held = len(outcomes(home))
    deliver(home, gap)
    run_once(home)

    assert held == 4
    assert outcomes(home) == outcomes(straight)


def test_a_grace_goes_on_over_restarts_and_what_still_waits_is_told(home, live):
    """Each run would begin the grace anew if it were kept in memory, and the files would wait for ever."""
    config = home / "retrigger.toml"
    config.write_text(config.read_text().replace("gap_grace_s = 600.0", "gap_grace_s = 15.0"))
    deliver(home, live.files[0], *live.files[2:])
    command = [sys.executable, "-m", "daemon", "run", "--config", str(config), "--once", "--no-page", "--no-reports"]
    before = time.monotonic()
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    held = len(outcomes(home))
    time.sleep(max(0.0, 16.0 - (time.monotonic() - before)))
    run_once(home)

    assert told.returncode == 1
    assert told.stderr.splitlines()[-1].startswith("retrigger: 4 file(s) wait: ")
    assert "4 earlier lumisections have not arrived" in told.stderr.splitlines()[-1]
    assert (held, len(outcomes(home))) == (4, 20)


def test_a_file_that_comes_after_its_grace_is_late_and_not_watched(home, live):
    config = home / "retrigger.toml"
    config.write_text(config.read_text().replace("gap_grace_s = 600.0", "gap_grace_s = 0.0"))
    first, gap, *rest = live.files
    deliver(home, first, *rest)
    run_once(home)
    deliver(home, gap)
    run_once(home)

    found = {(run, lumisection): result for run, lumisection, result, *_ in outcomes(home)}
    assert len(found) == 24
    assert list(found.values()).count("late") == 4


def test_the_same_bytes_under_another_name_are_a_duplicate(home, live):
    deliver(home, live.files[0])
    run_once(home)
    twin = home / "incoming" / ("again_" + live.files[0].name)
    shutil.copy(live.files[0], twin)
    run_once(home)

    assert len(outcomes(home)) == 4
    status = retrigger("status", "--config", home / "retrigger.toml", status=None)[0]
    assert status["files"] == {"accepted": 1, "duplicate": 1}


def test_a_damaged_file_goes_to_quarantine_with_its_reason_and_the_rest_is_taken(home, live):
    deliver(home, *live.files)
    victim = home / "incoming" / live.files[-1].name
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 0x10
    victim.write_bytes(content)
    run_once(home)

    record = json.loads((home / "quarantine" / (victim.name + ".reason.json")).read_text())
    assert record["code"] == "checksum_mismatch"
    assert (home / "quarantine" / victim.name).read_bytes() == bytes(content)
    assert not victim.exists()
    assert len(outcomes(home)) == 20


def test_lumisections_without_conditions_wait_for_them(home, live):
    for source in (home / "conditions").iterdir():
        source.unlink()
    deliver(home, live.files[0])
    run_once(home, status=1)
    assert outcomes(home) == []

    for source in live.conditions.iterdir():
        shutil.copy(source, home / "conditions" / source.name)
    run_once(home)
    assert len(outcomes(home)) == 4


def test_kill_9_in_the_middle_loses_and_doubles_nothing(home, live, tmp_path):
    straight = Path(shutil.copytree(home, tmp_path / "straight"))
    deliver(straight, *live.files)
    run_once(straight)
    deliver(home, *live.files)
    rng = random.Random(5)
    command = [
        sys.executable,
        "-m",
        "daemon",
        "run",
        "--config",
        str(home / "retrigger.toml"),
        "--no-page",
        "--no-reports",
    ]
    for _ in range(6):
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(1.0 + 2.0 * rng.random())
        child.send_signal(signal.SIGKILL)
        child.wait()
    run_once(home)

    assert outcomes(home) == outcomes(straight)
    assert retrigger("audit", "verify", "--config", home / "retrigger.toml")[0]["problems"] == []


def test_a_second_daemon_on_the_same_ledger_is_refused_in_one_line(home, tmp_path):
    command = [
        sys.executable,
        "-m",
        "daemon",
        "run",
        "--config",
        str(home / "retrigger.toml"),
        "--no-page",
        "--no-reports",
    ]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(120)
        first = subprocess.Popen(
            command, stderr=subprocess.PIPE, env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        )
        try:
            while b"READY=1" not in systemd.recv(4096):
                pass
            second = subprocess.run([*command, "--once"], capture_output=True, text=True, check=False)
        finally:
            first.terminate()
            first.communicate(timeout=60)

    assert second.returncode == 2
    assert "Traceback" not in second.stderr
    assert second.stderr.strip().splitlines()[-1].startswith("retrigger: ")
    assert "another daemon leads" in second.stderr
    assert first.returncode == 0


def test_without_a_reference_the_daemon_names_the_verb_that_makes_one(home):
    (home / "reference.npz").unlink()
    answer = subprocess.run(
        [
            sys.executable,
            "-m",
            "daemon",
            "run",
            "--config",
            str(home / "retrigger.toml"),
            "--once",
            "--no-page",
            "--no-reports",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )

    assert answer.returncode == 2
    assert "retrigger reference fit" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_scan_speaks_the_public_form(home, live):
    lines = retrigger("scan", "--config", home / "retrigger.toml", "--reference", home / "reference.npz", *live.files)

    assert lines[-1].keys() == {
        "type", "lumisections", "watched", "excluded", "out_of_support", "data_gap", "states", "not_watched",
        "silenced", "alarms", "quarantined", "events", "notes", "seconds",
    }  # fmt: skip
    assert lines[-1]["lumisections"] == 24
    assert lines[-1]["events"] == 2400
    assert lines[-1]["quarantined"] == []
    assert [line for line in lines if line["type"] == "alarm"] == []


def test_a_scan_of_a_damaged_file_leaves_with_1_and_names_it(home, live, tmp_path):
    broken = tmp_path / live.files[0].name
    broken.write_bytes(live.files[0].read_bytes()[:2000])
    lines = retrigger(
        "scan", "--config", home / "retrigger.toml", "--reference", home / "reference.npz", broken, status=1
    )

    assert [one["path"] for one in lines[-1]["quarantined"]] == [str(broken)]


def test_a_file_put_back_from_quarantine_is_read_again_and_counted(home, live):
    deliver(home, *live.files)
    sidecar = home / "incoming" / (live.files[-1].name + ".sha256")
    right = sidecar.read_text()
    sidecar.write_text("0" * 64 + right[64:])
    run_once(home)
    held = len(outcomes(home))
    victim = home / "quarantine" / live.files[-1].name
    sidecar.write_text(right)
    victim.rename(home / "incoming" / victim.name)
    run_once(home)

    assert held == 20
    assert len(outcomes(home)) == 24
    assert retrigger("audit", "verify", "--config", home / "retrigger.toml")[0]["problems"] == []


def test_a_full_disk_for_a_while_changes_neither_the_evidence_nor_the_record(home, live, tmp_path):
    straight = Path(shutil.copytree(home, tmp_path / "straight"))
    deliver(straight, *live.files)
    run_once(straight)
    deliver(home, *live.files)
    blocked = home / "state" / "events"
    blocked.write_text("a file where a folder should be, so that no event can be stored")
    answer = subprocess.run(
        [
            sys.executable,
            "-m",
            "daemon",
            "run",
            "--config",
            str(home / "retrigger.toml"),
            "--once",
            "--no-page",
            "--no-reports",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    told = retrigger("status", "--config", home / "retrigger.toml", status=1)[0]["doing"]
    blocked.unlink()
    run_once(home)

    assert answer.returncode == 2
    assert answer.stderr.splitlines()[-1].startswith("retrigger: in trouble: intake: ")
    assert told.startswith("in trouble: intake")
    assert outcomes(home) == outcomes(straight)
    assert watch_state(home) == watch_state(straight)
