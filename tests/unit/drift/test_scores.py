"""Scores are counted so that any quantile is known to 1/64, and what a threshold passes is counted exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.errors import SummaryError
from drift.profile import LumisectionSummary, ScoreCounts, Summariser, Threshold
from drift.schema import AXOL1TL_57, NANOAOD_BITS
from drift.score_bins import SCORE_BINS, SCORE_CELLS, bins_of, score_edges
from tests.unit.drift.counting import any_scores, anything

POINTS = (("L1_AXO_TIGHT", 20000), ("L1_AXO", 9000))
SCORED = Summariser(AXOL1TL_57, thresholds=POINTS)
ALL = st.integers(0, 2**18 - 1)


def test_bins_hold_single_scores_up_to_1024_and_a_64th_of_themselves_beyond():
    edges, widths = score_edges(), np.diff(score_edges())

    assert (edges[0], edges[-1], len(edges)) == (0, 2**18, SCORE_BINS + 1)
    assert (widths[:1024] == 1).all()
    assert (widths[1024:] * 64 <= edges[1024:-1]).all()


@given(score=ALL)
def test_every_score_lies_in_the_bin_that_says_so(score):
    place = int(bins_of(np.array([score]))[0])

    assert score_edges()[place] <= score < score_edges()[place + 1]


def test_what_no_score_can_be_is_counted_and_not_lost():
    events = anything(1, 4)
    scores = SCORED.fill(events, np.array([-1, 2**18, 0, 2**18 - 1])).scores

    assert [scores.counts[i] for i in (0, 1, SCORE_CELLS - 2, SCORE_CELLS - 1)] == [1, 1, 1, 1]


@given(scores=st.lists(ALL, min_size=1, max_size=200), share=st.floats(0.001, 1.0))
@settings(max_examples=200, deadline=None)
def test_a_quantile_is_enclosed_and_known_to_a_64th(scores, share):
    summary = Summariser(NANOAOD_BITS).fill(_bits(len(scores)), np.array(scores))
    low, high = summary.scores.quantile(share)
    true = np.quantile(scores, share, method="inverted_cdf")

    assert low <= true <= high
    assert high - low <= low / 64
    assert low == high or low >= 1024


@given(seed=st.integers(0, 2**31), n=st.integers(0, 60))
@settings(max_examples=30, deadline=None)
def test_passes_at_a_threshold_are_exact_and_in_rising_order(seed, n):
    scores = any_scores(seed, n)
    counted = SCORED.fill(anything(seed, n), scores).scores

    assert counted.thresholds == (Threshold("L1_AXO", 9000), Threshold("L1_AXO_TIGHT", 20000))
    assert counted.passed.tolist() == [int((scores >= 9000).sum()), int((scores >= 20000).sum())]


def test_the_order_in_which_thresholds_are_named_does_not_matter():
    other = Summariser(AXOL1TL_57, thresholds=POINTS[::-1])
    events, scores = anything(2, 9), any_scores(2, 9)

    assert other.fill(events, scores) == SCORED.fill(events, scores)


@given(seed=st.integers(0, 2**31), sizes=st.tuples(*(st.integers(0, 30),) * 3))
@settings(max_examples=20, deadline=None)
def test_scored_chunks_add_up_exactly_in_any_order(seed, sizes):
    a, b, c = (SCORED.fill(anything(seed, n, lumisection=i), any_scores(seed + i, n)) for i, n in enumerate(sizes, 1))

    assert (a + b) + c == a + (b + c) == c + (a + b)
    assert (a + b + c).scores.counts.sum() == sum(sizes)


def test_counting_scores_leaves_every_other_count_as_it_was():
    events = anything(3, 50, wild=True)
    plain, scored = Summariser(AXOL1TL_57).fill(events), SCORED.fill(events, any_scores(3, 50))

    assert np.array_equal(plain.counts, scored.counts)
    assert plain.scores is None
    assert plain != scored


@given(seed=st.integers(0, 2**31), n=st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_scores_are_the_same_without_compilation_and_after_a_trip_through_bytes(seed, n):
    events, scores = anything(seed, n), any_scores(seed, n)
    summary = SCORED.fill(events, scores)

    assert summary == Summariser(AXOL1TL_57, thresholds=POINTS, compiled=False).fill(events, scores)
    assert LumisectionSummary.from_bytes(summary.to_bytes()) == summary


def test_a_summary_with_scores_does_not_add_to_one_without():
    with pytest.raises(SummaryError, match="lumisection 2 was counted with scores, run 1 lumisection 1 without"):
        Summariser(AXOL1TL_57).fill(anything(1, 2)) + SCORED.fill(anything(1, 2, lumisection=2), any_scores(1, 2))


def test_summaries_at_other_thresholds_do_not_add():
    other = Summariser(AXOL1TL_57, thresholds=(("L1_AXO", 9001),))

    with pytest.raises(SummaryError, match="L1_AXO=9000, L1_AXO_TIGHT=20000 and L1_AXO=9001"):
        SCORED.fill(anything(1, 2), any_scores(1, 2)) + other.fill(anything(1, 2), any_scores(1, 2))


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (None, "came without scores"),
        (np.zeros(3, dtype=int), "2 events and scores of shape"),
        (np.zeros(2), "expected the trigger's integers"),
    ],
)
def test_scores_that_do_not_fit_the_events_are_refused_with_where_they_came_from(scores, words):
    with pytest.raises(SummaryError, match=f"run 1 lumisection 1.*{words}"):
        SCORED.fill(anything(1, 2), scores)


@pytest.mark.parametrize(
    "thresholds",
    [[("a", 2**18)], [("a", -1)], [("", 1)], [("a", 1), ("a", 2)], [(f"t{i}", i) for i in range(65)]],
)
def test_thresholds_that_cannot_be_are_refused(thresholds):
    with pytest.raises(SummaryError, match="threshold"):
        Summariser(AXOL1TL_57, thresholds=thresholds)


def test_no_scores_have_no_quantile():
    with pytest.raises(SummaryError, match="no quantile"):
        ScoreCounts((), np.zeros(SCORE_CELLS, dtype=np.int64), np.zeros(0, dtype=np.int64)).quantile(0.5)


def _bits(n):
    from drift.events import LumisectionEvents

    return LumisectionEvents(1, 1, np.zeros((0, n), dtype=np.int16), {})
