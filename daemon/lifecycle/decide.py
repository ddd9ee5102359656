"""What to do next with one candidate.

`decide` is total and pure.  Every `Act` has a key under which repeating it is harmless, and brings the facts to append
*before* its effect.  Every `Wait` names the time at which to look again, and no candidate waits for ever: its request
or its standing runs out.  The daemon can propose here; it can never approve, waive or extend.
"""

from collections.abc import Callable
from datetime import datetime

from daemon.lifecycle import asking, board, preparing, watching
from daemon.lifecycle.candidate import Candidate, Phase
from daemon.lifecycle.decision import Decision, Done
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.world import World


def decide(candidate: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Return the next step of one candidate.

    Args:
        candidate: As folded from all its facts.
        world: As seen just now.
        policy: In force now.
        now: UTC; a clock that jumped back is held at the latest time in the ledger.
    """
    at = ratchet(candidate, world, now)
    decision = _BY_PHASE[candidate.phase](candidate, world, policy, at)
    return watching.with_review(candidate, policy, at, decision)


def ratchet(candidate: Candidate, world: World, now: datetime) -> datetime:
    """Return the time that counts for expiry: it never goes back."""
    return max(now, world.clock, candidate.latest_at)


def _ended(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:  # noqa: ARG001  # one shape for all
    return Done(why=c.closing or f"it is {c.phase}")


_BY_PHASE: dict[Phase, Callable[[Candidate, World, Policy, datetime], Decision]] = {
    Phase.BUILDING: preparing.building,
    Phase.VERIFYING: preparing.verifying,
    Phase.NEEDS_EXPERT: preparing.needs_expert,
    Phase.READY: preparing.ready,
    Phase.STALE: preparing.after_stale,
    Phase.PENDING_APPROVAL: asking.pending,
    Phase.APPROVED: asking.approved,
    Phase.ARMED: asking.armed,
    Phase.DEPLOYING: board.deploying,
    Phase.SHADOW: watching.shadow,
    Phase.LIVE_PROBATION: watching.probation,
    Phase.LIVE: board.live,
    Phase.SUPERSEDED: board.superseded,
    Phase.FAILED: _ended,
    Phase.AUTO_REJECTED: _ended,
    Phase.REJECTED: _ended,
    Phase.EXPIRED: _ended,
    Phase.REVOKED: _ended,
    Phase.ROLLED_BACK: _ended,
}
