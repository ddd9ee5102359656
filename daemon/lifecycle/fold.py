"""Where a candidate stands, from its facts alone.

`fold` is the only definition of a phase: there is no status column that could disagree.  A fact that does not fit the
phase it meets changes nothing and is listed in `Candidate.oddities`; so a forged, doubled or late fact can never carry
a candidate forward.  Nothing here knows the time, the policy or the board.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from daemon.errors import FactError
from daemon.lifecycle import facts as f
from daemon.lifecycle.facts import Fact
from daemon.lifecycle.quorum import quorum


class Phase(StrEnum):
    """The states of docs/approvals.md that a tier T1 candidate can be in."""

    BUILDING = "building"
    FAILED = "failed"
    VERIFYING = "verifying"
    AUTO_REJECTED = "auto_rejected"
    NEEDS_EXPERT = "needs_expert"
    READY = "ready"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    ARMED = "armed"
    DEPLOYING = "deploying"
    LIVE = "live"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    EXPIRED = "expired"
    STALE = "stale"
    REVOKED = "revoked"
    ROLLED_BACK = "rolled_back"


TERMINAL = frozenset(
    {
        Phase.FAILED,
        Phase.AUTO_REJECTED,
        Phase.SUPERSEDED,
        Phase.REJECTED,
        Phase.EXPIRED,
        Phase.REVOKED,
        Phase.ROLLED_BACK,
    }
)
OPEN_REQUEST = frozenset({Phase.PENDING_APPROVAL, Phase.APPROVED, Phase.ARMED, Phase.DEPLOYING})
IN_FLIGHT = frozenset({Phase.ARMED, Phase.DEPLOYING})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One candidate as its facts tell it.  Empty text means: not yet."""

    id: str
    number: int
    slot: str
    phase: Phase
    trigger: str
    initiator: str
    reason: str
    recipe_digest: str
    recipe: Mapping[str, Any]
    requested_at: datetime
    latest_at: datetime
    phase_since: datetime
    failures: int = 0
    last_failure: str = ""
    last_failure_at: datetime | None = None
    build: f.TrainingFinished | None = None
    gates: f.GatesEvaluated | None = None
    request: f.Proposed | None = None
    requests: int = 0
    stales: int = 0
    approvals: tuple[f.Approved, ...] = ()
    started: f.DeploymentStarted | None = None
    deployment_failures: int = 0
    deployed: f.Deployed | None = None
    rollback: f.RollbackRequested | None = None
    board_seen: f.BoardDiffers | None = None
    closing: str = ""
    oddities: tuple[str, ...] = field(default=(), repr=False)

    @property
    def bundle_digest(self) -> str:
        """Digest of the latest build, empty before there is one."""
        return self.build.bundle_digest if self.build else ""

    @property
    def bundle_path(self) -> str:
        """Folder of the latest build, empty before there is one."""
        return self.build.bundle_path if self.build else ""

    @property
    def terminal(self) -> bool:
        """Whether no step forward is left."""
        return self.phase in TERMINAL


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
        requested_at=fact.at,
        latest_at=fact.at,
        phase_since=fact.at,
    )


def _finished(c: Candidate, fact: f.TrainingFinished) -> Candidate | None:
    if fact.recipe_digest != c.recipe_digest:
        return None
    return replace(c, phase=Phase.VERIFYING, build=fact, gates=None, request=None, approvals=(), failures=0)


def _failed(c: Candidate, fact: f.TrainingFailed) -> Candidate:
    return replace(c, failures=c.failures + 1, last_failure=fact.reason, last_failure_at=fact.at)


def _given_up(c: Candidate, fact: f.GivenUp) -> Candidate:
    return replace(c, phase=Phase.FAILED, closing=fact.reason)


def verdict(gates: Iterable[f.GateOutcome]) -> f.Verdict:
    """Return the worst of the gates; no gates at all is inconclusive, never a pass."""
    verdicts = [gate.verdict for gate in gates]
    if "fail" in verdicts:
        return "fail"
    return "pass" if verdicts and all(each == "pass" for each in verdicts) else "inconclusive"


_AFTER_GATES = {"pass": Phase.READY, "fail": Phase.AUTO_REJECTED, "inconclusive": Phase.NEEDS_EXPERT}


def _evaluated(c: Candidate, fact: f.GatesEvaluated) -> Candidate | None:
    if fact.bundle_digest != c.bundle_digest:
        return None
    closing = "; ".join(
        f"gate {gate.number} {gate.name}: {gate.summary}" for gate in fact.gates if gate.verdict == "fail"
    )
    phase = _AFTER_GATES[verdict(fact.gates)]
    return replace(c, phase=phase, gates=fact, request=None, approvals=(), failures=0, closing=closing)


def _proposed(c: Candidate, fact: f.Proposed) -> Candidate | None:
    if c.gates is None or fact.bundle_digest != c.gates.bundle_digest or fact.evidence_root != c.gates.evidence_root:
        return None
    if fact.ordinal != c.requests + 1:
        return None
    return replace(c, phase=Phase.PENDING_APPROVAL, request=fact, requests=c.requests + 1, approvals=())


def _approved(c: Candidate, fact: f.Approved) -> Candidate | None:
    if not _speaks_of(c, fact.request_id) or c.request is None or fact.person == c.initiator:
        return None
    if fact.role not in c.request.required_roles or any(one.person == fact.person for one in c.approvals):
        return None
    approvals = (*c.approvals, fact)
    complete = quorum(c.request.required_roles, approvals, c.initiator).complete
    return replace(c, phase=Phase.APPROVED if complete else Phase.PENDING_APPROVAL, approvals=approvals)


def _rejected(c: Candidate, fact: f.Rejected) -> Candidate | None:
    closing = f"{fact.person} ({fact.role}) rejected it as {fact.klass}: {fact.reason}"
    return replace(c, phase=Phase.REJECTED, closing=closing) if _speaks_of(c, fact.request_id) else None


def _revoked(c: Candidate, fact: f.Revoked) -> Candidate | None:
    if not _speaks_of(c, fact.request_id) or all(one.person != fact.person for one in c.approvals):
        return None
    return replace(c, phase=Phase.REVOKED, closing=f"{fact.person} revoked the approval: {fact.reason}")


def _expired(c: Candidate, fact: f.Expired) -> Candidate | None:
    fits = _speaks_of(c, fact.request_id) if c.request else not fact.request_id
    return replace(c, phase=Phase.EXPIRED, closing=fact.reason) if fits else None


def _staled(c: Candidate, fact: f.Staled) -> Candidate | None:
    fits = _speaks_of(c, fact.request_id) if c.request else not fact.request_id
    if not fits:
        return None
    return replace(
        c, phase=Phase.STALE, request=None, approvals=(), stales=c.stales + 1, failures=0, closing=fact.what_changed
    )


def _superseded(c: Candidate, fact: f.Superseded) -> Candidate:
    return replace(c, phase=Phase.SUPERSEDED, closing=f"{fact.by} took its place")


def _armed(c: Candidate, fact: f.Armed) -> Candidate | None:
    return replace(c, phase=Phase.ARMED) if _speaks_of(c, fact.request_id) else None


def _started(c: Candidate, fact: f.DeploymentStarted) -> Candidate | None:
    if not _speaks_of(c, fact.request_id) or c.request is None or fact.digest != c.request.bundle_digest:
        return None
    return replace(c, phase=Phase.DEPLOYING, started=fact, deployment_failures=0)


def _deployment_failed(c: Candidate, fact: f.DeploymentFailed) -> Candidate:
    failures = c.deployment_failures + 1
    return replace(c, deployment_failures=failures, last_failure=fact.reason, last_failure_at=fact.at)


def _deployed(c: Candidate, fact: f.Deployed) -> Candidate | None:
    if c.request is None or not (fact.digest == fact.read_back == c.request.bundle_digest):
        return None
    return replace(c, phase=Phase.LIVE, deployed=fact, deployment_failures=0, board_seen=None, closing="")


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


def _speaks_of(c: Candidate, request_id: str) -> bool:
    return c.request is not None and c.request.request_id == request_id


_BEFORE_BOARD = frozenset(Phase) - TERMINAL - {Phase.ARMED, Phase.DEPLOYING, Phase.LIVE}
_ASKED = frozenset({Phase.PENDING_APPROVAL, Phase.APPROVED, Phase.ARMED})
_STANDING = frozenset({Phase.READY, Phase.NEEDS_EXPERT, Phase.STALE})

# kind of fact → the phases it may meet, and what it makes of the candidate (None: it does not fit after all)
_RULES: dict[type[Fact], tuple[frozenset[Phase], Callable[[Candidate, Any], Candidate | None]]] = {
    f.TrainingFinished: (_STANDING | {Phase.BUILDING, Phase.VERIFYING}, _finished),
    f.TrainingFailed: (frozenset({Phase.BUILDING, Phase.VERIFYING, Phase.STALE}), _failed),
    f.GivenUp: (frozenset({Phase.BUILDING, Phase.VERIFYING, Phase.STALE}), _given_up),
    f.GatesEvaluated: (frozenset({Phase.VERIFYING, Phase.NEEDS_EXPERT, Phase.STALE}), _evaluated),
    f.Proposed: (frozenset({Phase.READY}), _proposed),
    f.Approved: (frozenset({Phase.PENDING_APPROVAL}), _approved),
    f.Rejected: (_ASKED, _rejected),
    f.Revoked: (_ASKED, _revoked),
    f.Expired: (_ASKED | _STANDING, _expired),
    f.Staled: (_ASKED | {Phase.READY}, _staled),
    f.Superseded: (_BEFORE_BOARD | {Phase.LIVE}, _superseded),
    f.Armed: (frozenset({Phase.APPROVED}), _armed),
    f.DeploymentStarted: (frozenset({Phase.ARMED}), _started),
    f.DeploymentFailed: (frozenset({Phase.DEPLOYING, Phase.LIVE}), _deployment_failed),
    f.Deployed: (frozenset({Phase.DEPLOYING}), _deployed),
    f.RollbackRequested: (frozenset({Phase.DEPLOYING, Phase.LIVE}), _rollback_requested),
    f.RolledBack: (frozenset({Phase.DEPLOYING, Phase.LIVE}), _rolled_back),
    f.Restored: (frozenset({Phase.SUPERSEDED}), _restored),
    f.BoardDiffers: (frozenset({Phase.DEPLOYING, Phase.LIVE}), _board_differs),
    f.BoardAgrees: (frozenset({Phase.DEPLOYING, Phase.LIVE}), _board_agrees),
}
