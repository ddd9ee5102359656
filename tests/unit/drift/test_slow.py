"""Ageing that no fill shows is told after some fills; healthy fills, one bad one and a told cause are not ageing."""

from dataclasses import replace

import numpy as np
import pytest

from drift.benign import Benign, Swell
from drift.fill_means import FAMILIES, LEAST_FILLS, FillMean, FillModel, fill_means
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.slow import SlowEvidence, effects
from drift.streams import StreamLabel
from drift.watch import Watch

BUDGET = 9e-6
LIMIT = float(-np.log(BUDGET * 0.1))
LONG = 1000
"""Lumisections of a natural fill."""
LENGTH = 80
"""Lumisections of a fill of the toy, so long that the fast path does not see many at once."""


@pytest.fixture(scope="module")
def long_reference(toy):
    """Sixteen fills of eighty lumisections, whose means may be compared."""
    return Reference.fit(toy.fills(51, 16, LENGTH, 200), AXOL1TL_57)


@pytest.fixture(scope="module")
def known(toy_reference):
    """A reference whose fill means scatter by one, with what the template leaves open a twentieth of that."""
    labels, n = toy_reference.streams.labels, len(toy_reference.streams.labels)
    benign = replace(toy_reference.benign, swell=Swell.none(n), noise=np.full(n, 1.0 * LONG))
    used = np.array([one.family in FAMILIES for one in labels])
    model = FillModel(20, used, np.zeros(n), np.zeros(n), np.ones(n), 0.05, np.ones(n))
    return replace(toy_reference, benign=benign, slow=model)


def one_fill(reference, mean):
    """A fill of a thousand lumisections with this mean of every stream."""
    n, terms = len(mean), len(reference.benign.swell.doubt)
    powers = np.zeros(terms)
    powers[0] = LONG
    return FillMean(LONG, mean * LONG, np.zeros((3, 3, n)), powers)


def close(evidence, reference, mean, fill):
    evidence.first[:] = (fill * LONG, 1000 + fill, 7)
    evidence.current = one_fill(reference, mean)
    evidence.close(reference, (fill + 1) * LONG)


def stream_of(reference, name):
    return next(i for i, one in enumerate(reference.streams.labels) if one.name == name)


def healthy_means(reference, rng, fills):
    """The template's own error, alike in all fills, and each fill's."""
    n = len(reference.streams.labels)
    return rng.normal(0, np.sqrt(0.05), n) + rng.normal(0, 1, (fills, n))


def test_the_variance_of_a_fill_mean_is_that_of_simulated_wanders():
    n, length, rng = 40_000, 50, np.random.default_rng(1)
    swell = Swell(50.0, 10.0, np.full(n, 0.8), np.ones(n), np.array([[0.1]]))
    benign = Benign(np.full(n, 1.0), np.full(n, 0.5), np.full(n, 0.4), np.ones(n), swell, np.full(n, 0.25))
    mean = FillMean.fresh(benign)
    rho, wander = np.array([[0.9], [0.99], [1.0]]), np.zeros((3, n))
    spread = np.sqrt([[0.5], [0.3], [0.1]])
    for k in range(length):
        pileup, factor = 58.0 - 0.3 * k, 2.0 if k % 3 == 0 else 1.0
        step = 1.0 if k == 0 else np.sqrt(1 - rho**2)
        wander = (rho if k else 0) * wander + step * spread * np.sqrt(swell.at(pileup)[[0, 1, 1]]) * rng.normal(
            0, 1, (3, n)
        )
        mean.add(benign, wander.sum(axis=0) + rng.normal(0, np.sqrt(factor), n), factor, pileup)
    expected = mean.noise(benign)[0] + mean.wandering[0]

    assert mean.mean.var() == pytest.approx(expected, rel=0.03)
    assert expected > 0.3


def test_healthy_fills_alarm_no_more_often_than_the_limit_says(known):
    rng, fills, budget = np.random.default_rng(2), 0, 40.0
    alarms = at_the_real_limit = 0
    for _ in range(60):
        evidence = SlowEvidence.fresh(known.slow, known.benign)
        for fill, mean in enumerate(healthy_means(known, rng, 100)):
            close(evidence, known, mean, fill)
            fills += 1
            at_the_real_limit += evidence.log_total(known) >= LIMIT
            if evidence.told(known, np.log(budget * LONG)) is not None:
                alarms += 1
                evidence.forget(known)

    assert 0 < alarms <= fills / budget
    assert at_the_real_limit <= fills * LONG * BUDGET * 0.1


def test_a_ramp_of_one_in_five_hundred_a_fill_is_told_within_seven_fills(known):
    needed, onsets, scale = [], [], stream_of(known, "JET pt scale")
    sigma = 0.0025
    for seed in range(20):
        means = healthy_means(known, np.random.default_rng([3, seed]), 40)
        evidence = SlowEvidence.fresh(known.slow, known.benign)
        for fill, mean in enumerate(means):
            mean[scale] -= 0.002 / sigma * max(fill - 9, 0)
            close(evidence, known, mean, fill)
            told = evidence.told(known, LIMIT)
            if told is not None:
                assert told.parts[0].name == "JET pt scale"
                assert told.found.verdict == "real_shift"
                onsets.append(told.onset[0] - 1010)
                needed.append(fill - 9)
                break

    assert len(needed) == 20
    assert min(needed) >= 3
    assert sorted(needed)[18] <= 7
    assert abs(np.median(onsets)) <= 2


def test_one_bad_fill_is_not_ageing(known):
    evidence = SlowEvidence.fresh(known.slow, known.benign)
    for fill, mean in enumerate(healthy_means(known, np.random.default_rng(4), 30)):
        close(evidence, known, mean + (60.0 if fill == 15 else 0.0), fill)

        assert evidence.told(known, LIMIT) is None


def test_ageing_that_was_there_from_the_first_fill_on_is_told_and_never_learnt(known):
    evidence, n = SlowEvidence.fresh(known.slow, known.benign), len(known.streams.labels)
    fills = []
    for _ in range(3):
        for fill in range(60):
            close(evidence, known, np.where(np.arange(n) == 3, 2.5, 0.0), fill)
            if evidence.told(known, LIMIT) is not None:
                fills.append(fill + 1)
                evidence.forget(known)
                break

    assert len(fills) == 3
    assert max(fills) < 15


def test_a_sector_that_ages_is_a_broken_detector_with_its_box(known):
    evidence, sector = SlowEvidence.fresh(known.slow, known.benign), stream_of(known, "JET azimuth 90 to 120 deg")
    told = None
    for fill, mean in enumerate(healthy_means(known, np.random.default_rng(6), 30)):
        mean[sector] -= 0.8 * max(fill - 9, 0)
        close(evidence, known, mean, fill)
        told = told or evidence.told(known, LIMIT)

    assert told.found.verdict == "broken_detector"
    assert told.found.box.object == "JET"
    assert told.found.box.phi == pytest.approx((np.pi / 2, 2 * np.pi / 3))
    assert "90 to 120 deg -" in told.found.text
    assert "too slow for any one fill" in told.found.text


def test_held_out_fills_that_lie_farther_apart_than_the_benign_model_says_widen_it():
    rng, labels = np.random.default_rng(7), [StreamLabel("scale", "JET", 0, "JET pt scale")]
    labels.append(StreamLabel("rate", "JET", 0, "JET per event"))
    benign = Benign(np.ones(2), np.full(2, 1e-3), np.full(2, 1e-3), np.ones(2), Swell.none(2), np.zeros(2))
    fill, pileup = np.repeat(np.arange(20), 100), np.full(2000, 50.0)
    streams = rng.normal(0, 1, (2000, 2)) + rng.normal(0, 1, (20, 2))[fill] * np.array([0.0, 1.0])
    groups = ["scale:JET", "rate:JET"]
    sound = np.ones(2, dtype=bool)
    model = FillModel.fit(benign, streams, np.ones(2000), fill, pileup, groups, tuple(labels), sound)
    longer = fill_means(benign, np.zeros((9000, 2)), np.ones(9000), np.zeros(9000, int), np.full(9000, 50.0))[0]

    assert model.extra[0] < 0.02
    assert 1.0 < model.extra[1] < 3.5
    assert model.variance(benign, longer)[1] > 1.0
    assert model.used.all()


def test_streams_whose_held_out_fills_fail_their_check_are_off_and_named():
    labels = (StreamLabel("scale", "JET", 0, "JET pt scale"), StreamLabel("chi2", "JET", 0, "Jet1_pt"))
    benign = Benign(np.ones(2), np.full(2, 1e-3), np.full(2, 1e-3), np.ones(2), Swell.none(2), np.zeros(2))
    fill, sound = np.repeat(np.arange(20), 20), np.array([False, True])
    streams = np.random.default_rng(8).normal(0, 1, (400, 2))
    model = FillModel.fit(benign, streams, np.ones(400), fill, np.full(400, 50.0), ["a", "b"], labels, sound)

    assert not model.used.any()
    assert model.advice(labels) == (
        "not watched for ageing because their held-out fill means failed their check: JET pt scale",
    )


def test_below_fifteen_fills_the_slow_path_is_off_and_says_so(toy, toy_reference):
    watch = Watch(toy_reference, false_alarms_per_lumisection=BUDGET, stream="axo")
    for summary, conditions in toy.fills(9, 2, 12, 300):
        watch.take(summary, conditions)

    assert any("ageing from fill to fill is not watched: 6 held-out" in one for one in toy_reference.advice)
    assert toy_reference.slow.fills < LEAST_FILLS
    assert watch._slow.fills == 0
    assert watch._slow.pull.size == 0


def test_the_change_of_scale_that_is_said_is_the_one_that_was_made(toy, long_reference):
    pairs = toy.fills(81, 2, 40, 600, fault=toy.scaled(("EG", "JET"), 0.98), wander=0.0)
    values = [long_reference.streams.standard(s, c.pileup) / np.sqrt(s.events) for s, c in pairs]
    moved = effects(long_reference) * np.mean(values, axis=0) * np.sqrt(long_reference.events)

    assert moved[stream_of(long_reference, "JET pt scale")] == pytest.approx(-0.02, abs=0.006)


def ramp(toy, rate, length):
    def fault(found, rng):
        fault.count += 1
        toy.scaled(("EG", "JET"), 1 - rate * ((fault.count - 1) // length + 1))(found, rng)

    fault.count = 0
    return fault


def start(reference, state=None):
    return Watch(reference, false_alarms_per_lumisection=1e-4, stream="axo", state=state)


def decide(watch, pairs):
    return [watch.take(summary, conditions) for summary, conditions in pairs]


@pytest.fixture(scope="module")
def ageing(toy):
    """Thirteen fills that lose 0.15 % more each from the third one on."""
    return list(
        toy.fills(61, 13, LENGTH, 200, fault=ramp(toy, 0.0015, LENGTH), from_lumisection=2 * LENGTH, wander=0.001)
    )


CUTS = (LENGTH - 1, 11 * LENGTH - 5)


@pytest.fixture(scope="module")
def heard(long_reference, ageing):
    """The decisions, and the states before some lumisections and after the last."""
    watch, decisions, states = start(long_reference), [], {}
    for k, (summary, conditions) in enumerate(ageing):
        if k in CUTS:
            states[k] = watch.save()
        decisions.append(watch.take(summary, conditions))
    return decisions, states, watch


def test_a_watch_tells_ageing_once_as_a_retrain_candidate(ageing, heard):
    decisions, _, watch = heard
    alarms = [(k, one.alarm) for k, one in enumerate(decisions) if one.alarm is not None]

    assert len(alarms) == 1
    place, told = alarms[0]
    assert 5 <= place // LENGTH <= 12
    assert "JET pt scale -1" in told.text
    assert "too slow for any one fill, since run 10" in told.text
    assert (told.verdict, told.action) == ("real_shift", "retrain candidate: weights")
    assert (told.run, told.lumisection) == (ageing[place][0].run, ageing[place][0].lumisection)
    assert told.onset[0] < told.run - 3
    assert told.contributors[0].kind == "scale"
    assert told.explanation is not None
    assert watch.told == (told.run, told.lumisection, "real_shift")


@pytest.mark.parametrize("cut", CUTS)
def test_a_watch_restored_amid_ageing_decides_bit_for_bit_alike(long_reference, ageing, heard, cut):
    decisions, states, whole = heard
    restored = start(long_reference, states[cut])

    assert decide(restored, ageing[cut:]) == decisions[cut:]
    assert restored.save() == whole.save()


def test_concluding_counts_the_last_fill_once(toy, long_reference):
    watch = start(long_reference)
    pairs = list(toy.fills(62, 1, 40, 300))
    decide(watch, pairs[:30])

    assert watch.conclude() is None
    assert watch._slow.fills == 1
    decide(watch, pairs[30:])
    assert watch.conclude() is None
    assert watch._slow.fills == 1


def test_a_broken_fill_takes_no_part_and_what_came_before_stays(toy, long_reference):
    watch = start(long_reference)
    pairs = list(toy.fills(63, 5, 40, 300, fault=toy.dead_box(keep=0.0), from_lumisection=140))
    decisions = decide(watch, pairs)
    told = next(one.alarm for one in decisions if one.alarm is not None)

    assert told.verdict == "broken_detector"
    assert told.run == 1004
    assert watch._slow.fills == 3
    assert watch._slow.current.count == 0
    watch.acknowledge()
    assert watch._slow.fills == 3


def test_a_cause_that_began_in_a_fill_that_was_counted_takes_all_ageing_with_it(long_reference, ageing):
    watch = start(long_reference)
    decide(watch, ageing[: 3 * LENGTH + 10])
    counted, until = watch._slow.fills, watch._slow.until
    watch._slow.forget(long_reference, until + 1)
    kept = watch._slow.fills
    watch._slow.forget(long_reference, until)

    assert (counted, kept, watch._slow.fills) == (3, 3, 0)
    assert not watch._slow.pull.any()


def test_excluded_lumisections_and_short_fills_say_nothing(toy, long_reference):
    watch = start(long_reference)
    pairs = list(toy.fills(64, 3, 40, 300))
    for summary, conditions in pairs[:45]:
        watch.take(summary, conditions)
    for summary, conditions in pairs[45:80]:
        watch.take(summary, replace(conditions, beam_mode="ADJUST"))
    decisions = decide(watch, pairs[80:95])

    assert watch._slow.fills == 1
    assert watch._slow.current.count == sum(one.state == "quiet" for one in decisions) >= 10
