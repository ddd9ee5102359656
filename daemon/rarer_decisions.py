"""What a person does to a candidate in the rarer cases: waive a doubt, confirm what is in shadow, break the glass.

As in `daemon.decisions`: read the facts, look at the world, ask the rules, append one fact with the sequence read.
"""

from datetime import datetime, timedelta

from daemon.decisions import Looks, Signer, record
from daemon.errors import RefusedError
from daemon.ledger import Ledger
from daemon.lifecycle import Candidate, Fact, Policy, World, signing
from daemon.lifecycle import break_glass as may_break_glass
from daemon.lifecycle import confirm as may_confirm
from daemon.lifecycle import review as may_review
from daemon.lifecycle import waive as may_waive


def waive(
    ledger: Ledger,
    looks: Looks,
    policy: Policy,
    *,
    candidate_id: str,
    gate: str,
    evidence_root: str,
    person: str,
    reason: str,
    hours: float,
    now: datetime,
    sign: Signer | None = None,
) -> Candidate:
    """Record one person's waiver of one inconclusive gate, for so many hours; it takes two people.

    Raises:
        RefusedError: See `daemon.lifecycle.waive`.
    """

    def say(candidate: Candidate, world: World) -> Fact:
        role = _role(world, person, policy.waiver_roles)
        expires_at = max(now, world.clock) + timedelta(hours=hours)
        message = signing.waiver(candidate.id, evidence_root, gate, person, role, reason.strip(), expires_at)
        return may_waive(
            candidate,
            world,
            policy,
            gate=gate,
            evidence_root=evidence_root,
            person=person,
            role=role,
            reason=reason,
            expires_at=expires_at,
            now=now,
            signature=sign(message) if sign else None,
        )

    return record(ledger, looks, candidate_id, now, say)


def confirm(
    ledger: Ledger,
    looks: Looks,
    policy: Policy,
    *,
    candidate_id: str,
    request_id: str,
    person: str,
    reason: str,
    now: datetime,
    sign: Signer | None = None,
) -> Candidate:
    """Record one person's second confirmation of what is in shadow.

    Raises:
        StalePageError: It is not what is in shadow.
        RefusedError: See `daemon.lifecycle.confirm`.
    """

    def say(candidate: Candidate, world: World) -> Fact:
        tier = policy.tiers.get(candidate.request.tier) if candidate.request else None
        role = _role(world, person, tier.confirm_roles if tier else ())
        message = signing.confirmation(candidate.id, request_id, person, role, reason.strip())
        return may_confirm(
            candidate,
            world,
            policy,
            request_id=request_id,
            person=person,
            role=role,
            reason=reason,
            now=now,
            signature=sign(message) if sign else None,
        )

    return record(ledger, looks, candidate_id, now, say)


def break_glass(
    ledger: Ledger,
    looks: Looks,
    policy: Policy,
    *,
    candidate_id: str,
    request_id: str,
    person: str,
    reason: str,
    now: datetime,
    sign: Signer | None = None,
) -> Candidate:
    """Record one person's wish to write the open request now, without its quorum and in mid fill; it takes two.

    Raises:
        StalePageError: The open request is another one, or none.
        RefusedError: See `daemon.lifecycle.break_glass`.
    """

    def say(candidate: Candidate, world: World) -> Fact:
        role = _role(world, person, policy.glass_roles)
        message = signing.glass(candidate.id, request_id, person, role, reason.strip())
        return may_break_glass(
            candidate,
            world,
            policy,
            request_id=request_id,
            person=person,
            role=role,
            reason=reason,
            now=now,
            signature=sign(message) if sign else None,
        )

    return record(ledger, looks, candidate_id, now, say)


def review(
    ledger: Ledger, looks: Looks, policy: Policy, *, candidate_id: str, person: str, reason: str, now: datetime
) -> Candidate:
    """Record that a person looked into why the glass was broken.

    Raises:
        RefusedError: See `daemon.lifecycle.review`.
    """

    def say(candidate: Candidate, world: World) -> Fact:
        role = _role(world, person, policy.review_roles)
        return may_review(candidate, world, policy, person=person, role=role, reason=reason, now=now)

    return record(ledger, looks, candidate_id, now, say)


def _role(world: World, person: str, allowed: tuple[str, ...]) -> str:
    """The role in which somebody speaks: the first of those allowed that they hold."""
    held = world.people.get(person, frozenset())
    if role := next((one for one in allowed if one in held), ""):
        return role
    raise RefusedError(f"{person} may not do this; it takes one of {', '.join(allowed) or 'no role at all'}")
