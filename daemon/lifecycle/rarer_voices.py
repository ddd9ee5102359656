"""What a person may say in the rarer cases: waive a doubt, confirm what is in shadow, break the glass, review that.

As in `daemon.lifecycle.voices`, each function returns the fact to append or refuses with a sentence.  Each word may be
signed; the bytes are those of `daemon.lifecycle.signing`.
"""

from datetime import datetime, timedelta

from daemon.errors import RefusedError
from daemon.lifecycle import board_facts as b
from daemon.lifecycle import signing
from daemon.lifecycle.candidate import Candidate, Phase
from daemon.lifecycle.decide import ratchet
from daemon.lifecycle.fact import Signature
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.voices import disinterested, holds, open_request, reasoned, signed, unchanged
from daemon.lifecycle.world import World


def waive(
    candidate: Candidate,
    world: World,
    policy: Policy,
    *,
    gate: str,
    evidence_root: str,
    person: str,
    role: str,
    reason: str,
    expires_at: datetime,
    now: datetime,
    signature: Signature | None = None,
) -> b.Waived:
    """Return one person's waiver of one inconclusive gate; it takes two people, and a failed gate has none.

    Raises:
        RefusedError: The gate is not inconclusive, the evidence is another one, the waiver would stand too long, or
            this person cannot waive in this role.
    """
    at = ratchet(candidate, world, now)
    gates = candidate.gates
    if candidate.phase is not Phase.NEEDS_EXPERT or gates is None:
        raise RefusedError(f"{candidate.id} is {candidate.phase}; a gate is waived while it needs an expert")
    if evidence_root != gates.evidence_root:
        raise RefusedError(
            f"{candidate.id}: you looked at evidence {evidence_root[:16]}, "
            f"it has {gates.evidence_root[:16]}; look again"
        )
    verdicts = {one.name: one.verdict for one in gates.gates}
    if verdicts.get(gate) != "inconclusive":
        found = verdicts.get(gate, "not among its gates")
        raise RefusedError(f"{candidate.id}: gate {gate!r} is {found}; only an inconclusive one can be waived")
    unchanged(candidate, world, policy, at, "waived")
    disinterested(candidate, person, "waive a gate of")
    holds(world, person, role)
    if role not in policy.waiver_roles:
        raise RefusedError(f"{role} cannot waive a gate; it takes one of {', '.join(policy.waiver_roles)}")
    if any((one.gate, one.person) == (gate, person) for one in candidate.waivers):
        raise RefusedError(f"{person} already waived {gate}; it takes two people, ask somebody else")
    if not at < expires_at <= at + timedelta(days=policy.waiver_days):
        raise RefusedError(
            f"a waiver until {expires_at:%Y-%m-%d %H:%M} UTC cannot be; it ends after now and within "
            f"{policy.waiver_days:g} days"
        )
    reasoned(reason, "waive a gate")
    said = reason.strip()
    message = signing.waiver(candidate.id, evidence_root, gate, person, role, said, expires_at)
    signed(signature, person, message, world, policy)
    return b.Waived(
        at=at,
        actor=person,
        gate=gate,
        evidence_root=evidence_root,
        person=person,
        role=role,
        reason=said,
        expires_at=expires_at,
        signature=signature,
    )


def confirm(
    candidate: Candidate,
    world: World,
    policy: Policy,
    *,
    request_id: str,
    person: str,
    role: str,
    reason: str,
    now: datetime,
    signature: Signature | None = None,
) -> b.Confirmed:
    """Return one person's second confirmation, of bits that are in shadow.

    Raises:
        StalePageError: `request_id` is not what is in shadow.
        RefusedError: Its tier asks for none, something changed, or this person cannot confirm in this role.
    """
    at = ratchet(candidate, world, now)
    request = open_request(candidate, request_id, {Phase.SHADOW})
    unchanged(candidate, world, policy, at, "confirmed", also_running=request.bundle_digest)
    disinterested(candidate, person, "confirm")
    holds(world, person, role)
    wanted = policy.tiers[request.tier].confirm_roles
    if role not in wanted:
        asked = f"takes {', '.join(wanted)}" if wanted else "asks for none"
        raise RefusedError(f"{candidate.id}: a second confirmation of tier {request.tier} {asked}; not {role}")
    if any(one.person == person for one in candidate.confirmations):
        raise RefusedError(f"{person} already confirmed {candidate.id}; one person counts once")
    reasoned(reason, "confirm")
    said = reason.strip()
    signed(signature, person, signing.confirmation(candidate.id, request_id, person, role, said), world, policy)
    return b.Confirmed(
        at=at, actor=person, request_id=request_id, person=person, role=role, reason=said, signature=signature
    )


def break_glass(
    candidate: Candidate,
    world: World,
    policy: Policy,
    *,
    request_id: str,
    person: str,
    role: str,
    reason: str,
    now: datetime,
    signature: Signature | None = None,
) -> b.GlassBroken:
    """Return one person's wish to write this request now, in mid fill and without its quorum; it takes two.

    A freeze, a pause, an open fault and every check of the bits hold all the same.

    Raises:
        StalePageError: `request_id` is not the open request.
        RefusedError: It is a drill, something changed, or this person cannot break the glass in this role.
    """
    at = ratchet(candidate, world, now)
    open_request(candidate, request_id, {Phase.PENDING_APPROVAL, Phase.APPROVED})
    unchanged(candidate, world, policy, at, "written by break-glass")
    disinterested(candidate, person, "break the glass for")
    holds(world, person, role)
    if role not in policy.glass_roles:
        raise RefusedError(f"{role} cannot break the glass; it takes one of {', '.join(policy.glass_roles)}")
    if candidate.glass_broken or any(one.person == person for one in candidate.glass):
        already = ", ".join(one.person for one in candidate.glass)
        raise RefusedError(f"{candidate.id}: {already} already broke the glass; it takes two people, each once")
    reasoned(reason, "break the glass")
    said = reason.strip()
    signed(signature, person, signing.glass(candidate.id, request_id, person, role, said), world, policy)
    return b.GlassBroken(
        at=at, actor=person, request_id=request_id, person=person, role=role, reason=said, signature=signature
    )


def review(
    candidate: Candidate, world: World, policy: Policy, *, person: str, role: str, reason: str, now: datetime
) -> b.GlassReviewed:
    """Return that a person looked into why the glass was broken; `reason` says what they found.

    Raises:
        RefusedError: Nothing is to be reviewed, or this person broke the glass, asked for the candidate, or lacks the
            role.
    """
    at = ratchet(candidate, world, now)
    if not candidate.review_owed or candidate.request is None:
        raise RefusedError(f"{candidate.id}: there is nothing to review; the glass was not broken, or it was reviewed")
    if any(one.person == person for one in candidate.glass):
        raise RefusedError(f"{person} broke the glass for {candidate.id} and cannot review it; ask somebody else")
    disinterested(candidate, person, "review")
    holds(world, person, role)
    if role not in policy.review_roles:
        raise RefusedError(f"{role} cannot review; it takes one of {', '.join(policy.review_roles)}")
    reasoned(reason, "review")
    request_id = candidate.request.request_id
    return b.GlassReviewed(at=at, actor=person, request_id=request_id, person=person, role=role, reason=reason.strip())
