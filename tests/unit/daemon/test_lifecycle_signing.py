"""Signed words: over which bytes, by whose key, and what voids them."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.errors import RefusedError
from daemon.lifecycle import Phase, Wait, approve, break_glass, signing, waive
from daemon.lifecycle.signing import PersonKey, key_id_of
from tests.unit.daemon import lifecycle_people as people_say
from tests.unit.daemon.lifecycle_examples import (
    NOON,
    PEOPLE,
    WATCHED_POLICY,
    Course,
    evaluated,
    gate,
    requested,
    sha,
    trained,
    world_of,
)
from tests.unit.daemon.lifecycle_experiment import Experiment

POLICY = replace(WATCHED_POLICY, unsigned_approvals=False)
SECRET = {name: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sha(name))) for name in [*PEOPLE, "mila's second"]}
PUBLIC = {name: key.public_key().public_bytes_raw().hex() for name, key in SECRET.items()}
KEYS = {
    key_id_of(public): PersonKey(key_id=key_id_of(public), person=name.split("'")[0], public=public)
    for name, public in PUBLIC.items()
}


def without(name):
    return {each: key for each, key in KEYS.items() if key.public != PUBLIC[name]}


def pending():
    return Course(policy=POLICY).to(Phase.PENDING_APPROVAL)


def yes(course, person="mila", role="ml_expert", *, key="", reason="fine", said=None, keys=KEYS, signature=None):
    candidate = course.candidate
    request = candidate.request.request_id
    message = signing.approval(candidate.id, request, person, role, reason) if said is None else said
    made = signature or signing.sign(SECRET[key or person], message)
    words = {"request_id": request, "person": person, "role": role, "reason": reason, "now": NOON}
    return approve(candidate, world_of(candidate, keys=keys), POLICY, signature=made, **words)


def signed_through(phase):
    course = pending()
    course.facts += [yes(course), yes(course, "timo", "trigger_oncall")]
    world = {"keys": KEYS}
    for reached, step in ((Phase.ARMED, "arm"), (Phase.DEPLOYING, "deploy"), (Phase.SHADOW, "shadow")):
        if course.candidate.phase is phase:
            break
        course.act(step, **(world | ({"running": course.candidate.bundle_digest} if step == "shadow" else {})))
        assert course.candidate.phase is reached
    return course


def test_a_signed_word_of_the_right_person_counts():
    course = pending()
    course.facts += [yes(course), yes(course, "timo", "trigger_oncall")]

    assert course.candidate.phase is Phase.APPROVED
    assert course.decide(keys=KEYS).step == "arm"


def test_a_person_has_several_keys_and_one_voice():
    course = pending()
    course.facts.append(yes(course, key="mila's second"))

    with pytest.raises(RefusedError, match="one person counts once"):
        yes(course)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"key": "timo"}, "does not speak for mila"),
        ({"keys": {}}, "does not speak for mila"),
        ({"said": b"something else"}, "not of these bytes"),
    ],
)
def test_a_signature_that_does_not_hold_is_refused(changed, says):
    with pytest.raises(RefusedError, match=says):
        yes(pending(), **changed)


def test_no_signature_is_refused_where_the_policy_wants_one():
    course = pending()
    words = {"request_id": course.candidate.request.request_id, "person": "mila", "role": "ml_expert", "reason": "fine"}

    with pytest.raises(RefusedError, match="--key FILE"):
        approve(course.candidate, world_of(course.candidate), POLICY, now=NOON, **words)


def test_a_signature_of_one_thing_is_none_of_another():
    now = {"person": "mila", "role": "ml_expert", "reason": "fine"}
    base = signing.approval("c-0001", "r", **now)
    others = [
        signing.approval("c-0002", "r", **now),
        signing.approval("c-0001", "s", **now),
        signing.approval("c-0001", "r", **{**now, "person": "timo"}),
        signing.approval("c-0001", "r", **{**now, "role": "root"}),
        signing.approval("c-0001", "r", **{**now, "reason": "x"}),
        signing.confirmation("c-0001", "r", **now),
        signing.glass("c-0001", "r", **now),
        signing.waiver("c-0001", "r", "g", expires_at=NOON, **now),
        signing.waiver("c-0001", "r", "h", expires_at=NOON, **now),
    ]

    assert len({base, *others}) == len(others) + 1


@pytest.mark.parametrize("phase", [Phase.APPROVED, Phase.ARMED, Phase.DEPLOYING])
def test_a_revoked_key_makes_what_it_signed_stale_before_the_next_step(phase):
    course = signed_through(phase)
    decision = course.decide(keys=without("timo"))

    assert decision.step == ("abort" if phase is Phase.DEPLOYING else "stale")
    assert "does not speak for timo" in decision.why


def test_a_key_revoked_while_the_bits_are_in_shadow_goes_back():
    course = signed_through(Phase.SHADOW)

    assert course.decide(running=course.candidate.bundle_digest, keys=without("timo")).step == "trip"


def test_another_key_revoked_changes_nothing():
    assert signed_through(Phase.APPROVED).decide(keys=without("both")).step == "arm"


@pytest.mark.parametrize("change", [{"reason": "another"}, {"role": "trigger_oncall"}, {"signature": None}])
def test_a_forged_approval_is_found_before_the_board_is_written(change):
    course = pending()
    good = yes(course)
    course.facts += [good, yes(course, "timo", "trigger_oncall")]
    course.facts[-2] = replace(good, **change)

    assert course.decide(keys=KEYS).step == "stale"


@pytest.mark.parametrize("kind", ["webauthn", ""])
def test_a_kind_of_signature_that_is_not_known_yet_does_not_hold(kind):
    course = pending()
    signature = replace(yes(course).signature, kind=kind)

    with pytest.raises(RefusedError, match="cannot be checked here"):
        yes(course, signature=signature)


@pytest.mark.parametrize("value", ["", "zz", "00" * 64, "00" * 63])
def test_what_is_no_signature_at_all_does_not_hold(value):
    signature = replace(yes(pending()).signature, value=value)

    with pytest.raises(RefusedError, match="not of these bytes"):
        yes(pending(), signature=signature)


@pytest.mark.parametrize("public", ["", "ab", "00" * 31, "00" * 33, "xy" * 32])
def test_a_public_key_has_32_bytes_in_hex(public):
    with pytest.raises(ValueError, match=r"hex|32 bytes"):
        key_id_of(public)


def test_waivers_and_broken_glass_are_signed_too():
    words = {"person": "fiona", "role": "firmware_expert", "reason": "known", "now": NOON}
    doubted = Course([requested(), trained(), evaluated(trained(), gate("inconclusive"))], POLICY).candidate
    open_one = pending().candidate
    root = {"gate": "bit_exact", "evidence_root": doubted.gates.evidence_root, "expires_at": NOON.replace(hour=18)}

    with pytest.raises(RefusedError, match="signed words alone"):
        waive(doubted, world_of(doubted), POLICY, **words, **root)
    glass = {"person": "timo", "role": "trigger_oncall", "reason": "now", "now": NOON}
    with pytest.raises(RefusedError, match="signed words alone"):
        break_glass(open_one, world_of(open_one), POLICY, request_id=open_one.request.request_id, **glass)


def test_signed_waivers_and_glass_are_void_without_their_keys():
    it = Experiment(policy=POLICY, keys=dict(people_say.KEYS), verdicts=["inconclusive"], beam_mode="NO BEAM")
    it.request()
    it.run()
    for person, role in (("mila", "ml_expert"), ("fiona", "firmware_expert")):
        assert people_say.waives(it, it.folded["c-0001"], person, role)
    it.run()
    for person, role in (("timo", "trigger_oncall"), ("both", "coordinator")):
        assert people_say.breaks_glass(it, it.folded["c-0001"], person, role)
    assert it.decision(it.folded["c-0001"]).step == "arm"

    for name, words in (("mila", "the waiver of bit_exact"), ("both", "break-glass")):
        it.keys = {each: key for each, key in people_say.KEYS.items() if key.person != name}
        assert words in it.decision(it.folded["c-0001"]).why


def test_a_second_confirmation_is_signed_too():
    it = Experiment(policy=POLICY, keys=dict(people_say.KEYS), tier="T2", beam_mode="NO BEAM")
    it.request()
    it.run()
    people_say.a_quorum_approves(it)
    it.run()
    assert people_say.confirms(it, it.folded["c-0001"], "fiona", "firmware_expert")
    assert isinstance(it.decision(it.folded["c-0001"]), Wait)

    it.keys = {each: key for each, key in people_say.KEYS.items() if key.person != "fiona"}
    assert "the confirmation" in it.decision(it.folded["c-0001"]).why
