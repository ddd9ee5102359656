"""What the command line says to a person who makes mistakes, and to a script."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.ledger import Ledger
from daemon.lifecycle import facts as f

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def retrigger(*words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon", *map(str, words)], capture_output=True, text=True, check=False, input=stdin
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    home = tmp_path_factory.mktemp("cli") / "home"
    assert retrigger("init", home).returncode == 0
    return home / "retrigger.toml"


@pytest.mark.parametrize(
    "words",
    [
        ("frob",),
        ("simulate", "--fills", "many", "out"),
        ("history", "--run", "1"),
        ("scan", "nowhere.root", "--reference", "nothing.npz"),
        ("show", "c-0001"),
    ],
)
def test_wrong_use_is_one_readable_line_and_status_2(words, tmp_path):
    answer = subprocess.run(
        [sys.executable, "-m", "daemon", *words], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip

    assert answer.returncode == 2
    assert answer.stderr.startswith("retrigger: ")
    assert "Traceback" not in answer.stderr


def test_a_traceback_is_shown_when_asked_for(tmp_path):
    answer = retrigger("--debug", "scan", tmp_path / "x.root", "--reference", "y", "--config", tmp_path / "z.toml")

    assert answer.returncode == 2
    assert "Traceback" in answer.stderr


def test_init_does_not_overwrite_a_configuration(config):
    answer = retrigger("init", config.parent)

    assert answer.returncode == 2
    assert "already there" in answer.stderr


def test_an_unknown_place_in_the_record_leaves_with_1(config):
    answer = retrigger("history", "--config", config, "--run", 1, "--lumisection", 1, "--json")

    assert answer.returncode == 1
    assert json.loads(answer.stdout)["digest"] == ""


def test_the_empty_record_verifies(config):
    answer = retrigger("audit", "verify", "--config", config, "--json")

    assert answer.returncode == 0
    assert json.loads(answer.stdout)["problems"] == []


def test_the_doctor_names_everything_that_is_missing(config):
    answer = retrigger("doctor", "--config", config, "--json")
    missing = {one["what"] for one in json.loads(answer.stdout)["findings"] if not one["good"]}

    assert answer.returncode == 1
    assert missing >= {"reference", "beam mode", "champion", "people"}


def test_the_doctor_opens_what_the_daemon_will_read(config, tmp_path):
    """A file that exists may be half a file; the daemon would refuse it at its start."""
    home = Path(shutil.copytree(config.parent, tmp_path / "home"))
    file = home / "retrigger.toml"
    file.write_text(file.read_text().replace('# rate_reference = "rates.json"', 'rate_reference = "rates.json"'))
    (home / "reference.npz").write_bytes(b"PK\x03\x04 half a reference")
    (home / "rates.json").write_text("no JSON")
    answer = retrigger("doctor", "--config", home / "retrigger.toml", "--json")
    found = {one["what"]: (one["good"], one["detail"]) for one in json.loads(answer.stdout)["findings"]}
    (home / "rates.json").unlink()
    without = retrigger("doctor", "--config", home / "retrigger.toml")

    assert found["reference"][0] is False
    assert f"{home}/reference.npz is a damaged reference; fit it again" in found["reference"][1]
    assert found["rate reference"][0] is False
    assert "cannot be read as a rate reference" in found["rate reference"][1]
    assert found["counters"][0] is False
    assert "counters cannot be read as seed counts" in found["counters"][1]
    assert f"TO MEND rate reference: there is no rate reference at {home}/rates.json" in without.stdout


def test_checking_a_configuration_says_that_only_the_file_was_looked_at(config):
    answer = retrigger("check-config", config)

    assert answer.returncode == 0
    assert answer.stdout.startswith(f"{config}: no problem in the file itself; whether the references")
    assert f"retrigger doctor --config {config}" in answer.stdout


def test_only_a_root_opens_accounts_once_there_is_one(config):
    first = retrigger(
        "people", "add", "rita", "--role", "root", "--config", config, "--password-stdin", stdin="a long secret\n"
    )
    refused = retrigger(
        "people", "add", "mallory", "--role", "root", "--config", config, "--password-stdin", "--person", "mallory",
        stdin="another secret\n",
    )  # fmt: skip
    allowed = retrigger(
        "people", "add", "bo", "--role", "trigger_oncall", "--config", config, "--password-stdin", "--person", "rita",
        stdin="a long secret\nhis own secret\n",
    )  # fmt: skip

    assert first.returncode == 0, first.stderr
    assert refused.returncode == 2
    assert allowed.returncode == 0, allowed.stderr
    names = [
        json.loads(line)["name"]
        for line in retrigger("people", "list", "--config", config, "--json").stdout.splitlines()
    ]
    assert sorted(names) == ["bo", "rita"]


def test_a_closed_alarm_says_who_closed_it_and_cannot_be_closed_again(tmp_path):
    home = tmp_path / "home"
    retrigger("init", home)
    file, ledger = home / "retrigger.toml", f"sqlite:///{home / 'ledger.db'}"
    alarm = {"text": "a hole", "action": "call the expert", "verdict": "broken_detector"}
    raised = [
        f.AlarmRaised(at=NOON, actor="daemon", stream="ZeroBias", alarm_id=name, alarm=alarm) for name in ("one", "two")
    ]
    with Ledger.open(ledger) as record:
        record.append("ZeroBias", raised)
    retrigger(
        "people", "add", "ada", "--role", "ml_expert", "--config", file, "--password-stdin", stdin="a long secret\n"
    )
    asked = ("faults", "--config", file, "--person", "ada", "--password-stdin", "--close")
    unreasoned = retrigger("faults", "--config", file, "--close", "one")
    retrigger(*asked, "one", "--reason", "a dead crate, replaced", stdin="a long secret\n")
    again = retrigger(*asked, "one", "--reason", "once more", stdin="a long secret\n")
    unknown = retrigger(*asked, "three", "--reason", "which", stdin="a long secret\n")
    first, second = retrigger("alarms", "--config", file).stdout.splitlines()
    told, standing = (json.loads(line) for line in retrigger("alarms", "--config", file, "--json").stdout.splitlines())

    assert (unreasoned.returncode, again.returncode, unknown.returncode) == (2, 2, 2)
    assert "say what it was: retrigger faults --close one --reason" in unreasoned.stderr
    assert "alarm one is not open any more, closed by ada at 20" in again.stderr
    assert "a dead crate, replaced" in again.stderr
    assert unknown.stderr == "retrigger: ZeroBias: there is no alarm 'three'; `retrigger alarms` lists them\n"
    assert first.startswith("one: a hole  It is closed by ada at 20")
    assert "call the expert" not in first
    assert second == "two: a hole  To do: call the expert"
    assert (told["closed"]["by"], told["closed"]["reason"]) == ("ada", "a dead crate, replaced")
    assert standing["closed"] is None


def test_pausing_takes_a_person_with_a_role_and_is_in_the_record(config):
    nobody = retrigger(
        "pause", "--reason", "x", "--config", config, "--person", "eve", "--password-stdin", stdin="no\n"
    )

    assert nobody.returncode == 2
    assert "Traceback" not in nobody.stderr
