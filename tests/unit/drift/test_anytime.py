"""Intervals that hold at every look: their errors add up to what was promised, and they miss no more often."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.anytime import error_at, ratio_interval, share_interval
from retrain.working_point import clopper_pearson

ERROR = 0.05
LOOKS = 25


def test_the_errors_of_all_looks_together_are_the_error_that_was_promised():
    assert sum(error_at(look, ERROR) for look in range(1, 20_000)) == pytest.approx(ERROR, rel=1e-3)


@given(st.integers(0, 400), st.integers(1, 400), st.integers(1, 500))
def test_a_share_is_bounded_by_clopper_pearson_at_the_error_of_its_look(hits, more, look):
    trials = hits + more
    low, high = share_interval(hits, trials, look, ERROR)

    assert (low, high) == pytest.approx(clopper_pearson(hits, trials, 1.0 - error_at(look, ERROR)), rel=1e-6, abs=1e-12)


@given(st.integers(0, 10_000), st.floats(0.1, 10_000), st.floats(0, 0.5), st.integers(1, 500))
def test_an_unsure_forecast_only_widens_the_interval(counts, expected, relative, look):
    low, high = ratio_interval(counts, expected, relative, look, ERROR)
    sure_low, sure_high = ratio_interval(counts, expected, 0.0, look, ERROR)

    assert low <= sure_low <= counts / expected <= sure_high <= high


@pytest.mark.parametrize("share", [1e-3, 0.2])
def test_looking_after_every_lumisection_misses_the_share_no_more_often_than_promised(share):
    rng = np.random.default_rng(11)
    trials = 100
    missed = 0
    for _ in range(trials):
        hits = np.cumsum(rng.binomial(200, share, LOOKS))
        bounds = (share_interval(int(hit), 200 * look, look, ERROR) for look, hit in enumerate(hits, start=1))
        missed += any(not low <= share <= high for low, high in bounds)

    assert missed / trials <= ERROR


def test_looking_after_every_lumisection_misses_the_ratio_no_more_often_than_promised():
    rng = np.random.default_rng(12)
    trials, expected, relative = 100, 20.0, 0.1
    missed = 0
    for _ in range(trials):
        truth = expected * np.exp(rng.normal(0.0, relative))  # the forecast is off by its own uncertainty
        counts = np.cumsum(rng.poisson(truth, LOOKS))
        bounds = (
            ratio_interval(int(count), expected * look, relative, look, ERROR)
            for look, count in enumerate(counts, start=1)
        )
        missed += any(not low <= truth / expected <= high for low, high in bounds)

    assert missed / trials <= ERROR
