"""The next step of a candidate whose bits are on the board and not yet trusted: in shadow, or on probation.

What is watched goes wrong: back, by itself, to the digest before.  What cannot be told in time goes back as well.
Forward only when everything was seen to be good.  Going back asks for no window, no freeze and no person.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from daemon.lifecycle import board_facts as b
from daemon.lifecycle.binding import changes
from daemon.lifecycle.board import goes_live, off_board
from daemon.lifecycle.candidate import Candidate
from daemon.lifecycle.decision import ACTOR, Act, Decision, Done, Wait, act, held_back
from daemon.lifecycle.observed import Judged, Observed, agreement_of, latency_verdict, rate_verdict
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.quorum import quorum
from daemon.lifecycle.world import World


def shadow(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Compare board and emulator while the bits do not trigger; then, if nothing changed, let them."""
    seen = changes(c, world, policy, also_running=c.bundle_digest)
    verdicts = _guards(world.observed, policy, policy.shadow_lumisections)
    changed = _trip(c, now, "changed", f"changed in shadow: {'; '.join(seen.changed)}") if seen.changed else None
    tripped = changed or _tripped(c, now, verdicts)
    if first := _first(c, world, policy, now, tripped):
        return first
    if tripped:
        return tripped
    open_points = [f"{' and '.join(seen.unseen)} to be readable"] if seen.unseen else []
    open_points += _open_points(c, world, policy, now, verdicts)
    if open_points:
        return _within(c, policy, now, "; ".join(open_points))
    return goes_live(c, world, policy, now, f"in shadow: {_told(verdicts)}")


def probation(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Watch rate, mismatches, latency and drift of bits that trigger; then they have proven themselves."""
    if c.rollback is None and (over := _fill_is_over(c, world, policy, now)):
        return _trip(c, now, "break_glass", over)
    verdicts = _guards(world.observed, policy, policy.probation_lumisections)
    tripped = _tripped(c, now, verdicts)
    if first := _first(c, world, policy, now, tripped):
        return first
    if tripped:
        return tripped
    if c.glass_broken:
        return Wait(for_what="the end of the fill for which the glass was broken", until=now + policy.recheck)
    if doubts := _doubts(verdicts):
        return _within(c, policy, now, "; ".join(doubts))
    why = _told(verdicts)
    fact = b.ProbationPassed(at=now, actor=ACTOR, slot=c.slot, digest=c.bundle_digest, reason=why)
    return act(c, "pass_probation", c.bundle_digest, why, fact)


def with_review(c: Candidate, policy: Policy, now: datetime, decision: Decision) -> Decision:
    """Return the decision, or first that a review of break-glass is overdue; a review that is due keeps one waiting."""
    if not c.review_owed or c.review_overdue or isinstance(decision, Act):
        return decision
    assert c.request is not None
    assert c.glass_at is not None
    due = c.glass_at + timedelta(hours=policy.review_hours)
    if now >= due:
        fact = b.ReviewOverdue(at=now, actor=ACTOR, request_id=c.request.request_id, due=due)
        why = f"why the glass was broken should have been reviewed by {due:%Y-%m-%d %H:%M} UTC"
        return act(c, "review_overdue", c.request.request_id, why, fact)
    if isinstance(decision, Done):
        return Wait(for_what="a person to review why the glass was broken", until=due)
    return Wait(for_what=decision.for_what, until=min(decision.until, due))


def _first(c: Candidate, world: World, policy: Policy, now: datetime, tripped: Act | None) -> Decision | None:
    """Return what comes before all watching; a board that shows nothing of ours is not waited for for ever.

    What has tripped goes back before a board that cannot be read is waited for: altered bits may be why it tripped.
    """
    if world.running is None and c.rollback is None and tripped:
        return tripped
    first = off_board(c, world, policy, now)
    if not isinstance(first, Wait) or c.rollback is not None:
        return first
    return _within(c, policy, now, first.for_what, first.until)


def _guards(observed: Observed | None, policy: Policy, lumisections: int) -> dict[str, Judged]:
    """Return what each guard says of what was seen; where the policy asks for no lumisection, unseen is no doubt."""
    seen = observed or Observed()
    unasked = Judged("pass", "not asked for, and not seen") if not lumisections else None
    agreement = agreement_of(
        seen.comparison,
        lumisections=lumisections,
        tolerated=policy.mismatch_tolerated,
        certainty=policy.mismatch_certainty,
    )
    rate = rate_verdict(seen.rate, lumisections=lumisections, tolerance=policy.rate_tolerance)
    return {
        "mismatch": unasked if unasked and seen.comparison is None else agreement,
        "rate": unasked if unasked and seen.rate is None else rate,
        "latency": latency_verdict(seen.latency),
        "drift": Judged("fail" if seen.alarm else "pass", seen.alarm or "no drift alarm on its scores"),
    }


def _tripped(c: Candidate, now: datetime, verdicts: Mapping[str, Judged]) -> Act | None:
    failed = [(guard, judged.why) for guard, judged in verdicts.items() if judged.verdict == "fail"]
    return _trip(c, now, *failed[0]) if failed else None


def _doubts(verdicts: Mapping[str, Judged]) -> list[str]:
    return [judged.why for judged in verdicts.values() if judged.verdict == "inconclusive"]


def _told(verdicts: Mapping[str, Judged]) -> str:
    return "; ".join(judged.why for judged in verdicts.values())


def _open_points(
    c: Candidate, world: World, policy: Policy, now: datetime, verdicts: Mapping[str, Judged]
) -> Iterator[str]:
    """Yield what is still missing before bits in shadow may trigger."""
    assert c.request is not None
    yield from _doubts(verdicts)
    tier = policy.tiers.get(c.request.tier)
    if tier is not None and tier.confirm_roles:
        held = quorum(tier.confirm_roles, c.confirmations, c.initiator, world.people)
        if not held.complete:
            yield f"a second confirmation by {' and '.join(held.missing)}"
    yield from held_back(c, world, policy, now)


def _fill_is_over(c: Candidate, world: World, policy: Policy, now: datetime) -> str:
    """Return why bits that broke the glass may not stay; empty if they may, or if a whole quorum approved them."""
    if not c.glass_broken or c.deployed is None:
        return ""
    last = c.deployed.last_fill
    if last is not None and world.fill is not None and world.fill > last:
        return f"the glass was broken for fill {last}, now it is fill {world.fill}"
    if now >= c.deployed.at + timedelta(hours=policy.glass_hours):
        return f"the glass was broken for {policy.glass_hours:g} h at most"
    return ""


def _within(c: Candidate, policy: Policy, now: datetime, for_what: str, until: datetime | None = None) -> Decision:
    """Wait for what is still open, but not for ever: no answer in time goes back."""
    end = c.phase_since + timedelta(hours=policy.watch_hours)
    if now >= end:
        return _trip(c, now, "doubt", f"no answer within {policy.watch_hours:g} h: {for_what}")
    return Wait(for_what=for_what, until=min(end, until or now + policy.recheck))


def _trip(c: Candidate, now: datetime, guard: str, reason: str) -> Act:
    assert c.request is not None
    fact = b.GuardTripped(at=now, actor=ACTOR, request_id=c.request.request_id, guard=guard, reason=reason)
    return act(c, "trip", f"{guard}:{c.request.request_id}", reason, fact)
