"""What `decide` answers, phase by phase."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.lifecycle import Act, Done, Phase, Wait, decide
from daemon.lifecycle import facts as f
from daemon.lifecycle.binding import request_id
from daemon.lifecycle.policy import FreezeWindow
from tests.unit.daemon.lifecycle_examples import (
    CERTIFIED,
    NOON,
    OLD,
    PEOPLE,
    POLICY,
    Course,
    approval,
    evaluated,
    gate,
    requested,
    sha,
    trained,
    world_of,
)

HOUR = timedelta(hours=1)
ASKED = (Phase.PENDING_APPROVAL, Phase.APPROVED, Phase.ARMED)
PROPOSABLE = (Phase.READY, *ASKED)
CHANGES = {
    "the bundle": {"bundle": sha("other bits")},
    "weights.safetensors": {"bundle": None, "bundle_problem": "weights.safetensors: one bit differs"},
    "the evidence": {"evidence_root": sha("other evidence")},
    "the running model": {"running": sha("somebody else's model")},
    "the certification": {"certification": sha("a lumisection lost its certification")},
}


def other(number: int, phase: Phase):
    return replace(Course().candidate, id=f"c-{number:04d}", number=number, phase=phase)


def test_a_new_candidate_is_trained():
    decision = Course().act("train")

    assert decision.key == f"c-0001:train:{sha('recipe 1')}:1"


def test_a_training_that_fails_is_tried_again_after_a_growing_wait_and_then_given_up():
    course, waits, now = Course(), [], NOON
    for attempt in range(1, POLICY.attempts + 1):
        course.facts.append(f.TrainingFailed(at=now, actor="daemon", reason="out of memory", attempt=attempt))
        decision = course.decide(now)
        if isinstance(decision, Wait):
            waits.append(decision.until - now)
            now = decision.until
            assert isinstance(course.decide(now), Act)

    given_up = course.act("give_up", now)
    assert waits == [timedelta(minutes=1), timedelta(minutes=2)]
    assert "out of memory" in given_up.why
    assert course.candidate.phase is Phase.FAILED


def test_a_paused_daemon_starts_no_training():
    decision = Course().decide(paused=True)

    assert isinstance(decision, Wait)
    assert "resume" in decision.for_what


@pytest.mark.parametrize(
    ("verdicts", "phase"),
    [
        ((), Phase.NEEDS_EXPERT),
        (("pass",), Phase.READY),
        (("pass", "pass"), Phase.READY),
        (("pass", "inconclusive"), Phase.NEEDS_EXPERT),
        (("pass", "fail"), Phase.AUTO_REJECTED),
        (("inconclusive", "fail"), Phase.AUTO_REJECTED),
    ],
)
def test_only_gates_that_all_pass_make_a_candidate_ready_and_none_at_all_do_not(verdicts, phase):
    course = Course().to(Phase.VERIFYING)
    course.facts.append(evaluated(trained(), *(gate(verdict, n) for n, verdict in enumerate(verdicts, 1))))

    assert course.candidate.phase is phase


def test_gates_of_another_build_do_not_count():
    course = Course().to(Phase.VERIFYING)
    course.facts.append(evaluated(trained(build=2), gate()))

    assert course.candidate.phase is Phase.VERIFYING
    assert course.candidate.gates is None


def test_a_rebuild_voids_the_gates_that_the_old_build_passed():
    course = Course().to(Phase.READY)
    course.facts.append(trained(build=2))

    assert course.candidate.phase is Phase.VERIFYING
    assert course.candidate.gates is None


def test_a_ready_candidate_is_proposed_with_everything_it_rests_on():
    course = Course().to(Phase.READY)
    (request,) = course.act("propose").facts

    assert request.required_roles == ("ml_expert", "trigger_oncall")
    assert request.expires_at == NOON + 12 * HOUR
    assert (request.running_digest, request.certification_digest) == (OLD, CERTIFIED)
    assert request.policy_id == POLICY.id
    assert request.request_id == request_id("c-0001", request)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bundle_digest", sha("x")),
        ("evidence_root", sha("x")),
        ("policy_id", sha("x")),
        ("target", "crate-8"),
        ("running_digest", sha("x")),
        ("certification_digest", sha("x")),
        ("expires_at", NOON + 13 * HOUR),
        ("required_roles", ("ml_expert",)),
        ("tier", "T0"),
        ("at", NOON - HOUR),
        ("ordinal", 2),
    ],
)
def test_every_part_of_a_request_is_in_its_digest(name, value):
    request = Course().to(Phase.PENDING_APPROVAL).candidate.request

    assert request_id("c-0001", replace(request, **{name: value})) != request.request_id
    assert request_id("c-0002", request) != request.request_id


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"paused": True}, "resume"),
        ({"open_faults": ("zero-bias:401:17",)}, "zero-bias:401:17"),
        ({"evidence_root": None}, "the evidence"),
        ({"bundle": None}, "the bundle"),
        ({"certification": None}, "the certification"),
        ({"running": None}, "the running model"),
    ],
)
def test_a_ready_candidate_waits_for_what_stands_in_its_way(seen, words):
    decision = Course().to(Phase.READY).decide(**seen)

    assert isinstance(decision, Wait)
    assert words in decision.for_what


def test_a_ready_candidate_that_nothing_lets_forward_expires():
    course = Course().to(Phase.READY)
    decision = course.decide(NOON + timedelta(hours=POLICY.standing_hours), open_faults=("a",))

    assert decision.step == "expire"
    assert "detector fault a" in decision.why


def test_a_gate_that_the_policy_requires_must_be_among_those_that_passed():
    decision = Course().to(Phase.READY).decide(policy=replace(POLICY, required_gates=("bit_exact", "timing")))

    assert isinstance(decision, Wait)
    assert "timing" in decision.for_what
    assert "bit_exact" not in decision.for_what


def test_a_tier_that_the_policy_does_not_know_is_not_proposed():
    course = Course().to(Phase.VERIFYING)
    course.facts.append(evaluated(trained(), gate(), tier="T9"))

    assert "T9" in course.decide().for_what


def test_bits_that_already_run_are_not_proposed():
    course = Course().to(Phase.READY)
    decision = course.decide(running=course.candidate.bundle_digest)

    assert decision.step == "expire"
    assert "already run" in decision.why


def test_a_slot_has_one_open_request_at_a_time():
    for phase in (Phase.PENDING_APPROVAL, Phase.APPROVED, Phase.ARMED, Phase.DEPLOYING):
        decision = Course([requested(7), trained(7), evaluated(trained(7), gate())]).decide(others=(other(3, phase),))

        assert isinstance(decision, Wait)
        assert "c-0003" in decision.for_what


@pytest.mark.parametrize(
    "phase", [Phase.NEEDS_EXPERT, Phase.READY, Phase.STALE, Phase.PENDING_APPROVAL, Phase.APPROVED]
)
def test_a_newer_candidate_that_is_ready_takes_the_place_of_an_older_one(phase):
    course = Course()
    if phase is Phase.NEEDS_EXPERT:
        course.facts += [trained(), evaluated(trained(), gate("inconclusive"))]
    elif phase is Phase.STALE:
        course.to(Phase.READY).act("stale", evidence_root=sha("x"))
    else:
        course.to(phase)
    course.act("supersede", others=(other(2, Phase.READY), other(3, Phase.PENDING_APPROVAL)))

    assert course.candidate.phase is Phase.SUPERSEDED
    assert "c-0003" in course.candidate.closing


@pytest.mark.parametrize(
    "phase", [Phase.BUILDING, Phase.FAILED, Phase.AUTO_REJECTED, Phase.REJECTED, Phase.ROLLED_BACK]
)
def test_a_newer_candidate_that_is_not_ready_replaces_nobody(phase):
    decision = Course().to(Phase.PENDING_APPROVAL).decide(others=(other(2, phase),))

    assert isinstance(decision, Wait)


@pytest.mark.parametrize("phase", PROPOSABLE)
@pytest.mark.parametrize("what", CHANGES)
def test_whatever_it_rests_on_changes_the_candidate_is_stale_before_anything_else(phase, what):
    course = Course().to(phase)
    decision = course.act("stale", **CHANGES[what])

    assert what in decision.why
    assert course.candidate.phase is Phase.STALE
    assert course.candidate.approvals == ()


@pytest.mark.parametrize("phase", ASKED)
def test_another_policy_target_or_role_makes_a_request_stale(phase):
    course = Course().to(phase)

    assert "the policy" in course.decide(policy=replace(POLICY, cooldown_hours=13)).why
    assert "the target" in course.decide(target="crate-8").why
    if phase is not Phase.PENDING_APPROVAL:
        assert "mila no longer holds the role ml_expert" in course.decide(people={"timo": PEOPLE["timo"]}).why


@pytest.mark.parametrize("phase", ASKED)
def test_a_request_expires_even_when_it_is_approved(phase):
    course = Course().to(phase)
    almost = course.decide(NOON + 12 * HOUR - timedelta(microseconds=1), beam_mode="STABLE BEAMS")
    course.act("expire", NOON + 12 * HOUR)

    assert isinstance(almost, Wait)
    assert almost.until <= NOON + 12 * HOUR
    assert course.candidate.phase is Phase.EXPIRED


def test_a_clock_that_jumps_back_revives_no_request():
    course = Course().to(Phase.APPROVED)

    assert course.decide(NOON - 1000 * HOUR, clock=NOON + 12 * HOUR).step == "expire"


def test_the_candidates_own_facts_hold_the_clock_too():
    candidate = replace(Course().to(Phase.APPROVED).candidate, latest_at=NOON + 12 * HOUR)

    assert decide(candidate, world_of(candidate, clock=NOON), POLICY, NOON).step == "expire"


def test_a_phase_without_its_quorum_still_writes_nothing():
    for phase in (Phase.APPROVED, Phase.ARMED):
        candidate = replace(Course().to(phase).candidate, approvals=())
        decision = decide(candidate, world_of(candidate), POLICY, NOON)

        assert isinstance(decision, Wait)
        assert decision.for_what == "approval by ml_expert and trigger_oncall"


def test_a_slot_that_runs_nothing_gets_no_proposal():
    course = Course().to(Phase.VERIFYING)
    course.facts.append(evaluated(trained(), gate(), running=""))

    assert "a champion to fall back to" in course.decide(running="").for_what


def test_a_request_made_twice_counts_once():
    course = Course().to(Phase.PENDING_APPROVAL)
    request = course.candidate.request
    course.act("stale", evidence_root=sha("x"))
    course.facts += [evaluated(trained(), gate()), request]

    assert course.candidate.phase is Phase.READY


def test_a_forged_request_never_gets_to_the_board():
    course = Course().to(Phase.READY)
    (request,) = course.act("propose").facts
    for forged in (
        replace(request, required_roles=("ml_expert",)),
        replace(request, expires_at=NOON + 1000 * HOUR),
        replace(request, tier="T0", required_roles=("trigger_oncall",)),
    ):
        changed = Course([*course.facts[:-1], forged])

        assert changed.decide().step == "stale"
        assert "its digest" in changed.decide().why


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"beam_mode": "STABLE BEAMS"}, "STABLE BEAMS"),
        ({"beam_mode": None}, "unknown"),
        ({"frozen": "carla: van der Meer scan"}, "van der Meer"),
        ({"paused": True}, "resume"),
        ({"open_faults": ("a",)}, "fault a"),
        ({"running": None}, "the running model"),
        ({"bundle": None}, "the bundle"),
        ({"others": (other(0, Phase.ARMED),)}, "c-0000"),
    ],
)
@pytest.mark.parametrize("phase", [Phase.APPROVED, Phase.ARMED])
def test_an_approved_candidate_is_not_written_outside_its_window(phase, seen, words):
    decision = Course().to(phase).decide(**seen)

    assert isinstance(decision, Wait)
    assert words in decision.for_what
    assert NOON < decision.until <= NOON + 12 * HOUR


def test_the_calendar_freezes_deployments():
    window = FreezeWindow(begin=NOON - HOUR, end=NOON + HOUR, reason="machine development")
    policy = replace(POLICY, freeze_windows=(window,))
    course = Course().to(Phase.READY)
    course.facts += decide(course.candidate, world_of(course.candidate), policy, NOON).facts
    course.facts.append(approval(course.candidate, "mila", "ml_expert"))
    course.facts.append(approval(course.candidate, "timo", "trigger_oncall"))

    assert "machine development" in course.decide(policy=policy).for_what
    assert course.decide(NOON + HOUR, policy).step == "arm"


def test_stale_evidence_is_rebuilt_against_what_runs_now():
    course = Course().to(Phase.PENDING_APPROVAL)
    course.act("stale", running=sha("newer"))
    course.act("verify", running=sha("newer"))
    course.facts.append(evaluated(trained(), gate(), running=sha("newer")))

    first = course.candidate
    again = course.act("propose", running=sha("newer")).facts[0]
    assert again.running_digest == sha("newer")
    assert (first.requests, again.ordinal) == (1, 2)


def test_an_approval_of_a_request_that_went_stale_does_not_count_for_the_same_request_made_again():
    course = Course().to(Phase.PENDING_APPROVAL)
    late = approval(course.candidate, "mila", "ml_expert")
    course.act("stale", evidence_root=sha("x"))
    course.facts.append(evaluated(trained(), gate()))
    course.act("propose")
    course.facts.append(late)

    assert course.candidate.request.request_id != late.request_id
    assert course.candidate.approvals == ()


@pytest.mark.parametrize(
    "seen", [{"bundle": None, "bundle_problem": "emulator.so differs"}, {"certification": sha("x")}, {"bundle": None}]
)
def test_altered_bits_and_lost_certification_are_never_verified_anew(seen):
    course = Course().to(Phase.PENDING_APPROVAL)
    course.act("stale", evidence_root=sha("x"))

    assert isinstance(course.decide(**seen), Wait)
    assert course.decide(NOON + timedelta(hours=POLICY.standing_hours), **seen).step == "expire"


def test_a_candidate_that_goes_stale_too_often_expires():
    course = Course().to(Phase.READY)
    for _ in range(POLICY.requests_per_candidate):
        course.act("stale", evidence_root=sha("x"))
        last = course.decide()
        course.facts.append(evaluated(trained(), gate()))

    assert last.step == "expire"


@pytest.mark.parametrize(
    "phase", [Phase.FAILED, Phase.AUTO_REJECTED, Phase.REJECTED, Phase.EXPIRED, Phase.REVOKED, Phase.ROLLED_BACK]
)
def test_nothing_is_left_to_do_with_a_candidate_that_ended(phase):
    ended = replace(Course().to(Phase.APPROVED).candidate, phase=phase)

    assert isinstance(decide(ended, world_of(ended), POLICY, NOON), Done)
