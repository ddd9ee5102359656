"""The next step of a candidate with an open request: void it, wait for people, wait for the window, arm, deploy."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from daemon.lifecycle import facts as f
from daemon.lifecycle.binding import changes
from daemon.lifecycle.candidate import IN_FLIGHT, Candidate
from daemon.lifecycle.decision import ACTOR, Act, Decision, Wait, act, expire, held_back, stale
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.preparing import replaced
from daemon.lifecycle.quorum import quorum
from daemon.lifecycle.world import World


def pending(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Wait for people; silence means no."""
    if ended := replaced(c, world, now) or _voided(c, world, policy, now):
        return ended
    assert c.request is not None
    missing = quorum(c.request.required_roles, c.approvals, c.initiator, world.people).missing
    return Wait(for_what=f"approval by {' and '.join(missing)}", until=c.request.expires_at)


def approved(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Arm as soon as everything still holds and the board may be written."""
    if ended := replaced(c, world, now) or _voided(c, world, policy, now):
        return ended
    assert c.request is not None
    if c.drill:
        return expire(c, now, "it was a drill: it was approved, and nothing was deployed")
    if waiting := until_writable(c, world, policy, now):
        return waiting
    fact = f.Armed(at=now, actor=ACTOR, request_id=c.request.request_id)
    return act(c, "arm", c.request.request_id, f"approved, unchanged, and beam mode is {world.beam_mode}", fact)


def armed(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Check everything once more, record the intent, then write the board."""
    if ended := _voided(c, world, policy, now):
        return ended
    if waiting := until_writable(c, world, policy, now):
        return waiting
    assert c.request is not None
    request, transition = c.request, f"{c.id}:deploy:{c.request.request_id}"
    fact = f.DeploymentStarted(
        at=now, actor=ACTOR, request_id=request.request_id, digest=request.bundle_digest, transition=transition
    )
    return Act(step="deploy", key=transition, why="armed, checked again, window open", facts=(fact,))


def until_writable(c: Candidate, world: World, policy: Policy, now: datetime) -> Wait | None:
    """Return the wait for the board to be writable, None if it is now.  Rolling back never asks this."""
    assert c.request is not None
    obstacle = next(_obstacles(c, world, policy, now), "")
    return Wait(for_what=obstacle, until=min(c.request.expires_at, now + policy.recheck)) if obstacle else None


def _voided(c: Candidate, world: World, policy: Policy, now: datetime) -> Act | None:
    """Return what ends an open request whatever anybody approved: a change, or time."""
    assert c.request is not None
    seen = changes(c, world, policy)
    if seen.changed:
        return stale(c, now, seen.changed)
    if now >= c.request.expires_at:
        return expire(c, now, f"it was not on the board by {c.request.expires_at:%Y-%m-%d %H:%M} UTC; silence means no")
    return None


def _obstacles(c: Candidate, world: World, policy: Policy, now: datetime) -> Iterator[str]:
    """Yield why the board may not be written now."""
    assert c.request is not None
    seen = changes(c, world, policy, also_running=c.request.bundle_digest)
    if seen.unseen:
        yield f"{' and '.join(seen.unseen)} to be readable"
    if not c.glass_broken:
        held = quorum(c.request.required_roles, c.approvals, c.initiator, world.people)
        if not held.complete:
            yield f"approval by {' and '.join(held.missing)}"
    yield from held_back(c, world, policy, now)
    if busy := [o.id for o in world.others if o.slot == c.slot and o.phase in IN_FLIGHT]:
        yield f"the deployment of {', '.join(busy)}"
    if policy.rehearsal_days and not _rehearsed(world, policy, now):
        yield f"the way back to be rehearsed within {policy.rehearsal_days:g} days; run: retrigger drill rollback"
    if world.beam_mode not in policy.deploy_beam_modes and not c.glass_broken:
        yield f"a window between fills; beam mode is {world.beam_mode or 'unknown'}"


def _rehearsed(world: World, policy: Policy, now: datetime) -> bool:
    at = world.rehearsed_at
    return at is not None and now - at <= timedelta(days=policy.rehearsal_days)
