"""What the configuration and the champion make of a candidate's recipe and job."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.lifecycle import fold
from daemon.triggers import job_of
from retrain import bundle as bundles
from tests.unit.daemon.test_triggers import NOON, SLOT, STREAM, asked, fill, on_board, raised, triggers, wish
from tests.unit.retrain.conftest import stage_bundle


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


@pytest.fixture
def parent(ledger, tmp_path):
    """A champion on record whose weights learned lumisections 1 to 15 of run 10."""
    identity = stage_bundle(tmp_path / "staging")
    learned = {"training": {"ranges": ["10:1-15"], "events": 1500}}
    bundles.write_json(tmp_path / "staging" / "evidence" / "dataset.json", learned)
    sealed = bundles.seal(tmp_path / "staging", tmp_path / "bundles", identity)
    fact = f.ChampionImported(at=NOON, actor="import", slot=SLOT, digest=sealed.digest, bundle_path=str(sealed.path))
    ledger.append(SLOT, (fact,))
    return sealed


def test_the_signals_that_are_kept_are_asked_for_and_listed_in_the_job(ledger, parent, tmp_path):
    rows = [{"name": name, "path": f"{name}.npy", "sha256": "a" * 64, "pileup": None} for name in ("ZToEE", "TTbar")]
    (tmp_path / "signals").mkdir()
    (tmp_path / "signals" / "signals.json").write_text(json.dumps({"signals": rows}))
    fill(ledger, 40)
    wish(ledger, "weights")
    watch = on_board(ledger, parent, signals=tmp_path / "signals", margin=0.2, faults=())
    watch.step(NOON)
    recipe = asked(ledger)[0].recipe

    (tmp_path / "signals" / "signals.json").write_text(
        json.dumps({"signals": [*rows, {**rows[0], "name": "Later", "sha256": "b" * 64}]})
    )
    candidate = fold(one.fact for one in ledger.facts(subject=asked(ledger)[0].candidate))
    job = job_of(candidate, watch._settings, ledger, parent.path, tmp_path / "job")
    assert (recipe["signals"], recipe["margin"]) == (["TTbar", "ZToEE"], 0.2)
    assert [one["name"] for one in job["signals"]] == ["ZToEE", "TTbar"]
    assert job["signals"][0]["path"] == str(tmp_path / "signals" / "ZToEE.npy")
    assert (recipe.get("faults"), job["faults"]) == (None, [])


def test_the_faults_of_a_candidate_are_replayed_beside_its_job(ledger, parent, tmp_path):
    fill(ledger, 40, events=tmp_path / "events")
    wish(ledger, "weights")
    watch = on_board(ledger, parent, faults=("met_noise=20", "gain_jet=0.1"))
    watch.step(NOON)

    candidate = fold(one.fact for one in ledger.facts(subject=asked(ledger)[0].candidate))
    job = job_of(candidate, watch._settings, ledger, parent.path, tmp_path / "job")
    assert asked(ledger)[0].recipe["faults"] == ["gain_jet=0.1", "met_noise=20"]
    assert [one["name"] for one in job["faults"]] == ["healthy", "gain_jet=0.1", "met_noise=20"]
    assert {Path(one["path"]).parent for one in job["faults"]} == {tmp_path / "job" / "faults"}
    assert job == job_of(candidate, watch._settings, ledger, parent.path, tmp_path / "job")


def test_a_fault_that_nobody_knows_is_told_to_whoever_asked(ledger, parent):
    fill(ledger, 40)
    wish(ledger, "weights")
    watch = on_board(ledger, parent, faults=("gain_jets=0.1",))
    watch.step(NOON)

    assert "did you mean 'gain_jet'" in watch.refused
    assert asked(ledger) == []


@pytest.mark.parametrize(("trigger", "needed"), [("cron", True), ("manual", None)])
def test_by_schedule_alone_a_candidate_has_to_be_better(ledger, parent, trigger, needed):
    fill(ledger, 40)
    ledger.add_work("train", NOON, {"trigger": trigger, "initiator": "daemon", "reason": "schedule"})
    on_board(ledger, parent).step(NOON)

    assert asked(ledger)[0].recipe.get("needs_gain") == needed


def test_without_a_champion_there_is_nothing_to_be_better_than(ledger):
    fill(ledger, 40)
    ledger.add_work("train", NOON, {"trigger": "cron", "initiator": "daemon", "reason": "schedule"})
    triggers(ledger).step(NOON)

    assert "needs_gain" not in asked(ledger)[0].recipe


@pytest.mark.parametrize("policy", ["naive", "replay", "ewc", "lwf", "replay_lwf"])
def test_a_candidate_learns_by_the_configured_policy_in_the_champions_shape(ledger, parent, policy):
    fill(ledger, 40)
    wish(ledger, "weights")
    watch = on_board(ledger, parent, policy=policy)
    watch.step(NOON)

    if policy in {"replay", "replay_lwf"}:
        assert "has none" in watch.refused  # this champion was never given a memory
        return
    own = asked(ledger)[0].recipe
    assert own["policy"]["name"] == policy
    assert (own["hidden"], own["latent"]) == (list(parent.recipe.hidden), parent.recipe.latent)


def test_another_shape_than_the_champions_is_refused_unless_weights_are_fresh(ledger, parent):
    fill(ledger, 40)
    wish(ledger, "weights")
    watch = on_board(ledger, parent, policy="ewc", hidden=(5, 4))
    watch.step(NOON)

    assert asked(ledger) == []
    assert "retrain.hidden is (5, 4)" in watch.refused

    ledger.add_work("train", NOON + timedelta(seconds=1), {"trigger": "manual", "initiator": "ada", "reason": "again"})
    on_board(ledger, parent, hidden=(5, 4)).step(NOON + timedelta(seconds=1))
    assert asked(ledger)[0].recipe["hidden"] == [5, 4]


def test_the_rows_of_a_job_say_the_era_that_was_declared(ledger, parent, tmp_path):
    fill(ledger, 20, events=tmp_path / "events")
    fill(ledger, 20, run=12, lhc=2, events=tmp_path / "events")
    wish(ledger, "weights")
    watch = on_board(ledger, parent, faults=(), eras=((12, "2026B"), (11, "2026A")))
    watch.step(NOON)

    candidate = fold(one.fact for one in ledger.facts(subject=asked(ledger)[0].candidate))
    job = job_of(candidate, watch._settings, ledger, parent.path, tmp_path / "job")
    assert {one["run"]: one.get("era") for one in job["lumisections"]} == {10: None, 12: "2026B"}


def test_what_the_champion_learned_and_turned_out_bad_is_to_be_forgotten(ledger, parent):
    fill(ledger, 40)
    ledger.certify([(10, 3, False), (10, 30, False)], NOON)
    ledger.append(STREAM, (raised("transient", onset=(10, 12), lumisection=13),))

    assert [str(span) for span in triggers(ledger).lessons.turned_bad(parent)] == ["10:3-3", "10:10-13"]
