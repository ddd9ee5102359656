"""What a request for approval rests on, and what of it has changed.

`request_id` binds candidate, bits, evidence, policy, target, running digest, certification and expiry in one digest.
`changes` compares each of them with what is seen now; any difference makes the approvals void.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daemon.lifecycle.candidate import Candidate
from daemon.lifecycle.codec import digest
from daemon.lifecycle.facts import Proposed
from daemon.lifecycle.gating import waivers_digest
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.voided import void_waivers, void_words
from daemon.lifecycle.world import World


@dataclass(frozen=True)
class Comparison:
    """What differs from the record, and what could not be seen; both as sentences."""

    changed: tuple[str, ...]
    unseen: tuple[str, ...]


def request_id(candidate: str, request: Proposed) -> str:
    """Return the digest that an approval of this request must name."""
    bound = {
        "candidate": candidate,
        "bundle_digest": request.bundle_digest,
        "evidence_root": request.evidence_root,
        "policy_id": request.policy_id,
        "target": request.target,
        "running_digest": request.running_digest,
        "certification_digest": request.certification_digest,
        "tier": request.tier,
        "required_roles": request.required_roles,
        "proposed_at": request.at,
        "expires_at": request.expires_at,
        "ordinal": request.ordinal,
        "waivers": request.waivers,
    }
    return digest(bound)


def new_request(candidate: Candidate, world: World, policy: Policy, now: datetime, actor: str) -> Proposed:
    """Return the request that a ready candidate would open now.

    The candidate must have gates, and its tier must be in the policy; `decide` sees to both.
    """
    gates = candidate.gates
    assert gates is not None
    tier = policy.tiers[gates.tier]
    draft = {
        "at": now,
        "actor": actor,
        "tier": gates.tier,
        "required_roles": tier.roles,
        "bundle_digest": gates.bundle_digest,
        "evidence_root": gates.evidence_root,
        "policy_id": policy.id,
        "target": world.target,
        "running_digest": gates.running_digest,
        "certification_digest": gates.certification_digest,
        "expires_at": min([now + timedelta(hours=tier.ttl_hours), *(one.expires_at for one in candidate.waivers)]),
        "ordinal": candidate.requests + 1,
        "waivers": waivers_digest(candidate),
    }
    blank = Proposed(**draft, request_id="")  # type: ignore[arg-type]  # a dict of many types
    return replace(blank, request_id=request_id(candidate.id, blank))


def changes(candidate: Candidate, world: World, policy: Policy, *, also_running: str = "") -> Comparison:
    """Return what the gates or the open request rest on and is no longer so.

    Args:
        candidate: With gates, and perhaps with an open request.
        world: As seen now.
        policy: In force now.
        also_running: A digest that may run instead of the champion: our own, while it is being written.
    """
    changed: list[str] = []
    unseen: list[str] = []
    gates, request = candidate.gates, candidate.request
    if gates is None:
        return Comparison(("the gates: none were evaluated on this build",), ())

    if world.bundle_problem:
        changed.append(f"the bundle {_short(gates.bundle_digest)}: {world.bundle_problem}")
    else:
        _compare("the bundle", gates.bundle_digest, world.bundle, changed, unseen)
    _compare("the evidence", gates.evidence_root, world.evidence_root, changed, unseen)
    _compare(
        "the certification of its training lumisections",
        gates.certification_digest,
        world.certification,
        changed,
        unseen,
    )
    if not (also_running and world.running == also_running):
        _compare("the running model", gates.running_digest, world.running, changed, unseen)
    if request is not None:
        _compare("the policy", request.policy_id, policy.id, changed, unseen)
        _compare("the target", request.target, world.target, changed, unseen)
        if request.request_id != request_id(candidate.id, request):
            changed.append("the request itself: its fields do not give its digest")
        changed += _bent(request, policy)
        _compare("the waivers", request.waivers, waivers_digest(candidate), changed, unseen)
        changed += void_words(candidate, world, policy)
    changed += void_waivers(candidate, world, policy)
    return Comparison(tuple(changed), tuple(unseen))


def _bent(request: Proposed, policy: Policy) -> list[str]:
    """What a request claims of the policy and the policy does not say: then no daemon of ours wrote it."""
    tier = policy.tiers.get(request.tier)
    if tier is None or tier.roles != request.required_roles:
        return [f"the quorum: tier {request.tier} requires {', '.join(tier.roles) if tier else 'nothing we know'}"]
    if request.expires_at - request.at > timedelta(hours=tier.ttl_hours):
        return [f"the expiry: tier {request.tier} allows {tier.ttl_hours:g} h"]
    return []


def _compare(what: str, recorded: str, seen: str | None, changed: list[str], unseen: list[str]) -> None:
    if seen is None:
        unseen.append(what)
    elif seen != recorded:
        changed.append(f"{what}: {_short(recorded)} in the record, {_short(seen)} now")


def _short(digest_or_name: str) -> str:
    return (digest_or_name[:16] if len(digest_or_name) == 64 else digest_or_name) or "nothing"
