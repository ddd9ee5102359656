"""Going back is always allowed: also when nobody can say what the board runs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher

from daemon.candidates import Candidates
from daemon.errors import DeployError
from daemon.ledger import Ledger
from daemon.lifecycle import Act, Phase, Wait, decide
from daemon.lifecycle import facts as f
from daemon.people import People
from daemon.sight import Sight
from daemon.targets.boards import BoardsTarget
from daemon.targets.filesystem import FilesystemTarget
from drift.conditions import BeamModeFeed
from tests.unit.daemon.lifecycle_examples import (
    NOON,
    OLD,
    POLICY,
    WATCHED_POLICY,
    Course,
    healthy,
    seen,
    sha,
    world_of,
)
from tests.unit.daemon.lifecycle_experiment import Experiment
from tests.unit.daemon.lifecycle_people import a_quorum_approves
from tests.unit.daemon.test_lifecycle_rarer import broken

MINUTES = timedelta(minutes=POLICY.read_back_minutes)
ON_BOARD = [Phase.DEPLOYING, Phase.SHADOW, Phase.LIVE_PROBATION, Phase.LIVE]
NOTHING: Any = None
OURS = Course().to(Phase.LIVE).candidate.bundle_digest


def asked_back(phase):
    course = Course(policy=WATCHED_POLICY).to(phase)
    course.facts.append(f.RollbackRequested(at=NOON, actor="timo", person="timo", reason="rate"))
    return course


def failed(course, at, reason="left took it, right did not"):
    attempt = course.candidate.deployment_failures + 1
    course.facts.append(
        f.DeploymentFailed(at=at, actor="daemon", request_id="r", digest=OURS, reason=reason, attempt=attempt)
    )


@pytest.mark.parametrize("phase", ON_BOARD)
def test_what_was_asked_back_goes_back_although_the_board_cannot_be_read(phase):
    course = asked_back(phase)
    course.act("roll_back", running=None, beam_mode="STABLE BEAMS", frozen="x", paused=True)

    assert course.candidate.phase is phase
    course.act("abort" if phase is Phase.DEPLOYING else "confirm_rollback", running=OLD)
    assert (course.candidate.phase, course.facts[-1].to_digest) == (Phase.ROLLED_BACK, OLD)


@pytest.mark.parametrize("phase", ON_BOARD)
def test_a_way_back_that_fails_unread_is_an_alarm_once_and_is_tried_with_growing_pauses(phase):
    course, now, steps, pauses = asked_back(phase), NOON, [], []
    for _ in range(16):
        decision = course.decide(now, running=None)
        if isinstance(decision, Wait):
            pauses.append(decision.until - now)
            now = decision.until
            continue
        steps.append(decision.step)
        course.facts += decision.facts
        if decision.step == "roll_back":
            failed(course, now)

    assert steps[:3] == ["roll_back", "alarm", "roll_back"]
    assert steps.count("alarm") == 1
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1]
    assert course.candidate.phase is phase


def test_a_way_back_from_bits_that_stay_is_an_alarm_after_the_attempts_of_the_policy_and_each_try_has_its_own_key():
    course, now, keys = asked_back(Phase.LIVE), NOON, []
    while not isinstance(decision := course.decide(now, running=OURS), Act) or decision.step == "roll_back":
        if isinstance(decision, Wait):
            now = decision.until
            continue
        keys.append(decision.key)
        failed(course, now)

    assert keys == [f"c-0001:roll_back:{NOON.isoformat()}:{attempt}" for attempt in range(1, POLICY.attempts + 1)]
    assert decision.step == "alarm"


def test_failures_of_its_training_hold_up_no_write():
    course = Course().to(Phase.DEPLOYING)
    once_failed = replace(course.candidate, last_failure_at=NOON, last_failure="killed while training")

    assert decide(once_failed, world_of(once_failed), POLICY, NOON).step == "deploy"


def test_a_write_that_failed_and_left_a_board_unread_goes_back_by_itself():
    course = Course().to(Phase.DEPLOYING)
    failed(course, NOON)
    waiting = course.decide(NOON, running=None)
    trip = course.act("trip", NOON + MINUTES, running=None)
    course.act("roll_back", NOON + MINUTES, running=None)
    course.act("abort", NOON + MINUTES, running=OLD)

    assert isinstance(waiting, Wait)
    assert "right did not" in trip.why
    assert course.candidate.phase is Phase.ROLLED_BACK
    assert course.facts[-1].by == "daemon"


def test_what_was_asked_back_in_mid_write_never_begins_to_trigger():
    course = asked_back(Phase.DEPLOYING)
    course.act("roll_back", running=OURS)

    assert course.candidate.deployed is None


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.LIVE_PROBATION])
def test_a_guard_that_fails_trips_although_the_board_cannot_be_read(phase):
    course = Course(policy=WATCHED_POLICY).to(phase)
    calm = course.decide(running=None, observed=healthy())
    course.act("trip", running=None, observed=seen(mismatches=3))
    course.act("roll_back", running=None, observed=seen(mismatches=3))

    assert isinstance(calm, Wait)


@pytest.mark.parametrize("running", [None, sha("a third model")])
def test_the_end_of_a_broken_glass_is_not_put_off_by_a_board_that_says_nothing_of_ours(running):
    course = broken()
    course.act("trip", running=running, fill=99_999)

    assert course.decide(running=None, fill=99_999).step == "roll_back"


def test_an_experiment_with_an_unread_board_goes_back_and_records_it_once_it_is_read():
    it = Experiment(beam_mode="NO BEAM")
    it.request()
    it.run(4)
    a_quorum_approves(it)
    it.run(6)
    it.append("c-0001", f.RollbackRequested(at=it.time(), actor="timo", person="timo", reason="rate"))
    it.readable = False
    it.run(3)
    unread = (it.running, it.folded["c-0001"].phase)
    it.readable = True
    it.run(3)

    assert unread == (OLD, Phase.LIVE)
    assert it.folded["c-0001"].phase is Phase.ROLLED_BACK


# --- with boards that are folders ---------------------------------------------------------------------------------


def verify(folder):
    text = (folder / "digest").read_text()
    if len(text) != 64:
        raise ValueError("the bits were altered")
    return text


class Silent(FilesystemTarget):
    """A board that takes bits and cannot say what it runs."""

    silent = False

    def read_back(self):
        if self.silent:
            raise DeployError(f"{self.name} does not answer")
        return super().read_back()


@pytest.fixture
def crate(tmp_path):
    """Two boards that run the candidate, after the champion."""
    boards = {name: Silent(tmp_path / name, name=name, verify=verify) for name in ("left", "right")}
    for number, digest in enumerate((OLD, OURS)):
        folder = tmp_path / f"bundle{number}"
        folder.mkdir()
        (folder / "digest").write_text(digest)
        for board in boards.values():
            board.deploy(digest, folder, token=1)
    return boards


@pytest.fixture
def loop(tmp_path, crate):
    """A daemon in front of them, asked to take the candidate back."""
    target = BoardsTarget("crate-7", crate)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger, ledger.lead("test", NOON) as lead:
        people = People(ledger, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        sight = Sight(ledger, people, target, NOTHING, BeamModeFeed(tmp_path / "beam.jsonl", 900.0), "ZeroBias")
        asked = replace(asked_back(Phase.LIVE).facts[-1], at=NOON)
        ledger.append("c-0001", [*Course().to(Phase.LIVE).facts, asked])
        yield Candidates(ledger, sight, POLICY, target, NOTHING, jobs=tmp_path, job_of=NOTHING, lead=lead)


def last(loop):
    return loop._ledger.facts(subject="c-0001")[-1].fact


def test_mixed_boards_meet_again_on_the_former_digest(crate, loop):
    crate["left"].roll_back(OURS, token=1)
    unread = loop._sight.running()
    loop.step(NOON)

    assert unread is None
    assert {board.read_back() for board in crate.values()} == {OLD}
    assert (last(loop).kind, last(loop).to_digest) == ("rolled_back", OLD)


def test_altered_bits_are_no_obstacle_to_the_former_digest(crate, loop):
    (crate["left"].current / "digest").write_text("half")
    unread = loop._sight.running()
    loop.step(NOON)

    assert unread is None
    assert {board.read_back() for board in crate.values()} == {OLD}
    assert (last(loop).kind, last(loop).to_digest) == ("rolled_back", OLD)


def test_boards_that_went_back_and_cannot_be_read_are_not_written_in_a_circle(crate, loop):
    for board in crate.values():
        board.silent = True
    loop.step(NOON)
    kinds = [one.fact.kind for one in loop._ledger.facts(subject="c-0001")]
    for board in crate.values():
        board.silent = False
    loop.step(NOON)

    assert (kinds.count("deployment_failed"), kinds.count("rolled_back")) == (1, 0)
    assert {board.read_back() for board in crate.values()} == {OLD}
    assert last(loop).kind == "rolled_back"
