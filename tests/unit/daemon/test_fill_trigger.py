"""When the end of a fill asks for a candidate."""

import json
from datetime import timedelta
from typing import Any

import pytest

from daemon.config import Settings
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.people import People
from daemon.policy_file import load_policy
from daemon.sight import Sight, TableCertifier
from daemon.targets.filesystem import FilesystemTarget
from daemon.triggers import Triggers
from drift.conditions import BeamModeFeed
from tests.unit.daemon.test_triggers import NOON, NOWHERE, STREAM, asked, fill


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


@pytest.fixture
def beam(tmp_path):
    """Say what the beam does at noon, and return triggers of a daemon that asks after each fill."""

    def said(ledger: Ledger, mode: str, lhc: int, *, per_fill: int = 20, **retrain: Any) -> Triggers:
        line = {"time": NOON.isoformat(), "fill": lhc, "beam_mode": mode}
        (tmp_path / "beam_mode.jsonl").write_text(json.dumps(line) + "\n")
        feed = BeamModeFeed(tmp_path / "beam_mode.jsonl", 1e9)
        seen = Sight(ledger, People(ledger), FilesystemTarget(NOWHERE), TableCertifier(NOWHERE), feed, STREAM)
        settings = Settings()
        changed = settings.retrain.model_copy(update={"minimum_lumisections": 10, "per_fill": per_fill, **retrain})
        return Triggers(settings.model_copy(update={"retrain": changed}), ledger, seen, load_policy(), owner="t")

    return said


def fills_asked(ledger: Ledger) -> list[str]:
    return [fact.reason for fact in asked(ledger) if fact.trigger == "fill"]


def test_the_end_of_a_fill_asks_for_one_candidate_however_often_the_daemon_looks(ledger, beam):
    fill(ledger, 40)
    beam(ledger, "STABLE BEAMS", 1).step(NOON)
    during = fills_asked(ledger)
    beam(ledger, "BEAM DUMP", 1).step(NOON)
    beam(ledger, "CYCLING", 1).step(NOON + timedelta(days=1))

    assert during == []
    assert fills_asked(ledger) == ["fill 1 is over: 40 new certified lumisections"]


def test_a_fill_is_over_when_the_next_one_is_there(ledger, beam):
    fill(ledger, 40)
    fill(ledger, 5, run=11, lhc=2)
    beam(ledger, "STABLE BEAMS", 2).step(NOON)

    assert fills_asked(ledger) == ["fill 1 is over: 40 new certified lumisections"]


def test_short_fills_add_up_until_enough_is_new(ledger, beam):
    fill(ledger, 12)
    beam(ledger, "BEAM DUMP", 1).step(NOON)
    first = fills_asked(ledger)
    fill(ledger, 12, run=11, lhc=2)
    beam(ledger, "BEAM DUMP", 2).step(NOON)

    assert first == []
    assert fills_asked(ledger) == ["fill 2 is over: 24 new certified lumisections"]


def test_what_a_candidate_learned_is_not_new_to_the_next_fill(ledger, beam):
    fill(ledger, 40)
    beam(ledger, "BEAM DUMP", 1).step(NOON)
    given_up = f.GivenUp(at=NOON, actor="daemon", reason="disk full")
    ledger.append(asked(ledger)[0].candidate, (given_up,))
    fill(ledger, 15, run=11, lhc=2)
    beam(ledger, "BEAM DUMP", 2).step(NOON + timedelta(hours=1))

    assert len(fills_asked(ledger)) == 1


def test_without_being_told_to_no_fill_asks(ledger, beam):
    fill(ledger, 40)
    beam(ledger, "BEAM DUMP", 1, per_fill=None).step(NOON)

    assert asked(ledger) == []


def test_a_fill_without_a_bundle_to_go_on_from_is_told_in_words_about_weights(ledger, beam):
    fill(ledger, 40)
    watch = beam(ledger, "BEAM DUMP", 1, policy="replay")
    watch.step(NOON)

    assert "no network to go on from; import it with `retrigger import-champion`" in watch.waiting_for
    assert "threshold" not in watch.waiting_for


def test_an_online_learner_without_a_bundle_is_told_in_words_about_learning(ledger, beam):
    fill(ledger, 40)
    watch = beam(ledger, "STABLE BEAMS", 1, online_every=5)
    watch.step(NOON)

    assert "no network to learn online from" in watch.waiting_for
    assert "threshold" not in watch.waiting_for
