"""A rare rate has a value only from enough counts, and bounds always."""

import numpy as np
import pytest

from drift.rate_reference import REVOLUTION_HZ
from drift.tails import counted_rate, garwood, sampled_rate


def test_a_tail_rate_from_a_handful_of_zero_bias_events_is_inconclusive():
    """1 kHz of 26.3 MHz: a fill of 5.4 million zero-bias events holds about 200 that pass."""
    rate = sampled_rate(205, 5_400_000, 2340 * REVOLUTION_HZ)
    hardware = counted_rate(23_310, 23.31)

    assert (rate.answer, rate.rate_hz) == ("inconclusive", None)
    assert rate.low_hz < 1000 < rate.high_hz
    assert "400 are needed" in rate.reason
    assert hardware.answer == "estimate"
    assert hardware.rate_hz == pytest.approx(1000.0)
    assert counted_rate(0, 0.0).answer == "unmeasured"
    assert sampled_rate(0, 3500, 2.6e7).high_hz == pytest.approx(2.6e7 * 3.69 / 3500, rel=0.01)


def test_from_the_least_count_on_the_interval_is_within_ten_percent():
    low, high = garwood(400)

    assert low / 400 == pytest.approx(0.904, abs=0.001)
    assert high / 400 == pytest.approx(1.103, abs=0.001)


def test_the_poisson_interval_covers_what_it_says():
    """20 000 trials, seed 11, means 3 to 500: at least 95 % less two standard errors (0.15 %), everywhere."""
    rng = np.random.default_rng(11)
    for mean in (3.0, 30.0, 500.0):
        counts = rng.poisson(mean, 20_000)
        bounds = {int(n): garwood(int(n)) for n in np.unique(counts)}

        assert np.mean([bounds[int(n)][0] <= mean <= bounds[int(n)][1] for n in counts]) > 0.947
