"""The pure rate is what nobody else pays, and its interval knows what weights cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from retrain.errors import DatasetError
from retrain.pure_rate import choose_pure, pure_strata, pure_weights, threshold_for_weights, weighted_interval
from retrain.working_point import REVOLUTION_HZ, choose, threshold_for


def brute_force(fired, prescales, trials, seed):
    """Count in how many trials no seed keeps an event, each seed keeping one of p at random."""
    rng = np.random.default_rng(seed)
    pure = np.zeros(fired.shape[1])
    for _ in range(trials):
        kept = np.zeros(fired.shape[1], bool)
        for row, prescale in zip(fired, prescales, strict=True):
            if prescale:
                kept |= row & (rng.random(len(row)) < 1.0 / prescale)
        pure += ~kept
    return pure / trials


def test_weights_are_how_often_no_seed_of_a_whole_menu_keeps_the_event():
    rng = np.random.default_rng(4)
    fired = rng.random((464, 60)) < 0.02
    prescales = rng.choice([0, 1, 2, 5, 40, 2200], 464, p=[0.2, 0.05, 0.25, 0.25, 0.2, 0.05]).tolist()

    weights = pure_weights(fired, prescales, [f"L1_{number}" for number in range(464)])

    assert weights == pytest.approx(brute_force(fired, prescales, 4000, 5), abs=0.035)
    assert 0.0 in weights
    assert weights.max() > 0.5


def test_a_seed_that_is_off_takes_nothing_and_one_without_prescale_takes_all():
    fired = np.array([[True, True, False], [True, False, False]])

    assert pure_weights(fired, [0, 1], ["off", "on"]).tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("prescales", "names", "said"),
    [
        ([1], ["a", "b"], "one row and one prescale"),
        ([-1, 1], ["a", "b"], "-1"),
        ([1, 1], ["ZeroBias", "b"], "ZeroBias"),
    ],
)
def test_decisions_that_cannot_be_meant_are_refused(prescales, names, said):
    fired = np.array([[True, True], [False, True]])

    with pytest.raises(DatasetError, match=said):
        pure_weights(fired, prescales, names)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1), st.floats(0, 40))
def test_the_threshold_is_the_lowest_that_keeps_the_sum_of_weights(events, allowed):
    scores, weights = np.array([one for one, _ in events]), np.array([weight for _, weight in events])

    threshold = threshold_for_weights(scores, weights, allowed)

    assert weights[scores >= threshold].sum() <= allowed + 1e-6
    assert threshold == 0 or weights[scores >= threshold - 1].sum() > allowed


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200), st.floats(0.0, 1.0))
def test_without_other_seeds_the_pure_threshold_is_the_total_one(scores, fraction):
    scores = np.array(scores)
    allowed = np.floor(fraction * len(scores) + 1e-9)

    assert threshold_for_weights(scores, np.ones(len(scores)), allowed) == threshold_for(scores, fraction)


def test_without_other_seeds_pure_and_total_rate_agree_and_so_nearly_do_their_intervals():
    scores = np.random.default_rng(1).permutation(40_000)
    target = {"target_rate_hz": 1.2e5, "bunches": 2460, "confidence": 0.95, "minimum_passing": 100}

    pure, total = choose_pure(scores, np.ones(40_000), **target), choose(scores, **target)

    assert (pure["threshold"], pure["passing"]) == (total["threshold"], total["passing"])
    assert pure["rate_hz"] == pytest.approx(total["rate_hz"])
    assert pure["low_hz"] == pytest.approx(total["low_hz"], rel=0.01)
    assert pure["high_hz"] == pytest.approx(total["high_hz"], rel=0.01)
    assert set(total) <= set(pure)


def test_with_weights_of_one_the_interval_is_the_exact_one_of_poisson():
    low, high = weighted_interval(7.0, 7.0, 0.9)

    assert stats.poisson.sf(6, low) == pytest.approx(0.05)
    assert stats.poisson.cdf(7, high) == pytest.approx(0.05)
    assert weighted_interval(0.0, 0.0, 0.9) == (0.0, pytest.approx(-np.log(0.05)))


def test_the_interval_of_weighted_events_covers_the_expected_sum():
    rng, covered = np.random.default_rng(8), 0
    for _ in range(600):
        weights = rng.choice([0.02, 0.3, 0.5, 1.0], rng.poisson(60))
        low, high = weighted_interval(float(weights.sum()), float(np.square(weights).sum()), 0.9)
        covered += low <= 60 * 0.455 <= high

    assert covered / 600 > 0.88


def test_events_that_others_keep_cost_nothing_so_the_threshold_is_lower():
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 3000, 30_000)
    taken = np.where(rng.random(30_000) < 0.6, 0.0, 1.0)
    target = {"target_rate_hz": 1e5, "bunches": 2460, "confidence": 0.95, "minimum_passing": 50}

    pure, total = choose_pure(scores, taken, **target), choose(scores, **target)

    assert pure["threshold"] < total["threshold"]
    assert pure["rate_hz"] <= 1e5 < pure["total"]["rate_hz"]
    assert pure["rate_hz"] == pytest.approx(taken[scores >= pure["threshold"]].sum() / 30_000 * 2460 * REVOLUTION_HZ)


def test_too_few_effective_events_are_called_too_few():
    scores, weights = np.arange(1000), np.full(1000, 1e-3)

    point = choose_pure(scores, weights, target_rate_hz=1e4, bunches=2460, confidence=0.95, minimum_passing=500)
    heavy = np.where(scores == 999, 1.0, 1e-4)
    alone = choose_pure(scores, heavy, target_rate_hz=4e4, bunches=2460, confidence=0.95, minimum_passing=100)

    assert point["passing"] == 361
    assert not point["enough"]
    assert alone["passing"] < 3  # one heavy event among a thousand light ones knows the rate as badly as one event
    assert not alone["enough"]


def test_pure_strata_add_up_to_the_pure_rate():
    rng = np.random.default_rng(3)
    passed, weights = rng.random(9000) < 0.1, rng.choice([0.0, 0.5, 1.0], 9000)
    pileup = rng.uniform(20, 60, 9000)
    pileup[:500] = np.nan

    rows = pure_strata(passed, weights, pileup, 2460, 0.95)

    assert sum(row["weight"] for row in rows) == pytest.approx(weights[passed].sum())
    assert all(row["low_hz"] <= row["rate_hz"] <= row["high_hz"] for row in rows)
    assert rows[-1]["pileup_from"] is None
