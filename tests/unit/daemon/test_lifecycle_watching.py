"""What `decide` answers for bits in shadow and on probation, and what people may say about them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.errors import RefusedError, StalePageError
from daemon.lifecycle import Act, Phase, Wait, confirm
from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle.policy import FreezeWindow
from tests.unit.daemon.lifecycle_examples import (
    NOON,
    OLD,
    PEOPLE,
    WATCHED_POLICY,
    Course,
    approval,
    evaluated,
    gate,
    healthy,
    requested,
    seen,
    sha,
    trained,
    world_of,
)

HOUR = timedelta(hours=1)
BAD = {
    "mismatch": {"mismatches": 3},
    "rate": {"rate": 1.2},
    "latency": {"ticks": 11},
    "drift": {"alarm": "the scores moved"},
}


def course(phase=Phase.SHADOW, **policy):
    return Course(policy=replace(WATCHED_POLICY, **policy)).to(phase)


def ours(one, observed=None, **seen_too):
    return {"running": one.candidate.bundle_digest, "observed": observed, **seen_too}


def of_tier_t2(**policy):
    """A candidate of tier T2 in shadow."""
    one = Course([requested(), trained(), evaluated(trained(), gate(), tier="T2")], replace(WATCHED_POLICY, **policy))
    one.act("propose")
    for person, role in (("mila", "ml_expert"), ("timo", "trigger_oncall"), ("fiona", "firmware_expert")):
        one.facts.append(approval(one.candidate, person, role))
    for step in ("arm", "deploy"):
        one.act(step)
    one.act("shadow", **ours(one))
    return one


def confirming(one, person="fiona", role="firmware_expert", **changed):
    words = {"request_id": one.candidate.request.request_id, "person": person, "role": role, "reason": "as simulated"}
    world = {name: changed.pop(name) for name in ("bundle", "people", "running") if name in changed}
    at = world_of(one.candidate, **{"running": one.candidate.bundle_digest, **world})
    return confirm(one.candidate, at, one.policy, now=NOON, **(words | changed))


# --- shadow -------------------------------------------------------------------------------------------------------


def test_what_is_read_back_goes_into_shadow_and_the_champion_stays():
    one = course()

    assert one.facts[-1].lumisections == 50
    assert one.facts[-1].read_back == one.candidate.bundle_digest
    assert one.candidate.deployed is None


def test_without_lumisections_asked_for_there_is_no_shadow_and_no_probation():
    one = Course().to(Phase.LIVE)

    assert not [fact for fact in one.facts if isinstance(fact, b.ShadowStarted | b.ProbationPassed)]


def test_shadow_ends_when_as_many_lumisections_agree_as_the_policy_asks_for():
    one = course()

    assert "50 lumisections are required" in one.decide(**ours(one, healthy(49))).for_what
    (fact,) = one.act("confirm", **ours(one, healthy(50))).facts
    assert fact.probation_lumisections == 100
    assert one.candidate.phase is Phase.LIVE_PROBATION


@pytest.mark.parametrize("guard", BAD)
@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.LIVE_PROBATION])
def test_what_is_watched_and_goes_wrong_goes_back_by_itself(phase, guard):
    one = course(phase)
    (fact,) = one.act("trip", **ours(one, seen(**BAD[guard]))).facts
    one.act("roll_back", **ours(one, seen(**BAD[guard])))
    one.act("confirm_rollback", running=OLD)

    assert (fact.guard, fact.actor) == (guard, "daemon")
    assert BAD[guard].get("alarm", "") in fact.reason
    assert one.candidate.phase is Phase.ROLLED_BACK
    assert one.facts[-1].reason == fact.reason
    assert (one.facts[-1].by, one.facts[-1].to_digest) == ("daemon", OLD)


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.LIVE_PROBATION])
def test_going_back_asks_for_no_window_no_freeze_and_no_person(phase):
    one = course(phase)
    halted = {"beam_mode": "STABLE BEAMS", "frozen": "x", "paused": True, "open_faults": ("a",)}
    one.act("trip", **ours(one, seen(rate=1.2), **halted))

    assert one.decide(**ours(one, seen(rate=1.2), **halted)).step == "roll_back"


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.LIVE_PROBATION])
@pytest.mark.parametrize("observed", [None, healthy(3), seen(unreadable=1000)])
def test_a_doubt_waits_and_after_the_watch_hours_goes_back(phase, observed):
    one = course(phase)
    waiting = one.decide(**ours(one, observed))
    almost = one.decide(NOON + 24 * HOUR - timedelta(seconds=1), **ours(one, observed))
    (fact,) = one.act("trip", NOON + 24 * HOUR, **ours(one, observed)).facts

    assert isinstance(waiting, Wait)
    assert waiting.until == NOON + one.policy.recheck
    assert almost.until == NOON + 24 * HOUR
    assert fact.guard == "doubt"


@pytest.mark.parametrize(
    ("seen_too", "words"),
    [
        ({"paused": True}, "resume"),
        ({"open_faults": ("a",)}, "fault a"),
        ({"frozen": "carla: scan"}, "carla: scan"),
        ({"bundle": None}, "the bundle to be readable"),
    ],
)
def test_bits_in_shadow_do_not_go_live_while_something_halts_them(seen_too, words):
    one = course()
    decision = one.decide(**ours(one, healthy(), **seen_too))

    assert isinstance(decision, Wait)
    assert words in decision.for_what


def test_the_calendar_keeps_bits_in_shadow_too():
    window = FreezeWindow(begin=NOON + HOUR, end=NOON + 2 * HOUR, reason="van der Meer scan")
    one = course(freeze_windows=(window,))

    assert "van der Meer" in one.decide(NOON + HOUR, **ours(one, healthy())).for_what
    assert one.decide(NOON + 2 * HOUR, **ours(one, healthy())).step == "confirm"


@pytest.mark.parametrize(
    "change",
    [
        {"certification": sha("x")},
        {"bundle": None, "bundle_problem": "weights differ"},
        {"people": {"mila": PEOPLE["mila"]}},
        {"evidence_root": sha("x")},
        {"target": "crate-8"},
    ],
)
def test_whatever_changes_in_shadow_goes_back(change):
    one = course()
    (fact,) = one.act("trip", **ours(one, healthy(), **change)).facts

    assert fact.guard == "changed"


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.LIVE_PROBATION])
def test_another_model_on_the_board_is_an_alarm_and_not_waited_for_for_ever(phase):
    one = course(phase)
    third = {"running": sha("a third model"), "observed": healthy()}
    one.act("alarm", **third)
    waiting = one.decide(**third)
    one.act("trip", NOON + 24 * HOUR, **third)
    one.act("alarm", NOON + 24 * HOUR, **third)
    one.act("confirm_rollback", NOON + 24 * HOUR, **third)

    assert isinstance(waiting, Wait)
    assert one.candidate.phase is Phase.ROLLED_BACK
    assert one.facts[-1].to_digest == sha("a third model")


def test_an_unreadable_board_passes_nothing():
    one = course()
    decision = one.decide(running=None, observed=healthy())

    assert isinstance(decision, Wait)
    assert decision.until == NOON + timedelta(minutes=one.policy.read_back_minutes)


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.LIVE_PROBATION])
def test_a_person_can_roll_back_what_is_watched(phase):
    one = course(phase)
    one.facts.append(f.RollbackRequested(at=NOON, actor="timo", person="timo", reason="rate"))
    one.act("roll_back", **ours(one, healthy()))
    one.act("confirm_rollback", running=OLD)

    assert one.facts[-1].by == "timo"


# --- the second confirmation --------------------------------------------------------------------------------------


def test_another_architecture_goes_live_only_after_a_second_confirmation():
    one = of_tier_t2()
    waiting = one.decide(**ours(one, healthy()))
    one.facts.append(confirming(one))
    one.act("confirm", **ours(one, healthy()))

    assert "second confirmation by firmware_expert" in waiting.for_what
    assert one.candidate.phase is Phase.LIVE_PROBATION


def test_another_architecture_stands_in_shadow_even_where_no_lumisection_is_asked_for():
    one = of_tier_t2(shadow_lumisections=0, probation_lumisections=0)
    waiting = one.decide(**ours(one))
    one.facts.append(confirming(one))
    one.act("confirm", **ours(one))

    assert isinstance(waiting, Wait)
    assert one.candidate.phase is Phase.LIVE


def test_what_is_seen_counts_also_where_no_lumisection_is_asked_for():
    one = of_tier_t2(shadow_lumisections=0)
    one.facts.append(confirming(one))

    assert one.decide(**ours(one, seen(mismatches=1))).step == "trip"
    assert isinstance(one.decide(**ours(one, seen(lumisections=1))), Wait)


def test_a_confirmation_by_somebody_who_lost_the_role_goes_back():
    one = of_tier_t2()
    one.facts.append(confirming(one))
    people = {**PEOPLE, "fiona": frozenset({"viewer"})}

    assert one.decide(**ours(one, healthy(), people=people)).step == "trip"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"person": "carla", "role": "ml_expert"}, "initiated"),
        ({"person": "nobody"}, "no open account"),
        ({"person": "mila"}, "does not hold"),
        ({"person": "mila", "role": "ml_expert"}, "takes firmware_expert"),
        ({"reason": " "}, "one reason"),
        ({"bundle": sha("x")}, "the bundle"),
        ({"running": sha("x")}, "the running model"),
    ],
)
def test_a_confirmation_that_may_not_be_is_refused_with_its_reason(changed, says):
    with pytest.raises(RefusedError, match=says):
        confirming(of_tier_t2(), **changed)


def test_a_confirmation_is_given_once_and_only_of_what_is_in_shadow():
    one = of_tier_t2()
    with pytest.raises(StalePageError):
        confirming(one, request_id=sha("another"))
    one.facts.append(confirming(one))

    with pytest.raises(RefusedError, match="already confirmed"):
        confirming(one)
    with pytest.raises(RefusedError, match="asks for none"):
        confirming(course(), "timo", "trigger_oncall")


def test_a_forged_confirmation_of_the_initiator_or_of_another_request_does_not_count():
    one = of_tier_t2()
    good = confirming(one)
    one.facts += [replace(good, person="carla"), replace(good, request_id=sha("x")), good, good]

    assert one.candidate.confirmations == (good,)


# --- probation ----------------------------------------------------------------------------------------------------


def test_probation_ends_after_its_lumisections_with_what_was_seen():
    one = course(Phase.LIVE_PROBATION)
    waiting = one.decide(**ours(one, healthy(99)))
    (fact,) = one.act("pass_probation", **ours(one, healthy(100))).facts

    assert isinstance(waiting, Wait)
    assert "0 of 100000 events differ" in fact.reason
    assert one.candidate.phase is Phase.LIVE


def test_a_forged_end_of_probation_for_other_bits_does_nothing():
    one = course(Phase.LIVE_PROBATION)
    one.facts.append(b.ProbationPassed(at=NOON, actor="mallory", slot="L1_AXO", digest=sha("x"), reason="trust me"))

    assert one.candidate.phase is Phase.LIVE_PROBATION


def test_a_guard_trips_once():
    one = course(Phase.LIVE_PROBATION)
    one.act("trip", **ours(one, seen(rate=1.2)))
    first = one.candidate.rollback
    one.facts.append(replace(first, reason="again"))

    assert one.candidate.rollback == first


def test_an_older_champion_stays_while_a_newer_one_is_watched_and_goes_when_it_is_live():
    one = Course().to(Phase.LIVE)
    newer = replace(Course().candidate, id="c-0002", number=2)
    for phase in (Phase.DEPLOYING, Phase.SHADOW, Phase.LIVE_PROBATION):
        decision = one.decide(running=sha("newer"), others=(replace(newer, phase=phase),))

        assert isinstance(decision, Wait)
        assert decision.for_what == "a newer candidate"
    assert isinstance(one.decide(running=sha("newer"), others=(replace(newer, phase=Phase.LIVE),)), Act)


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.LIVE_PROBATION])
def test_nothing_else_is_proposed_or_written_while_bits_are_watched(phase):
    busy = (replace(Course().candidate, id="c-0000", number=0, phase=phase),)

    assert "c-0000" in Course().to(Phase.READY).decide(others=busy).for_what
    assert "c-0000" in Course().to(Phase.APPROVED).decide(others=busy).for_what
