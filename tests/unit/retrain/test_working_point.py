"""A threshold is a rate with an interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from retrain.working_point import (
    REVOLUTION_HZ,
    against_champion,
    choose,
    clopper_pearson,
    same_share,
    stability,
    strata,
    threshold_for,
)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200), st.floats(0.0, 1.0))
def test_the_threshold_is_the_lowest_that_keeps_the_share(scores, fraction):
    scores = np.array(scores)

    threshold = threshold_for(scores, fraction)

    allowed = fraction * len(scores) + 1e-6
    assert (scores >= threshold).sum() <= allowed
    assert threshold == 0 or (scores >= threshold - 1).sum() > allowed - 1e-6 - 1


@given(st.integers(1, 60), st.data())
def test_the_interval_is_that_of_the_binomial_tails(events, data):
    passing = data.draw(st.integers(0, events))

    low, high = clopper_pearson(passing, events, 0.9)

    assert low <= passing / events <= high
    if 0 < passing < events:
        assert stats.binom.sf(passing - 1, events, low) == pytest.approx(0.05, rel=1e-6)
        assert stats.binom.cdf(passing, events, high) == pytest.approx(0.05, rel=1e-6)


def test_rate_is_share_times_bunches_times_revolutions():
    scores = np.arange(10_000)

    point = choose(scores, target_rate_hz=276_647.0, bunches=2460, confidence=0.95, minimum_passing=50)

    assert point["passing"] == 100
    assert point["rate_hz"] == pytest.approx(0.01 * 2460 * REVOLUTION_HZ)
    assert point["low_hz"] < 276_647.0 < point["high_hz"]
    assert point["enough"]


def test_too_few_passing_events_are_called_too_few():
    point = choose(np.arange(1000), target_rate_hz=1e5, bunches=2460, confidence=0.95, minimum_passing=100)

    assert not point["enough"]


def test_a_rate_that_follows_pileup_is_stable_and_a_fill_that_does_not_is_found():
    rng = np.random.default_rng(3)
    pileup = np.repeat(rng.uniform(30, 60, 40), 2000)
    group = np.repeat(np.arange(40) // 10, 2000)
    share = 0.002 * np.exp(0.05 * (pileup - 30))
    passed = rng.random(len(share)) < share
    broken = rng.random(len(share)) < np.where(group == 2, 2.0 * share, share)

    assert stability(passed, pileup, group)["p_value"] > 1e-3
    assert stability(broken, pileup, group)["p_value"] < 1e-6


def test_without_pileup_nothing_is_claimed():
    answer = stability(np.ones(10, bool), np.full(10, np.nan), np.zeros(10, int))

    assert answer["tested"] is False


def test_strata_hold_every_event_once():
    pileup = np.array([31.0, 34.9, 35.0, np.nan])

    rows = strata(np.array([True, False, True, True]), pileup, 2460, 0.95)

    assert [(row["pileup_from"], row["events"]) for row in rows] == [(30.0, 2), (35.0, 1), (None, 1)]


def test_a_model_that_learned_by_heart_shows():
    assert same_share((100, 10_000), (98, 10_000)) > 0.5
    assert same_share((20, 10_000), (100, 10_000)) < 1e-6


def test_what_is_gained_and_lost_against_the_champion_adds_up():
    candidate = np.array([1, 1, 0, 0, 1], bool)
    champion = np.array([1, 0, 1, 0, 1], bool)

    answer = against_champion(candidate, champion, 2460, 0.95)

    assert (answer["both"], answer["gained"], answer["lost"]) == (2, 1, 1)
    assert answer["overlap"] == 0.5
