"""What people say in an `Experiment`: each word goes through the daemon's own rules, refused or recorded."""

from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.errors import RefusedError
from daemon.lifecycle import approve, ask_rollback, break_glass, confirm, reject, review, revoke, signing, waive
from daemon.lifecycle.signing import PersonKey, key_id_of
from tests.unit.daemon.lifecycle_examples import PEOPLE, sha

SECRETS = {name: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sha(name))) for name in PEOPLE}
PUBLIC = {name: key.public_key().public_bytes_raw().hex() for name, key in SECRETS.items()}
KEYS = {
    key_id_of(public): PersonKey(key_id=key_id_of(public), person=name, public=public)
    for name, public in PUBLIC.items()
}


def key_of(person):
    return key_id_of(PUBLIC[person])


def signed(experiment, person, message):
    """The person's signature, where the policy wants one and they have a key at all."""
    if experiment.policy.unsigned_approvals or person not in SECRETS:
        return None
    return signing.sign(SECRETS[person], message)


def say(experiment, candidate, what):
    """Record what the rules let somebody say; return whether they did."""
    try:
        fact = what(candidate, experiment.world(candidate))
    except RefusedError:
        return False
    experiment.append(candidate.id, fact)
    return True


def request_of(candidate, *, old=False):
    return candidate.request.request_id if candidate.request and not old else sha("an old page")


def approves(experiment, candidate, person, role, *, old=False, unsigned=False):
    request = request_of(candidate, old=old)
    message = signing.approval(candidate.id, request, person, role, "fine")
    words = {"request_id": request, "person": person, "role": role, "reason": "fine", "now": experiment.now}
    signature = None if unsigned else signed(experiment, person, message)
    return say(experiment, candidate, lambda c, w: approve(c, w, experiment.policy, signature=signature, **words))


def confirms(experiment, candidate, person, role):
    request = request_of(candidate)
    message = signing.confirmation(candidate.id, request, person, role, "fine")
    words = {"request_id": request, "person": person, "role": role, "reason": "fine", "now": experiment.now}
    signature = signed(experiment, person, message)
    return say(experiment, candidate, lambda c, w: confirm(c, w, experiment.policy, signature=signature, **words))


def breaks_glass(experiment, candidate, person, role):
    request = request_of(candidate)
    message = signing.glass(candidate.id, request, person, role, "the rate explodes")
    words = {"request_id": request, "person": person, "role": role, "reason": "the rate explodes"}
    signature = signed(experiment, person, message)
    return say(
        experiment,
        candidate,
        lambda c, w: break_glass(c, w, experiment.policy, signature=signature, now=experiment.now, **words),
    )


def waives(experiment, candidate, person, role, *, gate="bit_exact", hours=24):
    root = candidate.gates.evidence_root if candidate.gates else ""
    expires_at = experiment.time() + timedelta(hours=hours)
    message = signing.waiver(candidate.id, root, gate, person, role, "known", expires_at)
    words = {"gate": gate, "evidence_root": root, "person": person, "role": role, "reason": "known"}
    signature = signed(experiment, person, message)
    return say(
        experiment,
        candidate,
        lambda c, w: waive(
            c, w, experiment.policy, expires_at=expires_at, signature=signature, now=experiment.now, **words
        ),
    )


def reviews(experiment, candidate, person, role):
    words = {"person": person, "role": role, "reason": "it was right", "now": experiment.now}
    return say(experiment, candidate, lambda c, w: review(c, w, experiment.policy, **words))


def rejects(experiment, candidate, person, role):
    words = {"request_id": request_of(candidate), "person": person, "role": role, "klass": "rate", "reason": "no"}
    return say(experiment, candidate, lambda c, w: reject(c, w, experiment.policy, now=experiment.now, **words))


def revokes(experiment, candidate, person):
    words = {"request_id": request_of(candidate), "person": person, "reason": "no", "now": experiment.now}
    return say(experiment, candidate, lambda c, w: revoke(c, w, **words))


def asks_rollback(experiment, candidate, person):
    words = {"person": person, "reason": "rate", "now": experiment.now}
    return say(experiment, candidate, lambda c, w: ask_rollback(c, w, experiment.policy, **words))


QUORUM = (("mila", "ml_expert"), ("timo", "trigger_oncall"), ("fiona", "firmware_expert"))


def a_quorum_approves(experiment):
    for candidate in experiment.candidates():
        for person, role in QUORUM:
            approves(experiment, experiment.folded[candidate.id], person, role)


def fiona_confirms(experiment):
    for candidate in experiment.candidates():
        confirms(experiment, candidate, "fiona", "firmware_expert")
