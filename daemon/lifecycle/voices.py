"""What a person may say about a candidate: approve, reject, revoke, roll back.

Each function returns the fact to append (with the sequence the person saw), or refuses with a sentence that says what
was found, what is expected and what to do.  The person's name comes from the authenticated session, never from a form.
"""

from collections.abc import Set as AbstractSet
from datetime import datetime

from daemon.errors import RefusedError, StalePageError
from daemon.lifecycle import facts as f
from daemon.lifecycle import signing
from daemon.lifecycle.binding import changes
from daemon.lifecycle.candidate import ASKED, ON_BOARD, Candidate, Phase
from daemon.lifecycle.decide import ratchet
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.world import World


def approve(
    candidate: Candidate,
    world: World,
    policy: Policy,
    *,
    request_id: str,
    person: str,
    role: str,
    reason: str,
    now: datetime,
    signature: f.Signature | None = None,
) -> f.Approved:
    """Return one person's approval of one request, signed over `signing.approval` or resting on their session alone.

    Raises:
        StalePageError: `request_id` is not the open request.
        RefusedError: Anything the request rests on changed or cannot be seen, time ran out, or this person cannot
            approve it in this role.
    """
    at = ratchet(candidate, world, now)
    request = open_request(candidate, request_id, {Phase.PENDING_APPROVAL})
    unchanged(candidate, world, policy, at, "approved")
    disinterested(candidate, person, "approve")
    holds(world, person, role)
    if role not in request.required_roles:
        wanted = ", ".join(request.required_roles)
        raise RefusedError(f"{candidate.id} needs {wanted}; an approval as {role} does not count")
    if any(one.person == person for one in candidate.approvals):
        raise RefusedError(f"{person} already approved {candidate.id}; one person counts once, ask somebody else")
    reasoned(reason, "approve")
    message = signing.approval(candidate.id, request_id, person, role, reason.strip())
    signed(signature, person, message, world, policy)
    return f.Approved(
        at=at,
        actor=person,
        request_id=request_id,
        person=person,
        role=role,
        reason=reason.strip(),
        signature=signature,
    )


def reject(
    candidate: Candidate,
    world: World,
    policy: Policy,
    *,
    request_id: str,
    person: str,
    role: str,
    klass: str,
    reason: str,
    now: datetime,
) -> f.Rejected:
    """Return one person's no, which ends the candidate.  A no needs no fresh evidence, only an open request.

    Raises:
        StalePageError: `request_id` is not the open request.
        RefusedError: The person holds no role that may reject, or the class or the reason is missing.
    """
    at = ratchet(candidate, world, now)
    open_request(candidate, request_id, ASKED)
    holds(world, person, role)
    if role not in policy.reject_roles:
        raise RefusedError(f"{role} cannot reject; it takes one of {', '.join(policy.reject_roles)}")
    if klass not in policy.rejection_classes:
        raise RefusedError(f"{klass!r} is no class of rejection; choose one of {', '.join(policy.rejection_classes)}")
    reasoned(reason, "reject")
    return f.Rejected(
        at=at, actor=person, request_id=request_id, person=person, role=role, klass=klass, reason=reason.strip()
    )


def revoke(
    candidate: Candidate, world: World, *, request_id: str, person: str, reason: str, now: datetime
) -> f.Revoked:
    """Return an approver's change of mind, which ends the request while the board is unwritten.

    Raises:
        StalePageError: `request_id` is not the open request.
        RefusedError: The person did not approve it, or the board is being written: then roll back.
    """
    at = ratchet(candidate, world, now)
    if candidate.phase in ON_BOARD | {Phase.DEPLOYING}:
        raise RefusedError(f"{candidate.id} is {candidate.phase}: too late to revoke; roll it back instead")
    open_request(candidate, request_id, ASKED)
    if person not in candidate.speakers:
        raise RefusedError(f"{person} did not approve {candidate.id} and has nothing to revoke; reject it instead")
    reasoned(reason, "revoke")
    return f.Revoked(at=at, actor=person, request_id=request_id, person=person, reason=reason.strip())


def ask_rollback(
    candidate: Candidate, world: World, policy: Policy, *, person: str, reason: str, now: datetime
) -> f.RollbackRequested:
    """Return a person's wish to run the digest before; frozen or paused, it is always allowed.

    Raises:
        RefusedError: The candidate is not on the board, or the person may not roll back.
    """
    at = ratchet(candidate, world, now)
    if candidate.phase not in ON_BOARD | {Phase.DEPLOYING}:
        raise RefusedError(f"{candidate.id} is {candidate.phase} and not on the board; nothing to roll back")
    held = world.people.get(person, frozenset())
    if not held & set(policy.rollback_roles):
        raise RefusedError(f"{person} cannot roll back; it takes one of {', '.join(policy.rollback_roles)}")
    reasoned(reason, "roll back")
    return f.RollbackRequested(at=at, actor=person, person=person, reason=reason.strip())


def open_request(candidate: Candidate, request_id: str, phases: AbstractSet[Phase]) -> f.Proposed:
    """Return the open request if it is the one that the person decided on; raises StalePageError otherwise."""
    request = candidate.request
    if request is None or candidate.phase not in phases:
        why = f" ({candidate.closing})" if candidate.closing else ""
        raise StalePageError(f"{candidate.id} has no open request: it is {candidate.phase}{why}; reload the page")
    if request.request_id != request_id:
        raise StalePageError(
            f"{candidate.id}: you decided on request {request_id[:16]}, "
            f"open is {request.request_id[:16]}; reload the page"
        )
    return request


def unchanged(
    candidate: Candidate, world: World, policy: Policy, at: datetime, what: str, also_running: str = ""
) -> None:
    """Refuse (RefusedError) while something the open request rests on changed, cannot be seen, or its time is over."""
    seen = changes(candidate, world, policy, also_running=also_running)
    if seen.changed:
        raise RefusedError(f"{candidate.id} cannot be {what}: changed since it was proposed: {'; '.join(seen.changed)}")
    if seen.unseen:
        raise RefusedError(
            f"{candidate.id} cannot be {what} now: {' and '.join(seen.unseen)} cannot be read; try again"
        )
    request = candidate.request
    if request is not None and not also_running and at >= request.expires_at:
        raise RefusedError(
            f"{candidate.id}: the request expired at {request.expires_at:%Y-%m-%d %H:%M} UTC; ask for a new one"
        )


def disinterested(candidate: Candidate, person: str, what: str) -> None:
    """Refuse (RefusedError) who asked for the candidate or built it."""
    if person in {candidate.initiator, candidate.build.actor if candidate.build else ""}:
        raise RefusedError(f"{person} initiated or built {candidate.id} and cannot {what} it; ask somebody else")


def holds(world: World, person: str, role: str) -> None:
    """Refuse (RefusedError) who has no open account or does not hold the role."""
    held = world.people.get(person)
    if held is None:
        raise RefusedError(f"{person} has no open account here; the root role can add one")
    if role not in held:
        raise RefusedError(f"{person} does not hold the role {role} (holds {', '.join(sorted(held)) or 'none'})")


def reasoned(reason: str, what: str) -> None:
    """Refuse (RefusedError) a decision without a reason."""
    if not reason.strip():
        raise RefusedError(f"to {what}, state one reason; it goes into the record")


def signed(signature: f.Signature | None, person: str, message: bytes, world: World, policy: Policy) -> None:
    """Refuse (RefusedError) a signature that does not hold, or none where the policy wants one."""
    if signature is None and not policy.unsigned_approvals:
        raise RefusedError(
            f"the policy counts signed words alone; {person} signs with: retrigger approve ID --key FILE "
            "(and first, once: retrigger people add-key)"
        )
    if trouble := signing.trouble(signature, person, message, world.keys):
        raise RefusedError(f"{trouble}; see the keys with: retrigger people list")
