"""What must hold whatever happens, and whenever the daemon is killed.

`Experiment` checks each write of the board by its own reading of the facts; here Hypothesis drives it at random.
"""

import os
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.errors import RefusedError
from daemon.lifecycle import Phase, approve, ask_rollback, fold, reject, revoke
from daemon.lifecycle import facts as f
from tests.unit.daemon.lifecycle_examples import POLICY, Experiment, sha
from tests.unit.daemon.lifecycle_invariants import candidates_hold

CRASHES = ("", "", "before facts", "before effect", "after effect")
STEPS = int(os.environ.get("RETRIGGER_LIFECYCLE_EXAMPLES", "40"))  # of 50 steps each; the campaign sets 20 000


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
    phases=[Stage.explicit, Stage.reuse, Stage.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
