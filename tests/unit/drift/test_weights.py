"""Sums of weights have the same bits in any order of adding, compiled or not, and say when they cannot be trusted."""

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.errors import SummaryError
from drift.events import LumisectionEvents
from drift.profile import LumisectionSummary, Summariser, layout_of
from drift.schema import AXOL1TL_57, NANOAOD_BITS
from drift.weights import SQUARE_STEP, Weighted
from tests.unit.drift.counting import any_scores, anything

POINTS = (("L1_AXO", 9000),)
COMPILED = Summariser(AXOL1TL_57, thresholds=POINTS)
PLAIN = Summariser(AXOL1TL_57, thresholds=POINTS, compiled=False)
BITS = Summariser(NANOAOD_BITS)
WEIGHT = st.floats(0.25, 1000.0) | st.floats(-1000.0, -0.25)


def any_weights(seed, n):
    rng = np.random.default_rng(seed)
    return rng.exponential(1.0, n) * rng.choice([1.0, -1.0, 37.1], n) + 0.3


def weighted_bits(weights, lumisection=1, summariser=BITS):
    events = LumisectionEvents(1, lumisection, np.zeros((0, len(weights)), dtype=np.int16), {})
    return summariser.fill(events, weights=np.array(weights, dtype=float))


def bits(summary):
    return summary.weighted.sums.tobytes()


@given(chunks=st.lists(st.lists(WEIGHT, max_size=20), min_size=2, max_size=4))
@settings(max_examples=200, deadline=None)
def test_sums_of_weights_have_the_same_bits_in_every_order(chunks):
    parts = [weighted_bits(one, i) for i, one in enumerate(chunks, 1)]
    orders = {bits(functools.reduce(lambda a, b: a + b, order)) for order in itertools.permutations(parts)}
    folded = functools.reduce(lambda a, b: b + a, parts)

    assert orders == {bits(folded)} == {bits(weighted_bits(list(itertools.chain(*chunks))))}


@given(seed=st.integers(0, 2**31), sizes=st.tuples(*(st.integers(0, 30),) * 3))
@settings(max_examples=20, deadline=None)
def test_whole_weighted_summaries_add_up_bit_for_bit_in_any_order(seed, sizes):
    a, b, c = (
        COMPILED.fill(anything(seed, n, lumisection=i), any_scores(seed, n), any_weights(seed + i, n))
        for i, n in enumerate(sizes, 1)
    )

    assert (a + b) + c == a + (b + c) == c + (a + b)
    assert bits((a + b) + c) == bits(a + (b + c)) == bits(c + (a + b))


@given(seed=st.integers(0, 2**31), n=st.integers(0, 50), wild=st.booleans())
@settings(max_examples=30, deadline=None)
def test_weights_have_the_same_bits_compiled_and_in_numpy_and_after_a_trip_through_bytes(seed, n, wild):
    given_ = anything(seed, n, wild=wild), any_scores(seed, n), any_weights(seed, n)
    summary = COMPILED.fill(*given_)
    back = LumisectionSummary.from_bytes(summary.to_bytes())

    assert summary == PLAIN.fill(*given_) == back
    assert bits(summary) == bits(PLAIN.fill(*given_)) == bits(back)


@given(seed=st.integers(0, 2**31), n=st.integers(1, 50))
@settings(max_examples=20, deadline=None)
def test_sums_are_those_of_the_weights_to_half_a_step_an_event(seed, n):
    events, scores, weights = anything(seed, n), any_scores(seed, n), any_weights(seed, n)
    summary = COMPILED.fill(events, scores, weights)
    one = layout_of(AXOL1TL_57).histograms[4]
    values = events.features[4].astype(int) - one.low
    exact = np.stack([np.bincount(values, w, minlength=one.width) for w in (weights, weights**2)])
    sums = summary.weighted.sums[:, 1:]
    passed = weights[scores >= 9000]

    assert np.abs(sums[:, one.regular] - exact).max() <= n * SQUARE_STEP
    assert summary.weighted.total == pytest.approx([weights.sum(), (weights**2).sum()], abs=n * SQUARE_STEP)
    assert sums[:, -1] == pytest.approx([passed.sum(), (passed**2).sum()], abs=n * SQUARE_STEP)


def test_unit_weights_sum_to_the_counts_themselves():
    summary = COMPILED.fill(anything(1, 70), any_scores(1, 70), np.ones(70))

    assert np.array_equal(summary.weighted.sums, np.stack([summary.flat, summary.flat]))


def test_weights_leave_every_count_as_it_was():
    events, scores = anything(3, 50), any_scores(3, 50)
    plain, weighted = COMPILED.fill(events, scores), COMPILED.fill(events, scores, any_weights(3, 50))

    assert np.array_equal(plain.flat, weighted.flat)
    assert plain != weighted


def test_a_summary_with_weights_does_not_add_to_one_without():
    without = BITS.fill(LumisectionEvents(1, 2, np.zeros((0, 3), dtype=np.int16), {}))

    with pytest.raises(SummaryError, match="lumisection 1 was counted with weights, run 1 lumisection 2 without"):
        without + weighted_bits([1.0])


def test_summaries_of_other_weight_scales_do_not_add():
    fine = Summariser(NANOAOD_BITS, weight_scale=2.0**-7)

    with pytest.raises(SummaryError, match=r"weight scale 1 and 0\.0078125"):
        weighted_bits([1.0]) + weighted_bits([0.01], summariser=fine)


@pytest.mark.parametrize("typical", [1e-12, 1e-3, 1e4, 1e15])
def test_the_refusal_of_weights_of_another_size_names_a_scale_that_takes_them(typical):
    weights = np.random.default_rng(1).uniform(0.5, 1.5, 100) * typical
    with pytest.raises(SummaryError, match="weight_scale=") as refusal:
        weighted_bits(weights)
    exponent = int(str(refusal.value).split("2.0**")[1].rstrip(")"))
    counted = weighted_bits(weights, summariser=Summariser(NANOAOD_BITS, weight_scale=2.0**exponent))

    assert counted.weighted.total == pytest.approx([weights.sum(), (weights**2).sum()], rel=1e-4)


def test_a_small_chunk_is_taken_whatever_its_weights_are():
    """Whether a lumisection is refused must not depend on how it is cut; a few small weights are no wrong scale."""
    assert weighted_bits([0.001] * 99).weighted.total[0] == pytest.approx(0.099, rel=0.01)
    assert weighted_bits([0.0] * 200).weighted.total.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("weights", [[1.0, math.nan], [math.inf], [-math.inf, 1.0]])
def test_a_weight_that_is_no_number_is_refused_with_where_it_came_from(weights):
    with pytest.raises(SummaryError, match="run 1 lumisection 1 has 1 weights that are not finite"):
        weighted_bits(weights)


@pytest.mark.parametrize("scale", [0.0, -1.0, 3.0, math.nan, math.inf, 2.0**201])
def test_a_weight_scale_that_steps_cannot_be_counted_in_is_refused(scale):
    with pytest.raises(SummaryError, match="weight scale"):
        Summariser(NANOAOD_BITS, weight_scale=scale)


def test_weights_of_another_number_are_refused():
    with pytest.raises(SummaryError, match="2 events and weights of shape"):
        COMPILED.fill(anything(1, 2), any_scores(1, 2), np.ones(3))


def test_sums_that_could_have_been_rounded_are_refused():
    much = Weighted(1.0, np.array([[0.0], [2.0**36]]))

    assert much.checked(5) is much
    with pytest.raises(SummaryError, match="keep them in several summaries"):
        (much + much).checked(5)
    with pytest.raises(SummaryError, match="keep them in several summaries"):
        much.checked(2**36 + 1)


@given(seed=st.integers(0, 2**31), cells=st.integers(0, 30), exponent=st.integers(0, 53))
@settings(max_examples=100, deadline=None)
def test_squeezing_loses_no_bit_whatever_the_sums_are(seed, cells, exponent):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 2**20, cells + 1)
    sums = rng.integers(-(2**exponent), 2**exponent, (2, cells + 1)) * SQUARE_STEP
    notes, small = Weighted(1.0, sums).squeeze(counts)

    assert Weighted.expand(1.0, counts, notes, small).sums.tobytes() == (sums + 0.0).tobytes()
