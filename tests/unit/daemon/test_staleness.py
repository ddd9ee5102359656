"""Whether a real shift is worth a retrain: what is measured, and what the daemon does with the answer."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from daemon.cli import main
from daemon.config import Settings
from daemon.deploy import InMemoryTarget
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.lifecycle.worth import Interval
from daemon.people import People
from daemon.policy_file import load_policy
from daemon.sight import Sight, TableCertifier
from daemon.staleness import hours_to_model, judge, loss_per_hour
from daemon.training_settings import WorthSettings
from daemon.triggers import Triggers
from drift.conditions import BeamModeFeed
from retrain import bundle as bundles
from tests.unit.daemon.test_triggers import NOON, NOWHERE, SLOT, STREAM, asked, fill, raised, wish
from tests.unit.retrain.conftest import stage_bundle, zero_bias

COSTS = {
    "cost": (100.0, 200.0),
    "until": (NOON + timedelta(hours=400), NOON + timedelta(hours=500)),
    "threshold_share": (0.0, 0.5),
    "model_share": (0.5, 0.9),
    "hours_to_model": (2.0, 10.0),
}
HERTZ = 2460 * 11_245.8


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def passing(threshold: int, sealed: bundles.Bundle) -> float:
    """The share that a champion passes of the events that `fill` stores."""
    scores = [sealed.program.run(sealed.contract, zero_bias(100, number)) for number in range(20, 41)]
    return float((np.concatenate(scores) >= threshold).mean())


@pytest.fixture
def champion(ledger, tmp_path):
    """A champion of record that promised, at pileup 50 to 55, a share between two bounds."""

    def made(low: float, high: float, *, pileup_from: float = 50.0, threshold: int = 200) -> bundles.Bundle:
        identity = stage_bundle(tmp_path / "staging", threshold=threshold)
        point = {
            "threshold": threshold,
            "strata": [{"pileup_from": pileup_from, "low": low, "high": high}],
            "confidence": 0.95,
            "bunches": 2460,
            "revolution_hz": 11_245.8,
        }
        bundles.write_json(tmp_path / "staging" / "evidence" / "working_point.json", point)
        sealed = bundles.seal(tmp_path / "staging", tmp_path / "bundles", identity)
        path = str(sealed.path)
        ledger.append(
            SLOT, (f.ChampionImported(at=NOON, actor="i", slot=SLOT, digest=sealed.digest, bundle_path=path),)
        )
        return sealed

    return made


def daemon_of(ledger: Ledger, running: bundles.Bundle, **worth) -> Triggers:
    target = InMemoryTarget("board")
    target.deploy(running.digest, running.path, token=1)
    beam = BeamModeFeed(NOWHERE / "beam_mode.jsonl", 900.0)
    seen = Sight(ledger, People(ledger), target, TableCertifier(NOWHERE), beam, STREAM)
    settings = Settings()
    changed = settings.retrain.model_copy(update={"minimum_lumisections": 10})
    told = WorthSettings(**{**COSTS, **worth})
    return Triggers(
        settings.model_copy(update={"retrain": changed, "worth": told}), ledger, seen, load_policy(), owner="t"
    )


def shifted(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger, 40, events=tmp_path / "events")
    ledger.append(STREAM, (raised("real_shift"),))


def test_a_rate_far_from_its_promise_is_worth_a_retrain_and_the_request_says_why(ledger, champion, tmp_path):
    sealed = champion(0.0, 1e-6)
    shifted(ledger, tmp_path)
    daemon_of(ledger, sealed).step(NOON)
    daemon_of(ledger, sealed).step(NOON + timedelta(days=2))

    assert passing(200, sealed) > 0.01
    assert [fact.trigger for fact in asked(ledger)] == ["drift"]
    assert "; a retrain saves " in asked(ledger)[0].reason


def test_an_alarm_alone_is_no_retrain_while_the_rate_is_as_promised(ledger, champion, tmp_path):
    sealed = champion(0.0, 1.0)
    shifted(ledger, tmp_path)
    watch = daemon_of(ledger, sealed)
    watch.step(NOON)

    assert asked(ledger) == []
    assert "is not known to pay: it is not known that anything is lost" in watch.waiting_for


def test_what_costs_more_than_it_saves_is_not_done(ledger, champion, tmp_path):
    sealed = champion(0.0, 1e-6)
    shifted(ledger, tmp_path)
    watch = daemon_of(ledger, sealed, cost=(1e12, 2e12))
    watch.step(NOON)

    assert asked(ledger) == []
    assert "does not pay" in watch.waiting_for


def test_a_person_is_not_asked_whether_it_pays(ledger, champion, tmp_path):
    sealed = champion(0.0, 1.0)
    shifted(ledger, tmp_path)
    wish(ledger, "weights")
    daemon_of(ledger, sealed).step(NOON)

    assert [fact.trigger for fact in asked(ledger)] == ["manual"]


def test_an_answer_stands_for_its_time_and_is_then_asked_for_anew(ledger, champion, tmp_path):
    sealed = champion(0.0, 1e-6)
    shifted(ledger, tmp_path)
    watch = daemon_of(ledger, sealed, cost=(1.0, 1e12), look_again_hours=2.0)
    watch.step(NOON)
    first = watch.waiting_for
    watch.step(NOON + timedelta(hours=1))
    second = watch.waiting_for
    watch.step(NOON + timedelta(hours=2))

    assert "the intervals overlap" in first
    assert "14:00 UTC" in first
    assert second == first
    assert "16:00 UTC" in watch.waiting_for


def test_after_the_last_use_there_is_nothing_to_save(ledger, champion, tmp_path):
    sealed = champion(0.0, 1e-6)
    shifted(ledger, tmp_path)
    watch = daemon_of(ledger, sealed, until=(NOON - timedelta(hours=9), NOON + timedelta(hours=1)))
    watch.step(NOON)

    assert asked(ledger) == []
    assert "be replaced after" in watch.waiting_for


def test_once_the_last_use_is_over_costs_decide_nothing_and_the_request_says_so(ledger, champion, tmp_path):
    sealed = champion(0.0, 1.0)
    shifted(ledger, tmp_path)
    past = (NOON - timedelta(hours=9), NOON)
    daemon_of(ledger, sealed, cost=(1e12, 2e12), until=past).step(NOON)

    assert [fact.trigger for fact in asked(ledger)] == ["drift"]
    said = f"worth.until ({NOON:%Y-%m-%d %H:%M} UTC) is over; set the next one or take worth.cost away"
    assert said in asked(ledger)[0].reason


def test_check_config_and_doctor_tell_that_the_last_use_is_over(tmp_path, capsys):
    file = tmp_path / "retrigger.toml"
    file.write_text(
        "[worth]\ncost = [1.0, 2.0]\nthreshold_share = [0.0, 0.5]\nmodel_share = [0.5, 1.0]\n"
        "until = [2020-10-01T00:00:00Z, 2020-12-01T00:00:00Z]\n"
    )

    for words in (["check-config", str(file)], ["doctor", "--config", str(file)]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 1
        assert "worth.until (2020-12-01 00:00 UTC) is over" in capsys.readouterr().out


def test_costs_that_are_none_hold_up_nothing_but_the_retrain(ledger, champion, tmp_path):
    sealed = champion(0.0, 1e-6)
    shifted(ledger, tmp_path)
    watch = daemon_of(ledger, sealed, cost=(-2.0, -1.0))
    watch.step(NOON)

    assert asked(ledger) == []
    assert "cannot be told: cost is -2 to -1; expected nothing below 0; mend [worth]" in watch.waiting_for


def test_the_loss_is_the_gap_between_promise_and_rate_in_hertz(ledger, champion, tmp_path):
    sealed = champion(0.0, 0.001)
    fill(ledger, 40, events=tmp_path / "events")
    lessons = ledger.outcomes(STREAM)
    scores = np.concatenate([sealed.program.run(sealed.contract, zero_bias(100, number)) for number in range(1, 41)])
    share = float((scores >= 200).mean())
    loss = loss_per_hour(sealed, lessons)

    assert loss is not None
    assert loss.low < (share - 0.001) * HERTZ < share * HERTZ < loss.high
    assert loss.low > 0.5 * (share - 0.001) * HERTZ


def test_a_rate_below_its_promise_is_a_loss_too(ledger, champion, tmp_path):
    sealed = champion(0.99, 1.0, threshold=100_000)
    fill(ledger, 5, events=tmp_path / "events")

    assert loss_per_hour(sealed, ledger.outcomes(STREAM)).low > 0.9 * HERTZ


def test_at_a_pileup_that_the_champion_never_saw_nothing_is_measured(ledger, champion, tmp_path):
    sealed = champion(0.0, 0.001, pileup_from=20.0)
    shifted(ledger, tmp_path)
    watch = daemon_of(ledger, sealed)
    watch.step(NOON)

    assert loss_per_hour(sealed, ledger.outcomes(STREAM)) is None
    assert "measured at no pileup" in watch.waiting_for


def test_what_is_no_bundle_promised_nothing(ledger):
    told = judge(Settings(worth=WorthSettings(**COSTS)), ledger, None, [], NOON)

    assert (told.answer, told.look_again_hours) == ("wait", 1.0)
    assert "no bundle" in told.reason


def test_the_way_of_earlier_candidates_says_how_long_the_next_one_takes(ledger):
    told = WorthSettings(**COSTS)
    before = hours_to_model(ledger, SLOT, told)
    for number, hours in enumerate((5, 8), 1):
        name = f"c-{number:04d}"
        began = f.CandidateRequested(
            at=NOON, actor="d", candidate=name, number=number, slot=SLOT, trigger="manual", initiator="d",
            recipe_digest=str(number), recipe={}, reason="r",
        )  # fmt: skip
        live = f.Deployed(
            at=NOON + timedelta(hours=hours), actor="d", slot=SLOT, request_id="q", digest="x", read_back="x",
            effective_run=1, effective_lumisection=1,
        )  # fmt: skip
        threshold = replace(began, candidate=f"{name}-t", recipe={"action": "threshold"})
        ledger.append(name, (began, live))
        ledger.append(f"{name}-t", (threshold, replace(live, at=NOON + timedelta(minutes=1))))

    assert before == Interval(2.0, 10.0)
    assert hours_to_model(ledger, SLOT, told) == Interval(5.0, 8.0)
    assert hours_to_model(ledger, "another", told) == Interval(2.0, 10.0)
