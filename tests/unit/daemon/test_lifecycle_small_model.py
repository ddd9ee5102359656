"""Every order of events of a small model, and a kill at every instant of the whole path."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.errors import RefusedError
from daemon.lifecycle import Phase, Wait, approve, ask_rollback, revoke
from tests.unit.daemon.lifecycle_examples import NOON, POLICY
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


@pytest.mark.parametrize("crash", ["before facts", "before effect", "after effect"])
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
