"""What people may say, what the policy may state, and when a candidate may be asked for."""

from dataclasses import replace
from datetime import timedelta
from importlib import resources

import pytest

from daemon.errors import PolicyError, RefusedError, StalePageError
from daemon.lifecycle import Phase, approve, ask_rollback, candidate_id, reject, request_candidate, revoke
from daemon.lifecycle import facts as f
from daemon.lifecycle.policy import parse_policy
from daemon.lifecycle.quorum import quorum
from daemon.policy_file import load_policy
from tests.unit.daemon.lifecycle_examples import NOON, PEOPLE, POLICY, SLOT, Course, approval, sha, world_of

HOUR = timedelta(hours=1)


def yes(course, person="mila", role="ml_expert", *, request_id=None, reason="looks right", now=NOON, **seen):
    candidate = course.candidate
    request = request_id or (candidate.request.request_id if candidate.request else "")
    world = world_of(candidate, **seen)
    words = {"request_id": request, "person": person, "role": role, "reason": reason}
    return approve(candidate, world, POLICY, now=now, **words)


def no(course, **changed):
    candidate = course.candidate
    words = {
        "request_id": candidate.request.request_id if candidate.request else "",
        "person": "both",
        "role": "coordinator",
        "klass": "rate",
        "reason": "too high",
    }
    return reject(candidate, world_of(candidate), POLICY, now=NOON, **(words | changed))


def test_two_distinct_people_in_the_required_roles_approve():
    course = Course().to(Phase.PENDING_APPROVAL)
    course.facts.append(yes(course))
    assert course.candidate.phase is Phase.PENDING_APPROVAL
    course.facts.append(yes(course, "timo", "trigger_oncall"))

    assert course.candidate.phase is Phase.APPROVED


def test_one_person_counts_once_whatever_roles_they_hold():
    course = Course().to(Phase.PENDING_APPROVAL)
    course.facts.append(yes(course, "both", "ml_expert"))

    with pytest.raises(RefusedError, match="one person counts once"):
        yes(course, "both", "trigger_oncall")
    course.facts.append(approval(course.candidate, "both", "trigger_oncall"))
    assert len(course.candidate.approvals) == 1
    assert course.candidate.phase is Phase.PENDING_APPROVAL


def test_two_people_of_one_role_are_no_quorum():
    course = Course().to(Phase.PENDING_APPROVAL)
    course.facts += [yes(course), yes(course, "both", "ml_expert")]

    assert course.candidate.phase is Phase.PENDING_APPROVAL


def test_the_initiator_cannot_approve_not_even_by_a_forged_fact():
    course = Course().to(Phase.PENDING_APPROVAL)

    with pytest.raises(RefusedError, match="carla initiated"):
        yes(course, "carla", "trigger_oncall")
    course.facts.append(approval(course.candidate, "carla", "trigger_oncall"))
    assert course.candidate.approvals == ()
    course.facts.append(yes(course))
    assert course.candidate.phase is Phase.PENDING_APPROVAL


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"person": "nobody"}, "no open account"),
        ({"person": "daemon"}, "built"),
        ({"role": "trigger_oncall"}, "does not hold"),
        ({"person": "both", "role": "coordinator"}, "does not count"),
        ({"reason": "  "}, "one reason"),
        ({"now": NOON + 12 * HOUR}, "expired at 2026-07-02 00:00"),
        ({"clock": NOON + 12 * HOUR}, "expired"),
        ({"bundle": None, "bundle_problem": "weights.safetensors: one bit differs"}, "weights.safetensors"),
        ({"bundle": sha("other")}, "the bundle"),
        ({"bundle": None}, "cannot be read"),
        ({"evidence_root": sha("other")}, "the evidence"),
        ({"running": sha("other")}, "the running model"),
        ({"certification": sha("other")}, "certification"),
        ({"target": "crate-8"}, "the target"),
    ],
)
def test_an_approval_that_may_not_be_is_refused_with_its_reason(words, says):
    with pytest.raises(RefusedError, match=says):
        yes(Course().to(Phase.PENDING_APPROVAL), **words)


def test_a_stale_page_cannot_approve_and_is_told_to_reload():
    with pytest.raises(StalePageError, match="reload the page"):
        yes(Course().to(Phase.PENDING_APPROVAL), request_id=sha("the request before"))


@pytest.mark.parametrize("phase", [Phase.BUILDING, Phase.READY, Phase.APPROVED, Phase.LIVE])
def test_only_a_pending_request_can_be_approved(phase):
    with pytest.raises(StalePageError, match="no open request"):
        yes(Course().to(phase))


@pytest.mark.parametrize("phase", [Phase.PENDING_APPROVAL, Phase.APPROVED, Phase.ARMED])
def test_a_no_ends_the_candidate_for_good(phase):
    course = Course().to(phase)
    course.facts.append(no(course))
    course.facts.append(approval(Course().to(Phase.PENDING_APPROVAL).candidate, "mila", "ml_expert"))

    assert course.candidate.phase is Phase.REJECTED
    assert "rate: too high" in course.candidate.closing


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"klass": "mood"}, "choose one of"),
        ({"reason": ""}, "one reason"),
        ({"person": "timo"}, "does not hold"),
        ({"person": "nobody"}, "no open account"),
        ({"request_id": sha("x")}, "reload"),
    ],
)
def test_a_no_without_role_class_or_reason_is_refused(words, says):
    with pytest.raises(RefusedError, match=says):
        no(Course().to(Phase.PENDING_APPROVAL), **words)


def test_a_role_that_the_policy_lets_not_reject_does_not():
    course = Course().to(Phase.PENDING_APPROVAL)
    world = world_of(course.candidate, people={"vera": frozenset({"viewer"})})
    words = {"request_id": course.candidate.request.request_id, "klass": "rate", "reason": "no", "now": NOON}

    with pytest.raises(RefusedError, match="viewer cannot reject"):
        reject(course.candidate, world, POLICY, person="vera", role="viewer", **words)


def test_an_approver_can_change_their_mind_until_the_board_is_written():
    course = Course().to(Phase.ARMED)
    request = course.candidate.request.request_id
    fact = revoke(
        course.candidate, world_of(course.candidate), request_id=request, person="timo", reason="rate", now=NOON
    )
    course.facts.append(fact)

    assert course.candidate.phase is Phase.REVOKED


@pytest.mark.parametrize(("phase", "person"), [(Phase.APPROVED, "both"), (Phase.LIVE, "timo"), (Phase.READY, "timo")])
def test_who_did_not_approve_or_comes_too_late_has_nothing_to_revoke(phase, person):
    course = Course().to(phase)
    request = course.candidate.request.request_id if course.candidate.request else ""

    with pytest.raises(RefusedError):
        revoke(course.candidate, world_of(course.candidate), request_id=request, person=person, reason="x", now=NOON)


@pytest.mark.parametrize(
    ("phase", "person", "says"),
    [
        (Phase.APPROVED, "timo", "nothing to roll back"),
        (Phase.LIVE, "mila", "cannot roll back"),
        (Phase.LIVE, "x", "cannot"),
    ],
)
def test_a_rollback_is_asked_for_by_the_roles_of_the_policy(phase, person, says):
    course = Course().to(phase)

    with pytest.raises(RefusedError, match=says):
        ask_rollback(course.candidate, world_of(course.candidate), POLICY, person=person, reason="rate", now=NOON)


def test_an_approval_counts_only_while_its_person_holds_the_role():
    candidate = Course().to(Phase.APPROVED).candidate
    roles, votes = candidate.request.required_roles, candidate.approvals

    assert quorum(roles, votes, "carla", PEOPLE).complete
    assert quorum(roles, votes, "carla", {**PEOPLE, "timo": frozenset({"viewer"})}).missing == ("trigger_oncall",)
    assert quorum(roles, votes, "timo").missing == ("trigger_oncall",)


def test_a_role_listed_thrice_takes_three_people():
    def root(person):
        return f.Approved(at=NOON, actor=person, request_id="r", person=person, role="root", reason="x")

    votes = [root("a"), root("b"), root("b")]
    assert not quorum(("root",) * 3, votes, "i").complete
    assert quorum(("root",) * 3, [*votes, root("c")], "i").complete
    assert not quorum((), votes, "i").complete


# --- the policy ---------------------------------------------------------------------------------------------------


def shipped():
    return resources.files("daemon").joinpath("policy.toml").read_text("utf-8")


def test_any_change_of_the_policy_changes_its_id_and_a_comment_does_not():
    text = shipped()

    assert parse_policy(text + "\n# a remark\n").id == parse_policy(text).id
    assert parse_policy(text.replace("ttl_hours = 24.0", "ttl_hours = 23.0")).id != POLICY.id
    assert parse_policy(text.replace('"RAMP DOWN", ', "")).id != POLICY.id


def freeze(begin, end):
    return f"[[freeze_windows]]\nbegin = {begin}\nend = {end}\nreason = 'x'"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('roles = ["ml_expert", "trigger_oncall"]\n', "roles = []\n", "empty quorum"),
        ('["root", "root", "root"]', '["king"]', "king"),
        ("ttl_hours = 24.0", "ttl_hours = 0", "above 0"),
        ('gain_required = ["cron", "fill", "online"]', 'gain_required = ["whim"]', "unknown trigger 'whim'"),
        ("attempts = 3", "attempts = 0", "attempts is 0"),
        ("attempts = 3", "atempts = 3", "atempts"),
        ("version = 1", "version = ", "cannot be read"),
        ("version = 1", "", "version"),
        ("[tiers.T0]", "[tears.T0]", "tears"),
        ("cooldown_hours = 12 ", "cooldown_hours = -1 ", "negative"),
        ('rollback_roles = ["trigger_oncall", "coordinator"]', "rollback_roles = []", "rollback_roles is empty"),
        ("# [[freeze_windows]]", freeze("2026-07-02T00:00:00Z", "2026-07-01T00:00:00Z"), "ends before"),
        ("# [[freeze_windows]]", freeze("2026-07-02T00:00:00", "2026-07-03T00:00:00Z"), "time zone"),
    ],
)  # fmt: skip
def test_a_policy_that_is_wrong_is_refused_by_name(old, new, says):
    assert old in shipped()

    with pytest.raises(PolicyError, match=says):
        parse_policy(shipped().replace(old, new, 1))


def test_a_policy_without_tiers_is_refused():
    with pytest.raises(PolicyError, match="tiers"):
        parse_policy(shipped().partition("[tiers.T0]")[0])


def test_a_calendar_freeze_holds_from_its_begin_to_just_before_its_end():
    window = "[[freeze_windows]]\nbegin = 2026-07-01T12:00:00Z\nend = 2026-07-01T13:00:00+00:00\nreason = 'scan'\n"
    policy = parse_policy(shipped() + window)

    held = [policy.frozen_by(NOON + timedelta(minutes=m)) is not None for m in (-1, 0, 59, 60)]
    assert held == [False, True, True, False]


def test_a_policy_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PolicyError, match=r"rules\.toml"):
        load_policy(tmp_path / "rules.toml")


def test_a_policy_is_read_from_its_file(tmp_path):
    (tmp_path / "rules.toml").write_text(shipped().replace("version = 1", "version = 2"))

    assert load_policy(tmp_path / "rules.toml").version == 2


# --- asking for a candidate ---------------------------------------------------------------------------------------


def ask(candidates=(), **changed):
    words = {
        "slot": SLOT,
        "trigger": "drift",
        "initiator": "daemon",
        "recipe_digest": sha("a new recipe"),
        "recipe": {"seed": 7},
        "reason": "MET drifted",
        "number": len(candidates) + 1,
        "open_faults": (),
        "paused": "",
        "now": NOON + 13 * HOUR,
    }
    return request_candidate(candidates, POLICY, **(words | changed))


def test_a_candidate_may_be_asked_for_and_gets_the_next_id():
    fact = ask([Course().to(Phase.LIVE).candidate])

    assert (fact.candidate, fact.number) == ("c-0002", 2)
    assert candidate_id(12_345) == "c-12345"


@pytest.mark.parametrize(
    ("phase", "changed", "says"),
    [
        (Phase.LIVE, {"open_faults": ("zb:401:17",)}, "zb:401:17"),
        (Phase.LIVE, {"open_faults": ("zb:401:17",), "trigger": "manual"}, "held to be broken"),
        (Phase.LIVE, {"paused": "timo: access"}, "timo: access"),
        (Phase.BUILDING, {}, "already being built"),
        (Phase.VERIFYING, {"trigger": "manual"}, "already being built"),
        (Phase.LIVE, {"recipe_digest": sha("recipe 1")}, "this very recipe"),
        (Phase.LIVE, {"now": NOON + 11 * HOUR}, "cooling down until 2026-07-02 00:00"),
        (Phase.LIVE, {"now": NOON - 1000 * HOUR}, "cooling down"),
    ],
)
def test_a_candidate_that_may_not_be_asked_for_is_refused_with_its_reason(phase, changed, says):
    with pytest.raises(RefusedError, match=says):
        ask([Course().to(phase).candidate], **changed)


@pytest.mark.parametrize("trigger", ["cron", "manual"])
def test_the_cool_down_is_for_drift_alone(trigger):
    assert ask([Course().to(Phase.LIVE).candidate], trigger=trigger, now=NOON + HOUR).trigger == trigger


def test_the_cool_down_goes_by_the_latest_fact_when_the_clock_jumped_back():
    late = replace(Course().to(Phase.LIVE).candidate, latest_at=NOON + 13 * HOUR)

    assert ask([late], now=NOON + HOUR).at == NOON + 13 * HOUR


def test_another_slot_and_a_failed_twin_block_nothing():
    busy_elsewhere = replace(Course().candidate, slot="L1_CICADA")
    failed = replace(Course().candidate, phase=Phase.FAILED, requested_at=NOON - HOUR)

    assert ask([busy_elsewhere]).number == 2
    assert ask([failed], recipe_digest=sha("recipe 1")).number == 2


def test_people_of_the_examples_hold_known_roles():
    from daemon.lifecycle.policy import ROLES

    assert set().union(*PEOPLE.values()) <= set(ROLES)
