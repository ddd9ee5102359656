"""What a second opinion says of events since an onset: nothing when nothing happened, and what differs when it did."""

import itertools

import numpy as np
import pytest

from drift.events import LumisectionEvents
from drift.fourier import RandomFeatures, columns_of, inputs
from drift.logistic import beats, logistic
from drift.reservoir import RECENT, STRATUM, Kept, Reservoir
from drift.schema import AXOL1TL_57
from drift.second_opinion import NoOpinion, SecondOpinion, second_opinion

MET_PHI, MU2_PT, MU2_PHI = (AXOL1TL_57.index(name) for name in ("MET_phi", "Mu2_pt", "Mu2_phi"))


def lumisections(toy, rng, count, events, *, run=1, fault=None, low=48.0, high=54.0):
    """Lumisections of random pileup, each with its own events."""
    kept = []
    for number in range(1, count + 1):
        pileup = rng.uniform(low, high)
        kept.append(Kept(run, number, pileup, toy.events(run, number, pileup, events, rng, fault).features))
    return kept


def shuffled_met_phi(kept, rng):
    """The same events with the azimuth of missing momentum of another event: all 57 marginals are what they were."""
    out = []
    for one in kept:
        features = one.features.copy()
        features[MET_PHI] = rng.permutation(features[MET_PHI])
        out.append(Kept(one.run, one.lumisection, one.pileup, features))
    return out


def opinion(before, after, seed, permutations=499):
    ticks = itertools.count()
    rng = np.random.default_rng(seed)
    return second_opinion(before, after, AXOL1TL_57, rng, lambda: float(next(ticks)), permutations=permutations)


def test_without_a_change_p_values_are_uniform_and_the_interval_of_the_area_holds_one_half(toy):
    """100 trials, seed [41, trial]; 24 and 6 lumisections of 60 events, 19 exchanges, so that p <= 0.1 has chance 0.1.

    Limits are the two-sided binomial 99.9 % intervals for p <= 0.1 (2 to 21 of 100) and p <= 0.5 (34 to 66), and the
    lower 99.9 % limit for an interval of 90 % (80).  Seen: 12, 55 and 98.
    """
    p_values, held = [], 0
    for trial in range(100):
        rng = np.random.default_rng([41, trial])
        told = opinion(lumisections(toy, rng, 24, 60), lumisections(toy, rng, 6, 60, run=2), [42, trial], 19)
        p_values.append(told.p_value)
        held += told.auc_low <= 0.5 <= told.auc_high

    p_values = np.array(p_values)
    assert 2 <= (p_values <= 0.1).sum() <= 21
    assert 34 <= (p_values <= 0.5).sum() <= 66
    assert held >= 80


def test_a_pt_scale_of_five_percent_is_seen_and_named(toy):
    """5 trials, seed [43, trial], 20 lumisections of 200 events since the onset; all 5 must be seen (10 of 10 were)."""
    for trial in range(5):
        rng = np.random.default_rng([43, trial])
        after = lumisections(toy, rng, 20, 200, run=2, fault=toy.scaled(("JET",), 1.05))
        told = opinion(lumisections(toy, rng, 60, 200), after, [44, trial])

        assert told.p_value <= 0.01
        assert any("Jet" in one.name and "pt" in one.name for one in told.separating[:3])


def test_a_missing_momentum_that_lost_its_jets_is_seen_although_no_marginal_changed(toy):
    """5 trials, seed [45, trial], 20 lumisections of 200 events since the onset; all 5 must be seen (10 of 10 were)."""
    for trial in range(5):
        rng = np.random.default_rng([45, trial])
        after = shuffled_met_phi(lumisections(toy, rng, 20, 200, run=2), rng)
        told = opinion(lumisections(toy, rng, 60, 200), after, [46, trial])

        assert told.p_value <= 0.01
        assert told.separating[0].name.startswith("MET_phi with Jet")
        assert told.auc_low > 0.5


def test_the_same_seed_gives_the_same_opinion_with_its_seconds_from_the_clock(toy):
    rng = np.random.default_rng(47)
    before, after = lumisections(toy, rng, 20, 40), lumisections(toy, rng, 5, 40, run=2)
    told = opinion(before, after, 48, 19)

    assert told == opinion(before, after, 48, 19)
    assert told.seconds == 1.0
    assert told.p_value >= 1 / 20
    assert told.to_json()["lumisections"]["after"] <= 5


def test_lumisections_of_another_pileup_are_not_compared(toy):
    rng = np.random.default_rng(49)
    before = lumisections(toy, rng, 20, 40, low=30.0, high=40.0) + lumisections(toy, rng, 12, 40, low=48.0, high=49.4)
    after = lumisections(toy, rng, 6, 40, run=2, low=48.0, high=49.4)
    told = opinion(before, after, 50, 19)
    silent = opinion(before, lumisections(toy, rng, 6, 40, run=2, low=55.0, high=58.0), 50, 19)

    assert (told.before, told.after) == (12, 6)
    assert told.pileup[0] >= 48.0
    assert isinstance(silent, NoOpinion)
    assert "0 of 6" in silent.to_json()["reason"]


def test_too_few_lumisections_give_no_opinion(toy):
    rng = np.random.default_rng(51)
    kept = lumisections(toy, rng, 12, 40, low=48.0, high=49.4)

    assert isinstance(opinion(kept, kept[:2], 52), NoOpinion)
    assert isinstance(opinion(kept[:5], kept[5:9], 52), NoOpinion)
    assert isinstance(opinion([], [], 52), NoOpinion)
    assert isinstance(opinion(kept[:6], kept[6:9], 52, 19), SecondOpinion)


def test_inputs_are_of_unit_size_and_zero_where_the_object_is_absent(toy):
    features = toy.events(1, 1, 50.0, 300, np.random.default_rng(53)).features
    columns = columns_of(AXOL1TL_57)
    found = inputs(columns, features)
    phi = [place for place, one in enumerate(columns) if one.row == MU2_PHI]
    absent = features[MU2_PT] == 0

    assert np.abs(found).max() <= 1.0
    assert absent.any()
    assert (found[absent][:, phi] == 0).all()
    np.testing.assert_allclose((found[~absent][:, phi] ** 2).sum(axis=1), 1.0)
    assert not any(AXOL1TL_57.features[one.row].name == "MET_eta" for one in columns)


def test_random_features_are_bounded_and_alike_when_only_some_are_asked_for(toy):
    features = toy.events(1, 1, 50.0, 100, np.random.default_rng(54)).features
    spread = inputs(columns_of(AXOL1TL_57), features).std(axis=0)
    drawn = RandomFeatures.draw(AXOL1TL_57, spread, np.random.default_rng(55))
    found = drawn.of(features)

    assert np.abs(found).max() <= np.sqrt(2.0)
    np.testing.assert_array_equal(drawn.of(features, np.array([3, 70])), found[:, [3, 70]])
    assert {"Jet1_pt", "Jet1", "MET_phi with Jet1_phi"} <= set(drawn.names)


def test_a_classifier_finds_the_one_number_that_differs():
    rng = np.random.default_rng(56)
    label = np.arange(4000) % 2 == 0
    values = rng.normal(size=(4000, 3)) + 0.5 * np.outer(label, [0.0, 1.0, 0.0])
    weights = logistic(values, label, np.full(4000, 1 / 4000))
    score = values @ weights[1:]

    assert weights[2] == pytest.approx(0.5, abs=0.1)
    assert np.abs(weights[[1, 3]]).max() < 0.1
    assert beats(score[label], np.sort(score[~label])) == pytest.approx(0.638, abs=0.02)
    assert beats(np.ones(3), np.ones(5)) == 0.5


NOTHING = np.zeros((57, 1), dtype=np.int16)


def reservoir_of(count, seed=57, pileup=50.0):
    reservoir = Reservoir(np.random.default_rng(seed))
    for number in range(count):
        reservoir.add(LumisectionEvents(1, number, NOTHING, {}), pileup)
    return reservoir


def test_a_reservoir_is_bounded_and_older_lumisections_are_a_uniform_sample():
    """40 trials, seed [57, trial]; the mean of 960 places drawn from 0 to 335 is 167.5 with a spread of 3.1."""
    reservoirs = [reservoir_of(400, [57, trial]) for trial in range(40)]
    drawn = [kept.lumisection for one in reservoirs for kept in one.strata[33]]

    assert len(drawn) == 40 * STRATUM
    assert {len(one.recent) for one in reservoirs} == {RECENT}
    assert np.mean(drawn) == pytest.approx(167.5, abs=12)


def test_after_a_transient_its_lumisections_are_forgotten_and_the_next_are_healthy():
    reservoir = reservoir_of(30)
    reservoir.forget_since((1, 20))
    reservoir.add(LumisectionEvents(1, 30, NOTHING, {}), 50.0)
    before, after = reservoir.split((1, 31))

    assert [one.lumisection for one in before] == [*range(20), 30]
    assert after == []


def test_after_a_lasting_cause_nothing_from_its_onset_on_is_ever_compared_with():
    reservoir = reservoir_of(30)
    reservoir.condemn((1, 20))
    for number in range(30, 130):
        reservoir.add(LumisectionEvents(1, number, NOTHING, {}), 50.0)
    before, after = reservoir.split((1, 100))

    assert {one.lumisection for one in before} == set(range(20))
    assert [one.lumisection for one in after] == list(range(100, 130))


def test_events_are_sampled_without_changing_them(toy):
    events = toy.events(1, 1, 50.0, 700, np.random.default_rng(58))
    reservoir = Reservoir(np.random.default_rng(59))
    reservoir.add(events, 50.0)
    kept = reservoir.recent[0].features

    assert kept.shape == (57, 200)
    assert {tuple(one) for one in kept.T.tolist()} <= {tuple(one) for one in events.features.T.tolist()}
