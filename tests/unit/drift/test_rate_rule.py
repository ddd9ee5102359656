"""Rates enter the evidence of the inputs; what leads decides who speaks, and one cause is told once."""

import json

import numpy as np
import pytest

from drift.conditions import Conditions
from drift.errors import StateError
from drift.profile import Summariser
from drift.rate_evidence import SEED, RateEvidence
from drift.schema import AXOL1TL_57
from drift.watch import Watch
from tests.unit.drift.seed_counting import SEEDS, counted, rate_reference

BUDGET = 9e-6


@pytest.fixture(scope="module")
def rates(toy):
    return rate_reference(toy.fills(11, 6, 60, 60))


@pytest.fixture(scope="module")
def healthy(toy):
    return list(toy.fills(21, 2, 50, 300))


@pytest.fixture(scope="module")
def broken(toy):
    return list(toy.fills(22, 2, 40, 300, fault=toy.dead_box(keep=0.05), from_lumisection=45))


@pytest.fixture
def start(toy_reference, rates):
    def make(state=None, rates=rates):
        return Watch(toy_reference, false_alarms_per_lumisection=BUDGET, stream="axo", rates=rates, state=state)

    return make


def alarms(watch, triples):
    decisions = [watch.take(*one) for one in triples]
    return [one.alarm for one in decisions if one.alarm is not None]


def test_without_counters_a_watch_decides_and_saves_as_it_did(start, broken):
    plain, deaf = start(rates=None), start(rates=None)
    for summary, at, counts in counted(broken, 5, factor={"L1_AXO_Tight": 2.0}):
        assert deaf.take(summary, at, counts) == plain.take(summary, at)

    assert deaf.save() == plain.save()


def test_the_sum_weighs_inputs_and_rates_to_one_and_speaks_with_one_limit(start, healthy, rates):
    watch, alone, evidence = start(), start(rates=None), RateEvidence(rates)
    assert evidence.share == pytest.approx(0.1)
    for summary, at, counts in counted(healthy, 5):
        evidence.take(at, counts)
        inputs = np.exp(alone.take(summary, at).log_evidence)

        assert np.exp(watch.take(summary, at, counts).log_evidence) == pytest.approx(
            0.9 * inputs + np.exp(evidence.log), rel=1e-9
        )


def test_healthy_counters_whose_luminosity_wanders_raise_no_alarm(rates):
    """Seeds 600 to 619: 20 streams of 8 fills of 40 lumisections, 6 400 in all, of the rates' part alone."""
    highest, heard = -np.inf, 0
    for seed in range(600, 620):
        evidence = RateEvidence(rates)
        for _, at, counts in counted(empty_fills(seed, 8, 40), seed):
            heard += not evidence.take(at, counts).state
            highest = max(highest, evidence.together(0.0))

    assert heard > 6_000
    assert highest < -np.log(BUDGET) - 3


def empty_fills(seed, n_fills, lumisections):
    """Conditions like the toy's, without events."""
    rng = np.random.default_rng(seed)
    for fill in range(n_fills):
        for number in range(1, lumisections + 1):
            pileup = 57.0 * np.exp(-0.45 * number / lumisections) + rng.normal(0, 0.2)
            yield (
                None,
                Conditions(1000 + fill, number, fill, pileup, 2340, "2p0E34", "STABLE BEAMS", True, True, 0.02),
            )


def test_one_seed_that_counts_too_much_is_told_within_minutes_and_not_retrained(start, healthy):
    (told,) = alarms(start(), counted(healthy, 5, factor={"L1_AXO_Tight": 1.3}, first=40))

    assert told.verdict == "broken_detector"
    assert "the rate of L1_AXO_Tight is 1.30 times its prediction while its inputs did not move" in told.text
    assert told.action == "call the trigger expert: prescale, menu or firmware; do not retrain"
    assert told.onset == (1001, 41)
    assert told.lumisection <= 44
    assert (told.contributors[0].kind, told.contributors[0].object) == (SEED, "L1_AXO_Tight")
    assert json.loads(json.dumps(told.to_json()))["contributors"][0]["object"] == "L1_AXO_Tight"


def test_seeds_of_one_model_are_told_together(start, healthy):
    (told,) = alarms(start(), counted(healthy, 6, factor={"L1_AXO_Tight": 0.7, "L1_AXO_Loose": 0.7}, first=30))

    assert told.text.startswith("rates of L1_AXO moved, ")
    assert "L1_AXO_Loose is 0.70 times" in told.text


def test_seeds_that_share_a_factor_are_a_matter_of_normalisation(start, healthy):
    (told,) = alarms(start(), counted(healthy, 5, factor=dict.fromkeys(SEEDS, 0.9), first=40))

    assert told.verdict == "broken_detector"
    assert "the rates of all 5 seeds are 0.90 times their predictions" in told.text
    assert "check luminosity, bunches, dead time" in told.text
    assert told.action.endswith("do not retrain")


def test_one_precise_seed_that_stays_is_enough_to_acquit_the_luminosity(start, healthy):
    factor = {name: 0.9 for name in SEEDS if name != "L1_SingleMu22"}
    (told,) = alarms(start(), counted(healthy, 5, factor=factor, first=40))

    assert "luminosity" not in told.text
    assert "or what inputs do not show yet" in told.text
    assert "L1_SingleMu22" not in told.text


def test_seeds_that_follow_their_steepness_say_that_pileup_is_wrong(start, healthy, rates):
    factor = {one.seed: 1.1**one.steepness for one in rates.models}
    (told,) = alarms(start(), counted(healthy, 5, factor=factor, first=70))

    assert "the rates of all 5 seeds are those of a pileup 1.10 times the published one" in told.text


@pytest.mark.parametrize("length", [1, 2])
def test_a_glitch_of_the_counters_is_a_transient(start, healthy, length):
    watch = start()
    triples = counted(healthy, 5, factor={"L1_AXO_Tight": 1.3}, first=40, last=39 + length)
    (told,) = alarms(watch, triples)

    assert told.verdict == "transient"
    assert watch.told is None


def test_inputs_that_moved_keep_their_verdict_and_rates_support_it(start, broken):
    (told,) = alarms(start(), counted(broken, 5, factor={"L1_HTT360er": 0.8}, first=45))

    assert told.box is not None
    assert "against the rest of the same rings, and L1_HTT360er rate -20%" in told.text
    assert {"L1_HTT360er"} <= {one.object for one in told.contributors if one.kind == SEED}


def test_inputs_speak_behind_an_alarm_of_rates_alone(start, broken):
    """A seed is off from the tenth lumisection; the region dies at the 45th, in a watch that rates hold."""
    watch = start()
    triples = list(counted(broken, 5, factor={"L1_AXO_Tight": 1.3}, first=10))
    held = start()
    assert len(alarms(held, triples[:20])) == 1
    assert held._listens, "ageing is summed behind an alarm of rates alone"
    first, second = alarms(watch, triples)

    assert not watch._listens
    assert (first.box, first.contributors[0].kind) == (None, SEED)
    assert second.box.object == "JET"
    assert abs(second.onset[1] - 6) <= 1
    assert watch.told == (second.run, second.lumisection, "broken_detector")


def test_counters_are_heard_where_the_inputs_say_nothing(start, toy):
    few = [
        (Summariser(AXOL1TL_57).fill(toy.events(at.run, at.lumisection, at.pileup, 20, np.random.default_rng(1))), at)
        for _, at in toy.fills(21, 1, 40, 60)
    ]
    watch = start()
    decisions = [watch.take(*one) for one in counted(few, 5, factor={"L1_AXO_Tight": 0.7}, first=20)]
    (told,) = [one.alarm for one in decisions if one.alarm is not None]

    assert "no inputs are there to compare" in told.text
    assert told.onset == (1001, 21)
    assert {one.state for one in decisions} == {"data_gap", "alarm"}


def test_lumisections_whose_counters_never_came_leave_the_rates_as_they_were(start, healthy):
    watch, patchy = start(), list(counted(healthy, 5, factor={"L1_AXO_Tight": 1.3}, first=40))
    told = alarms(watch, [(summary, at, counts if k % 3 else None) for k, (summary, at, counts) in enumerate(patchy)])

    assert [one.contributors[0].object for one in told] == ["L1_AXO_Tight"]


def test_an_alarm_that_waits_is_told_when_no_more_will_come(start, healthy):
    watch = start()
    assert alarms(watch, list(counted(healthy, 5, factor={"L1_AXO_Tight": 1.3}, first=40))[:42]) == []

    assert watch.conclude().contributors[0].object == "L1_AXO_Tight"


def test_an_explanation_draws_the_seed_and_says_how_far_it_is(start, healthy):
    (told,) = alarms(start(), counted(healthy, 5, factor={"L1_AXO_Tight": 1.3}, first=40))
    shown = told.explanation.to_json()

    assert shown["curves"][0]["name"] == "L1_AXO_Tight rate"
    assert len(shown["curves"][0]["pulls"]) == len(shown["lumisections"])
    assert shown["curves"][0]["pulls"][-1] > 5
    assert shown["contributors"][0]["words"].startswith("L1_AXO_Tight rate up, +30")
    assert shown["contributors"][0]["since"] == {"run": 1001, "lumisection": 41}


@pytest.mark.parametrize("cut", [1, 39, 41, 42, 60])
def test_a_watch_killed_anywhere_goes_on_bit_for_bit(start, healthy, cut):
    triples = list(counted(healthy, 5, factor={"L1_AXO_Tight": 1.3}, first=40))[:70]
    whole, stopped = start(), start()
    expected = [whole.take(*one) for one in triples]
    for one in triples[:cut]:
        stopped.take(*one)
    restored = start(stopped.save())

    assert [restored.take(*one) for one in triples[cut:]] == expected[cut:]
    assert restored.save() == whole.save()
    whole.acknowledge()
    restored.acknowledge()
    assert whole.save() == restored.save()


def test_a_state_from_before_the_rates_keeps_the_inputs_and_one_of_other_rates_is_refused(start, healthy, toy):
    before = start(rates=None)
    for summary, at in healthy[:30]:
        before.take(summary, at)
    state = before.save()
    watch = start(state)

    assert watch.take(*healthy[30]).log_evidence == pytest.approx(
        before.take(*healthy[30]).log_evidence + np.log(0.9), abs=1e-9
    )
    other = rate_reference(toy.fills(12, 4, 30, 60), seed=3)
    with pytest.raises(StateError, match="saved under rate reference"):
        start(watch.save(), other)
    with pytest.raises(StateError, match="now none is given"):
        start(watch.save(), None)
