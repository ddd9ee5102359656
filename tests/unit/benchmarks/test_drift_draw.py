"""Drawn streams: a seed fixes every bit, and what is left out changes nothing of the rest."""

import numpy as np
import pytest

from benchmarks.drift_draw import NULLS, RECURS, STEPS, WIDER, Habits, drawn, fault_at, healthy
from drift.simulate.resample import CrossingPool


@pytest.fixture(scope="module")
def crossings():
    return CrossingPool.make(4000, 3)


def made(crossings, **changed):
    given = {"seed": 5, "fills": 2, "first_fill": 10_001, "scenario": "none", "fault": healthy, "events": 60}
    return list(drawn(**{**given, "length": 12, "source": crossings, **changed}))


def bits(rows):
    return [(index, conditions, events.features.tobytes()) for events, conditions, index in rows]


def test_the_same_seed_draws_the_same_bits_and_another_does_not(crossings):
    assert bits(made(crossings)) == bits(made(crossings))
    assert bits(made(crossings)) != bits(made(crossings, seed=6))


def test_a_part_of_a_stream_is_what_the_whole_has_there(crossings):
    whole = [row for row in bits(made(crossings)) if 7 <= row[0] < 17]

    assert bits(made(crossings, kept=(7, 17))) == whole


def test_a_fault_changes_nothing_before_it_begins(crossings):
    broken = made(crossings, fault=fault_at("gain:0.2", 5, 10, 12))
    before = [row for row in bits(broken) if row[0] < 10]

    assert before == [row for row in bits(made(crossings)) if row[0] < 10]
    assert bits(broken) != bits(made(crossings))


def test_irregular_streams_miss_cut_and_repeat_lumisections(crossings):
    _, habits = NULLS["N6"]
    rows = made(crossings, fills=40, habits=habits, events=400)
    sizes = np.array([events.events for events, _, _ in rows])
    indices = [index for _, _, index in rows]

    assert len(set(indices)) == pytest.approx(0.9 * 480, rel=0.05)
    assert len(indices) - len(set(indices)) == pytest.approx(0.05 * 432, rel=0.6)
    assert (sizes < 0.5 * 400 * 1.5).mean() > 0.05


def test_without_wander_all_lumisections_of_a_fill_have_one_detector(crossings):
    steady = made(crossings, habits=Habits(wander=False, missing=0, short=0))
    wandering = made(crossings, habits=Habits(missing=0, short=0))

    assert len(steady) == len(wandering) == 24
    assert bits(steady) != bits(wandering)


@pytest.mark.parametrize("point", [*STEPS, *WIDER])
def test_an_abrupt_fault_is_there_from_its_onset_on(point):
    fault = fault_at(point, 3, 20, 400)

    assert fault(19) is None
    assert fault(20) is fault(399)
    assert fault(20) is not None


def test_a_ramp_grows_a_glitch_passes_and_a_recurrent_fault_heals():
    ramp, glitch, again = (fault_at(one, 3, 60, 400) for one in ("ramp:-0.02", "glitch:0.1", "recur:0.005"))

    assert ramp(59) is None
    assert ramp(1059).factor == pytest.approx(0.98)
    assert [glitch(index) is not None for index in (59, 60, 61)] == [False, True, False]
    assert [again(index) is not None for index in (60, 99, 100, 460, 500)] == [True, True, False, True, False]
    assert RECURS == (60, 40)


def test_an_unknown_fault_is_named_with_those_that_are_known():
    with pytest.raises(ValueError, match="'broken:1' is not known; known are dead"):
        fault_at("broken:1", 1, 1, 1)
