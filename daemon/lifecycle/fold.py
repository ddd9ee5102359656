"""Where a candidate stands, from its facts alone.

`fold` is the only definition of a phase: there is no status column that could disagree.  A fact that does not fit the
phase it meets changes nothing and is listed in `Candidate.oddities`; so a forged, doubled or late fact can never carry
a candidate forward.  Nothing here knows the time, the policy or the board.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from daemon.errors import FactError
from daemon.lifecycle import facts as f
from daemon.lifecycle.candidate import ASKED, IN_FLIGHT, ON_BOARD, TERMINAL
from daemon.lifecycle.candidate import Candidate as Candidate  # noqa: PLC0414  # who folds finds it here
from daemon.lifecycle.candidate import Phase as Phase  # noqa: PLC0414  # likewise
from daemon.lifecycle.fact import Fact
from daemon.lifecycle.fold_board import BOARD_RULES, Rule, speaks_of
from daemon.lifecycle.gating import verdict
from daemon.lifecycle.quorum import quorum


def fold(facts: Iterable[Fact]) -> Candidate:
    """Return the candidate that these facts, in ledger order, make.

    Raises:
        FactError: The first fact is no `CandidateRequested`; then there is no candidate.
    """
    rest = iter(facts)
    first = next(rest, None)
    if not isinstance(first, f.CandidateRequested):
        raise FactError(
            f"a candidate starts with candidate_requested, found {first.kind if first else 'no fact'}; "
            "is this a candidate id?"
        )
    candidate = _requested(first)
    for fact in rest:
        candidate = evolve(candidate, fact)
    return candidate


def evolve(candidate: Candidate, fact: Fact) -> Candidate:
    """Return the candidate after one more fact; an ill-fitting fact only joins the oddities."""
    rule = _RULES.get(type(fact))
    after = rule[1](candidate, fact) if rule and candidate.phase in rule[0] else None
    if after is None:
        oddity = f"{fact.kind} does not fit a candidate that is {candidate.phase}"
        return replace(candidate, oddities=(*candidate.oddities, oddity))
    since = fact.at if after.phase is not candidate.phase else candidate.phase_since
    return replace(after, latest_at=max(candidate.latest_at, fact.at), phase_since=since)


def _requested(fact: f.CandidateRequested) -> Candidate:
    return Candidate(
        id=fact.candidate,
        number=fact.number,
        slot=fact.slot,
        phase=Phase.BUILDING,
        trigger=fact.trigger,
        initiator=fact.initiator,
        reason=fact.reason,
        recipe_digest=fact.recipe_digest,
        recipe=fact.recipe,
        drill=fact.drill,
        requested_at=fact.at,
        latest_at=fact.at,
        phase_since=fact.at,
    )


def _finished(c: Candidate, fact: f.TrainingFinished) -> Candidate | None:
    if fact.recipe_digest != c.recipe_digest:
        return None
    return replace(
        c, phase=Phase.VERIFYING, build=fact, gates=None, waivers=(), request=None, approvals=(), glass=(), failures=0
    )


def _failed(c: Candidate, fact: f.TrainingFailed) -> Candidate:
    return replace(c, failures=c.failures + 1, last_failure=fact.reason, last_failure_at=fact.at)


def _given_up(c: Candidate, fact: f.GivenUp) -> Candidate:
    return replace(c, phase=Phase.FAILED, closing=fact.reason)


_AFTER_GATES = {"pass": Phase.READY, "fail": Phase.AUTO_REJECTED, "inconclusive": Phase.NEEDS_EXPERT}


def _evaluated(c: Candidate, fact: f.GatesEvaluated) -> Candidate | None:
    if fact.bundle_digest != c.bundle_digest:
        return None
    closing = "; ".join(
        f"gate {gate.number} {gate.name}: {gate.summary}" for gate in fact.gates if gate.verdict == "fail"
    )
    phase = _AFTER_GATES[verdict(fact.gates)]
    return replace(
        c, phase=phase, gates=fact, waivers=(), request=None, approvals=(), glass=(), failures=0, closing=closing
    )


def _proposed(c: Candidate, fact: f.Proposed) -> Candidate | None:
    if c.gates is None or fact.bundle_digest != c.gates.bundle_digest or fact.evidence_root != c.gates.evidence_root:
        return None
    if fact.ordinal != c.requests + 1:
        return None
    return replace(c, phase=Phase.PENDING_APPROVAL, request=fact, requests=c.requests + 1, approvals=(), glass=())


def _approved(c: Candidate, fact: f.Approved) -> Candidate | None:
    if not speaks_of(c, fact.request_id) or c.request is None or fact.person == c.initiator:
        return None
    if fact.role not in c.request.required_roles or any(one.person == fact.person for one in c.approvals):
        return None
    approvals = (*c.approvals, fact)
    complete = quorum(c.request.required_roles, approvals, c.initiator).complete
    return replace(c, phase=Phase.APPROVED if complete else Phase.PENDING_APPROVAL, approvals=approvals)


def _rejected(c: Candidate, fact: f.Rejected) -> Candidate | None:
    closing = f"{fact.person} ({fact.role}) rejected it as {fact.klass}: {fact.reason}"
    return replace(c, phase=Phase.REJECTED, closing=closing) if speaks_of(c, fact.request_id) else None


def _revoked(c: Candidate, fact: f.Revoked) -> Candidate | None:
    if not speaks_of(c, fact.request_id) or fact.person not in c.speakers:
        return None
    return replace(c, phase=Phase.REVOKED, closing=f"{fact.person} revoked the approval: {fact.reason}")


def _expired(c: Candidate, fact: f.Expired) -> Candidate | None:
    fits = speaks_of(c, fact.request_id) if c.request else not fact.request_id
    return replace(c, phase=Phase.EXPIRED, closing=fact.reason) if fits else None


def _staled(c: Candidate, fact: f.Staled) -> Candidate | None:
    fits = speaks_of(c, fact.request_id) if c.request else not fact.request_id
    if not fits:
        return None
    return replace(
        c,
        phase=Phase.STALE,
        request=None,
        approvals=(),
        glass=(),
        stales=c.stales + 1,
        failures=0,
        closing=fact.what_changed,
    )


def _superseded(c: Candidate, fact: f.Superseded) -> Candidate:
    return replace(c, phase=Phase.SUPERSEDED, closing=f"{fact.by} took its place")


def _armed(c: Candidate, fact: f.Armed) -> Candidate | None:
    fits = speaks_of(c, fact.request_id) and not c.drill
    return replace(c, phase=Phase.ARMED) if fits else None


def _started(c: Candidate, fact: f.DeploymentStarted) -> Candidate | None:
    if not speaks_of(c, fact.request_id) or c.request is None or fact.digest != c.request.bundle_digest:
        return None
    return replace(c, phase=Phase.DEPLOYING, started=fact, deployment_failures=0)


_BEFORE_BOARD = frozenset(Phase) - TERMINAL - IN_FLIGHT - ON_BOARD
_STANDING = frozenset({Phase.READY, Phase.NEEDS_EXPERT, Phase.STALE})

# kind of fact → the phases it may meet, and what it makes of the candidate (None: it does not fit after all)
_RULES: Mapping[type[Fact], Rule] = {
    f.TrainingFinished: (_STANDING | {Phase.BUILDING, Phase.VERIFYING}, _finished),
    f.TrainingFailed: (frozenset({Phase.BUILDING, Phase.VERIFYING, Phase.STALE}), _failed),
    f.GivenUp: (frozenset({Phase.BUILDING, Phase.VERIFYING, Phase.STALE}), _given_up),
    f.GatesEvaluated: (frozenset({Phase.VERIFYING, Phase.NEEDS_EXPERT, Phase.STALE}), _evaluated),
    f.Proposed: (frozenset({Phase.READY}), _proposed),
    f.Approved: (frozenset({Phase.PENDING_APPROVAL}), _approved),
    f.Rejected: (ASKED, _rejected),
    f.Revoked: (ASKED, _revoked),
    f.Expired: (ASKED | _STANDING, _expired),
    f.Staled: (ASKED | {Phase.READY}, _staled),
    f.Superseded: (_BEFORE_BOARD | {Phase.LIVE}, _superseded),
    f.Armed: (frozenset({Phase.APPROVED}), _armed),
    f.DeploymentStarted: (frozenset({Phase.ARMED}), _started),
    **BOARD_RULES,
}
