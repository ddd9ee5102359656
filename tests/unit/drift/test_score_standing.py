"""The score under strata and declared changes: about all inputs, it moves and falls silent with any of them."""

from dataclasses import replace

import numpy as np
import pytest

from drift.conditions.declared import change_of
from drift.rebaseline import rebaseline
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.watch import Watch
from tests.unit.drift.scored import Network, scored_fills, without_scores
from tests.unit.drift.test_declared import ENTRY, under

CHANGE = change_of(ENTRY | {"first": {"run": 1001, "lumisection": 1}})
MASK = change_of(
    ENTRY
    | {"id": "m", "kind": "mask", "objects": []}
    | {"first": {"run": 1001, "lumisection": 1}, "region": {"object": "JET", "eta": [-3.0, -1.3], "phi": [-1.6, -0.9]}}
)


def decide(reference, pairs):
    watch = Watch(reference, false_alarms_per_lumisection=9e-6, stream="axo")
    return [watch.take(*pair) for pair in pairs]


def verdicts(decisions):
    return [one.alarm.verdict for one in decisions if one.alarm is not None]


def changed(toy, seed, n_fills, factor=1.2):
    """Fills inside the declared interval: jets of larger pt, and a score that is larger with them."""
    fault = toy.scaled(("JET",), 1.10)
    return under(scored_fills(seed, n_fills, 50, 300, fault=fault, broken=Network(factor)), CHANGE)


def silent(reference, conditions):
    quiet = reference.at(conditions).quiet
    names = [one.name for one in reference.streams.labels if one.object == "SCORE"]
    if quiet is None:
        return set()
    return {one.name for one, off in zip(reference.streams.labels, quiet.streams, strict=True) if off} & {*names}


@pytest.fixture(scope="module")
def reference():
    return Reference.fit(scored_fills(11, 6, 60, 300), AXOL1TL_57)


@pytest.fixture(scope="module")
def moved(toy):
    """The jets' pt is 10 % larger in every lumisection, and the score a fifth."""
    return changed(toy, 31, 4)


@pytest.fixture(scope="module")
def renewed(reference, moved):
    return rebaseline(reference, CHANGE, moved)


def test_the_score_is_silent_while_any_of_its_inputs_is(reference, moved):
    names = {one.name for one in reference.streams.labels if one.object == "SCORE"}
    decisions = decide(reference, moved)

    assert silent(reference, moved[0][1]) == names
    assert silent(reference, replace(moved[0][1], declared=(MASK,))) == names
    assert silent(reference, replace(moved[0][1], declared=())) == set()
    assert verdicts(decisions) == []
    assert {one.note for one in decisions} == {""}


def test_a_score_that_was_silenced_says_once_that_it_speaks_again(reference):
    ended = replace(CHANGE, last=(1001, 20))
    decisions = decide(reference, under(scored_fills(32, 1, 40, 300), ended))

    assert [one.note for one in decisions if one.note] == ["the score's streams speak again"]


def test_the_constants_of_the_score_are_rebaselined_with_those_of_its_inputs(toy, reference, renewed, moved):
    usual = changed(toy, 33, 3)
    broken = changed(toy, 34, 2)[:50] + changed(toy, 34, 2, factor=1.8)[50:]
    place = [one.name for one in reference.streams.labels].index("score scale")
    shifted, centred = (
        np.mean([one.streams.standard(s, c.pileup)[place] for s, c in usual])
        for one in (reference, renewed.at(usual[0][1]))
    )

    assert renewed.rebaselined[0].objects == ("MET", "JET", "SCORE")
    assert silent(renewed, moved[0][1]) == set()
    assert shifted > 1.0
    assert abs(centred) < 0.3
    assert verdicts(decide(renewed, usual)) == []
    assert verdicts(decide(renewed, broken)) == ["broken_detector"]


def test_without_scores_an_interval_is_rebaselined_and_the_score_stays_silent_inside(reference, moved):
    renewed = rebaseline(reference, CHANGE, without_scores(moved))

    assert renewed.rebaselined[0].objects == ("MET", "JET")
    assert silent(renewed, moved[0][1]) == {one.name for one in reference.streams.labels if one.object == "SCORE"}
    assert verdicts(decide(renewed, moved)) == []


def test_strata_move_the_score_too(toy):
    def in_turn(seed, n_fills):
        fault = toy.scaled(("JET",), 1.10)
        plain = scored_fills(seed, n_fills, 50, 300)
        other = scored_fills(seed, n_fills, 50, 300, fault=fault)
        for one, two in zip(plain, other, strict=True):
            scheme = "AB"[one[1].fill % 2]
            summary, conditions = one if scheme == "A" else two
            yield summary, replace(conditions, filling_scheme=scheme)

    reference = Reference.fit(in_turn(35, 6), AXOL1TL_57, strata=("filling_scheme",))
    names = [one.name for one in reference.streams.labels]
    fresh = list(in_turn(36, 4))
    of = {
        scheme: np.mean(
            [
                reference.at(c).streams.standard(s, c.pileup)[names.index("score scale")]
                for s, c in fresh
                if c.filling_scheme == scheme
            ]
        )
        for scheme in "AB"
    }

    assert reference.streams.score.shares.shifts.shape[0] == 2
    assert all(abs(one) < 0.4 for one in of.values())
    assert verdicts(decide(reference, fresh)) == []
