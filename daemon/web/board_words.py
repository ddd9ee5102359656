"""What is seen of a candidate on the board, and how one gets back, in the rows that an approver reads."""

from datetime import datetime

from daemon.ledger import Ledger
from daemon.lifecycle import Candidate, Phase, Policy, World
from daemon.lifecycle.board_facts import RollbackRehearsed
from daemon.lifecycle.observed import Observed, agreement_of, rate_verdict
from daemon.lifecycle.quorum import quorum
from daemon.web.words import ROLES, ago, listed, moment, short, span

Rows = tuple[tuple[str, str], ...]


def watched(candidate: Candidate, world: World, policy: Policy, now: datetime) -> Rows:
    """Return what shadow or probation has shown so far; empty in every other phase."""
    if candidate.phase not in {Phase.SHADOW, Phase.LIVE_PROBATION}:
        return ()
    in_shadow = candidate.phase is Phase.SHADOW
    asked = policy.shadow_lumisections if in_shadow else policy.probation_lumisections
    seen = world.observed or Observed()
    rows = [
        ("Since", f"{moment(candidate.phase_since)} ({ago(candidate.phase_since, now)})"),
        ("Ends", f"{asked} good lumisections, or back by itself after {policy.watch_hours:g} h"),
        ("Board against emulator", _agreement(seen, policy, asked)),
        ("Rate against forecast", rate_verdict(seen.rate, lumisections=asked, tolerance=policy.rate_tolerance).why),
    ]
    if seen.latency is not None:
        rows.append(("Latency", f"{seen.latency.worst_ticks} of {seen.latency.allowed_ticks} ticks at worst"))
    rows.append(("Drift of its scores", seen.alarm or "no alarm"))
    tier = policy.tiers.get(candidate.request.tier) if candidate.request else None
    if in_shadow and tier is not None and tier.confirm_roles:
        held = quorum(tier.confirm_roles, candidate.confirmations, candidate.initiator, world.people)
        missing = [ROLES.get(role, role) for role in held.missing]
        rows.append(("Second confirmation", f"still needed: {listed(missing)}" if missing else "given"))
    return tuple(rows)


def _agreement(seen: Observed, policy: Policy, asked: int) -> str:
    return agreement_of(
        seen.comparison,
        lumisections=asked,
        tolerated=policy.mismatch_tolerated,
        certainty=policy.mismatch_certainty,
    ).why


def safety(ledger: Ledger, candidate: Candidate, world: World, now: datetime) -> Rows:
    """Return which digest runs after a rollback, and when the way to it was last walked, in how long."""
    back = world.running or ""
    if candidate.started is not None and candidate.request is not None:
        back = candidate.request.running_digest
    if not back:
        return (("Way back", "the board cannot be read or runs nothing: nothing is deployed"),)
    when = "what runs now" if back == world.running else "what ran before"
    rows = [("Way back", f"{short(back)}, {when}; one step, allowed at any time"), ("Its digest", back)]
    walked = [
        one.fact
        for one in ledger.facts(subject=candidate.slot, kind=RollbackRehearsed.kind)
        if isinstance(one.fact, RollbackRehearsed) and one.fact.to_digest == back
    ]
    if walked:
        last = max(walked, key=lambda one: one.at)
        rows.append(("Last rehearsed", f"{moment(last.at)} ({ago(last.at, now)}), in {span(last.seconds)}"))
    else:
        rows.append(("Last rehearsed", "never; retrigger drill rollback rehearses and times it"))
    rows.append(("Written", "only between fills, as a whole, and read back by digest"))
    return tuple(rows)
