"""The area under the curve of the same events before and after, with an interval that knows they are the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from retrain.separation import area

scores = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=40)


@given(scores)
def test_the_area_is_that_of_mann_and_whitney(pairs):
    before, after = (np.array(column) for column in zip(*pairs, strict=True))
    statistic = stats.mannwhitneyu(after, before, method="asymptotic").statistic

    told = area(before, after, 0.95)

    assert told.area == pytest.approx(statistic / len(pairs) ** 2)
    assert 0.0 <= told.low <= told.area <= told.high <= 1.0


@given(scores)
def test_backwards_it_is_one_less_the_area(pairs):
    before, after = (np.array(column) for column in zip(*pairs, strict=True))

    there, back = area(before, after, 0.95), area(after, before, 0.95)

    assert there.area == pytest.approx(1.0 - back.area)
    assert there.low == pytest.approx(1.0 - back.high)


def test_nothing_changed_is_one_half_for_sure():
    same = np.arange(1000) % 17

    assert (area(same, same, 0.95).low, area(same, same, 0.95).high) == pytest.approx((0.5, 0.5))


def test_the_interval_covers_the_true_area_as_often_as_it_says():
    rng, covered, trials = np.random.default_rng(8), 0, 600
    truth = float(
        stats.norm.cdf(0.3 / np.sqrt(1 + 1.16))
    )  # before ~ N(0, 1); after = before + N(0.3, 0.4) apart from it
    for _ in range(trials):
        before = rng.normal(0.0, 1.0, 300)
        after = before + rng.normal(0.3, 0.4, 300)
        told = area(np.round(before * 1e6).astype(np.int64), np.round(after * 1e6).astype(np.int64), 0.9)
        covered += told.low <= truth <= told.high

    assert stats.binomtest(covered, trials, 0.9).pvalue > 1e-3


def test_pairs_make_the_interval_narrower_than_two_samples_would():
    rng = np.random.default_rng(9)
    before = rng.integers(0, 10_000, 2000)
    after = before + rng.integers(0, 300, 2000)

    together, apart = area(before, after, 0.95), area(before, rng.permutation(after), 0.95)

    assert together.area == apart.area
    assert together.high - together.low < 0.2 * (apart.high - apart.low)


def test_one_event_says_nothing():
    assert area(np.array([3]), np.array([9]), 0.95).low == 0.0
    assert area(np.array([3]), np.array([9]), 0.95).high == 1.0
