"""A new jet table through the command line: undeclared, declared, of unknown scope, and re-baselined."""

import json
import shutil
import sqlite3
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
    retrigger("run", "--config", home / "retrigger.toml", "--once", "--no-page")
    with sqlite3.connect(home / "ledger.db") as ledger:
        kinds = [kind for (kind,) in ledger.execute("select kind from facts where subject = 'ZeroBias'")]
        bodies = [json.loads(body) for (body,) in ledger.execute("select body from facts where kind = 'alarm_raised'")]

    assert kinds == ["alarm_raised"]
    assert bodies[0]["alarm"]["verdict"] == "expected_change"


def test_strata_are_chosen_on_the_command_line_and_unknown_ones_refused(base, tmp_path):
    words = ("reference", "fit", "--config", base / "home" / "retrigger.toml", "--output", tmp_path / "ref.npz")
    words = (*words, "--conditions", base / "healthy" / "conditions", base / "healthy" / "incoming", "--strata")
    report = retrigger(*words, "prescale_column")[0]
    retrigger(*words, "weather", status=2)

    assert len(report["strata"]) >= 2
    assert all(one.startswith("prescale column ") for one in report["strata"])
    assert Reference.load(tmp_path / "ref.npz").strata.columns == ("prescale_column",)
