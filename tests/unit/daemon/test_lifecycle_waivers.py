"""Waivers: two people let a doubt pass, for this evidence and for a time; what failed never passes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.errors import RefusedError
from daemon.lifecycle import Phase, decide, waive
from daemon.lifecycle.gating import passing
from tests.unit.daemon.lifecycle_examples import (
    NOON,
    PEOPLE,
    POLICY,
    Course,
    evaluated,
    gate,
    requested,
    sha,
    trained,
    world_of,
)

HOUR = timedelta(hours=1)


def doubted(*gates):
    return Course([requested(), trained(), evaluated(trained(), *(gates or (gate("inconclusive"),)))])


def waiving(course, person="mila", role="ml_expert", *, hours=24.0, now=NOON, policy=POLICY, **changed):
    candidate = course.candidate
    words = {
        "gate": "bit_exact",
        "evidence_root": candidate.gates.evidence_root if candidate.gates else "",
        "person": person,
        "role": role,
        "reason": "known",
        "expires_at": now + hours * HOUR,
    }
    world = {name: changed.pop(name) for name in ("bundle", "people") if name in changed}
    return waive(candidate, world_of(candidate, **world), policy, now=now, **(words | changed))


def waived(*, hours=24.0):
    course = doubted()
    course.facts += [waiving(course, hours=hours), waiving(course, "fiona", "firmware_expert", hours=hours)]
    return course


def test_two_people_let_an_inconclusive_gate_pass():
    course = doubted()
    course.facts.append(waiving(course))
    one = course.candidate.phase
    course.facts.append(waiving(course, "fiona", "firmware_expert"))

    assert one is Phase.NEEDS_EXPERT
    assert course.candidate.phase is Phase.READY


def test_every_inconclusive_gate_needs_its_own_two():
    course = doubted(gate("inconclusive"), gate("inconclusive", 2, "latency"), gate("pass", 3, "contract"))
    assert "bit_exact, latency" in course.decide().for_what
    for person, role in (("mila", "ml_expert"), ("fiona", "firmware_expert")):
        course.facts.append(waiving(course, person, role))
    assert course.decide().for_what.endswith(": latency")
    for person, role in (("mila", "ml_expert"), ("both", "coordinator")):
        course.facts.append(waiving(course, person, role, gate="latency"))

    assert course.candidate.phase is Phase.READY


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"gate": "contract"}, "'contract' is pass"),
        ({"gate": "moon"}, "not among its gates"),
        ({"evidence_root": sha("older")}, "look again"),
        ({"person": "carla"}, "initiated"),
        ({"person": "nobody"}, "no open account"),
        ({"person": "timo", "role": "trigger_oncall"}, "trigger_oncall cannot waive"),
        ({"person": "timo"}, "does not hold"),
        ({"hours": 0.0}, "after now"),
        ({"hours": 24.0 * 7 + 0.1}, "within 7 days"),
        ({"reason": ""}, "one reason"),
        ({"bundle": sha("x")}, "the bundle"),
    ],
)
def test_a_waiver_that_may_not_be_is_refused_with_its_reason(changed, says):
    with pytest.raises(RefusedError, match=says):
        waiving(doubted(gate("inconclusive"), gate("pass", 2, "contract")), **changed)


def test_a_waiver_may_stand_as_long_as_the_policy_says_and_is_given_once_by_each_person():
    course = doubted()
    course.facts.append(waiving(course, hours=24.0 * 7))

    with pytest.raises(RefusedError, match="it takes two people"):
        waiving(course)


@pytest.mark.parametrize("verdicts", [("fail",), ("inconclusive", "fail")])
def test_a_failed_gate_is_never_waived(verdicts):
    course = doubted(*(gate(verdict, n) for n, verdict in enumerate(verdicts)))

    with pytest.raises(RefusedError, match="auto_rejected"):
        waiving(course)
    course.facts += waived().facts[-2:]
    assert course.candidate.phase is Phase.AUTO_REJECTED


def test_no_gates_at_all_are_not_waived():
    course = Course([requested(), trained(), evaluated(trained())])

    assert "there are no gates" in course.decide().for_what
    with pytest.raises(RefusedError, match="not among its gates"):
        waiving(course)


def test_forged_waivers_do_not_count():
    course = doubted()
    good = waiving(course)
    for bad in ({"person": "carla"}, {"gate": "moon"}, {"evidence_root": sha("x")}, {}):
        course.facts.append(replace(good, **bad))

    assert [one.person for one in course.candidate.waivers] == ["mila"]
    assert course.candidate.phase is Phase.NEEDS_EXPERT


def test_a_waived_gate_counts_as_passed_where_the_policy_requires_it():
    assert waived().decide(policy=replace(POLICY, required_gates=("bit_exact",))).step == "propose"


def test_a_request_that_rests_on_waivers_binds_them_and_ends_with_the_first():
    (request,) = waived(hours=3.0).act("propose").facts
    (longer,) = waived(hours=20.0).act("propose").facts

    assert request.expires_at == NOON + 3 * HOUR
    assert longer.expires_at == NOON + 12 * HOUR
    assert request.waivers != longer.waivers != ""
    assert Course().to(Phase.PENDING_APPROVAL).candidate.request.waivers == ""


def test_an_expired_waiver_makes_the_candidate_stale_and_the_gates_run_anew():
    course = waived(hours=3.0)
    assert course.decide(NOON + 3 * HOUR - timedelta(seconds=1)).step == "propose"
    course.act("stale", NOON + 3 * HOUR)
    course.facts.append(evaluated(trained(), gate("inconclusive")))

    assert course.candidate.phase is Phase.NEEDS_EXPERT
    assert course.candidate.waivers == ()


@pytest.mark.parametrize("phase", [Phase.READY, Phase.PENDING_APPROVAL])
def test_a_waiver_by_somebody_who_lost_the_role_makes_it_stale(phase):
    course = waived()
    if phase is Phase.PENDING_APPROVAL:
        course.act("propose")
    people = {**PEOPLE, "fiona": frozenset({"viewer"})}

    assert "the waiver of bit_exact: fiona" in course.act("stale", people=people).why


def test_a_policy_that_takes_a_role_its_waivers_makes_them_void():
    decision = waived().decide(policy=replace(POLICY, waiver_roles=("coordinator",)))

    assert decision.step == "stale"
    assert "may not waive" in decision.why


def test_a_waiver_that_is_not_in_the_request_makes_it_stale():
    course = waived()
    course.act("propose")
    changed = replace(course.candidate, waivers=course.candidate.waivers[:1])

    assert "the waivers" in decide(changed, world_of(changed), POLICY, NOON).why


def test_before_its_gates_are_evaluated_none_has_passed():
    assert passing(Course().candidate) == frozenset()
