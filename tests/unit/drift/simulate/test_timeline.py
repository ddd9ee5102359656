import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.simulate.timeline import COLUMNS, make_timeline, prescale_index


def all_of(fills):
    return [ls for fill in fills for ls in fill.lumisections]


def test_a_fill_climbs_levels_and_decays():
    for seed in range(20):
        pileup = np.array([ls.pileup for ls in make_timeline(1, seed, 10_001, 120)[0].lumisections])

        assert pileup[0] < 45
        assert 60 < np.percentile(pileup[10:35], 60) < 63
        assert pileup[-1] < 60


def test_the_plateau_is_a_saw_tooth_and_not_a_line():
    pileup = np.array([ls.pileup for ls in make_timeline(1, 1, 10_001, None)[0].lumisections])[60:300]
    steps = np.diff(pileup)

    assert (steps > 0.8).sum() >= 5
    assert np.median(steps) == pytest.approx(-0.06, abs=0.02)


def test_a_natural_fill_is_of_natural_length():
    assert 1000 < len(make_timeline(1, 1, 10_001, None)[0].lumisections) < 2500


def test_the_first_fills_do_not_depend_on_how_many_follow():
    assert make_timeline(2, 9, 10_001, 30) == make_timeline(5, 9, 10_001, 30)[:2]


def test_no_lumisection_comes_twice_and_time_runs_forward():
    everything = all_of(make_timeline(10, 2, 10_001, 40))
    keys = [(ls.run, ls.number) for ls in everything]

    assert len(set(keys)) == len(keys)
    assert keys == sorted(keys)
    assert all(a.start < b.start for a, b in itertools.pairwise(everything))


def test_a_stream_of_later_fills_is_later_in_time_and_shares_no_run():
    early, late = all_of(make_timeline(3, 2, 10_001, None)), all_of(make_timeline(3, 5, 10_004, None))

    assert early[-1].start < late[0].start
    assert early[-1].run < late[0].run


def test_a_fill_has_one_to_three_runs_each_counted_from_one():
    for fill in make_timeline(10, 2, 10_001, 60):
        runs = {ls.run for ls in fill.lumisections}

        assert 1 <= len(runs) <= 3
        assert all(next(ls.number for ls in fill.lumisections if ls.run == run) == 1 for run in runs)


def test_benign_wander_stays_below_one_per_cent():
    assert max(abs(ls.em_wander) for ls in all_of(make_timeline(20, 2, 10_001, 60))) < 0.01


def test_dead_time_is_a_few_per_cent_with_rare_large_losses():
    dead = np.array([ls.dead_time for ls in all_of(make_timeline(20, 2, 10_001, 100))])

    assert 0.02 < np.median(dead) < 0.045
    assert 0.008 < (dead > 0.2).mean() < 0.04


def test_less_luminosity_never_gives_a_column_for_more():
    columns = [prescale_index(luminosity) for luminosity in np.linspace(25_000, 100, 400)]

    assert columns == sorted(columns)
    assert columns[-1] == len(COLUMNS) - 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**31), st.integers(1, 30))
def test_any_length_of_fill_gives_that_many_sound_lumisections(fills, seed, length):
    everything = all_of(make_timeline(fills, seed, 10_001, length))

    assert len(everything) == fills * length
    assert all(0 < ls.pileup < 70 and 0 <= ls.dead_time < 1 for ls in everything)
    assert all(ls.dcs_ok for ls in everything if ls.certified)


@pytest.mark.parametrize(("fills", "length"), [(0, 10), (1, 0)])
def test_an_empty_stream_is_refused(fills, length):
    with pytest.raises(ValueError, match="at least 1"):
        make_timeline(fills, 1, 10_001, length)
