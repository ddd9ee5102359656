"""A whole little experiment around the lifecycle: ledger, board, people, clock and daemon in one object.

`Experiment` does what the daemon's loop does (decide, append, effect), on lists instead of databases and boards.  At
every write of the board, and whenever bits begin to trigger, `lifecycle_allowed` checks by its own reading of the facts
that this was allowed.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from daemon.lifecycle import Act, Candidate, Decision, Policy, World, decide, evolve, fold
from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle.candidate import WATCHED
from daemon.lifecycle.observed import Observed
from daemon.lifecycle.signing import PersonKey
from tests.unit.daemon import lifecycle_allowed as allowed
from tests.unit.daemon.lifecycle_examples import (
    CERTIFIED,
    NOON,
    OLD,
    PEOPLE,
    POLICY,
    TARGET,
    evaluated,
    gate,
    requested,
    seen,
    trained,
)

LUMISECTION_S = 23.31
BEHAVIOURS = {
    "healthy": {},
    "mismatching": {"mismatches": 5},
    "too high": {"rate": 1.3},
    "slow": {"ticks": 11},
    "drifting": {"alarm": "its scores moved"},
}


class CrashError(Exception):
    """The daemon was killed here."""


@dataclass
class Experiment:
    """Ledger, board, people, clock and daemon in one object."""

    now: datetime = NOON
    clock: datetime = NOON
    facts: dict[str, list[f.Fact]] = field(default_factory=dict)
    folded: dict[str, Candidate] = field(default_factory=dict)
    running: str = OLD
    replaced: dict[str, str] = field(default_factory=dict)
    readable: bool = True
    writable: bool = True
    beam_mode: str | None = "STABLE BEAMS"
    fill: int | None = 9000
    frozen: str = ""
    paused: bool = False
    faults: tuple[str, ...] = ()
    policy: Policy = POLICY
    people: dict[str, frozenset[str]] = field(default_factory=lambda: dict(PEOPLE))
    keys: dict[str, PersonKey] = field(default_factory=dict)
    altered: set[str] = field(default_factory=set)
    certification: str = CERTIFIED
    verdicts: list[f.Verdict] = field(default_factory=list)
    tier: str = "T1"
    behaviour: str = "healthy"
    rehearsed_at: datetime | None = None
    failing: int = 0
    writes: list[str] = field(default_factory=list)

    def copy(self) -> "Experiment":
        fresh = replace(self)
        fresh.facts = {subject: list(facts) for subject, facts in self.facts.items()}
        for name in ("folded", "replaced", "people", "keys", "altered"):
            setattr(fresh, name, type(getattr(self, name))(getattr(self, name)))
        fresh.verdicts, fresh.writes = list(self.verdicts), list(self.writes)
        return fresh

    def candidates(self) -> list[Candidate]:
        return list(self.folded.values())

    def append(self, subject: str, *facts: f.Fact) -> None:
        for fact in facts:
            if isinstance(fact, f.Deployed | b.ProbationPassed) and fact.actor == "daemon":
                allowed.to_trigger(self, self.folded[subject], fact)
            self.facts.setdefault(subject, []).append(fact)
            before = self.folded.get(subject)
            self.folded[subject] = evolve(before, fact) if before else fold([fact])
            self.clock = max(self.clock, fact.at)

    def request(self, *, drill: bool = False) -> None:
        number = len(self.facts) + 1
        self.append(f"c-{number:04d}", requested(number, self.now, drill=drill))

    def time(self) -> datetime:
        return max(self.now, self.clock)

    def observed(self, candidate: Candidate) -> Observed | None:
        if candidate.phase not in WATCHED or self.behaviour == "unseen":
            return None
        watched = (self.time() - candidate.phase_since) // timedelta(seconds=LUMISECTION_S)
        return seen(lumisections=min(watched, 1000), **BEHAVIOURS[self.behaviour])

    def world(self, candidate: Candidate) -> World:
        altered = candidate.id in self.altered
        gates = candidate.gates
        return World(
            target=TARGET,
            running=self.running if self.readable else None,
            beam_mode=self.beam_mode,
            bundle=None if altered else candidate.bundle_digest or None,
            bundle_problem="weights.safetensors: one bit differs" if altered else "",
            evidence_root=gates.evidence_root if gates else None,
            certification=self.certification,
            clock=self.clock,
            people=self.people,
            keys=self.keys,
            open_faults=self.faults,
            paused=self.paused,
            frozen=self.frozen,
            others=tuple(other for other in self.folded.values() if other.id != candidate.id),
            fill=self.fill,
            observed=self.observed(candidate),
            rehearsed_at=self.rehearsed_at,
            next_lumisection=(400_100, 1 + len(self.writes)),
        )

    def decision(self, candidate: Candidate) -> Decision:
        return decide(candidate, self.world(candidate), self.policy, self.now)

    def decisions(self) -> dict[str, Decision]:
        return {one.id: self.decision(one) for one in self.candidates()}

    def turn(self, crash_at: str = "") -> list[str]:
        """One cycle of the loop over every candidate; `crash_at` kills it at the first act, between its parts."""
        steps = []
        try:
            for subject in list(self.facts):
                decision = self.decision(self.folded[subject])
                if isinstance(decision, Act):
                    self._crash("before facts", crash_at)
                    self.append(subject, *decision.facts)
                    self._crash("before effect", crash_at)
                    result = self._effect(subject, decision)
                    self._crash("after effect", crash_at)
                    self.append(subject, *result)
                    steps.append(f"{subject}:{decision.step}")
        except CrashError:
            steps.append("crash")
        return steps

    def run(self, turns: int = 30) -> None:
        for _ in range(turns):
            if not self.turn():
                return

    @staticmethod
    def _crash(here: str, crash_at: str) -> None:
        if here == crash_at:
            raise CrashError

    def _effect(self, subject: str, decision: Act) -> list[f.Fact]:
        candidate = self.folded[subject]
        match decision.step:
            case "train" | "verify" if self.failing:
                self.failing -= 1
                failed = f.TrainingFailed(at=self.now, actor="daemon", reason="killed", attempt=candidate.failures + 1)
                return [failed]
            case "train":
                return [replace(trained(candidate.number, self.now), certification_digest=self.certification)]
            case "verify":
                return [self._gates(candidate)]
            case "deploy":
                return self._write(candidate)
            case "roll_back" if not self.writable:
                return [self._failure(candidate)]
            case "roll_back" if self.running == candidate.bundle_digest:
                self.running = self.replaced[self.running]
                self.writes.append(f"back to {self.running}")
        unread = decision.step == "roll_back" and not self.readable  # what was done cannot be seen to be done
        return [self._failure(candidate)] if unread else []

    def _gates(self, candidate: Candidate) -> f.GatesEvaluated:
        assert candidate.build is not None
        verdict = self.verdicts.pop(0) if self.verdicts else "pass"
        return evaluated(
            candidate.build,
            gate(verdict),
            at=self.now,
            running=self.running,
            certification=self.certification,
            tier=self.tier,
        )

    def _failure(self, candidate: Candidate) -> f.Fact:
        assert candidate.request is not None
        return f.DeploymentFailed(
            at=self.now,
            actor="daemon",
            request_id=candidate.request.request_id,
            digest=candidate.bundle_digest,
            reason="the crate did not answer",
            attempt=candidate.deployment_failures + 1,
        )

    def _write(self, candidate: Candidate) -> list[f.Fact]:
        if not self.writable:
            return [self._failure(candidate)]
        if self.running == candidate.bundle_digest:
            return []
        allowed.to_write(self, candidate)
        self.replaced[candidate.bundle_digest] = self.running
        self.running = candidate.bundle_digest
        self.writes.append(candidate.id)
        return []
