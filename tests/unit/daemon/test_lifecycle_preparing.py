"""A candidate on its way to a request: how it fails, waits, and comes back from being stale."""

from dataclasses import replace

import pytest

from daemon.lifecycle import Phase, Wait, decide
from tests.unit.daemon.lifecycle_examples import NOON, POLICY, Course, sha, world_of


def went_stale():
    course = Course().to(Phase.PENDING_APPROVAL)
    course.act("stale", evidence_root=sha("x"))
    return course


def test_stale_bits_that_already_run_are_not_proposed_again():
    course = went_stale()

    assert course.act("expire", running=course.candidate.bundle_digest).why == "these very bits already run"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"bundle_problem": "emulator.so differs"}, "the bundle as it was built (emulator.so differs)"),
        ({"bundle": None}, "the bundle as it was built (it cannot be read)"),
    ],
)
def test_a_stale_candidate_whose_bits_cannot_be_trusted_says_which_it_waits_for(seen, words):
    decision = went_stale().decide(**seen)

    assert isinstance(decision, Wait)
    assert decision.for_what == words


def test_failures_that_were_of_something_else_hold_up_no_training():
    fresh = replace(Course().candidate, last_failure_at=NOON, last_failure="the board said nothing")

    assert decide(fresh, world_of(fresh), POLICY, NOON).step == "train"


def test_a_paused_daemon_looks_again_after_the_policys_time():
    assert Course().decide(paused=True).until == NOON + POLICY.recheck


@pytest.mark.parametrize("phase", [Phase.READY, Phase.PENDING_APPROVAL])
def test_what_goes_stale_is_named_by_its_request_and_before_one_by_its_build(phase):
    course = Course().to(phase)
    one = course.candidate
    about = one.request.request_id if one.request else f"{one.bundle_digest}:{one.stales}"

    assert course.decide(evidence_root=sha("x")).key == f"c-0001:stale:{about}"
