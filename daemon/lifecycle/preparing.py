"""The next step of a candidate that has no open request: train, verify, propose, or let go."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from daemon.lifecycle import facts as f
from daemon.lifecycle.binding import Comparison, changes, new_request
from daemon.lifecycle.candidate import OPEN_REQUEST, TERMINAL, Candidate, Phase
from daemon.lifecycle.decision import ACTOR, Act, Decision, Wait, act, expire, halted, stale
from daemon.lifecycle.gating import passing
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.world import World

# phases in which a newer candidate is not yet, or no longer, better than an older one
_BEHIND = TERMINAL | {Phase.BUILDING, Phase.VERIFYING, Phase.NEEDS_EXPERT, Phase.STALE}


def building(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Train, as often as the policy allows."""
    return _machinery(c, world, policy, now, "train", c.recipe_digest)


def verifying(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Evaluate the gates on what was built."""
    return _machinery(c, world, policy, now, "verify", f"{c.bundle_digest}:{c.stales}")


def needs_expert(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Stand, while a gate is inconclusive; new gates may come, a newer candidate may replace it."""
    return replaced(c, world, now) or _stand(c, policy, now, f"an expert: {_doubts(c)}")


def _doubts(c: Candidate) -> str:
    let_pass = passing(c)
    open_gates = [gate.name for gate in (c.gates.gates if c.gates else ()) if gate.name not in let_pass]
    return f"inconclusive and not waived by two people: {', '.join(open_gates)}" if open_gates else "there are no gates"


def ready(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Propose, if everything the gates rest on is still so and nothing stands in the way."""
    if replacing := replaced(c, world, now):
        return replacing
    if c.bundle_digest == world.running:
        return expire(c, now, "these very bits already run")
    seen = changes(c, world, policy)
    if seen.changed:
        return stale(c, now, seen.changed)
    if lapsed := sorted({one.gate for one in c.waivers if one.expires_at <= now}):
        return stale(c, now, (f"the waiver of {', '.join(lapsed)} expired",))
    if obstacle := next(_obstacles(c, world, policy, seen), ""):
        return _stand(c, policy, now, obstacle)
    request = new_request(c, world, policy, now, ACTOR)
    about = f"{c.bundle_digest}:{c.requests + 1}"
    return act(c, "propose", about, f"ask for {', '.join(request.required_roles)}", request)


def after_stale(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Rebuild the evidence once bits and training data are again what they were; else let the candidate expire."""
    if replacing := replaced(c, world, now):
        return replacing
    if c.stales >= policy.requests_per_candidate:
        return expire(c, now, f"it went stale {c.stales} times, last: {c.closing}; train a new candidate")
    if c.bundle_digest == world.running:
        return expire(c, now, "these very bits already run")
    if c.build is None or world.bundle_problem or world.bundle != c.build.bundle_digest:
        what = world.bundle_problem or "it cannot be read"
        return _stand(c, policy, now, f"the bundle as it was built ({what})")
    if world.certification != c.build.certification_digest:
        return _stand(c, policy, now, "the certification under which it was trained; train a new candidate")
    return _machinery(c, world, policy, now, "verify", f"{c.bundle_digest}:{c.stales}")


def replaced(c: Candidate, world: World, now: datetime) -> Act | None:
    """Return that another candidate is ready and takes this one's place; its approvals are void."""
    newer = [o for o in world.others if o.slot == c.slot and o.phase not in _BEHIND and _outranks(o, c)]
    if not newer:
        return None
    by = max(newer, key=lambda other: other.number).id
    fact = f.Superseded(at=now, actor=ACTOR, by=by)
    return act(c, "supersede", by, f"{by} goes before it and is at least as far", fact)


def _outranks(other: Candidate, c: Candidate) -> bool:
    """Whether another candidate that is ready takes this one's place: a newer one; a drill never that of a real one.

    A drill makes way for any real candidate that wants to go forward, newer or not.
    """
    if other.drill != c.drill:
        return c.drill and (other.number > c.number or other.phase is not Phase.LIVE)
    return other.number > c.number


def _machinery(
    c: Candidate, world: World, policy: Policy, now: datetime, step: Literal["train", "verify"], about: str
) -> Decision:
    if c.failures >= policy.attempts:
        why = f"{step} failed {c.failures} times, last: {c.last_failure}; a person has to look"
        return act(c, "give_up", f"{about}:{c.failures}", why, f.GivenUp(at=now, actor=ACTOR, reason=why))
    if c.failures and c.last_failure_at is not None:
        retry = c.last_failure_at + policy.backoff(c.failures)
        if now < retry:
            return Wait(for_what=f"the next attempt to {step}", until=retry)
    if world.paused:
        return Wait(for_what="a person to resume the daemon", until=now + policy.recheck)
    attempt = c.failures + 1
    return act(c, step, f"{about}:{attempt}", f"{step}, attempt {attempt} of {policy.attempts}")


def _stand(c: Candidate, policy: Policy, now: datetime, for_what: str) -> Decision:
    """Wait, but not for ever."""
    end = c.phase_since + timedelta(hours=policy.standing_hours)
    if now >= end:
        return expire(c, now, f"it stood {policy.standing_hours:g} h waiting for {for_what}")
    return Wait(for_what=for_what, until=min(end, now + policy.recheck))


def _obstacles(c: Candidate, world: World, policy: Policy, seen: Comparison) -> Iterator[str]:
    """Yield what stands in the way of proposing a ready candidate."""
    assert c.gates is not None
    passed = passing(c)
    if lacking := [name for name in policy.required_gates if name not in passed]:
        yield f"the gates that the policy requires and nobody ran: {', '.join(lacking)}"
    if c.gates.tier not in policy.tiers:
        yield f"a policy that knows tier {c.gates.tier}"
    if seen.unseen:
        yield f"{' and '.join(seen.unseen)} to be readable"
    if not world.running:
        yield "a champion to fall back to; import the model that runs now"
    if halting := halted(c, world):
        yield halting
    if asking := [o.id for o in world.others if o.slot == c.slot and o.phase in OPEN_REQUEST]:
        yield f"the open request of {', '.join(asking)}"
