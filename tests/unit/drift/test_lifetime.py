"""A budget is spent at a date with an interval, or not before one; a fill counts once, however long it was."""

from collections import Counter

import numpy as np
import pytest

from drift.lifetime import FillMean, fill_means, lifetime

TRIALS = 2000


def fills(rng, slope, offset, n, *, start=0.0):
    """Means of n fills over 30 fb^-1, each with an offset of its own and an error of 0.02 to 0.2."""
    at = np.sort(rng.uniform(0, 30, n))
    error = rng.uniform(0.02, 0.2, n)
    value = start + slope * at + rng.normal(0, offset, n) + rng.normal(0, error)
    return [FillMean(*one) for one in zip(at.tolist(), value.tolist(), (error**2).tolist(), strict=True)]


@pytest.mark.parametrize(
    ("slope", "offset", "n"), [(0.02, 0.1, 8), (-0.02, 0.1, 8), (0.02, 0.3, 8), (0.03, 0.05, 5), (0.005, 0.3, 12)]
)
def test_the_interval_holds_the_true_date_in_as_many_cases_as_it_says(slope, offset, n):
    """2 000 trials each, seed 1: 95 % less two standard errors of the trials (1 %)."""
    rng, held, answers = np.random.default_rng(1), 0, Counter()
    for _ in range(TRIALS):
        told = lifetime(fills(rng, slope, offset, n), 1.0, axis="fb^-1")
        answers[told.answer] += 1
        true = 1.0 / abs(slope)
        held += true <= told.now if told.answer == "spent" else told.low <= max(true, told.now) <= told.high

    assert held / TRIALS > 0.94, answers


def test_no_drift_gives_no_date_in_as_many_cases_as_it_says():
    """2 000 trials, seed 2: a date is told of a stable model in at most 5 % and two standard errors (1 %)."""
    rng = np.random.default_rng(2)
    answers = Counter(lifetime(fills(rng, 0.0, 0.3, 8), 1.0, axis="fb^-1").answer for _ in range(TRIALS))

    assert answers["not_before"] / TRIALS > 0.94
    assert answers["spent"] == 0


def test_a_clear_slope_gives_a_date_with_an_interval():
    told = lifetime(fills(np.random.default_rng(3), 0.02, 0.02, 20), 1.0, axis="fb^-1")

    assert told.answer == "interval"
    assert told.low < 50 < told.high < 100
    assert told.best == pytest.approx(50, rel=0.2)
    assert told.text.startswith("at ")
    assert "fb^-1" in told.text


def test_a_slope_that_could_be_zero_gives_only_not_before():
    told = lifetime(fills(np.random.default_rng(4), 0.0, 0.1, 8), 1.0, axis="fb^-1")

    assert (told.answer, told.best, told.high) == ("not_before", None, np.inf)
    assert told.low > told.now
    assert told.text == f"not before {told.low:.4g} fb^-1 (95%)"


def test_a_budget_that_is_passed_is_spent_and_says_since_when():
    told = lifetime(fills(np.random.default_rng(5), 0.1, 0.05, 10), 1.0, axis="hours")

    assert told.answer == "spent"
    assert told.best == pytest.approx(10, rel=0.25)


def test_a_model_may_drift_downward_too():
    told = lifetime(fills(np.random.default_rng(6), -0.02, 0.02, 20), 1.0, axis="fb^-1")

    assert told.answer == "interval"
    assert told.slope < 0
    assert told.best == pytest.approx(50, rel=0.2)


def test_four_fills_say_nothing():
    told = lifetime(fills(np.random.default_rng(7), 0.02, 0.02, 4), 1.0, axis="fb^-1")

    assert told.answer == "inconclusive"
    assert "5 are needed" in told.text
    assert lifetime([], 1.0, axis="fb^-1").answer == "inconclusive"


def test_a_thousand_lumisections_of_one_fill_are_one_fill():
    """Eight fills of 200 lumisections each, offsets of 0.3: the slope is as uncertain as from eight numbers."""
    rng = np.random.default_rng(8)
    fill = np.repeat(np.arange(8), 200)
    at = np.arange(1600) / 50.0
    value = rng.normal(0, 0.3, 8)[fill] + rng.normal(0, 0.1, 1600)
    means = fill_means(fill, at, value, np.full(1600, 0.01))
    told = lifetime(means, 1.0, axis="fb^-1")

    assert len(means) == 8
    assert means[0].at == pytest.approx(at[:200].mean())
    assert told.fill_spread == pytest.approx(0.3, rel=0.5)
    assert told.slope_error > 5 * 0.1 / np.sqrt(1600) / at.std()
    assert told.answer == "not_before"


def test_a_budget_must_be_positive():
    with pytest.raises(ValueError, match="must be positive"):
        lifetime([], 0.0, axis="fb^-1")
