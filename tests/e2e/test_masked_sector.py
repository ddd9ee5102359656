"""A dead sector in the training window: no candidate; masked and declared: one, which passes."""

import json

import pytest

from daemon.demo.delivery import Delivery
from daemon.demo.stage import PASSWORDS, Act, Scale, prepare
from tests.e2e.homes import deliver, retrigger, run_once

ACT = Act("masked", "hem1516", 6, 32, 9620, "two sectors of the hadron calorimeter lose power and are then masked")
MASK = {
    "id": "hem-7",
    "kind": "mask",
    "last": None,
    "objects": ["EG", "MET"],
    "region": {"object": "JET", "eta": [-2.964, -1.305], "phi": [-1.571, -0.873]},
    "words": "sectors 15 and 16 masked",
    "by": "HCAL on-call",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A reference, a proven champion, accounts, and six fills that wait; towers go dead in the fourth."""
    home = tmp_path_factory.mktemp("masked") / "home"
    prepare(home, lambda _: None, Scale(), [ACT])
    Delivery(home).conditions(ACT)
    return home


@pytest.fixture(scope="module")
def played(home):
    """What the record said before and after the sector was masked and declared."""
    files = sorted((home / "staged" / ACT.name / "incoming").glob("*.root"))
    (change,) = json.loads((home / "staged" / ACT.name / "truth" / "truth.json").read_text())["changes"]
    last = max(int(one.name[3:9]) for one in files if int(one.name[3:9]) <= change["onset"]["run"])
    early = [one for one in files if int(one.name[3:9]) <= last]
    deliver(home, *early)
    run_once(home)
    ask(home, "ada", "train", "--reason", "weekly")
    run_once(home)
    before = said(home)
    onset = before["alarms"][0]["alarm"]["onset"]
    declared = {**MASK, "first": {"run": onset["run"], "lumisection": onset["lumisection"]}}
    (home / "conditions" / "declared.jsonl").write_text(json.dumps(declared) + "\n")
    for fault in before["faults"]:
        ask(home, "cleo", "faults", "--close", fault["id"], "--reason", "masked and declared")
    deliver(home, *(one for one in files if one not in early))
    run_once(home)
    ask(home, "ada", "train", "--reason", "learn the masked detector")
    retrigger("run", "--config", home / "retrigger.toml", "--once", "--no-page", status=None)
    return before, said(home), change


def ask(home, person, *words):
    config = home / "retrigger.toml"
    retrigger(*words, "--config", config, "--person", person, "--password-stdin", stdin=PASSWORDS[person] + "\n")


def said(home):
    config = ("--config", home / "retrigger.toml")
    return {
        "alarms": retrigger("alarms", *config, status=None),
        "faults": retrigger("faults", *config, status=None)[0]["open"],
        "candidates": retrigger("candidates", *config),
        "doing": retrigger("status", *config, status=None)[0]["doing"],
    }


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_dead_sector_in_the_training_window_makes_no_candidate(played):
    before, _, change = played

    assert [one["id"].rpartition(":")[2] for one in before["alarms"]] == ["broken_detector"]
    assert before["alarms"][0]["alarm"]["onset"]["run"] == change["onset"]["run"]
    assert before["candidates"] == []
    assert "close the fault, then retrain" in before["doing"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_masked_and_declared_sector_alarms_no_more_and_its_candidate_learns_it_and_passes(played, home):
    _, after, change = played
    (candidate,) = after["candidates"]
    recipe = json.loads((home / "state" / "bundles" / candidate["bundle"] / "recipe.json").read_text())
    runs = {run for run, _, _ in recipe["lumisections"]}

    assert after["alarms"][1:] == []
    assert candidate["phase"] == "pending_approval"
    assert {one["verdict"] for one in candidate["gates"]} == {"pass"}
    assert max(runs) > change["onset"]["run"]
