"""What to do next with one candidate: act, wait until, or done.

`decide` is total and pure.  Every `Act` has a key under which repeating it is harmless, and brings the facts to append
*before* its effect.  Every `Wait` names the time at which to look again, and no candidate waits for ever: its request
or its standing runs out.  The daemon can propose here; it can never approve, waive or extend.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from daemon.lifecycle import facts as f
from daemon.lifecycle.binding import Comparison, changes, new_request
from daemon.lifecycle.fold import IN_FLIGHT, OPEN_REQUEST, TERMINAL, Candidate, Phase
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.quorum import quorum
from daemon.lifecycle.world import World

ACTOR = "daemon"

Step = Literal[
    "train",  # effect: run retrain.job; then append TrainingFinished or TrainingFailed
    "verify",  # effect: evaluate the gates; then append GatesEvaluated or TrainingFailed
    "give_up",
    "propose",
    "expire",
    "stale",
    "supersede",
    "arm",
    "deploy",  # effect: target.deploy; on failure append DeploymentFailed
    "confirm",
    "abort",
    "roll_back",  # effect: target.roll_back; on failure append DeploymentFailed
    "confirm_rollback",
    "restore",
    "alarm",
]


@dataclass(frozen=True, kw_only=True)
class Act:
    """Append `facts` (with the candidate's last sequence expected), then do the step's effect, if it has one."""

    step: Step
    key: str
    why: str
    facts: tuple[f.Fact, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Nothing to do before `until`, unless a new fact or another world comes first."""

    for_what: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Done:
    """Nothing is left to do with this candidate."""

    why: str


Decision = Act | Wait | Done


def decide(candidate: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Return the next step of one candidate.

    Args:
        candidate: As folded from all its facts.
        world: As seen just now.
        policy: In force now.
        now: UTC; a clock that jumped back is held at the latest time in the ledger.
    """
    at = ratchet(candidate, world, now)
    return _BY_PHASE[candidate.phase](candidate, world, policy, at)


def ratchet(candidate: Candidate, world: World, now: datetime) -> datetime:
    """Return the time that counts for expiry: it never goes back."""
    return max(now, world.clock, candidate.latest_at)


def _act(c: Candidate, step: Step, about: str, why: str, *facts: f.Fact) -> Act:
    return Act(step=step, key=f"{c.id}:{step}:{about}", why=why, facts=facts)


# --- before a request ---------------------------------------------------------------------------------------------


def _build(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    return _machinery(c, world, policy, now, "train", c.recipe_digest)


def _verify(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    return _machinery(c, world, policy, now, "verify", f"{c.bundle_digest}:{c.requests}")


def _machinery(c: Candidate, world: World, policy: Policy, now: datetime, step: Step, about: str) -> Decision:
    if c.failures >= policy.attempts:
        why = f"{step} failed {c.failures} times, last: {c.last_failure}; a person has to look"
        return _act(c, "give_up", str(c.failures), why, f.GivenUp(at=now, actor=ACTOR, reason=why))
    if c.last_failure_at is not None and c.failures and now < (retry := c.last_failure_at + policy.backoff(c.failures)):
        return Wait(for_what=f"the next attempt to {step}", until=retry)
    if world.paused:
        return Wait(for_what="a person to resume the daemon", until=now + policy.recheck)
    return _act(c, step, f"{about}:{c.failures + 1}", f"{step}, attempt {c.failures + 1} of {policy.attempts}")


def _needs_expert(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    return _replaced(c, world, now) or _stand(c, policy, now, "an expert: a gate was inconclusive")


def _stand(c: Candidate, policy: Policy, now: datetime, for_what: str) -> Decision:
    """Wait, but not for ever: a candidate that stands too long expires."""
    end = c.phase_since + timedelta(hours=policy.standing_hours)
    if now >= end:
        return _expire(c, now, f"it stood {policy.standing_hours:g} h waiting for {for_what}")
    return Wait(for_what=for_what, until=min(end, now + policy.recheck))


def _expire(c: Candidate, now: datetime, why: str) -> Act:
    request = c.request.request_id if c.request else ""
    return _act(c, "expire", request, why, f.Expired(at=now, actor=ACTOR, request_id=request, reason=why))


def _replaced(c: Candidate, world: World, now: datetime) -> Act | None:
    """A newer candidate that got as far as ready takes the place of an older one; its approvals are void."""
    unborn = TERMINAL | {Phase.BUILDING, Phase.VERIFYING, Phase.NEEDS_EXPERT, Phase.STALE}
    newer = [o for o in world.others if o.slot == c.slot and o.number > c.number and _arrived(o, unborn)]
    if not newer:
        return None
    by = max(newer, key=lambda other: other.number).id
    fact = f.Superseded(at=now, actor=ACTOR, by=by)
    return _act(c, "supersede", by, f"{by} is newer and at least as far", fact)


def _arrived(other: Candidate, unborn: frozenset[Phase]) -> bool:
    return other.phase not in unborn


def _ready(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    if replaced := _replaced(c, world, now):
        return replaced
    seen = changes(c, world, policy)
    if c.bundle_digest == world.running:
        return _expire(c, now, "these very bits already run")
    if seen.changed:
        return _stale(c, now, seen)
    if c.requests >= policy.requests_per_candidate:
        return _expire(c, now, f"it went stale {c.requests} times; train a new candidate")
    if obstacle := _no_proposal(c, world, policy, seen):
        return _stand(c, policy, now, obstacle)
    request = new_request(c, world, policy, now, ACTOR)
    return _act(
        c, "propose", f"{c.bundle_digest}:{c.requests + 1}", f"ask for {', '.join(request.required_roles)}", request
    )


def _no_proposal(c: Candidate, world: World, policy: Policy, seen: Comparison) -> str:
    assert c.gates is not None
    passed = {gate.name for gate in c.gates.gates if gate.verdict == "pass"}
    lacking = [name for name in policy.required_gates if name not in passed]
    if lacking:
        return f"the gates that the policy requires and nobody ran: {', '.join(lacking)}"
    if c.gates.tier not in policy.tiers:
        return f"a policy that knows tier {c.gates.tier}"
    if seen.unseen:
        return f"{' and '.join(seen.unseen)} to be readable"
    if not world.running:
        return "a champion to fall back to; import the model that runs now"
    if obstacle := _halted(world):
        return obstacle
    open_elsewhere = [o.id for o in world.others if o.slot == c.slot and o.phase in OPEN_REQUEST]
    return f"the open request of {', '.join(open_elsewhere)}" if open_elsewhere else ""


def _halted(world: World) -> str:
    if world.paused:
        return "a person to resume the daemon"
    if world.open_faults:
        return f"the detector fault {', '.join(world.open_faults)} to be closed"
    return ""


def _stale(c: Candidate, now: datetime, seen: Comparison) -> Act:
    request = c.request.request_id if c.request else ""
    what = "; ".join(seen.changed)
    fact = f.Staled(at=now, actor=ACTOR, request_id=request, what_changed=what)
    return _act(c, "stale", request or c.bundle_digest, f"changed: {what}", fact)


def _after_stale(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Evidence is rebuilt once the bits and the training data are again what they were; else the candidate expires."""
    if replaced := _replaced(c, world, now):
        return replaced
    if c.requests >= policy.requests_per_candidate:
        return _expire(c, now, f"it went stale {c.requests} times, last: {c.closing}; train a new candidate")
    if c.bundle_digest == world.running:
        return _expire(c, now, "these very bits already run")
    if c.build is None or world.bundle_problem or world.bundle != c.build.bundle_digest:
        what = world.bundle_problem or "its bundle cannot be read"
        return _stand(c, policy, now, f"the bundle as it was built ({what})")
    if world.certification != c.build.certification_digest:
        return _stand(c, policy, now, "the certification under which it was trained; train a new candidate")
    return _machinery(c, world, policy, now, "verify", f"{c.bundle_digest}:{c.requests}:{c.phase_since.isoformat()}")


# --- an open request ----------------------------------------------------------------------------------------------


def _voided(c: Candidate, world: World, policy: Policy, now: datetime) -> Act | None:
    """What ends an open request whatever anybody approved: a change, or time."""
    assert c.request is not None
    seen = changes(c, world, policy)
    if seen.changed:
        return _stale(c, now, seen)
    if now >= c.request.expires_at:
        return _expire(c, now, f"nobody completed the approval before {c.request.expires_at:%Y-%m-%d %H:%M} UTC")
    return None


def _pending(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    assert c.request is not None
    if ended := _replaced(c, world, now) or _voided(c, world, policy, now):
        return ended
    missing = quorum(c.request.required_roles, c.approvals, c.initiator, world.people).missing
    return Wait(for_what=f"approval by {' and '.join(missing) or 'its quorum'}", until=c.request.expires_at)


def _approved(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    assert c.request is not None
    if ended := _replaced(c, world, now) or _voided(c, world, policy, now):
        return ended
    if obstacle := _no_write(c, world, policy, now):
        return _until_expiry(c, policy, now, obstacle)
    armed = f.Armed(at=now, actor=ACTOR, request_id=c.request.request_id)
    return _act(c, "arm", c.request.request_id, f"approved, unchanged, and beam mode is {world.beam_mode}", armed)


def _armed(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    assert c.request is not None
    if ended := _voided(c, world, policy, now):
        return ended
    if obstacle := _no_write(c, world, policy, now):
        return _until_expiry(c, policy, now, obstacle)
    request = c.request
    transition = f"{c.id}:deploy:{request.request_id}"
    fact = f.DeploymentStarted(
        at=now, actor=ACTOR, request_id=request.request_id, digest=request.bundle_digest, transition=transition
    )
    return Act(step="deploy", key=transition, why="armed, checked again, window open", facts=(fact,))


def _until_expiry(c: Candidate, policy: Policy, now: datetime, for_what: str) -> Wait:
    assert c.request is not None
    return Wait(for_what=for_what, until=min(c.request.expires_at, now + policy.recheck))


def _no_write(c: Candidate, world: World, policy: Policy, now: datetime) -> str:
    """Why the board may not be written now; empty if it may.  Rolling back never asks this."""
    assert c.request is not None
    seen = changes(c, world, policy, also_running=c.request.bundle_digest)
    if seen.unseen:
        return f"{' and '.join(seen.unseen)} to be readable"
    held = quorum(c.request.required_roles, c.approvals, c.initiator, world.people)
    if not held.complete:
        return f"approval by {' and '.join(held.missing)}"
    if obstacle := _halted(world):
        return obstacle
    if world.frozen:
        return f"the freeze to end ({world.frozen})"
    if window := policy.frozen_by(now):
        return f"the freeze to end at {window.end:%Y-%m-%d %H:%M} UTC ({window.reason})"
    busy = [o.id for o in world.others if o.slot == c.slot and o.phase in IN_FLIGHT]
    if busy:
        return f"the deployment of {', '.join(busy)}"
    if world.beam_mode not in policy.deploy_beam_modes:
        return f"a window between fills; beam mode is {world.beam_mode or 'unknown'}"
    return ""


# --- on the board -------------------------------------------------------------------------------------------------


def _deploying(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    assert c.request is not None
    before, ours = c.request.running_digest, c.request.bundle_digest
    if c.rollback is not None and world.running == ours:
        return _roll_back(c, policy, now, f"{c.rollback.person} asked: {c.rollback.reason}")
    if world.running == ours:
        return _confirm(c, world, now, ours)
    if world.running is None:
        return _unreadable(c, policy, now, c.phase_since, ours)
    if world.running != before:
        return _alarm_once(c, world, now, ours) or _abort(
            c, world, now, "something else was put on the board meanwhile"
        )
    if c.rollback is not None:
        return _abort(c, world, now, f"{c.rollback.person} asked: {c.rollback.reason}")
    seen = changes(c, world, policy, also_running=ours)
    if seen.changed:
        return _abort(c, world, now, f"changed before the write: {'; '.join(seen.changed)}")
    if now >= c.request.expires_at:
        return _abort(c, world, now, "the approval expired before the write succeeded")
    if c.deployment_failures >= policy.attempts:
        return _abort(c, world, now, f"the write failed {c.deployment_failures} times, last: {c.last_failure}")
    if obstacle := _no_write(c, world, policy, now):
        return _until_expiry(c, policy, now, obstacle)
    if wait := _backing_off(c, policy, now):
        return wait
    assert c.started is not None
    return Act(step="deploy", key=c.started.transition, why="the write was begun and the old model still runs")


def _confirm(c: Candidate, world: World, now: datetime, ours: str) -> Act:
    assert c.request is not None
    run, lumisection = world.next_lumisection
    fact = f.Deployed(
        at=now,
        actor=ACTOR,
        slot=c.slot,
        request_id=c.request.request_id,
        digest=ours,
        read_back=world.running or "",
        effective_run=run,
        effective_lumisection=lumisection,
    )
    return _act(c, "confirm", c.request.request_id, "the digest read back is the approved one", fact)


def _abort(c: Candidate, world: World, now: datetime, why: str) -> Act:
    return _act(c, "abort", c.bundle_digest, why, _rolled_back(c, world, now, ACTOR, why))


def _rolled_back(c: Candidate, world: World, now: datetime, by: str, why: str) -> f.RolledBack:
    run, lumisection = world.next_lumisection
    return f.RolledBack(
        at=now,
        actor=ACTOR,
        slot=c.slot,
        from_digest=c.bundle_digest,
        to_digest=world.running or "",
        by=by,
        reason=why,
        effective_run=run,
        effective_lumisection=lumisection,
    )


def _backing_off(c: Candidate, policy: Policy, now: datetime) -> Wait | None:
    if not c.deployment_failures or c.last_failure_at is None:
        return None
    retry = c.last_failure_at + policy.backoff(c.deployment_failures)
    return Wait(for_what="the next attempt to write the board", until=retry) if now < retry else None


def _roll_back(c: Candidate, policy: Policy, now: datetime, why: str) -> Decision:
    return _backing_off(c, policy, now) or _act(c, "roll_back", f"{c.bundle_digest}:{c.deployment_failures + 1}", why)


def _unreadable(c: Candidate, policy: Policy, now: datetime, since: datetime, expected: str) -> Decision:
    deadline = since + timedelta(minutes=policy.read_back_minutes)
    if now < deadline:
        return Wait(for_what="the board to be readable", until=deadline)
    if c.board_seen is None or c.board_seen.found:
        fact = f.BoardDiffers(at=now, actor=ACTOR, slot=c.slot, expected=expected, found="")
        return _act(c, "alarm", f"unreadable:{since.isoformat()}", "the board cannot be read back", fact)
    return Wait(for_what="the board to be readable; an alarm stands", until=now + policy.recheck)


def _alarm_once(c: Candidate, world: World, now: datetime, expected: str) -> Act | None:
    found = world.running or ""
    if c.board_seen is not None and c.board_seen.found == found:
        return None
    fact = f.BoardDiffers(at=now, actor=ACTOR, slot=c.slot, expected=expected, found=found)
    why = f"the board runs {found[:16] or 'nothing'}, the record says {expected[:16]}"
    return _act(c, "alarm", f"{expected}:{found}", why, fact)


def _live(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    newer = [o for o in world.others if o.slot == c.slot and o.number > c.number and o.phase is Phase.LIVE]
    if newer:
        by = max(newer, key=lambda other: other.number).id
        return _act(c, "supersede", by, f"{by} runs now", f.Superseded(at=now, actor=ACTOR, by=by))
    if world.running is None:
        return _unreadable(c, policy, now, c.latest_at, c.bundle_digest)
    if c.rollback is not None:
        return _live_rollback(c, world, policy, now, c.rollback)
    replacing = any(o.slot == c.slot and o.phase is Phase.DEPLOYING for o in world.others)
    if world.running != c.bundle_digest and not replacing:
        alarm = _alarm_once(c, world, now, c.bundle_digest)
        return alarm or Wait(
            for_what="the board to run the record's digest; an alarm stands", until=now + policy.recheck
        )
    return Wait(for_what="a newer candidate", until=now + policy.recheck)


def _live_rollback(c: Candidate, world: World, policy: Policy, now: datetime, asked: f.RollbackRequested) -> Decision:
    if world.running == c.bundle_digest:
        return _roll_back(c, policy, now, f"{asked.person} asked: {asked.reason}")
    fact = _rolled_back(c, world, now, asked.person, asked.reason)
    return _act(c, "confirm_rollback", world.running or "", "the digest before it was read back", fact)


def _superseded(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:  # noqa: ARG001  # one shape for all
    later = [o for o in world.others if o.slot == c.slot and o.phase in {Phase.LIVE, Phase.DEPLOYING}]
    fell = any(o.slot == c.slot and o.number > c.number and o.phase is Phase.ROLLED_BACK for o in world.others)
    if c.deployed is not None and fell and not later and world.running == c.bundle_digest:
        fact = f.Restored(at=now, actor=ACTOR, slot=c.slot, digest=c.bundle_digest, read_back=world.running)
        return _act(c, "restore", c.latest_at.isoformat(), "its successor was rolled back and it runs again", fact)
    return Done(why=c.closing)


def _ended(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:  # noqa: ARG001  # one shape for all
    return Done(why=c.closing or f"it is {c.phase}")


_BY_PHASE: dict[Phase, Callable[[Candidate, World, Policy, datetime], Decision]] = {
    Phase.BUILDING: _build,
    Phase.VERIFYING: _verify,
    Phase.NEEDS_EXPERT: _needs_expert,
    Phase.READY: _ready,
    Phase.PENDING_APPROVAL: _pending,
    Phase.APPROVED: _approved,
    Phase.ARMED: _armed,
    Phase.DEPLOYING: _deploying,
    Phase.LIVE: _live,
    Phase.STALE: _after_stale,
    Phase.SUPERSEDED: _superseded,
    Phase.FAILED: _ended,
    Phase.AUTO_REJECTED: _ended,
    Phase.REJECTED: _ended,
    Phase.EXPIRED: _ended,
    Phase.REVOKED: _ended,
    Phase.ROLLED_BACK: _ended,
}
