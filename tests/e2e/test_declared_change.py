"""A new jet table through the command line: undeclared, declared, of unknown scope, and re-baselined."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from drift.reference import Reference
from drift.simulate import simulate
from tests.e2e.homes import home_with_reference, retrigger


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Healthy fills with a reference, and a small week in whose fourth fill the jet table is replaced."""
    base = tmp_path_factory.mktemp("declared")
    simulate(
        "none", 4, 41, base / "healthy", lumisections_per_fill=40, events_per_lumisection=200, first_fill=9_001
    )  # fmt: skip
    simulate("jet_lut:scale=1.08", 6, 43, base / "week", lumisections_per_fill=30, events_per_lumisection=200)
    home_with_reference(base)
    return base


@pytest.fixture
def conditions(base, tmp_path):
    return Path(shutil.copytree(base / "week" / "conditions", tmp_path / "conditions"))


def declare(base, conditions, objects):
    onset = json.loads((base / "week" / "truth" / "truth.json").read_text())["changes"][0]["onset"]
    change = {
        "id": "lut-2",
        "kind": "calibration",
        "first": {"run": onset["run"], "lumisection": onset["lumisection"]},
        "last": None,
        "objects": objects,
        "words": "new jet table",
        "by": "calo on-call",
    }
    (conditions / "declared.jsonl").write_text(json.dumps(change) + "\n", encoding="utf-8")


def scan(base, conditions, status, reference=None):
    home = base / "home"
    *alarms, summary = retrigger(
        *("scan", "--config", home / "retrigger.toml", "--reference", reference or home / "reference.npz"),
        *("--conditions", conditions, base / "week" / "incoming"),
        status=status,
    )
    assert summary["alarms"] == len(alarms)
    return [one["verdict"] for one in alarms], summary["watched"]


def test_the_new_table_is_a_real_shift_nothing_or_expected_as_it_was_declared(base, conditions):
    undeclared, watched = scan(base, conditions, 1)
    declare(base, conditions, ["JET", "MET"])
    declared = scan(base, conditions, 0)
    declare(base, conditions, [])
    unknown, _ = scan(base, conditions, 1)

    assert undeclared == ["real_shift"]
    assert declared == ([], watched)
    assert unknown == ["expected_change"]


def test_the_declared_interval_is_rebaselined_and_the_rest_stays(base, conditions, tmp_path):
    declare(base, conditions, ["JET", "MET"])
    home = base / "home"
    words = ("reference", "rebaseline", home / "reference.npz", base / "week" / "incoming", "--conditions", conditions)
    words = (*words, "--config", home / "retrigger.toml", "--output")
    report = retrigger(*words, tmp_path / "new.npz", "--change", "lut-2")[0]
    before, after = (Reference.load(path) for path in (home / "reference.npz", tmp_path / "new.npz"))
    (conditions / "declared.jsonl").unlink()

    assert report["parent"] == before.digest == after.parent
    assert report["digest"] == after.digest
    assert report["fills"] >= 2
    assert report["lumisections"] >= 60
    assert scan(base, conditions, 0, tmp_path / "new.npz")[0] == []


def test_rebaselining_what_nobody_declared_or_onto_the_reference_itself_is_refused(base, conditions, tmp_path):
    home = base / "home"
    words = ("reference", "rebaseline", home / "reference.npz", base / "week" / "incoming", "--conditions", conditions)
    words = (*words, "--config", home / "retrigger.toml", "--change", "lut-2")
    retrigger(*words, "--output", tmp_path / "new.npz", status=2)
    retrigger(*words, "--output", home / "reference.npz", status=2)

    assert not (tmp_path / "new.npz").exists()


def test_the_daemon_calls_nobody_and_asks_for_no_candidate_about_an_expected_change(base, conditions, tmp_path):
    home = Path(shutil.copytree(base / "home", tmp_path / "home"))
    declare(base, conditions, [])
    for source in conditions.iterdir():
        shutil.copy(source, home / "conditions" / source.name)
    for file in (base / "week" / "incoming").iterdir():
        shutil.copy(file, home / "incoming" / file.name)
    retrigger("run", "--config", home / "retrigger.toml", "--once", "--no-page", "--no-reports")
    with sqlite3.connect(home / "ledger.db") as ledger:
        kinds = [kind for (kind,) in ledger.execute("select kind from facts where subject = 'ZeroBias'")]
        bodies = [json.loads(body) for (body,) in ledger.execute("select body from facts where kind = 'alarm_raised'")]

    told = retrigger("status", "--config", home / "retrigger.toml", status=None)[0]["declared"]

    assert kinds == ["alarm_raised"]
    assert "an alarm that begins with it is an expected change" in told[0]["words"]
    assert bodies[0]["alarm"]["verdict"] == "expected_change"


def test_the_daemon_says_what_is_declared_in_force_and_what_was_not_understood(base, conditions, tmp_path):
    home = Path(shutil.copytree(base / "home", tmp_path / "home"))
    declare(base, conditions, ["JET", "MET"])
    with (conditions / "declared.jsonl").open("a", encoding="utf-8") as sink:
        sink.write(json.dumps({"id": "lut-3", "kind": "calibration"}) + "\n")
    for source in conditions.iterdir():
        shutil.copy(source, home / "conditions" / source.name)
    for file in (base / "week" / "incoming").iterdir():
        shutil.copy(file, home / "incoming" / file.name)
    command = [
        sys.executable,
        "-m",
        "daemon",
        "run",
        "--config",
        str(home / "retrigger.toml"),
        "--once",
        "--no-page",
        "--no-reports",
    ]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    told = retrigger("status", "--config", home / "retrigger.toml", status=None)[0]
    (row,) = [
        one
        for one in retrigger("doctor", "--config", home / "retrigger.toml", status=1)[0]["findings"]
        if one["what"] == "conditions"
    ]

    assert [(one["id"], one["silences"]) for one in told["declared"]] == [("lut-2", ["MET", "JET"])]
    assert "retrigger reference rebaseline" in told["declared"][0]["words"]
    assert told["input_faults"]["conditions"][0] == 1
    assert "declared change 2: first is None" in told["input_faults"]["conditions"][1]
    assert log.count("declared change 2: first is None") == 1
    assert not row["good"]
    assert row["detail"].startswith("1 fault, the newest: ")


def test_strata_are_chosen_on_the_command_line_and_unknown_ones_refused(base, tmp_path):
    words = ("reference", "fit", "--config", base / "home" / "retrigger.toml", "--output", tmp_path / "ref.npz")
    words = (*words, "--conditions", base / "healthy" / "conditions", base / "healthy" / "incoming", "--strata")
    report = retrigger(*words, "prescale_column")[0]
    retrigger(*words, "weather", status=2)

    assert len(report["strata"]) >= 2
    assert all(one.startswith("prescale column ") for one in report["strata"])
    assert Reference.load(tmp_path / "ref.npz").strata.columns == ("prescale_column",)
