"""What must hold whatever happens, and whenever the daemon is killed.

`Experiment` checks each write of the board by its own reading of the facts; here it is driven at random by
Hypothesis, and through every order of events of a small model.
"""

import os
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.errors import RefusedError
from daemon.lifecycle import Act, Done, Phase, Wait, approve, ask_rollback, fold, reject, revoke
from daemon.lifecycle import facts as f
from daemon.lifecycle.decide import ratchet
from daemon.lifecycle.fold import IN_FLIGHT, OPEN_REQUEST
from tests.unit.daemon.lifecycle_examples import NOON, POLICY, Experiment, sha

CRASHES = ("", "", "before facts", "before effect", "after effect")
FOR_GOOD = {Phase.REJECTED, Phase.REVOKED, Phase.EXPIRED, Phase.FAILED, Phase.AUTO_REJECTED, Phase.ROLLED_BACK}
STEPS = int(os.environ.get("RETRIGGER_LIFECYCLE_EXAMPLES", "40"))  # of 50 steps each; the campaign sets 20 000


def candidates_hold(experiment, phases_before):
    """The invariants that hold between any two events."""
    candidates = experiment.candidates()
    assert sum(one.phase in OPEN_REQUEST for one in candidates) <= 1
    assert sum(one.phase in IN_FLIGHT for one in candidates) <= 1
    for one in candidates:
        if phases_before.get(one.id) in FOR_GOOD:
            assert one.phase is phases_before[one.id]
        if one.phase in {Phase.APPROVED, Phase.ARMED, Phase.DEPLOYING, Phase.LIVE}:
            assert one.initiator not in {approval.person for approval in one.approvals}
        decision = experiment.decisions()[one.id]
        if isinstance(decision, Wait):
            assert decision.until > ratchet(one, experiment.world(one), experiment.now)
            assert decision.for_what
        elif isinstance(decision, Act):
            assert decision.key.startswith(f"{one.id}:")
            assert decision.why
            assert all(fact.actor == "daemon" for fact in decision.facts)
            assert not any(isinstance(fact, f.Approved | f.Rejected | f.Revoked) for fact in decision.facts)
        else:
            assert isinstance(decision, Done)
    return {one.id: one.phase for one in candidates}


class AnExperiment(RuleBasedStateMachine):
    """Facts, people, policy, board and clock, in any order and with kills."""

    def __init__(self):
        super().__init__()
        self.it = Experiment()
        self.phases = {}

    def one(self, pick):
        candidates = self.it.candidates()
        return candidates[pick % len(candidates)]

    def say(self, pick, what):
        candidate = self.one(pick)
        try:
            fact = what(candidate, self.it.world(candidate))
        except RefusedError:
            return
        self.it.append(candidate.id, fact)

    @initialize(
        far=st.sampled_from(["nothing", "proposed", "proposed", "approved", "approved", "live", "live", "live"])
    )
    def begin(self, far):
        """Start somewhere on the way, since chance alone seldom gets far."""
        self.it.beam_mode = "STABLE BEAMS" if far == "approved" else "NO BEAM"
        if far != "nothing":
            self.it.request()
            self.it.run(4)
        if far in {"approved", "live"}:
            self.a_quorum_approves()
            self.it.run(6)

    picks = st.integers(0, 3)
    people = st.sampled_from(["mila", "timo", "both", "carla", "nobody"])
    roles = st.sampled_from(["ml_expert", "trigger_oncall", "coordinator"])

    @precondition(lambda self: len(self.it.facts) < 4)
    @rule(verdict=st.sampled_from(["pass", "pass", "pass", "inconclusive", "fail"]))
    def request(self, verdict):
        self.it.request()
        self.it.verdicts.append(verdict)

    @precondition(lambda self: self.it.facts)
    @rule(crash=st.sampled_from(CRASHES))
    def turn(self, crash):
        self.it.turn(crash)

    @precondition(lambda self: self.it.facts)
    @rule()
    def turns(self):
        self.it.run(6)

    @precondition(lambda self: self.it.facts)
    @rule(pick=picks, person=people, role=roles, old=st.booleans())
    def approve(self, pick, person, role, old):
        def saying(candidate, world):
            open_one = candidate.request.request_id if candidate.request and not old else sha("an old page")
            return approve(
                candidate,
                world,
                self.it.policy,
                request_id=open_one,
                person=person,
                role=role,
                reason="fine",
                now=self.it.now,
            )

        self.say(pick, saying)

    @precondition(lambda self: self.it.facts)
    @rule()
    def a_quorum_approves(self):
        for person, role in (("mila", "ml_expert"), ("timo", "trigger_oncall")):
            for pick in range(len(self.it.facts)):
                if self.one(pick).request is not None:
                    self.approve(pick, person, role, old=False)

    @precondition(lambda self: self.it.facts)
    @rule(pick=picks, person=people, role=roles)
    def reject(self, pick, person, role):
        def saying(candidate, world):
            request = candidate.request.request_id if candidate.request else ""
            words = {"person": person, "role": role, "klass": "rate", "reason": "no", "now": self.it.now}
            return reject(candidate, world, self.it.policy, request_id=request, **words)

        self.say(pick, saying)

    @precondition(lambda self: self.it.facts)
    @rule(pick=picks, person=people)
    def revoke(self, pick, person):
        def saying(candidate, world):
            request = candidate.request.request_id if candidate.request else ""
            return revoke(candidate, world, request_id=request, person=person, reason="no", now=self.it.now)

        self.say(pick, saying)

    @precondition(lambda self: self.it.facts)
    @rule(pick=picks, person=people)
    def ask_rollback(self, pick, person):
        def saying(candidate, world):
            return ask_rollback(candidate, world, self.it.policy, person=person, reason="rate", now=self.it.now)

        self.say(pick, saying)

    @precondition(lambda self: self.it.facts)
    @rule(pick=picks, kind=st.sampled_from([f.Approved, f.Armed, f.Deployed, f.DeploymentStarted]), old=st.booleans())
    def forge(self, pick, kind, old):
        """Somebody appends a fact out of turn, with the right or the wrong request."""
        candidate = self.one(pick)
        request = candidate.request.request_id if candidate.request and not old else sha("x")
        words = {"at": self.it.now, "actor": "mallory", "request_id": request}
        if kind is f.Approved:
            fact = f.Approved(person="mallory", role="ml_expert", reason="trust me", **words)
        elif kind is f.Armed:
            if candidate.phase is Phase.APPROVED:  # a forger with the daemon's own rights is not kept out by folding
                return
            fact = f.Armed(**words)
        elif kind is f.DeploymentStarted:
            if candidate.phase is Phase.ARMED:
                return
            fact = f.DeploymentStarted(digest=candidate.bundle_digest, transition="t", **words)
        else:
            if candidate.phase is Phase.DEPLOYING:
                return
            fact = f.Deployed(
                slot=candidate.slot,
                digest=candidate.bundle_digest,
                read_back=candidate.bundle_digest,
                effective_run=1,
                effective_lumisection=1,
                **words,
            )
        before = candidate.phase
        self.it.append(candidate.id, fact)
        assert fold(self.it.facts[candidate.id]).phase is before

    @rule()
    def calm(self):
        """Everything is again as it was meant to be; only the facts, the board and the clock stay."""
        fresh = Experiment(beam_mode="NO BEAM", people={**self.it.people, **Experiment().people})
        for name in ("beam_mode", "frozen", "paused", "faults", "readable", "writable", "policy", "people"):
            setattr(self.it, name, getattr(fresh, name))
        self.it.certification, self.it.failing = fresh.certification, 0
        self.it.altered.clear()

    @precondition(lambda self: self.it.facts)
    @rule()
    def a_good_day(self):
        """What the experiment hopes for: calm, two people, a window, and a daemon that goes on."""
        self.calm()
        self.it.run(4)
        self.a_quorum_approves()
        self.it.run(4)

    @rule(person=people, held=st.frozensets(roles))
    def change_roles(self, person, held):
        if held:
            self.it.people[person] = held
        else:
            self.it.people.pop(person, None)

    @rule(hours=st.sampled_from([12, 13]))
    def change_policy(self, hours):
        self.it.policy = replace(POLICY, cooldown_hours=float(hours))

    @rule(hours=st.sampled_from([-1000, -1, 0.02, 0.02, 1, 1, 12, 80]))
    def clock(self, hours):
        self.it.now += timedelta(hours=hours)

    @rule(mode=st.sampled_from([None, "STABLE BEAMS", "NO BEAM", "NO BEAM", "RAMP DOWN"]))
    def beam(self, mode):
        self.it.beam_mode = mode

    @rule(
        what=st.sampled_from(["frozen", "paused", "faults", "readable", "writable"]),
        on=st.sampled_from([True, False, False]),
    )
    def switch(self, what, on):
        values = {"frozen": "x" if on else "", "faults": ("a",) if on else ()}
        setattr(self.it, what, values.get(what, on))

    @rule(certified=st.sampled_from(["certified", "certified", "less certified"]))
    def certify(self, certified):
        self.it.certification = sha(certified)

    @precondition(lambda self: self.it.facts)
    @rule(pick=picks, whole=st.booleans())
    def tamper(self, pick, whole):
        (self.it.altered.discard if whole else self.it.altered.add)(self.one(pick).id)

    @rule(digest=st.sampled_from(["the imported champion", "somebody else's model"]))
    def somebody_writes_the_board(self, digest):
        self.it.running = sha(digest)

    @rule()
    def machinery_fails(self):
        self.it.failing += 1

    @invariant()
    def nothing_is_broken(self):
        self.phases = candidates_hold(self.it, self.phases)


TestAnExperiment = AnExperiment.TestCase
TestAnExperiment.settings = settings(
    max_examples=STEPS,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


# --- every order of events of a small model -----------------------------------------------------------------------


def two_ready_candidates():
    """Two candidates, the first proposed; three people who can approve; one other policy; six hours a tick."""
    experiment = Experiment(beam_mode="NO BEAM")
    experiment.request()
    experiment.run(2)
    assert experiment.turn() == ["c-0001:propose"]
    experiment.request()
    return experiment


def saying(person, role):
    def say(experiment):
        for candidate in experiment.candidates():
            if candidate.request is None:
                continue
            world, now = experiment.world(candidate), experiment.now
            words = {"request_id": candidate.request.request_id, "person": person, "role": role, "reason": "fine"}
            try:
                experiment.append(candidate.id, approve(candidate, world, experiment.policy, now=now, **words))
            except RefusedError:
                continue

    return say


def revoking(experiment):
    for candidate in experiment.candidates():
        if candidate.request is not None:
            world = experiment.world(candidate)
            words = {"request_id": candidate.request.request_id, "person": "timo", "reason": "no"}
            try:
                experiment.append(candidate.id, revoke(candidate, world, now=experiment.now, **words))
            except RefusedError:
                continue


def rolling_back(experiment):
    for candidate in experiment.candidates():
        world = experiment.world(candidate)
        try:
            fact = ask_rollback(candidate, world, experiment.policy, person="timo", reason="rate", now=experiment.now)
        except RefusedError:
            continue
        if candidate.rollback is None:
            experiment.append(candidate.id, fact)


def setting(name, value):
    return lambda experiment: setattr(experiment, name, value)


def ticking(experiment):
    if experiment.now < NOON + timedelta(hours=18):
        experiment.now += timedelta(hours=6)


EVENTS = {
    "mila approves": saying("mila", "ml_expert"),
    "timo approves": saying("timo", "trigger_oncall"),
    "both approves as expert": saying("both", "ml_expert"),
    "both approves on call": saying("both", "trigger_oncall"),
    "timo revokes": revoking,
    "timo rolls back": rolling_back,
    "another policy": setting("policy", replace(POLICY, cooldown_hours=13.0)),
    "stable beams": setting("beam_mode", "STABLE BEAMS"),
    "no beam": setting("beam_mode", "NO BEAM"),
    "six hours later": ticking,
    "a turn": lambda experiment: experiment.turn(),
    "killed before the facts": lambda experiment: experiment.turn("before facts"),
    "killed before the effect": lambda experiment: experiment.turn("before effect"),
    "killed after the effect": lambda experiment: experiment.turn("after effect"),
}


def same(experiment):
    """Everything that can matter later, without the times that cannot."""
    folded = tuple(
        (
            one.phase,
            one.stales,
            one.requests,
            one.failures,
            one.rollback is not None,
            one.deployed is not None,
            tuple(sorted((approval.person, approval.role) for approval in one.approvals)),
            one.request and (one.request.policy_id, one.request.running_digest, one.request.expires_at),
            one.gates and one.gates.running_digest,
            one.phase_since,
        )
        for one in experiment.candidates()
    )
    board = (experiment.running, tuple(sorted(experiment.replaced.items())))
    return (folded, board, experiment.policy.id, experiment.beam_mode, experiment.now, experiment.clock)


def explore(depth):
    start = two_ready_candidates()
    frontier, seen, reached = [(start, {})], {same(start)}, Counter()
    for _ in range(depth):
        following = []
        for experiment, phases in frontier:
            for event in EVENTS.values():
                after = experiment.copy()
                event(after)
                key = same(after)
                if key in seen:
                    continue
                seen.add(key)
                phases_after = candidates_hold(after, phases)
                reached.update(phases_after.values())
                following.append((after, phases_after))
        frontier = following
    return seen, reached


def test_every_order_of_five_events_keeps_the_invariants():
    seen, reached = explore(5)

    assert len(seen) > 300
    assert reached[Phase.ARMED]
    assert reached[Phase.DEPLOYING]


@pytest.mark.slow
def test_every_order_of_nine_events_keeps_the_invariants():
    seen, reached = explore(9)

    assert len(seen) > 10_000
    assert {Phase.LIVE, Phase.ROLLED_BACK, Phase.STALE, Phase.EXPIRED, Phase.REVOKED, Phase.SUPERSEDED} <= set(reached)


@pytest.mark.parametrize("crash", CRASHES[2:])
@pytest.mark.parametrize("turn", range(12))
def test_a_kill_at_any_instant_of_the_whole_path_leaves_the_same_facts_and_the_same_writes(turn, crash):
    def whole_path(crash_in_turn):
        experiment = Experiment(beam_mode="NO BEAM")
        experiment.request()
        for number in range(40):
            experiment.turn(crash if number == crash_in_turn else "")
            saying("mila", "ml_expert")(experiment)
            saying("timo", "trigger_oncall")(experiment)
        (candidate,) = experiment.candidates()
        assert candidate.phase is Phase.LIVE
        return experiment

    undisturbed, killed = whole_path(None), whole_path(turn)

    assert killed.facts == undisturbed.facts
    assert killed.writes == undisturbed.writes == ["c-0001"]


def test_every_wait_ends():
    """Nobody does anything: each candidate ends within its standing and its request."""
    experiment = Experiment()
    experiment.request()
    experiment.verdicts.append("inconclusive")
    experiment.request()
    turns = 0
    while True:
        experiment.run()
        ends = [one.until for one in experiment.decisions().values() if isinstance(one, Wait)]
        if not ends:
            break
        experiment.now, turns = min(ends), turns + 1

    assert {one.phase for one in experiment.candidates()} <= {Phase.EXPIRED, Phase.SUPERSEDED}
    assert experiment.now <= NOON + timedelta(hours=POLICY.standing_hours + 24)
    assert turns < 3_000


def test_the_initiators_silence_the_daemons_loss_and_a_dead_board_write_nothing():
    experiment = Experiment(beam_mode="NO BEAM", readable=False)
    experiment.request()
    experiment.run()

    assert experiment.writes == []
