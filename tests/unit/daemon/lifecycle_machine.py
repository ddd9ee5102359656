"""The state machine that Hypothesis drives: facts, people, keys, policy, board, beam and clock, with kills."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.lifecycle import Phase, evolve
from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle.candidate import WATCHED
from tests.unit.daemon import lifecycle_people as people_say
from tests.unit.daemon.lifecycle_examples import CERTIFIED, NOON, PEOPLE, POLICY, WATCHED_POLICY, sha
from tests.unit.daemon.lifecycle_experiment import BEHAVIOURS, Experiment
from tests.unit.daemon.lifecycle_invariants import candidates_hold

CRASHES = ("", "", "before facts", "before effect", "after effect")
POLICIES = {
    "as shipped": POLICY,
    "watched": WATCHED_POLICY,
    "signed": replace(WATCHED_POLICY, unsigned_approvals=False),
    "rehearsed": replace(WATCHED_POLICY, rehearsal_days=1.0, shadow_lumisections=0),
}
steps_taken = [0]
reached: set[Phase] = set()


class AnExperiment(RuleBasedStateMachine):
    """Facts, people, policy, board and clock, in any order and with kills."""

    def __init__(self):
        super().__init__()
        self.it = Experiment(keys=dict(people_say.KEYS), rehearsed_at=NOON)
        self.policy = POLICY
        self.phases = {}

    def one(self, pick):
        candidates = self.it.candidates()
        return candidates[pick % len(candidates)]

    @initialize(
        far=st.sampled_from(["nothing", "proposed", "approved", "approved", "armed", "deploying", "live", "live"]),
        policy=st.sampled_from(sorted(POLICIES)),
        tier=st.sampled_from(["T0", "T1", "T1", "T2", "T2"]),
    )
    def begin(self, far, policy, tier):
        """Start somewhere on the way, since chance alone seldom gets far."""
        self.it.policy = self.policy = POLICIES[policy]
        self.it.tier = tier
        self.it.beam_mode = "STABLE BEAMS" if far == "approved" else "NO BEAM"
        if far != "nothing":
            self.it.request()
            self.it.run(4)
        if far in {"approved", "armed", "deploying", "live"}:
            people_say.a_quorum_approves(self.it)
            self.it.run({"armed": 1, "deploying": 2}.get(far, 6))

    picks = st.integers(0, 3)
    people = st.sampled_from([*sorted(PEOPLE), "nobody"])
    roles = st.sampled_from(["ml_expert", "trigger_oncall", "coordinator", "firmware_expert"])

    @precondition(lambda self: len(self.it.facts) < 4)
    @rule(
        verdict=st.sampled_from(["pass", "pass", "pass", "inconclusive", "fail"]),
        drill=st.sampled_from([False, False, False, True]),
        tier=st.sampled_from(["T1", "T2"]),
    )
    def request(self, verdict, drill, tier):
        self.it.request(drill=drill)
        self.it.verdicts.append(verdict)
        self.it.tier = tier

    @precondition(lambda self: self.it.facts)
    @rule(crash=st.sampled_from(CRASHES))
    def turn(self, crash):
        self.it.turn(crash)

    @precondition(lambda self: self.it.facts)
    @rule(hours=st.sampled_from([0, 0, 0.5, 1]))
    def turns(self, hours):
        self.it.run(6)
        self.it.now += timedelta(hours=hours)

    @precondition(lambda self: self.it.facts)
    @rule(pick=picks, person=people, role=roles, old=st.booleans(), unsigned=st.booleans())
    def approve(self, pick, person, role, old, unsigned):
        people_say.approves(self.it, self.one(pick), person, role, old=old, unsigned=unsigned)

    @precondition(lambda self: self.it.facts)
    @rule()
    def a_quorum_approves(self):
        people_say.a_quorum_approves(self.it)

    @precondition(lambda self: self.it.facts)
    @rule(pick=picks, person=people, role=roles, what=st.sampled_from(["reject", "revoke", "roll back"]))
    def says_no(self, pick, person, role, what):
        if what == "reject":
            people_say.rejects(self.it, self.one(pick), person, role)
        elif what == "revoke":
            spoke = sorted(self.one(pick).speakers)
            people_say.revokes(self.it, self.one(pick), spoke[0] if spoke and role == "coordinator" else person)
        else:
            people_say.asks_rollback(self.it, self.one(pick), person)

    @precondition(lambda self: self.it.facts)
    @rule(pick=picks, person=people, role=roles, hours=st.sampled_from([1, 24, 24, 1000]))
    def waive(self, pick, person, role, hours):
        people_say.waives(self.it, self.one(pick), person, role, hours=hours)

    @precondition(lambda self: self.it.facts)
    @rule()
    def two_people_waive(self):
        for candidate in self.it.candidates():
            people_say.waives(self.it, candidate, "mila", "ml_expert")
            people_say.waives(self.it, self.it.folded[candidate.id], "fiona", "firmware_expert")

    @precondition(lambda self: any(one.phase is Phase.SHADOW for one in self.it.candidates()))
    @rule(pick=picks, person=people, role=roles)
    def confirm(self, pick, person, role):
        people_say.confirms(self.it, self.one(pick), person, role)
        people_say.fiona_confirms(self.it)

    @precondition(lambda self: any(one.request for one in self.it.candidates()))
    @rule(pick=picks, person=people, role=roles, both=st.booleans())
    def break_glass(self, pick, person, role, both):
        people_say.breaks_glass(self.it, self.one(pick), person, role)
        if both:
            people_say.breaks_glass(self.it, self.one(pick), "timo", "trigger_oncall")

    @precondition(lambda self: any(one.review_owed for one in self.it.candidates()))
    @rule(pick=picks, person=people, role=roles)
    def review(self, pick, person, role):
        people_say.reviews(self.it, self.one(pick), person, role)

    @precondition(lambda self: self.it.facts)
    @rule(
        pick=picks,
        kind=st.sampled_from([f.Approved, f.Armed, f.Deployed, f.DeploymentStarted, b.Waived, b.Confirmed]),
        old=st.booleans(),
    )
    def forge(self, pick, kind, old):
        """Somebody appends a fact out of turn, with the right or the wrong request."""
        candidate = self.one(pick)
        fact = forged(candidate, kind, self.it.now, sha("x") if old else people_say.request_of(candidate))
        if fact is None:
            return
        before = candidate.phase
        allowed = {before}
        if kind is f.Approved and before is Phase.PENDING_APPROVAL:  # roles are asked for when a step is decided
            allowed.add(Phase.APPROVED)
        assert evolve(candidate, fact).phase in allowed
        self.it.append(candidate.id, fact)

    @rule()
    def calm(self):
        """Everything is again as it was meant to be; only the facts, the board and the clock stay."""
        fresh = Experiment(beam_mode="NO BEAM", policy=self.policy, people={**self.it.people, **PEOPLE})
        for name in ("beam_mode", "frozen", "paused", "faults", "readable", "writable", "policy", "people"):
            setattr(self.it, name, getattr(fresh, name))
        self.it.certification, self.it.failing, self.it.behaviour = CERTIFIED, 0, "healthy"
        self.it.keys, self.it.rehearsed_at = dict(people_say.KEYS), self.it.time()
        self.it.altered.clear()

    @precondition(lambda self: self.it.facts)
    @rule()
    def a_good_day(self):
        """What the experiment hopes for: calm, people, a window, a healthy board, and a daemon that goes on."""
        self.calm()
        self.it.run(4)
        people_say.a_quorum_approves(self.it)
        self.it.run(4)
        for _ in range(2):
            people_say.fiona_confirms(self.it)
            self.it.now = self.it.time() + timedelta(hours=1)
            self.it.run(4)

    @precondition(lambda self: any(one.phase in WATCHED for one in self.it.candidates()))
    @rule(behaviour=st.sampled_from([name for name in sorted(BEHAVIOURS) if name != "healthy"]))
    def bad_bits_go_back_by_themselves(self, behaviour):
        """What is wrong on a board that answers is gone after a few turns, whatever else is the matter."""
        self.it.readable = self.it.writable = True
        self.it.behaviour = behaviour
        self.it.now = self.it.time() + timedelta(hours=2)
        watched = [one for one in self.it.candidates() if one.phase in WATCHED and one.bundle_digest == self.it.running]
        self.it.run(12)
        for one in watched:
            assert self.it.folded[one.id].phase not in {*WATCHED, Phase.LIVE}

    @rule(person=people, held=st.frozensets(roles))
    def change_roles(self, person, held):
        if held:
            self.it.people[person] = held
        else:
            self.it.people.pop(person, None)

    @rule(person=st.sampled_from(sorted(PEOPLE)), there=st.booleans())
    def change_keys(self, person, there):
        key = people_say.key_of(person)
        if there:
            self.it.keys[key] = people_say.KEYS[key]
        else:
            self.it.keys.pop(key, None)

    @rule(hours=st.sampled_from([12, 13]))
    def change_policy(self, hours):
        self.it.policy = replace(self.policy, cooldown_hours=float(hours))

    @rule(hours=st.sampled_from([-1000, -1, 0.02, 0.02, 1, 1, 12, 80]))
    def clock(self, hours):
        self.it.now += timedelta(hours=hours)

    @rule(mode=st.sampled_from([None, "STABLE BEAMS", "NO BEAM", "NO BEAM", "RAMP DOWN"]), fills=st.integers(0, 1))
    def beam(self, mode, fills):
        self.it.beam_mode = mode
        self.it.fill = None if mode is None else (self.it.fill or 9000) + fills

    @rule(behaves=st.sampled_from([*["healthy"] * 5, *BEHAVIOURS, "unseen"]), rehearsed=st.booleans())
    def board(self, behaves, rehearsed):
        self.it.behaviour = behaves
        if rehearsed:
            self.it.rehearsed_at = self.it.time()

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
        steps_taken[0] += 1
        self.phases = candidates_hold(self.it, self.phases)
        reached.update(self.phases.values())


def forged(candidate, kind, now, request):
    """A fact that does not fit where the candidate stands; None where it would, since forging that needs our rights."""
    words = {"at": now, "actor": "mallory", "request_id": request}
    spoken = {"person": "mallory", "role": "ml_expert", "reason": "trust me"}
    fits = {f.Armed: Phase.APPROVED, f.DeploymentStarted: Phase.ARMED, b.Confirmed: Phase.SHADOW}
    if candidate.phase is fits.get(kind) or (kind is f.Deployed and candidate.phase in {Phase.DEPLOYING, Phase.SHADOW}):
        return None
    if kind is b.Waived:
        return b.Waived(at=now, actor="mallory", gate="x", evidence_root=request, expires_at=now, **spoken)
    if kind in {f.Approved, b.Confirmed}:
        return kind(**words, **spoken)
    if kind is f.DeploymentStarted:
        return kind(digest=candidate.bundle_digest, transition="t", **words)
    if kind is f.Armed:
        return kind(**words)
    digest = candidate.bundle_digest
    where = {"effective_run": 1, "effective_lumisection": 1}
    return f.Deployed(slot=candidate.slot, digest=digest, read_back=digest, **where, **words)
