"""Slots do not touch each other; waits end when they say; what is the same number is the same candidate."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.lifecycle import Done, Phase, Wait, decide
from daemon.lifecycle import facts as f
from daemon.lifecycle.candidate import IN_FLIGHT, OPEN_REQUEST
from tests.unit.daemon.lifecycle_examples import NOON, OLD, POLICY, Course, sha, world_of


def elsewhere(phase, number=2):
    return replace(Course().candidate, id=f"c-{number:04d}", number=number, phase=phase, slot="L1_CICADA")


@pytest.mark.parametrize("phase", [Phase.LIVE, Phase.ROLLED_BACK, Phase.DEPLOYING, Phase.READY])
def test_a_live_model_minds_its_own_slot(phase):
    course = Course().to(Phase.LIVE)
    ours = course.candidate.bundle_digest

    assert course.decide(running=ours, others=(elsewhere(phase),)).until == NOON + POLICY.recheck
    assert course.decide(running=sha("a third model"), others=(elsewhere(phase),)).step == "alarm"


@pytest.mark.parametrize("phase", sorted(OPEN_REQUEST | {Phase.LIVE}))
@pytest.mark.parametrize("number", [0, 2])
def test_a_request_minds_its_own_slot(phase, number):
    others = (elsewhere(phase, number),)

    assert Course().to(Phase.READY).decide(others=others).step == "propose"
    assert Course().to(Phase.APPROVED).decide(others=others).step == "arm"


@pytest.mark.parametrize("phase", sorted(IN_FLIGHT))
def test_one_slot_writes_one_board_at_a_time(phase):
    busy = replace(elsewhere(phase, 0), slot=Course().candidate.slot)
    decision = Course().to(Phase.APPROVED).decide(others=(busy,))

    assert decision.for_what == "the deployment of c-0000"
    assert decision.until == NOON + POLICY.recheck


def superseded_one():
    course = Course().to(Phase.LIVE)
    newer = replace(Course().candidate, id="c-0002", number=2, phase=Phase.LIVE)
    course.act("supersede", running=sha("newer"), others=(newer,))
    return course, newer


def test_a_superseded_model_comes_back_only_for_its_own_slot_and_its_own_successor():
    course, newer = superseded_one()
    ours = course.candidate.bundle_digest
    fell = replace(newer, phase=Phase.ROLLED_BACK)

    assert isinstance(course.decide(running=ours), Done)
    assert isinstance(course.decide(running=ours, others=(replace(fell, slot="L1_CICADA"),)), Done)
    assert isinstance(course.decide(running=ours, others=(replace(fell, number=0),)), Done)
    assert isinstance(course.decide(running=sha("x"), others=(fell,)), Done)
    assert course.decide(running=ours, others=(fell, elsewhere(Phase.LIVE, 3))).step == "restore"
    for phase in (Phase.LIVE, Phase.DEPLOYING, Phase.SHADOW, Phase.LIVE_PROBATION):
        taken = replace(newer, id="c-0003", number=3, phase=phase)
        assert isinstance(course.decide(running=ours, others=(fell, taken)), Done)


def test_a_restored_model_is_confirmed_by_what_is_read_back_and_its_rollback_is_forgotten():
    course, newer = superseded_one()
    ours = course.candidate.bundle_digest
    (fact,) = course.act("restore", running=ours, others=(replace(newer, phase=Phase.ROLLED_BACK),)).facts

    assert (fact.slot, fact.digest, fact.read_back) == (course.candidate.slot, ours, ours)
    assert course.decide(running=ours).for_what == "a newer candidate"


def test_the_newest_of_several_takes_the_place():
    newer = [replace(Course().candidate, id=f"c-{n:04d}", number=n, phase=Phase.LIVE) for n in (2, 4, 3)]
    course = Course().to(Phase.LIVE)
    (fact,) = course.act("supersede", others=tuple(newer)).facts

    assert fact.by == "c-0004"


@pytest.mark.parametrize(
    ("phase", "seen"),
    [
        (Phase.READY, {"paused": True}),
        (Phase.APPROVED, {"beam_mode": None}),
        (Phase.ARMED, {"frozen": "x"}),
        (Phase.DEPLOYING, {"paused": True}),
        (Phase.LIVE, {}),
    ],
)
def test_a_wait_looks_again_after_the_policys_time(phase, seen):
    course = Course().to(phase)
    seen = {"running": course.candidate.bundle_digest} | seen if phase is Phase.LIVE else seen

    assert course.decide(**seen).until == NOON + POLICY.recheck


@pytest.mark.parametrize("phase", [Phase.PENDING_APPROVAL, Phase.APPROVED, Phase.ARMED, Phase.DEPLOYING])
def test_no_wait_outlasts_its_request(phase):
    course = Course().to(phase)
    late = course.candidate.request.expires_at - timedelta(minutes=1)
    decision = course.decide(late, beam_mode="STABLE BEAMS")

    assert decision.until == course.candidate.request.expires_at


def test_a_failed_write_is_tried_again_after_its_wait_and_not_before():
    course = Course().to(Phase.DEPLOYING)
    failed = f.DeploymentFailed(at=NOON, actor="daemon", request_id="r", digest=sha("d"), reason="no", attempt=1)
    course.facts.append(failed)
    retry = NOON + POLICY.backoff(1)

    assert course.decide().until == retry
    assert course.decide(retry - timedelta(microseconds=1)).until == retry
    assert course.decide(retry).step == "deploy"


def test_an_unreadable_board_is_told_once_and_again_after_something_else_was_seen():
    course = Course().to(Phase.LIVE)
    late = NOON + timedelta(minutes=POLICY.read_back_minutes)
    assert course.decide(late - timedelta(seconds=1), running=None).until == late
    course.act("alarm", late, running=None)
    standing = course.decide(late, running=None)
    course.act("alarm", late, running=sha("a third model"))

    assert standing.until == late + POLICY.recheck
    assert course.decide(late, running=None).step == "alarm"
    assert isinstance(course.decide(late, running=sha("a third model")), Wait)
    assert course.decide(late, running=sha("a fourth model")).step == "alarm"


def test_an_empty_board_is_another_model_than_ours():
    course = Course().to(Phase.LIVE)
    (fact,) = course.act("alarm", running="").facts

    assert fact.found == "nothing"


def test_a_rollback_that_finds_another_model_says_so_first():
    course = Course().to(Phase.LIVE)
    course.facts.append(f.RollbackRequested(at=NOON, actor="timo", person="timo", reason="rate"))
    course.act("alarm", running=sha("a third model"))
    course.act("confirm_rollback", running=sha("a third model"))
    calm = Course().to(Phase.LIVE)
    calm.facts.append(f.RollbackRequested(at=NOON, actor="timo", person="timo", reason="rate"))

    assert course.facts[-1].to_digest == sha("a third model")
    assert calm.decide(running=OLD).step == "confirm_rollback"


def test_a_candidate_in_deployment_that_a_person_wants_back_is_not_written():
    course = Course().to(Phase.DEPLOYING)
    course.facts.append(f.RollbackRequested(at=NOON, actor="timo", person="timo", reason="rate"))
    decision = course.act("abort")

    assert "timo asked: rate" in decision.why
    assert course.facts[-1].to_digest == OLD


def test_what_is_done_says_why():
    ended = replace(Course().to(Phase.APPROVED).candidate, phase=Phase.REJECTED, closing="rate: too high")

    assert decide(ended, world_of(ended), POLICY, NOON).why == "rate: too high"
    assert decide(replace(ended, closing=""), world_of(ended), POLICY, NOON).why == "it is rejected"


def test_the_same_candidate_is_not_newer_than_itself():
    twin = replace(Course().candidate, phase=Phase.LIVE)

    assert Course().to(Phase.LIVE).decide(others=(twin,), running=sha("x")).step == "alarm"
    assert Course().to(Phase.READY).decide(others=(replace(twin, phase=Phase.READY),)).step == "propose"
