"""What a request claims is held against the policy, and what rests on nothing is no evidence."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.lifecycle import Phase
from daemon.lifecycle.binding import changes, request_id
from tests.unit.daemon.lifecycle_examples import OLD, POLICY, Course, sha, world_of


def test_a_candidate_without_gates_rests_on_nothing():
    candidate = Course().candidate

    assert changes(candidate, world_of(candidate), POLICY).changed == ("the gates: none were evaluated on this build",)


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({"running": sha("b")}, f"the running model: {OLD[:16]} in the record, {sha('b')[:16]} now"),
        ({"running": ""}, f"the running model: {OLD[:16]} in the record, nothing now"),
        ({"target": "the crate beside crate-7"}, "the target: crate-7 in the record, the crate beside crate-7 now"),
    ],
)
def test_what_changed_is_told_by_the_name_or_the_first_of_its_digest_before_and_now(seen, told):
    candidate = Course().to(Phase.PENDING_APPROVAL).candidate

    assert changes(candidate, world_of(candidate, **seen), POLICY).changed == (told,)


@pytest.mark.parametrize(
    ("forged", "told"),
    [
        ({"required_roles": ("viewer",)}, "the quorum: tier T1 requires ml_expert, trigger_oncall"),
        ({"tier": "T9"}, "the quorum: tier T9 requires nothing we know"),
        ({"expires_at": timedelta(hours=13)}, "the expiry: tier T1 allows 12 h"),
    ],
)
def test_a_request_that_claims_what_the_policy_does_not_say_is_told_whatever_its_digest(forged, told):
    course = Course().to(Phase.PENDING_APPROVAL)
    request = course.candidate.request
    words = {name: request.at + one if isinstance(one, timedelta) else one for name, one in forged.items()}
    bent = replace(request, **words)
    bent = replace(bent, request_id=request_id(course.candidate.id, bent))
    candidate = replace(course.candidate, request=bent)

    assert changes(candidate, world_of(candidate), POLICY).changed == (told,)
