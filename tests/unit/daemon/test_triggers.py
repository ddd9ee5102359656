"""What a candidate may learn from, and when one is asked for."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apscheduler.triggers.cron import CronTrigger

from daemon.candidates import Candidates
from daemon.config import Settings
from daemon.deploy import InMemoryTarget
from daemon.ledger import FileTaken, Ledger, Outcome
from daemon.lessons import FOREVER, quarantined
from daemon.lifecycle import facts as f
from daemon.people import People
from daemon.policy_file import load_policy
from daemon.sight import Sight, TableCertifier
from daemon.targets.filesystem import FilesystemTarget
from daemon.triggers import Triggers
from drift.conditions import BeamModeFeed
from retrain import bundle as bundles
from tests.unit.retrain.conftest import stage_bundle, zero_bias

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
STREAM, SLOT = "ZeroBias", "L1_AXO"


NOWHERE = Path(__file__).parent / "no-such-folder"
"""An empty board, no conditions, no beam."""


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def alarm(verdict: str, run: int = 10, lumisection: int = 22, onset: tuple[int, int] = (10, 20)) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "run": run,
        "lumisection": lumisection,
        "onset": {"run": onset[0], "lumisection": onset[1]},
        "text": "e/gamma scale -2 %",
    }


def raised(verdict: str, **more: Any) -> f.AlarmRaised:
    return f.AlarmRaised(at=NOON, actor="daemon", stream=STREAM, alarm_id=f"a:{verdict}", alarm=alarm(verdict, **more))


def fault() -> f.FaultOpened:
    body = alarm("broken_detector")
    return f.FaultOpened(
        at=NOON, actor="daemon", stream=STREAM, alarm_id="a:b", alarm=body, onset_run=10, onset_lumisection=20
    )


def closed(run: int, lumisection: int) -> f.FaultClosed:
    return f.FaultClosed(
        at=NOON,
        actor="cleo",
        stream=STREAM,
        alarm_id="a:b",
        person="cleo",
        reason="mended",
        until_run=run,
        until_lumisection=lumisection,
    )


def stored(folder: Path, number: int) -> dict[str, str]:
    """Write the events of a lumisection, and return where they are as the ledger has it."""
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{number}.npy", zero_bias(100, number))
    sha256 = hashlib.sha256((folder / f"{number}.npy").read_bytes()).hexdigest()
    return {"events_path": str(folder / f"{number}.npy"), "events_sha256": sha256}


def nowhere(run: int, number: int) -> dict[str, str]:
    return {"events_path": f"/events/{run}/{number}.npy", "events_sha256": "0" * 64}


def fill(
    ledger: Ledger,
    lumisections: int,
    *,
    run: int = 10,
    certified: bool | None = True,
    events: Path | None = None,
    lhc: int = 1,
) -> None:
    outcomes = [
        Outcome(
            stream=STREAM,
            run=run,
            lumisection=number,
            result="watched",
            reason="",
            events=100,
            fill=lhc,
            pileup=50.0,
            certified=certified,
            **(stored(events, number) if events else nowhere(run, number)),
            file_sha256=f"{run:064d}",
        )
        for number in range(1, lumisections + 1)
    ]
    file = FileTaken(path=f"run{run}", sha256=f"{run:064d}", bytes=1, stream=STREAM, outcome="accepted", at=NOON)
    assert ledger.take_file(file, outcomes, None, ())


def sight(ledger: Ledger) -> Sight:
    target, beam = FilesystemTarget(NOWHERE), BeamModeFeed(NOWHERE / "beam_mode.jsonl", 900.0)
    return Sight(ledger, People(ledger), target, TableCertifier(NOWHERE), beam, STREAM)


def triggers(ledger: Ledger, *, minimum: int = 10) -> Triggers:
    settings = Settings()
    retrain = settings.retrain.model_copy(update={"minimum_lumisections": minimum, "maximum_lumisections": 100})
    return Triggers(settings.model_copy(update={"retrain": retrain}), ledger, sight(ledger), load_policy(), owner="t")


def asked(ledger: Ledger) -> list[f.CandidateRequested]:
    facts = [one.fact for one in ledger.facts(kind="candidate_requested")]
    return [fact for fact in facts if isinstance(fact, f.CandidateRequested)]


def test_an_open_fault_quarantines_from_its_onset_less_a_margin_without_end():
    assert quarantined([fault()], margin=2) == [((10, 18), FOREVER)]


def test_a_closed_fault_keeps_its_lumisections_out_for_good():
    assert quarantined([fault(), closed(12, 7)], margin=2) == [((10, 18), (12, 7))]


def test_a_transient_keeps_only_itself_out():
    assert quarantined([raised("transient")], margin=2) == [((10, 18), (10, 22))]


def test_a_real_shift_asks_for_one_candidate_from_its_onset_on(ledger):
    fill(ledger, 40)
    ledger.append(STREAM, (raised("real_shift"),))
    watch = triggers(ledger)
    watch.step(NOON)
    watch.step(NOON + timedelta(days=3))

    assert [fact.trigger for fact in asked(ledger)] == ["drift"]
    assert asked(ledger)[0].recipe["lumisections"] == [[10, 20, 39]]


@pytest.mark.parametrize("there", [39, 41, 48])
def test_what_a_candidate_learns_does_not_depend_on_when_the_daemon_came_to_ask(ledger, there):
    """A daemon that was down for a while finds more lumisections; it asks for the same recipe."""
    fill(ledger, there)
    ledger.append(STREAM, (raised("real_shift"),))
    triggers(ledger).step(NOON)

    assert asked(ledger)[0].recipe["lumisections"] == [[10, 20, 39]]


def test_a_real_shift_waits_until_there_is_enough_to_learn_from(ledger):
    fill(ledger, 40)
    ledger.append(STREAM, (raised("real_shift"),))
    watch = triggers(ledger, minimum=30)
    watch.step(NOON)

    assert asked(ledger) == []
    assert "21 certified lumisections" in watch.waiting_for


def test_a_broken_detector_asks_for_nothing_and_blocks_everything(ledger):
    fill(ledger, 40)
    ledger.append(STREAM, (raised("broken_detector"), fault(), raised("real_shift")))
    ledger.add_work("train", NOON, {"trigger": "manual", "initiator": "ada", "reason": "because"})
    watch = triggers(ledger)
    watch.step(NOON)

    assert asked(ledger) == []
    assert "held to be broken" in watch.waiting_for


def test_an_expected_change_asks_for_nothing_and_blocks_nothing(ledger):
    fill(ledger, 40)
    ledger.append(STREAM, (raised("expected_change"),))
    triggers(ledger).step(NOON)

    assert asked(ledger) == []
    assert quarantined([raised("expected_change")], margin=2) == []


def test_silence_of_the_certification_is_not_consent(ledger):
    fill(ledger, 40, certified=None)

    assert triggers(ledger).lessons.since(None) == []


def test_a_manual_wish_is_answered_once_and_survives_a_restart(ledger):
    fill(ledger, 40)
    ledger.add_work("train", NOON, {"trigger": "manual", "initiator": "ada", "reason": "new menu"})
    triggers(ledger).step(NOON)
    triggers(ledger).step(NOON)

    assert [(fact.initiator, fact.reason) for fact in asked(ledger)] == [("ada", "new menu")]


def test_a_tick_of_the_schedule_is_one_piece_of_work_however_often_it_fires(ledger):
    watch = triggers(ledger)
    cron = CronTrigger.from_crontab("0 6 * * 1", timezone="UTC")

    assert watch.tick(cron, NOON) is True
    assert watch.tick(cron, NOON + timedelta(seconds=20)) is False


def test_the_drift_trigger_cools_down_but_a_person_need_not_wait(ledger):
    fill(ledger, 40)
    ledger.append(STREAM, (raised("real_shift"),))
    triggers(ledger).step(NOON)
    first = asked(ledger)[0]
    failed = f.TrainingFailed(at=NOON, actor="daemon", reason="disk full", attempt=1)
    ledger.append(first.candidate, (failed, f.GivenUp(at=NOON, actor="daemon", reason="three times")))
    fill(ledger, 40, run=11)
    later = replace(raised("real_shift", run=11, lumisection=9, onset=(11, 5)), alarm_id="a:later")
    ledger.append(STREAM, (later,))
    watch = triggers(ledger)
    watch.step(NOON + timedelta(hours=1))

    assert len(asked(ledger)) == 1
    assert "cooling down" in watch.waiting_for

    ledger.add_work("train", NOON, {"trigger": "manual", "initiator": "ada", "reason": "cannot wait"})
    watch.step(NOON + timedelta(hours=1))

    assert [fact.trigger for fact in asked(ledger)] == ["drift", "manual"]


@pytest.mark.parametrize("trigger", ["online", "fill", "cron", "manual"])
def test_what_others_asked_for_does_not_keep_a_real_shift_waiting(ledger, trigger):
    fill(ledger, 40)
    ledger.add_work("train", NOON, {"trigger": trigger, "initiator": "daemon", "reason": "it was time"})
    triggers(ledger).step(NOON)
    ledger.append(asked(ledger)[0].candidate, (f.GivenUp(at=NOON, actor="daemon", reason="disk full"),))
    ledger.append(STREAM, (raised("real_shift"),))
    triggers(ledger).step(NOON + timedelta(minutes=1))

    assert [fact.trigger for fact in asked(ledger)] == [trigger, "drift"]


def test_a_shift_that_a_person_dismissed_is_not_trained_on(ledger):
    fill(ledger, 40)
    dismissed = replace(closed(10, 40), alarm_id="a:real_shift")
    ledger.append(STREAM, (raised("real_shift"), dismissed))
    triggers(ledger).step(NOON)

    assert asked(ledger) == []


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


def on_board(ledger: Ledger, running: bundles.Bundle, **retrain: Any) -> Triggers:
    """Triggers of a daemon that reads this bundle back from its board."""
    target = InMemoryTarget("board")
    target.deploy(running.digest, running.path, token=1)
    beam = BeamModeFeed(NOWHERE / "beam_mode.jsonl", 900.0)
    seen = Sight(ledger, People(ledger), target, TableCertifier(NOWHERE), beam, STREAM)
    settings = Settings()
    changed = settings.retrain.model_copy(update={"minimum_lumisections": 10, **retrain})
    return Triggers(settings.model_copy(update={"retrain": changed}), ledger, seen, load_policy(), owner="t")


def wish(ledger: Ledger, action: str) -> None:
    words = {"trigger": "manual", "initiator": "ada", "reason": "rate", "action": action}
    ledger.add_work("train", NOON, words)


def test_a_threshold_alone_is_asked_for_the_network_that_runs_on_what_it_has_not_learned(ledger, parent):
    fill(ledger, 40)
    wish(ledger, "threshold")
    on_board(ledger, parent, target_rate_hz=2e5).step(NOON)

    own = asked(ledger)[0].recipe
    kept = ("slot", "model", "hidden", "latent", "weight_bits", "seed")
    assert (own["action"], own["champion"], own["target_rate_hz"]) == ("threshold", parent.digest, 2e5)
    assert own["lumisections"] == [[10, 16, 40]]
    assert {name: own[name] for name in kept} == {name: parent.recipe.to_json()[name] for name in kept}


def test_a_threshold_alone_without_a_champion_is_refused_with_what_to_do(ledger):
    fill(ledger, 40)
    wish(ledger, "threshold")
    watch = triggers(ledger)
    watch.step(NOON)

    assert asked(ledger) == []
    assert "import-champion" in watch.refused


@pytest.mark.parametrize(
    ("first", "rung", "action"),
    [(True, "threshold", "threshold"), (True, "weights", "weights"), (False, "threshold", "weights")],
)
def test_the_daemon_takes_the_rung_of_the_alarm_only_where_it_is_told_to(ledger, parent, first, rung, action):
    fill(ledger, 40)
    told = raised("real_shift")
    ledger.append(STREAM, (replace(told, alarm={**told.alarm, "rung": rung}),))
    on_board(ledger, parent, threshold_first=first).step(NOON)

    assert asked(ledger)[0].recipe.get("action", "weights") == action


@pytest.mark.parametrize(
    ("moved", "band", "running", "tier"),
    [(100, 0.1, True, "T0"), (300, 0.1, True, "T1"), (100, 0.0, True, "T1"), (100, 0.1, False, "T1")],
)
def test_a_threshold_is_cheaper_only_inside_the_agreed_band_of_what_runs(
    ledger, parent, tmp_path, moved, band, running, tier
):
    identity = stage_bundle(tmp_path / "own", threshold=parent.threshold + moved)
    recipe = replace(parent.recipe, action="threshold", champion=parent.digest)
    bundles.write_json(tmp_path / "own" / "recipe.json", recipe.to_json())
    proof = {**parent.evidence("proof"), "inherited_from": parent.digest}
    bundles.write_json(tmp_path / "own" / "evidence" / "proof.json", proof)
    named = {**identity, "recipe_digest": recipe.digest, "parent": parent.digest}
    own = bundles.seal(tmp_path / "own", tmp_path / "bundles", named)
    policy = replace(load_policy(), threshold_band=band)
    nothing: Any = None
    judge = Candidates(ledger, sight(ledger), policy, nothing, nothing, jobs=tmp_path, job_of=nothing, lead=nothing)

    other = own if not running else parent
    ledger.append(
        f"{SLOT}-other",
        (f.ChampionImported(at=NOON, actor="import", slot=SLOT, digest=own.digest, bundle_path=str(own.path)),),
    )
    assert judge._tier(own, other.digest) == tier
