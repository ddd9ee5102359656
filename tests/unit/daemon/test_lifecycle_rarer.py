"""Break-glass and its review, drills, rehearsals: the rarer ways to the board, and what they may not do."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.errors import RefusedError, StalePageError
from daemon.lifecycle import Act, Done, Phase, Wait, break_glass, decide, review
from daemon.lifecycle import facts as f
from tests.unit.daemon.lifecycle_examples import (
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
DUE = NOON + timedelta(hours=POLICY.review_hours)


def breaking(course, person="timo", role="trigger_oncall", *, now=NOON, **changed):
    candidate = course.candidate
    request = candidate.request.request_id if candidate.request else ""
    words = {"request_id": request, "person": person, "role": role, "reason": "the rate explodes"}
    world = {name: changed.pop(name) for name in ("bundle", "people") if name in changed}
    return break_glass(candidate, world_of(candidate, **world), POLICY, now=now, **(words | changed))


def broken(**seen):
    """A candidate on the board by break-glass, in mid fill 9000 or as told."""
    course = Course().to(Phase.PENDING_APPROVAL)
    course.facts.append(breaking(course))
    course.facts.append(breaking(course, "both", "coordinator"))
    seen = {"beam_mode": "STABLE BEAMS", "fill": 9000} | seen
    for step in ("arm", "deploy"):
        course.act(step, **seen)
    course.act("confirm", **({"running": course.candidate.bundle_digest} | seen))
    return course


def reviewing(course, person="rosa", role="root", **changed):
    people = {**PEOPLE, "rosa": frozenset({"root"}), "vera": frozenset({"viewer"}), "carla": frozenset({"root"})}
    words = {"person": person, "role": role, "reason": "it was right", "now": NOON} | changed
    return review(course.candidate, world_of(course.candidate, people=people), POLICY, **words)


# --- break-glass --------------------------------------------------------------------------------------------------


def test_two_people_break_the_glass_in_mid_fill_without_the_quorum():
    course = broken()

    assert course.candidate.approvals == ()
    assert course.candidate.phase is Phase.LIVE_PROBATION
    assert course.candidate.deployed.last_fill == 9000


def test_one_person_alone_breaks_no_glass_and_nobody_twice():
    course = Course().to(Phase.PENDING_APPROVAL)
    first = breaking(course)
    course.facts += [first, first, replace(first, person="carla"), replace(first, person="x", request_id=sha("x"))]

    assert course.candidate.phase is Phase.PENDING_APPROVAL
    assert [one.person for one in course.candidate.glass] == ["timo"]
    with pytest.raises(RefusedError, match="each once"):
        breaking(course)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"person": "mila", "role": "ml_expert"}, "ml_expert cannot break"),
        ({"person": "mila"}, "does not hold"),
        ({"person": "carla"}, "initiated"),
        ({"person": "nobody"}, "no open account"),
        ({"reason": " "}, "one reason"),
        ({"bundle": sha("x")}, "the bundle"),
        ({"now": NOON + 12 * HOUR}, "expired"),
        ({"request_id": sha("x")}, "reload"),
    ],
)
def test_glass_that_may_not_be_broken_is_not(changed, says):
    with pytest.raises(RefusedError, match=says):
        breaking(Course().to(Phase.PENDING_APPROVAL), **changed)


def test_the_glass_is_broken_for_an_open_request_only():
    with pytest.raises(StalePageError):
        breaking(Course().to(Phase.READY))
    course = Course().to(Phase.APPROVED)
    course.facts += [breaking(course), breaking(course, "both", "coordinator")]

    assert course.candidate.glass_broken
    with pytest.raises(RefusedError, match="already broke"):
        breaking(course, "carl", "coordinator", people={**PEOPLE, "carl": frozenset({"coordinator"})})


@pytest.mark.parametrize(
    "halting", [{"frozen": "x"}, {"paused": True}, {"open_faults": ("a",)}, {"running": None}, {"bundle": None}]
)
def test_broken_glass_opens_the_window_and_nothing_else(halting):
    course = Course().to(Phase.PENDING_APPROVAL)
    course.facts += [breaking(course), breaking(course, "both", "coordinator")]

    assert isinstance(course.decide(beam_mode="STABLE BEAMS", **halting), Wait)
    assert course.decide(beam_mode="STABLE BEAMS").step == "arm"
    assert course.decide(beam_mode="STABLE BEAMS", certification=sha("x")).step == "stale"


def test_who_broke_the_glass_may_take_it_back_and_must_hold_the_role_still():
    course = Course().to(Phase.PENDING_APPROVAL)
    course.facts += [breaking(course), breaking(course, "both", "coordinator")]
    lost = course.decide(people={**PEOPLE, "timo": frozenset({"viewer"})})
    changed = course.decide(policy=replace(POLICY, glass_roles=("coordinator",)))
    request = course.candidate.request.request_id
    course.facts.append(f.Revoked(at=NOON, actor="both", request_id=request, person="both", reason="no"))

    assert "break-glass: timo no longer holds" in lost.why
    assert "trigger_oncall may not break the glass" in changed.why
    assert course.candidate.phase is Phase.REVOKED


def test_what_broke_the_glass_goes_back_when_its_fill_is_over():
    course = broken()
    ours = {"running": course.candidate.bundle_digest, "beam_mode": "STABLE BEAMS"}
    during = course.decide(fill=9000, **ours)
    (fact,) = course.act("trip", fill=9001, **ours).facts

    assert isinstance(during, Wait)
    assert fact.guard == "break_glass"


def test_what_broke_the_glass_between_fills_has_the_next_one():
    course = broken(beam_mode="NO BEAM")

    assert course.candidate.deployed.last_fill == 9001


@pytest.mark.parametrize("fill", [None, 9000])
def test_what_broke_the_glass_goes_back_after_its_hours_whatever_the_fill(fill):
    course = broken(fill=fill)
    ours = {"running": course.candidate.bundle_digest, "fill": fill}

    assert isinstance(course.decide(NOON + 12 * HOUR - timedelta(seconds=1), **ours), Wait)
    assert course.decide(NOON + 12 * HOUR, **ours).step == "trip"


def test_glass_that_was_broken_in_an_unknown_fill_is_not_over_when_the_fill_becomes_known():
    course = broken(fill=None)
    waiting = course.decide(NOON + HOUR, running=course.candidate.bundle_digest, fill=9100)

    assert waiting.for_what == "the end of the fill for which the glass was broken"
    assert waiting.until == NOON + HOUR + POLICY.recheck


def test_what_a_whole_quorum_approved_has_no_last_fill():
    assert Course().to(Phase.LIVE).candidate.deployed.last_fill is None


def test_broken_glass_is_reviewed_in_a_day_or_nothing_goes_forward():
    course = broken()
    ours = {"running": course.candidate.bundle_digest}
    course.act("trip", NOON + 13 * HOUR, **ours)
    course.act("confirm_rollback", NOON + 13 * HOUR, running=OLD)
    waiting = course.decide(NOON + 14 * HOUR, running=OLD)
    other = Course([requested(2), trained(2), evaluated(trained(2), gate())])
    before = other.decide(NOON + 14 * HOUR, others=(course.candidate,))
    course.act("review_overdue", DUE, running=OLD)

    assert (waiting.until, waiting.for_what) == (DUE, "a person to review why the glass was broken")
    assert before.step == "propose"
    assert "the review of why the glass was broken for c-0001" in other.decide(DUE, others=(course.candidate,)).for_what
    assert isinstance(course.decide(DUE, running=OLD), Done)
    course.facts.append(reviewing(course))
    assert isinstance(other.decide(DUE, others=(course.candidate,)), Act)
    elsewhere = replace(broken().candidate, review_overdue=True, slot="L1_CICADA")
    assert isinstance(other.decide(DUE, others=(elsewhere,)), Act)


def test_a_review_that_is_due_is_looked_at_in_time():
    course = broken()
    decision = course.decide(DUE - timedelta(minutes=1), running=course.candidate.bundle_digest, fill=9000)

    assert decision.step == "trip"  # its hours are over first
    on_time = replace(course.candidate, deployed=replace(course.candidate.deployed, at=DUE - HOUR))
    ours = world_of(on_time, running=on_time.bundle_digest)
    assert decide(on_time, ours, POLICY, DUE - timedelta(minutes=1)).until == DUE
    assert decide(on_time, ours, POLICY, DUE).step == "review_overdue"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"person": "both", "role": "coordinator"}, "broke the glass"),
        ({"person": "carla"}, "initiated"),
        ({"person": "vera", "role": "viewer"}, "viewer cannot review"),
        ({"person": "vera"}, "does not hold"),
        ({"person": "nobody"}, "no open account"),
        ({"reason": ""}, "one reason"),
    ],
)
def test_a_review_is_made_by_somebody_else(changed, says):
    with pytest.raises(RefusedError, match=says):
        reviewing(broken(), **changed)


def test_there_is_nothing_to_review_where_no_glass_was_broken_or_twice():
    with pytest.raises(RefusedError, match="nothing to review"):
        reviewing(Course().to(Phase.LIVE))
    course = broken()
    good = reviewing(course)
    course.facts += [replace(good, person="timo"), replace(good, request_id=sha("x"))]
    assert course.candidate.reviewed is None
    course.facts.append(good)

    assert course.candidate.reviewed == good
    with pytest.raises(RefusedError, match="nothing to review"):
        reviewing(course)


def test_glass_broken_and_never_written_needs_no_review():
    course = Course().to(Phase.PENDING_APPROVAL)
    course.facts += [breaking(course), breaking(course, "both", "coordinator")]
    course.act("expire", NOON + 12 * HOUR)

    assert isinstance(course.decide(DUE + HOUR), Done)


# --- drills, rehearsals -------------------------------------------------------------------------------------------


def drill(number=1):
    return [requested(number, drill=True), trained(number), evaluated(trained(number), gate())]


def test_a_drill_that_is_approved_ends_there_and_is_never_armed():
    course = Course(drill())
    course.act("propose")
    course.facts += [
        approval(course.candidate, "mila", "ml_expert"),
        approval(course.candidate, "timo", "trigger_oncall"),
    ]
    armed = f.Armed(at=NOON, actor="mallory", request_id=course.candidate.request.request_id)
    assert Course([*course.facts, armed]).candidate.phase is Phase.APPROVED
    course.act("expire")

    assert course.candidate.phase is Phase.EXPIRED
    assert "drill" in course.candidate.closing


@pytest.mark.parametrize("phase", [Phase.READY, Phase.PENDING_APPROVAL])
def test_a_drill_takes_nobodys_place_and_makes_way_for_every_real_candidate(phase):
    newer_drill = replace(Course(drill(2)).candidate, phase=phase)
    older = replace(Course([requested(1), trained(1), evaluated(trained(1), gate())]).candidate, phase=phase)
    real = Course().to(Phase.READY)
    practice = Course(drill(2))

    ahead = real.decide(others=(newer_drill,))
    assert isinstance(ahead, Wait) or ahead.step == "propose"
    assert practice.decide(others=(older,)).step == "supersede"
    assert practice.decide(others=(replace(older, phase=Phase.LIVE),)).step == "propose"
    assert practice.decide(others=(replace(older, number=3, phase=Phase.LIVE),)).step == "supersede"
    assert practice.decide(others=(replace(newer_drill, id="c-0003", number=3),)).step == "supersede"


@pytest.mark.parametrize(("days", "allowed"), [(None, False), (29.9, True), (30.0, True), (30.1, False)])
@pytest.mark.parametrize("phase", [Phase.APPROVED, Phase.ARMED])
def test_no_board_is_written_whose_way_back_was_not_rehearsed_of_late(phase, days, allowed):
    course = Course(policy=replace(POLICY, rehearsal_days=30.0)).to(Phase.APPROVED)
    rehearsed = NOON - timedelta(days=days) if days is not None else None
    if phase is Phase.ARMED:
        course.act("arm", rehearsed_at=NOON)
    decision = course.decide(rehearsed_at=rehearsed)

    assert isinstance(decision, Act) is allowed
    if not allowed:
        assert "drill rollback" in decision.for_what
