"""A candidate's course, led step by step, with the world as it should be, for the tests of the lifecycle."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from daemon.lifecycle import Act, Candidate, Decision, Phase, Policy, World, decide, fold
from daemon.lifecycle import facts as f
from daemon.lifecycle.observed import Comparison, LatencyWatch, Observed, RateWatch
from daemon.policy_file import load_policy

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
SLOT, TARGET = "L1_AXO", "crate-7"
POLICY = replace(load_policy(), required_gates=())  # the examples run gates of their own names
PEOPLE = {
    "mila": frozenset({"ml_expert"}),
    "timo": frozenset({"trigger_oncall"}),
    "both": frozenset({"ml_expert", "trigger_oncall", "coordinator"}),
    "carla": frozenset({"ml_expert", "trigger_oncall"}),
    "fiona": frozenset({"firmware_expert"}),
}
WATCHED_POLICY = replace(POLICY, shadow_lumisections=50, probation_lumisections=100)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


OLD, CERTIFIED = sha("the imported champion"), sha("certified")


def gate(verdict: f.Verdict = "pass", number: int = 1, name: str = "bit_exact") -> f.GateOutcome:
    return f.GateOutcome(number=number, name=name, verdict=verdict, summary=f"{name}: {verdict}")


def requested(
    number: int = 1, at: datetime = NOON, initiator: str = "carla", *, drill: bool = False
) -> f.CandidateRequested:
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
        drill=drill,
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


def healthy(lumisections: int = 100) -> Observed:
    """What is seen of good bits after so many lumisections."""
    return seen(lumisections=lumisections)


def seen(  # one name for each thing that can go wrong
    *,
    lumisections: int = 100,
    mismatches: int = 0,
    rate: float = 1.0,
    ticks: int = 9,
    alarm: str = "",
    unreadable: int = 0,
) -> Observed:
    events = 1000 * lumisections
    mismatches = min(mismatches, events)
    low = mismatches / (2 * events) if mismatches else 0.0
    high = min(1.0, (2 * mismatches + 3.7) / events) if events else 1.0
    spread = 0.01 if lumisections > 2 else 1.0
    return Observed(
        comparison=Comparison(
            lumisections=lumisections,
            events=events,
            mismatches=mismatches,
            mismatch_rate_low=low,
            mismatch_rate_high=high,
            unreadable=unreadable,
        ),
        rate=RateWatch(
            lumisections=lumisections,
            expected_hz=1000.0,
            observed_hz=1000.0 * rate,
            low=1000.0 * rate * (1 - spread),
            high=1000.0 * rate * (1 + spread),
        ),
        latency=LatencyWatch(worst_ticks=ticks, allowed_ticks=10),
        alarm=alarm,
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
    policy: Policy = POLICY

    @property
    def candidate(self) -> Candidate:
        return fold(self.facts)

    def decide(self, now: datetime = NOON, policy: Policy | None = None, **seen: Any) -> Decision:
        return decide(self.candidate, world_of(self.candidate, **seen), policy or self.policy, now)

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
        ours = {"running": build.bundle_digest, "observed": healthy()}
        if self.policy.shadow_lumisections:
            yield Phase.SHADOW, lambda: self.act("shadow", **ours)
        probation = self.policy.probation_lumisections
        yield Phase.LIVE_PROBATION if probation else Phase.LIVE, lambda: self.act("confirm", **ours)
        if probation:
            yield Phase.LIVE, lambda: self.act("pass_probation", **ours)
