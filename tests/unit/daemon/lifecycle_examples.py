"""A candidate's course and a whole little experiment around it, for the tests of the lifecycle.

`Experiment` does what the daemon's loop does (decide, append, effect), on lists instead of databases and boards, and
checks at every write of the board, by its own reading of the facts, that this write was allowed.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from daemon.lifecycle import Act, Candidate, Decision, Phase, Policy, World, decide, fold
from daemon.lifecycle import facts as f
from daemon.policy_file import load_policy

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
SLOT, TARGET = "L1_AXO", "crate-7"
POLICY = replace(load_policy(), required_gates=())  # the examples run gates of their own names
PEOPLE = {
    "mila": frozenset({"ml_expert"}),
    "timo": frozenset({"trigger_oncall"}),
    "both": frozenset({"ml_expert", "trigger_oncall", "coordinator"}),
    "carla": frozenset({"ml_expert", "trigger_oncall"}),
}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


OLD, CERTIFIED = sha("the imported champion"), sha("certified")


def gate(verdict: f.Verdict = "pass", number: int = 1, name: str = "bit_exact") -> f.GateOutcome:
    return f.GateOutcome(number=number, name=name, verdict=verdict, summary=f"{name}: {verdict}")


def requested(number: int = 1, at: datetime = NOON, initiator: str = "carla") -> f.CandidateRequested:
    return f.CandidateRequested(
        at=at,
        actor=initiator,
        candidate=f"c-{number:04d}",
        number=number,
        slot=SLOT,
        trigger="drift",
        initiator=initiator,
        recipe_digest=sha(f"recipe {number}"),
        recipe={"seed": number},
        reason="MET drifted",
    )


def trained(number: int = 1, at: datetime = NOON, build: int = 1) -> f.TrainingFinished:
    return f.TrainingFinished(
        at=at,
        actor="daemon",
        recipe_digest=sha(f"recipe {number}"),
        bundle_digest=sha(f"bundle {number} {build}"),
        bundle_path=f"/bundles/{number}",
        certification_digest=CERTIFIED,
    )


def evaluated(
    build: f.TrainingFinished,
    *gates: f.GateOutcome,
    at: datetime = NOON,
    running: str = OLD,
    certification: str = CERTIFIED,
    tier: str = "T1",
) -> f.GatesEvaluated:
    return f.GatesEvaluated(
        at=at,
        actor="daemon",
        bundle_digest=build.bundle_digest,
        gates=gates,
        evidence_root=sha(f"evidence of {build.bundle_digest} against {running}"),
        tier=tier,
        running_digest=running,
        certification_digest=certification,
    )


def world_of(candidate: Candidate, **seen: Any) -> World:
    """The world in which nothing has changed since the candidate's gates, between fills."""
    gates = candidate.gates
    calm = World(
        target=TARGET,
        running=gates.running_digest if gates else OLD,
        beam_mode="NO BEAM",
        bundle=candidate.bundle_digest or None,
        evidence_root=gates.evidence_root if gates else None,
        certification=gates.certification_digest if gates else CERTIFIED,
        clock=candidate.latest_at,
        people=PEOPLE,
        next_lumisection=(400_100, 17),
    )
    return replace(calm, **seen)


def approval(candidate: Candidate, person: str, role: str, at: datetime = NOON) -> f.Approved:
    assert candidate.request is not None
    request = candidate.request.request_id
    return f.Approved(at=at, actor=person, request_id=request, person=person, role=role, reason="looks right")


@dataclass
class Course:
    """One candidate led step by step to a phase, with the world as it should be."""

    facts: list[f.Fact] = field(default_factory=lambda: [requested()])

    @property
    def candidate(self) -> Candidate:
        return fold(self.facts)

    def decide(self, now: datetime = NOON, policy: Policy = POLICY, **seen: Any) -> Decision:
        return decide(self.candidate, world_of(self.candidate, **seen), policy, now)

    def act(self, step: str, now: datetime = NOON, **seen: Any) -> Act:
        decision = self.decide(now, **seen)
        assert isinstance(decision, Act), decision
        assert decision.step == step, decision
        self.facts += decision.facts
        return decision

    def to(self, phase: Phase) -> "Course":
        """Lead the candidate along the one happy path up to a phase."""
        for reached, go in self._path():
            if self.candidate.phase is phase:
                return self
            go()
            assert self.candidate.phase is reached
        assert self.candidate.phase is phase
        return self

    def _path(self):
        build = trained()
        yield Phase.VERIFYING, lambda: self.facts.append(build)
        yield Phase.READY, lambda: self.facts.append(evaluated(build, gate()))
        yield Phase.PENDING_APPROVAL, lambda: self.act("propose")
        yield Phase.PENDING_APPROVAL, lambda: self.facts.append(approval(self.candidate, "mila", "ml_expert"))
        yield Phase.APPROVED, lambda: self.facts.append(approval(self.candidate, "timo", "trigger_oncall"))
        yield Phase.ARMED, lambda: self.act("arm")
        yield Phase.DEPLOYING, lambda: self.act("deploy")
        yield Phase.LIVE, lambda: self.act("confirm", running=build.bundle_digest)


class CrashError(Exception):
    """The daemon was killed here."""


@dataclass
class Experiment:
    """Ledger, board, people, clock and daemon in one object."""

    now: datetime = NOON
    clock: datetime = NOON
    facts: dict[str, list[f.Fact]] = field(default_factory=dict)
    running: str = OLD
    replaced: dict[str, str] = field(default_factory=dict)
    readable: bool = True
    writable: bool = True
    beam_mode: str | None = "STABLE BEAMS"
    frozen: str = ""
    paused: bool = False
    faults: tuple[str, ...] = ()
    policy: Policy = POLICY
    people: dict[str, frozenset[str]] = field(default_factory=lambda: dict(PEOPLE))
    altered: set[str] = field(default_factory=set)
    certification: str = CERTIFIED
    verdicts: list[f.Verdict] = field(default_factory=list)
    failing: int = 0
    writes: list[str] = field(default_factory=list)

    def copy(self) -> "Experiment":
        fresh = replace(self)
        fresh.facts = {subject: list(facts) for subject, facts in self.facts.items()}
        for name in ("replaced", "people", "altered"):
            setattr(fresh, name, type(getattr(self, name))(getattr(self, name)))
        fresh.verdicts, fresh.writes = list(self.verdicts), list(self.writes)
        return fresh

    def candidates(self) -> list[Candidate]:
        return [fold(facts) for facts in self.facts.values()]

    def append(self, subject: str, *facts: f.Fact) -> None:
        for fact in facts:
            self.facts.setdefault(subject, []).append(fact)
            self.clock = max(self.clock, fact.at)

    def request(self) -> None:
        number = len(self.facts) + 1
        self.append(f"c-{number:04d}", requested(number, self.now))

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
            open_faults=self.faults,
            paused=self.paused,
            frozen=self.frozen,
            others=tuple(other for other in self.candidates() if other.id != candidate.id),
            next_lumisection=(400_100, 1 + len(self.writes)),
        )

    def decisions(self) -> dict[str, Decision]:
        return {one.id: decide(one, self.world(one), self.policy, self.now) for one in self.candidates()}

    def turn(self, crash_at: str = "") -> list[str]:
        """One cycle of the loop over every candidate; `crash_at` kills it at the first act, between its parts."""
        steps = []
        try:
            for subject in list(self.facts):
                candidate = fold(self.facts[subject])
                decision = decide(candidate, self.world(candidate), self.policy, self.now)
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
        candidate = fold(self.facts[subject])
        match decision.step:
            case "train" | "verify" if self.failing:
                self.failing -= 1
                failed = f.TrainingFailed(at=self.now, actor="daemon", reason="killed", attempt=candidate.failures + 1)
                return [failed]
            case "train":
                return [replace(trained(candidate.number, self.now), certification_digest=self.certification)]
            case "verify":
                assert candidate.build is not None
                verdict = self.verdicts.pop(0) if self.verdicts else "pass"
                gates = evaluated(
                    candidate.build,
                    gate(verdict),
                    at=self.now,
                    running=self.running,
                    certification=self.certification,
                )
                return [gates]
            case "deploy":
                return self._write(candidate)
            case "roll_back" if not self.writable:
                return [self._failure(candidate)]
            case "roll_back" if self.running == candidate.bundle_digest:
                self.running = self.replaced[self.running]
                self.writes.append(f"back to {self.running}")
        return []

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
        self.check_allowed(candidate)
        self.replaced[candidate.bundle_digest] = self.running
        self.running = candidate.bundle_digest
        self.writes.append(candidate.id)
        return []

    def check_allowed(self, candidate: Candidate) -> None:
        """The invariants at the instant of a write, read from the bare facts and the bare world."""
        facts = self.facts[candidate.id]
        time = max(self.now, self.clock)
        request = [fact for fact in facts if isinstance(fact, f.Proposed)][-1]
        after = facts[max(n for n, fact in enumerate(facts) if fact is request) :]
        assert any(isinstance(fact, f.DeploymentStarted) and fact.request_id == request.request_id for fact in after)
        voiding = (f.Rejected, f.Revoked, f.Expired, f.Staled, f.Superseded, f.RolledBack, f.TrainingFinished)
        assert not any(isinstance(fact, voiding) for fact in after)

        said = [fact for fact in after if isinstance(fact, f.Approved) and fact.request_id == request.request_id]
        holding = {one.role: set() for one in said}
        for one in said:
            if one.role in self.people.get(one.person, frozenset()) and one.person != candidate.initiator:
                holding[one.role].add(one.person)
        experts, oncalls = holding.get("ml_expert", set()), holding.get("trigger_oncall", set())
        assert any(expert != oncall for expert in experts for oncall in oncalls)

        gates = [fact for fact in facts if isinstance(fact, f.GatesEvaluated)][-1]
        build = [fact for fact in facts if isinstance(fact, f.TrainingFinished)][-1]
        assert facts.index(build) < facts.index(gates)
        assert gates.gates
        assert all(one.verdict == "pass" for one in gates.gates)
        assert gates.bundle_digest == build.bundle_digest == request.bundle_digest
        assert candidate.id not in self.altered
        assert request.policy_id == self.policy.id
        assert request.certification_digest == self.certification
        assert request.running_digest == self.running
        assert time < request.expires_at <= request.at + timedelta(hours=12)
        assert self.beam_mode in self.policy.deploy_beam_modes
        assert not self.frozen
        assert not self.paused
        assert not self.faults
