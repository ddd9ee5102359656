"""A gambler who may stop at will wins against nothing as seldom as was promised, and against something soon."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.betting import STAKES, BetError, bet, log_wealth
from retrain.working_point import clopper_pearson

GAMES, STEPS, ERROR = 2000, 400, 0.05
values = st.lists(st.floats(-1.0, 1.0), max_size=60)


def coin(rng):
    return rng.choice([-1.0, 1.0], STEPS)


def rarely_much(rng):
    """Lose a little nearly always, win much now and then."""
    return np.where(rng.random(STEPS) < 0.05, 0.95, -0.05)


def dares_when_behind(rng):
    """Values are larger while their sum is below zero: dependent, but never expected above zero."""
    sides = rng.choice([-1.0, 1.0], STEPS)
    behind = np.concatenate([[0.0], np.cumsum(sides)[:-1]]) < 0
    return sides * np.where(behind, 1.0, 0.3)


@pytest.mark.parametrize("nothing", [coin, rarely_much, dares_when_behind])
def test_stopping_whenever_one_likes_shows_what_is_not_there_in_at_most_one_of_twenty(nothing):
    rng = np.random.default_rng(12)

    shown = sum(bet(nothing(rng), ERROR).shown_after is not None for _ in range(GAMES))

    assert clopper_pearson(shown, GAMES, 0.95)[1] <= ERROR


def test_a_fixed_test_looked_at_after_every_value_would_not_do():
    rng = np.random.default_rng(12)
    ends = np.sqrt(np.arange(1, STEPS + 1))

    shown = sum(bool((np.cumsum(coin(rng)) / ends)[20:].max() > 1.645) for _ in range(GAMES))

    assert clopper_pearson(shown, GAMES, 0.95)[0] > 3 * ERROR


@pytest.mark.parametrize(("mean", "spread", "steps"), [(0.5, 0.3, 20), (0.2, 0.3, 100), (0.02, 0.2, 4000)])
def test_what_is_there_is_shown_in_nine_of_ten_games(mean, spread, steps):
    rng = np.random.default_rng(3)

    games = [bet(np.clip(rng.normal(mean, spread, steps), -1, 1), ERROR) for _ in range(200)]

    assert sum(one.shown_after is not None for one in games) >= 180


@given(values)
def test_no_value_ever_ruins_the_gambler(given_values):
    wealth = log_wealth(np.array(given_values))

    assert np.isfinite(wealth).all()
    assert len(wealth) == len(given_values)


@given(values, st.floats(-1.0, 1.0))
def test_what_was_held_before_a_value_does_not_depend_on_it(given_values, last):
    before = log_wealth(np.array(given_values))

    after = log_wealth(np.array([*given_values, last]))

    assert np.array_equal(before, after[:-1])


@given(values)
def test_a_fair_coin_leaves_the_expected_wealth_where_it_was(given_values):
    now = log_wealth(np.array([*given_values, 0.0]))[-1]

    up, down = (math.exp(log_wealth(np.array([*given_values, side]))[-1] - now) for side in (1.0, -1.0))

    assert 0.5 * (up + down) == pytest.approx(1.0)


def test_the_first_value_at_which_it_is_known_is_told():
    sure = np.ones(30)
    needed = next(n for n in range(1, 30) if np.mean((1 + STAKES) ** n) >= 20)

    assert bet(sure, ERROR).shown_after == needed
    assert bet(sure[: needed - 1], ERROR).shown_after is None
    assert bet(np.zeros(0), ERROR).log10_e == 0.0


def test_a_value_that_no_stake_is_safe_for_is_refused():
    with pytest.raises(BetError, match=r"1\.5 is beyond 1"):
        bet(np.array([0.1, -1.5]), ERROR)
    with pytest.raises(BetError, match="beyond 1"):
        bet(np.array([np.nan]), ERROR)
