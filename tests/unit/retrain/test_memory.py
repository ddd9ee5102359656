"""What is kept of old events depends on which lumisections there were, and on nothing else."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.errors import DatasetError
from retrain.memory import ERAS, EVENTS, FILLS, MOST, Memory

WIDTH = 3


def lumisection(run, number, *, events=120, fill=None, pileup=50.0, era="A"):
    rng = np.random.default_rng([run, number])
    features = rng.integers(-100, 100, (WIDTH, events)).astype(np.int16)
    return Memory.of_lumisection(features, run, number, fill=fill, pileup=pileup, era=era)


def all_of(parts):
    return Memory.empty(WIDTH).merged(parts)


names = st.tuples(st.integers(1, 6), st.integers(1, 12))


@given(st.lists(names, min_size=1, max_size=25), st.randoms(use_true_random=False), st.integers(0, 25))
@settings(max_examples=40, deadline=None)
def test_order_repetition_and_grouping_change_no_bit(chosen, shuffler, cut):
    parts = [
        lumisection(run, number, fill=run % 3, pileup=40.0 + number, era="AB"[run % 2], events=30 * number)
        for run, number in chosen
    ]
    other = [*parts, *parts[:5]]
    shuffler.shuffle(other)

    once = all_of(parts)
    grouped = all_of(other[:cut]).merged([all_of(other[cut:])])

    assert once.digest == grouped.digest
    assert once.eras == grouped.eras


def test_one_after_another_is_the_same_as_all_at_once():
    parts = [lumisection(1 + n // 10, n % 10 + 1, fill=n // 10, pileup=48.0 + n % 7) for n in range(60)]

    step_by_step = Memory.empty(WIDTH)
    for part in parts:
        step_by_step = step_by_step.merged([part])

    assert step_by_step.digest == all_of(parts).digest


def test_every_pileup_has_its_share_whatever_came_most():
    often = [lumisection(1, n, fill=1, pileup=52.0, events=500) for n in range(1, 40)]
    rare = lumisection(2, 1, fill=2, pileup=31.0, events=500)

    kept = all_of([*often, rare])

    assert kept.strata() == {"A/30-35": EVENTS, "A/50-55": EVENTS}


def test_it_is_bounded_in_fills_and_eras():
    parts = [
        lumisection(fill, 1, fill=fill, pileup=50.0, era=f"20{era}", events=500)
        for era in range(10, 17)
        for fill in range(1, 9)
    ]

    kept = all_of(parts)

    assert kept.eras == tuple(f"20{era}" for era in range(17 - ERAS, 17))
    assert kept.events == ERAS * FILLS * EVENTS <= MOST


def test_what_is_kept_is_a_fair_sample_of_a_fill():
    parts = [lumisection(1, n, fill=1, events=500) for n in range(1, 21)]

    shares = np.unique(all_of(parts).keys[4], return_counts=True)[1]

    assert len(shares) == 20
    assert shares.max() < 3 * shares.mean()


def test_kept_events_are_events_that_were_there():
    part = lumisection(3, 7, events=900)
    source = np.random.default_rng([3, 7]).integers(-100, 100, (WIDTH, 900)).astype(np.int16)

    assert part.events == EVENTS
    assert np.array_equal(part.features, source[:, part.keys[5]])
    assert all(before <= after for before, after in pairwise(sorted(part.keys[5])))


def test_a_lumisection_is_forgotten_on_demand():
    kept = all_of([lumisection(1, 1), lumisection(1, 2), lumisection(2, 1)])

    left = kept.without(lambda run, number: (run, number) == (1, 2))

    assert left.lumisections == ((1, 1), (2, 1))
    assert left.digest == all_of([lumisection(1, 1), lumisection(2, 1)]).digest


def test_it_survives_its_arrays():
    kept = all_of([lumisection(1, 1, era="A"), lumisection(1, 2, era="B")])

    assert Memory.from_arrays(kept.arrays()).digest == kept.digest
    assert Memory.from_arrays(Memory.empty(WIDTH).arrays()).events == 0


def test_unknown_pileup_is_a_stratum_of_its_own():
    assert all_of([lumisection(1, 1, pileup=None)]).strata() == {"A/unknown": 120}


def test_memories_of_other_inputs_are_refused():
    with pytest.raises(DatasetError, match="inputs"):
        Memory.empty(3).merged([Memory.empty(57)])


def test_arrays_that_are_no_memory_are_refused():
    with pytest.raises(DatasetError, match="features"):
        Memory.from_arrays({"weights": np.zeros(3)})
