"""Every order of events of a small model, and a kill at every instant of the whole path."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.errors import RefusedError
from daemon.lifecycle import Phase, Wait, approve, ask_rollback, revoke
from tests.unit.daemon import lifecycle_people as people_say
from tests.unit.daemon.lifecycle_examples import NOON, POLICY, WATCHED_POLICY
from tests.unit.daemon.lifecycle_experiment import Experiment
from tests.unit.daemon.lifecycle_invariants import candidates_hold


def two_ready_candidates():
    """Two candidates, the first proposed; three people who can approve; one other policy; six hours a tick."""
    experiment = Experiment(beam_mode="NO BEAM")
    experiment.request()
    experiment.run(2)
    assert experiment.turn() == ["c-0001:propose"]
    experiment.request()
    return experiment


def one_in_shadow():
    """The first candidate, of tier T2, in shadow; the second asked for; a policy that watches; the glass at hand."""
    experiment = Experiment(beam_mode="NO BEAM", policy=WATCHED_POLICY, tier="T2")
    experiment.request()
    experiment.run(3)
    people_say.a_quorum_approves(experiment)
    experiment.run(4)
    assert experiment.folded["c-0001"].phase is Phase.SHADOW
    experiment.request()
    experiment.verdicts.append("inconclusive")
    return experiment


def everyone(say, *words):
    def speak(experiment):
        for candidate in experiment.candidates():
            say(experiment, experiment.folded[candidate.id], *words)

    return speak


def later(**passed):
    def pass_time(experiment):
        if experiment.now < NOON + timedelta(hours=18):
            experiment.now += timedelta(**passed)

    return pass_time


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


WATCHED_EVENTS = {
    "fiona confirms": everyone(people_say.confirms, "fiona", "firmware_expert"),
    "mila waives": everyone(people_say.waives, "mila", "ml_expert"),
    "fiona waives": everyone(people_say.waives, "fiona", "firmware_expert"),
    "timo breaks the glass": everyone(people_say.breaks_glass, "timo", "trigger_oncall"),
    "both breaks the glass": everyone(people_say.breaks_glass, "both", "coordinator"),
    "both reviews": everyone(people_say.reviews, "mila", "ml_expert"),
    "timo rolls back": rolling_back,
    "another policy": setting("policy", replace(WATCHED_POLICY, cooldown_hours=13.0)),
    "the board mismatches": setting("behaviour", "mismatching"),
    "the board is well": setting("behaviour", "healthy"),
    "the next fill": lambda experiment: setattr(experiment, "fill", 9001),
    "stable beams": setting("beam_mode", "STABLE BEAMS"),
    "an hour later": later(hours=1),
    "six hours later": later(hours=6),
    "three turns": lambda experiment: experiment.run(3),
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
            len(one.confirmations),
            tuple(waiver.person for waiver in one.waivers),
            tuple(vote.person for vote in one.glass),
            one.review_overdue,
        )
        for one in experiment.candidates()
    )
    board = (experiment.running, tuple(sorted(experiment.replaced.items())))
    seen = (experiment.behaviour, experiment.fill)
    return (folded, board, experiment.policy.id, experiment.beam_mode, experiment.now, experiment.clock, seen)


def explore(depth, start=None, events=EVENTS):
    start = start or two_ready_candidates()
    frontier, seen, reached = [(start, {})], {same(start)}, Counter()
    for _ in range(depth):
        following = []
        for experiment, phases in frontier:
            for event in events.values():
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


def test_every_order_of_four_events_around_shadow_probation_and_glass_keeps_the_invariants():
    seen, reached = explore(4, one_in_shadow(), WATCHED_EVENTS)

    assert len(seen) > 300
    assert {Phase.SHADOW, Phase.LIVE_PROBATION, Phase.ROLLED_BACK, Phase.NEEDS_EXPERT, Phase.READY} <= set(reached)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_every_order_of_seven_events_around_shadow_probation_and_glass_keeps_the_invariants():
    seen, reached = explore(7, one_in_shadow(), WATCHED_EVENTS)

    assert len(seen) > 10_000
    assert {Phase.LIVE, Phase.LIVE_PROBATION, Phase.ROLLED_BACK, Phase.PENDING_APPROVAL} <= set(reached)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_every_order_of_nine_events_keeps_the_invariants():
    seen, reached = explore(9)

    assert len(seen) > 10_000
    assert {Phase.LIVE, Phase.ROLLED_BACK, Phase.STALE, Phase.EXPIRED, Phase.REVOKED, Phase.SUPERSEDED} <= set(reached)


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
