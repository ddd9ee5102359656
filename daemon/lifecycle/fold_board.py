"""What the facts of board, people and reviews make of a candidate; see `daemon.lifecycle.fold`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle.candidate import ON_BOARD, WATCHED, Candidate, Phase
from daemon.lifecycle.fact import Fact
from daemon.lifecycle.gating import effective, verdict

Rule = tuple[frozenset[Phase], Callable[[Candidate, Any], Candidate | None]]


def speaks_of(c: Candidate, request_id: str) -> bool:
    """Return whether this is the open request."""
    return c.request is not None and c.request.request_id == request_id


def _waived(c: Candidate, fact: b.Waived) -> Candidate | None:
    if c.gates is None or fact.evidence_root != c.gates.evidence_root or fact.person == c.initiator:
        return None
    if all(gate.name != fact.gate or gate.verdict != "inconclusive" for gate in c.gates.gates):
        return None
    if any((one.gate, one.person) == (fact.gate, fact.person) for one in c.waivers):
        return None
    after = replace(c, waivers=(*c.waivers, fact))
    return replace(after, phase=Phase.READY) if verdict(effective(after)) == "pass" else after


def _glass_broken(c: Candidate, fact: b.GlassBroken) -> Candidate | None:
    if not speaks_of(c, fact.request_id) or fact.person == c.initiator:
        return None
    if c.glass_broken or any(one.person == fact.person for one in c.glass):
        return None
    after = replace(c, glass=(*c.glass, fact))
    return replace(after, phase=Phase.APPROVED, glass_at=fact.at) if after.glass_broken else after


def _deployment_failed(c: Candidate, fact: f.DeploymentFailed) -> Candidate:
    failures = c.deployment_failures + 1
    return replace(c, deployment_failures=failures, last_failure=fact.reason, last_failure_at=fact.at)


def _shadowed(c: Candidate, fact: b.ShadowStarted) -> Candidate | None:
    if c.request is None or not (fact.digest == fact.read_back == c.request.bundle_digest):
        return None
    return replace(c, phase=Phase.SHADOW, shadow=fact, deployment_failures=0, board_seen=None)


def _confirmed(c: Candidate, fact: b.Confirmed) -> Candidate | None:
    if not speaks_of(c, fact.request_id) or fact.person == c.initiator:
        return None
    if any(one.person == fact.person for one in c.confirmations):
        return None
    return replace(c, confirmations=(*c.confirmations, fact))


def _deployed(c: Candidate, fact: f.Deployed) -> Candidate | None:
    if c.request is None or not (fact.digest == fact.read_back == c.request.bundle_digest):
        return None
    watched = fact.probation_lumisections > 0 or c.glass_broken
    phase = Phase.LIVE_PROBATION if watched else Phase.LIVE
    return replace(c, phase=phase, deployed=fact, deployment_failures=0, board_seen=None, closing="")


def _passed(c: Candidate, fact: b.ProbationPassed) -> Candidate | None:
    return replace(c, phase=Phase.LIVE) if fact.digest == c.bundle_digest and not c.glass_broken else None


def _tripped(c: Candidate, fact: b.GuardTripped) -> Candidate | None:
    if not speaks_of(c, fact.request_id) or c.rollback is not None:
        return None
    return replace(c, rollback=fact, deployment_failures=0)


def _rollback_requested(c: Candidate, fact: f.RollbackRequested) -> Candidate:
    return replace(c, rollback=fact, deployment_failures=0)


def _rolled_back(c: Candidate, fact: f.RolledBack) -> Candidate | None:
    if fact.to_digest == c.bundle_digest:
        return None
    return replace(c, phase=Phase.ROLLED_BACK, closing=f"{fact.by} rolled it back: {fact.reason}")


def _restored(c: Candidate, fact: f.Restored) -> Candidate | None:
    if c.deployed is None or not (fact.digest == fact.read_back == c.bundle_digest):
        return None
    return replace(c, phase=Phase.LIVE, board_seen=None, rollback=None, deployment_failures=0, closing="")


def _board_differs(c: Candidate, fact: f.BoardDiffers) -> Candidate:
    return replace(c, board_seen=fact)


def _board_agrees(c: Candidate, fact: f.BoardAgrees) -> Candidate | None:
    return replace(c, board_seen=None) if fact.digest == c.bundle_digest else None


def _overdue(c: Candidate, fact: b.ReviewOverdue) -> Candidate | None:
    fits = c.review_owed and speaks_of(c, fact.request_id) and not c.review_overdue
    return replace(c, review_overdue=True) if fits else None


def _reviewed(c: Candidate, fact: b.GlassReviewed) -> Candidate | None:
    breakers = {one.person for one in c.glass}
    fits = c.review_owed and speaks_of(c, fact.request_id) and fact.person not in breakers
    return replace(c, reviewed=fact) if fits else None


_TOUCHED = ON_BOARD | {Phase.DEPLOYING}
_ORDERED = _TOUCHED | {Phase.ROLLED_BACK, Phase.SUPERSEDED}

# kind of fact → the phases it may meet, and what it makes of the candidate (None: it does not fit after all)
BOARD_RULES: Mapping[type[Fact], Rule] = {
    b.Waived: (frozenset({Phase.NEEDS_EXPERT}), _waived),
    b.GlassBroken: (frozenset({Phase.PENDING_APPROVAL, Phase.APPROVED}), _glass_broken),
    f.DeploymentFailed: (_TOUCHED, _deployment_failed),
    b.ShadowStarted: (frozenset({Phase.DEPLOYING}), _shadowed),
    b.Confirmed: (frozenset({Phase.SHADOW}), _confirmed),
    f.Deployed: (frozenset({Phase.DEPLOYING, Phase.SHADOW}), _deployed),
    b.ProbationPassed: (frozenset({Phase.LIVE_PROBATION}), _passed),
    b.GuardTripped: (WATCHED | {Phase.DEPLOYING}, _tripped),
    f.RollbackRequested: (_TOUCHED, _rollback_requested),
    f.RolledBack: (_TOUCHED, _rolled_back),
    f.Restored: (frozenset({Phase.SUPERSEDED}), _restored),
    f.BoardDiffers: (_TOUCHED, _board_differs),
    f.BoardAgrees: (_TOUCHED, _board_agrees),
    b.ReviewOverdue: (_ORDERED, _overdue),
    b.GlassReviewed: (_ORDERED, _reviewed),
}
