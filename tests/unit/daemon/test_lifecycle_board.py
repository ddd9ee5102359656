"""What `decide` answers for a candidate that is on the board, on its way there, or was there."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.lifecycle import Act, Done, Phase, Wait, decide, fold
from daemon.lifecycle import facts as f
from tests.unit.daemon.lifecycle_examples import (
    NOON,
    OLD,
    POLICY,
    Course,
    sha,
    trained,
    world_of,
)

HOUR = timedelta(hours=1)


def other(number: int, phase: Phase):
    return replace(Course().candidate, id=f"c-{number:04d}", number=number, phase=phase)


def test_the_intent_to_write_is_recorded_with_its_own_key_before_the_write():
    course = Course().to(Phase.ARMED)
    decision = course.act("deploy")

    (fact,) = decision.facts
    assert isinstance(fact, f.DeploymentStarted)
    assert fact.transition == decision.key
    assert course.act("deploy").key == decision.key


def test_what_is_read_back_is_confirmed_with_the_lumisection_from_which_it_counts():
    course = Course().to(Phase.LIVE)

    assert course.candidate.deployed.read_back == course.candidate.bundle_digest
    assert (course.candidate.deployed.effective_run, course.candidate.deployed.effective_lumisection) == (400_100, 17)


@pytest.mark.parametrize("seen", [{"beam_mode": "STABLE BEAMS"}, {"frozen": "x"}, {"paused": True}])
def test_a_daemon_that_comes_back_after_the_window_closed_does_not_write(seen):
    decision = Course().to(Phase.DEPLOYING).decide(**seen)

    assert isinstance(decision, Wait)


@pytest.mark.parametrize(
    ("seen", "later"),
    [
        ({"certification": sha("x")}, timedelta()),
        ({"bundle": None, "bundle_problem": "threshold.json differs"}, timedelta()),
        ({}, 12 * HOUR),
    ],
)
def test_a_write_that_must_not_happen_any_more_leaves_the_old_model(seen, later):
    course = Course().to(Phase.DEPLOYING)
    course.act("abort", NOON + later, **seen)

    assert course.candidate.phase is Phase.ROLLED_BACK
    assert course.facts[-1].to_digest == OLD


def test_a_write_that_keeps_failing_is_given_up_after_the_attempts_of_the_policy():
    course, now, tries = Course().to(Phase.DEPLOYING), NOON, 0
    while not isinstance(decision := course.decide(now), Act) or decision.step == "deploy":
        if isinstance(decision, Wait):
            now = decision.until
            continue
        tries += 1
        failed = f.DeploymentFailed(
            at=now, actor="daemon", request_id="r", digest=sha("d"), reason="no answer", attempt=tries
        )
        course.facts.append(failed)

    assert tries == POLICY.attempts
    assert decision.step == "abort"
    assert "no answer" in decision.why


def test_an_unreadable_board_is_an_alarm_once_and_never_a_success():
    course = Course().to(Phase.DEPLOYING)
    first = course.decide(running=None)
    late = NOON + timedelta(minutes=POLICY.read_back_minutes)
    course.act("alarm", late, running=None)

    assert isinstance(first, Wait)
    assert isinstance(course.decide(late, running=None), Wait)
    assert course.candidate.phase is Phase.DEPLOYING


def test_a_third_model_on_the_board_is_an_alarm_and_ends_the_deployment():
    course, seen = Course().to(Phase.DEPLOYING), sha("a third model")
    course.act("alarm", running=seen)
    why = course.act("abort", running=seen).why

    assert why == "something else was put on the board meanwhile"
    assert course.candidate.phase is Phase.ROLLED_BACK
    assert course.facts[-1].to_digest == seen


def test_a_board_that_stops_agreeing_with_the_record_is_an_alarm_until_it_agrees_again():
    course = Course().to(Phase.LIVE)
    ours, seen = course.candidate.bundle_digest, sha("a third model")
    course.act("alarm", running=seen)
    standing = course.decide(running=seen)

    assert isinstance(standing, Wait)
    assert standing.until == NOON + POLICY.recheck
    course.act("all_clear", running=ours)
    assert isinstance(course.decide(running=ours), Wait)
    assert course.candidate.board_seen is None


def test_a_person_can_roll_back_in_mid_fill_under_a_freeze_and_a_pause():
    course = Course().to(Phase.LIVE)
    ours = course.candidate.bundle_digest
    course.facts.append(f.RollbackRequested(at=NOON, actor="timo", person="timo", reason="rate"))
    halted = {"beam_mode": "STABLE BEAMS", "frozen": "x", "paused": True, "open_faults": ("a",), "bundle": None}
    course.act("roll_back", running=ours, **halted)
    course.act("confirm_rollback", running=OLD, **halted)

    assert course.candidate.phase is Phase.ROLLED_BACK
    assert course.facts[-1].by == "timo"


def test_a_rollback_that_keeps_failing_is_an_alarm_and_goes_on():
    course, now = Course().to(Phase.LIVE), NOON
    ours, steps = course.candidate.bundle_digest, []
    course.facts.append(f.RollbackRequested(at=NOON, actor="timo", person="timo", reason="rate"))
    for attempt in range(12):
        decision = course.decide(now, running=ours)
        if isinstance(decision, Wait):
            now = decision.until
            continue
        steps.append(decision.step)
        course.facts += decision.facts
        if decision.step == "roll_back":
            failed = f.DeploymentFailed(
                at=now, actor="daemon", request_id="r", digest=ours, reason="no answer", attempt=attempt
            )
            course.facts.append(failed)

    assert steps.count("alarm") == 1
    assert steps[-1] == "roll_back"


def test_a_live_model_makes_way_for_a_newer_one_and_comes_back_when_that_is_rolled_back():
    course = Course().to(Phase.LIVE)
    ours = course.candidate.bundle_digest
    course.act("supersede", running=sha("newer"), others=(other(2, Phase.LIVE),))

    assert isinstance(course.decide(running=sha("newer"), others=(other(2, Phase.LIVE),)), Done)
    course.act("restore", running=ours, others=(other(2, Phase.ROLLED_BACK),))
    assert course.candidate.phase is Phase.LIVE


def test_a_candidate_that_never_ran_is_not_restored():
    course = Course().to(Phase.READY)
    course.act("supersede", others=(other(2, Phase.READY),))

    assert isinstance(
        course.decide(running=course.candidate.bundle_digest, others=(other(2, Phase.ROLLED_BACK),)), Done
    )


def test_a_live_model_does_not_make_way_for_an_older_one():
    course = Course().to(Phase.LIVE)
    decision = course.decide(running=course.candidate.bundle_digest, others=(other(0, Phase.LIVE),))

    assert isinstance(decision, Wait)


def test_a_rollback_to_the_very_same_bits_is_none():
    course = Course().to(Phase.LIVE)
    ours = course.candidate.bundle_digest
    back = f.RolledBack(
        at=NOON,
        actor="mallory",
        slot="L1_AXO",
        from_digest=ours,
        to_digest=ours,
        by="mallory",
        reason="x",
        effective_run=1,
        effective_lumisection=1,
    )
    course.facts.append(back)

    assert course.candidate.phase is Phase.LIVE


def test_every_phase_has_its_answer():
    whole = Course().to(Phase.LIVE).candidate
    for phase in Phase:
        started = f.DeploymentStarted(at=NOON, actor="daemon", request_id="r", digest="d", transition="t")
        candidate = replace(whole, phase=phase, started=started)

        assert isinstance(decide(candidate, world_of(candidate), POLICY, NOON), Act | Wait | Done)


def test_a_candidate_needs_its_first_fact():
    with pytest.raises(Exception, match="candidate_requested"):
        fold([trained()])
