"""What `Sight` gathers for the watched phases: keys, fill, what an observer saw, and the last rehearsal."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from daemon.candidates import Candidates
from daemon.deploy import InMemoryTarget
from daemon.errors import DeployError
from daemon.ledger import Ledger
from daemon.lifecycle import Act, Phase
from daemon.lifecycle import facts as f
from daemon.lifecycle.binding import changes
from daemon.lifecycle.board_facts import RollbackRehearsed
from daemon.people import People
from daemon.sight import Sight, learned
from daemon.web.board_words import safety
from drift.conditions import BeamModeFeed
from retrain import bundle as bundles
from retrain.recipe import LumisectionRange, Recipe
from tests.unit.daemon.lifecycle_examples import (
    NOON,
    OLD,
    POLICY,
    SLOT,
    WATCHED_POLICY,
    Course,
    healthy,
    requested,
    sha,
)
from tests.unit.retrain.conftest import stage_bundle

STREAM, NEWER = "ZeroBias", sha("newer")


class NoCertifier:
    def digest(self, spans):
        return sha("certified")


class Witness:
    """An observer that notes for whom it looked."""

    def __init__(self):
        self.asked = []

    def observed(self, candidate, now):
        self.asked.append((candidate.phase, now))
        return healthy()


class Board(InMemoryTarget):
    """A board that runs the imported champion."""

    def read_back(self):
        return OLD


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def people(ledger):
    accounts = People(ledger, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    accounts.add_person("mila", "correct horse battery", ["ml_expert"], by="root", now=NOON)
    return accounts


def sight(ledger, people, folder, observer=None):
    beam = BeamModeFeed(folder / "beam_mode.jsonl", 900.0)
    return Sight(ledger, people, Board("crate-7"), NoCertifier(), beam, STREAM, observer)


def rehearsed(at, from_digest=NEWER, to_digest=OLD, target="crate-7"):
    return RollbackRehearsed(
        at=at, actor="timo", slot=SLOT, from_digest=from_digest, to_digest=to_digest, seconds=3.5, target=target
    )


def test_the_world_has_the_keys_that_speak_and_the_fill(ledger, people, tmp_path):
    key = people.add_key("mila", "11" * 32, by="root", now=NOON)
    (tmp_path / "beam_mode.jsonl").write_text(
        '{"time": "2026-07-01T11:59:00Z", "fill": 9001, "beam_mode": "stable beams"}\n'
    )
    world = sight(ledger, people, tmp_path).world(Course().candidate, [], NOON)

    assert world.keys == {key.key_id: key}
    assert (world.fill, world.beam_mode) == (9001, "STABLE BEAMS")


def test_an_observer_is_asked_for_what_is_watched_alone(ledger, people, tmp_path):
    witness = Witness()
    eyes = sight(ledger, people, tmp_path, witness)
    watched = Course(policy=WATCHED_POLICY).to(Phase.LIVE_PROBATION).candidate

    assert eyes.world(Course().to(Phase.LIVE).candidate, [], NOON).observed is None
    assert eyes.world(watched, [], NOON).observed == healthy()
    assert witness.asked == [(Phase.LIVE_PROBATION, NOON)]
    assert sight(ledger, people, tmp_path).world(watched, [], NOON).observed is None


def test_the_last_rehearsal_of_the_way_to_what_runs_on_this_target_counts(ledger, people, tmp_path):
    eyes, candidate = sight(ledger, people, tmp_path), Course().candidate
    before = eyes.world(candidate, [], NOON).rehearsed_at
    later = NOON + timedelta(hours=1)
    ledger.append(SLOT, [rehearsed(NOON), rehearsed(later)])
    ledger.append(SLOT, [rehearsed(NOON + timedelta(hours=2), target="crate-8")])
    ledger.append(SLOT, [rehearsed(NOON + timedelta(hours=3), to_digest=sha("another"))])
    ledger.append(SLOT, [rehearsed(NOON + timedelta(hours=4), OLD, sha("older"))])

    assert before is None
    assert eyes.world(candidate, [], NOON).rehearsed_at == later


def test_a_way_walked_away_from_what_runs_is_no_way_back_to_it(ledger, people, tmp_path):
    eyes, candidate = sight(ledger, people, tmp_path), Course().candidate
    ledger.append(SLOT, [rehearsed(NOON, from_digest=OLD, to_digest=NEWER)])
    world = eyes.world(candidate, [], NOON)

    assert world.rehearsed_at is None
    assert dict(safety(ledger, candidate, world, NOON))["Last rehearsed"].startswith("never")


def test_a_drill_is_refused_at_the_board_itself(ledger, people, tmp_path):
    """Even if every rule before failed: the hand that writes does not write a drill."""
    target = Board("crate-7")
    with ledger.lead("test", NOON) as lead:
        hands = Candidates(
            ledger,
            sight(ledger, people, tmp_path),
            WATCHED_POLICY,
            target,
            runner=None,
            jobs=Path("/nowhere"),
            job_of=lambda candidate, folder: {},
            lead=lead,
        )
        drill = Course([requested(drill=True)]).candidate

        with pytest.raises(DeployError, match="never reaches a board"):
            hands._write_board(drill, Act(step="deploy", key="k", why="w"), NOON)
    assert target.writes == []


@pytest.mark.parametrize("phase", [Phase.READY, Phase.PENDING_APPROVAL])
@pytest.mark.parametrize(("onset", "until", "clean"), [(12, (1, 14), False), (500, (1, 510), True)])
def test_a_fault_that_reaches_into_what_a_candidate_learned_has_it_go_stale_once_closed(
    ledger, people, tmp_path, phase, onset, until, clean
):
    candidate = replace(Course().to(phase).candidate, recipe=Recipe(SLOT, (LumisectionRange(1, 1, 40),)).to_json())
    opened = f.FaultOpened(
        at=NOON, actor="daemon", stream=STREAM, alarm_id="a:b", alarm={}, onset_run=1, onset_lumisection=onset
    )
    shut = f.FaultClosed(
        at=NOON, actor="cleo", stream=STREAM, alarm_id="a:b", person="cleo", reason="mended", until_run=until[0],
        until_lumisection=until[1],
    )  # fmt: skip
    ledger.append(STREAM, (opened,))
    before = sight(ledger, people, tmp_path).world(candidate, [], NOON)
    ledger.append(STREAM, (shut,))
    after = sight(ledger, people, tmp_path).world(candidate, [], NOON)

    told = changes(candidate, after, POLICY).changed
    assert before.certification == sha("certified")
    assert any("now" in one and "in quarantine from 1:10 to 1:14" in one for one in told) is not clean
    assert (after.certification == sha("certified")) is clean


def test_of_an_online_learners_state_all_that_it_took_counts(tmp_path):
    identity = stage_bundle(tmp_path / "staging")
    bundles.write_json(tmp_path / "staging" / "evidence" / "training.json", {"online": {"taken": ["1:1-9", "2:4-4"]}})
    sealed = bundles.seal(tmp_path / "staging", tmp_path / "bundles", identity)
    of_full = Course().to(Phase.READY).candidate
    build = replace(of_full.build, bundle_digest=sealed.digest, bundle_path=str(sealed.path))
    recipe = {**Recipe(SLOT, (LumisectionRange(2, 1, 5),)).to_json(), "champion": OLD, "snapshot": sha("state")}
    candidate = replace(of_full, build=build, recipe={**recipe, "policy": {"name": "online"}})

    assert learned(candidate) == (LumisectionRange(2, 1, 5), LumisectionRange(1, 1, 9), LumisectionRange(2, 4, 4))


def test_candidates_are_folded_again_only_when_there_are_more_facts_and_never_shown_as_they_were(
    ledger, people, tmp_path
):
    eyes = sight(ledger, people, tmp_path)
    ledger.append("c-0001", [requested()])
    first = eyes.candidates()
    again = eyes.candidates()
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as page:  # the page is another process
        page.append("c-0001", [f.GivenUp(at=NOON, actor="daemon", reason="x")])

    assert again == first
    assert again[0] is first[0]
    assert first[0].phase is Phase.BUILDING
    assert eyes.candidates()[0].phase is Phase.FAILED


def test_a_record_that_was_restored_and_grew_to_the_same_length_is_folded_again(ledger, people, tmp_path):
    eyes, live, kept = sight(ledger, people, tmp_path), tmp_path / "ledger.sqlite", tmp_path / "kept.sqlite"
    ledger.append("c-0001", [requested()])
    with closing(sqlite3.connect(live)) as source, closing(sqlite3.connect(kept)) as backup:
        source.backup(backup)
    number = ledger.append("c-0001", [f.GivenUp(at=NOON, actor="daemon", reason="lost with the disk")])
    lost = eyes.candidates()[0].phase
    with closing(sqlite3.connect(kept)) as backup, closing(sqlite3.connect(live)) as target:
        backup.backup(target)
    again = ledger.append(STREAM, [f.Paused(at=NOON, actor="carla", reason="the disk was changed")])

    assert again == number
    assert lost is Phase.FAILED
    assert eyes.candidates()[0].phase is Phase.BUILDING
