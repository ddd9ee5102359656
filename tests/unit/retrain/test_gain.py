"""Blocks of lumisections in time order, and what each model's rate in them says of the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain import gain
from retrain.betting import Bet

FRACTION = 0.01
ERROR, MARGIN = 0.05, 0.1


@given(st.lists(st.integers(0, 4000), max_size=40))
def test_every_block_holds_enough_events_and_lumisections_in_a_row(counts):
    number = gain.blocks(counts, FRACTION)

    sizes = [
        sum(c for c, n in zip(counts, number, strict=True) if n == one) for one in range(number.max(initial=-1) + 1)
    ]
    closed = number[number >= 0]
    assert all(size * FRACTION >= gain.EXPECTED for size in sizes)
    assert np.array_equal(closed, np.sort(closed))
    assert not (number[: len(closed)] < 0).any()


def test_a_block_that_calibrates_is_not_played_for():
    block = np.repeat(np.arange(7), 1000)

    first = gain.calibrates(block)
    off = gain.off_target(np.ones(7000, bool), None, block, 1.0)

    assert sorted(set(block[first].tolist())) == [0, 3, 6]
    assert len(off) == 4
    assert not off.any()


def test_distance_from_the_target_is_a_share_of_it_up_to_a_half():
    block = np.repeat([0, 1, 2], 1000)
    passed = np.zeros(3000, bool)
    passed[1000:1012] = True
    passed[2000:2090] = True

    assert gain.off_target(passed, None, block, 0.01) == pytest.approx([0.2, gain.FARTHEST])


def test_a_pure_rate_weighs_events():
    block, passed = np.repeat([0, 1], 1000), np.ones(2000, bool)

    off = gain.off_target(passed, np.full(2000, 0.9), block, 1.0)

    assert off == pytest.approx([0.1])


def played(candidate_factor, champion_factor, *, blocks=60, seed=1):
    """Play for two models whose rates are these times the target."""
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(blocks), 1000)
    draws = rng.random((2, len(block)))
    off = [
        gain.off_target(draw < FRACTION * factor, None, block, FRACTION)
        for draw, factor in zip(draws, (candidate_factor, champion_factor), strict=True)
    ]
    return gain.rate(*off, MARGIN, ERROR)


def test_a_champion_whose_rate_ran_away_is_beaten():
    told = played(1.0, 2.0)

    assert told.verdict == "gain"
    assert told.candidate < told.champion
    assert told.to_json()["gain_after"] <= told.to_json()["steps"] == 40


def test_a_candidate_whose_rate_runs_away_does_harm():
    assert played(2.0, 1.0).verdict == "harm"


def test_equals_are_left_open_in_at_least_nineteen_of_twenty_trials():
    trials = [played(1.0, 1.0, seed=seed).verdict for seed in range(300)]

    assert trials.count("gain") <= 15
    assert trials.count("harm") == 0


def test_too_few_blocks_never_show_anything():
    assert played(1.0, 3.0, blocks=6).verdict == "open"
    assert gain.rate(np.zeros(0), np.zeros(0), MARGIN, ERROR).verdict == "open"


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"), [(0.6, 0.5, "gain"), (0.5, 0.5, "open"), (0.48, 0.5, "open"), (0.3, 0.5, "harm")]
)
def test_a_signal_is_gained_or_harmed_beyond_the_margin_or_neither(ours, theirs, verdict):
    draws = np.random.default_rng(2).random(4000)

    told = gain.efficiency("TTbar", draws < ours, draws < theirs, MARGIN, ERROR)

    assert told.verdict == verdict


def test_harm_is_told_before_gain():
    both = gain.Played("rate", 0.1, 0.2, Bet(9, 0.1, 2.0, 5), Bet(9, 0.1, 2.0, 7))

    assert both.verdict == "harm"
