"""Counting loses nothing, adds exactly, and survives a trip through bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.errors import SummaryError
from drift.events import LumisectionEvents, ObjectColumns
from drift.profile import LumisectionSummary, Summariser, layout_of
from drift.schema import AXOL1TL_57, NANOAOD_BITS
from tests.unit.drift.counting import any_scores, anything

COMPILED, PLAIN = Summariser(AXOL1TL_57), Summariser(AXOL1TL_57, compiled=False)


@given(seed=st.integers(0, 2**31), n=st.integers(0, 50), wild=st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_compiled_and_the_numpy_path_give_the_same_bits(seed, n, wild):
    events = anything(seed, n, wild=wild)

    assert COMPILED.fill(events) == PLAIN.fill(events)


@given(seed=st.integers(0, 2**31), n=st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_every_value_of_every_feature_can_be_read_back_from_the_counts(seed, n):
    events = anything(seed, n)
    summary = COMPILED.fill(events)

    for row, one in enumerate(layout_of(AXOL1TL_57).histograms[:57]):
        values = np.repeat(np.arange(one.low, one.low + one.width), summary.counts[one.regular])
        assert np.array_equal(values, np.sort(events.features[row]))


@given(seed=st.integers(0, 2**31), sizes=st.tuples(*(st.integers(0, 30),) * 3))
@settings(max_examples=20, deadline=None)
def test_chunks_add_up_exactly_in_any_order(seed, sizes):
    a, b, c = (COMPILED.fill(anything(seed + i, n, lumisection=i + 1)) for i, n in enumerate(sizes))

    assert (a + b) + c == a + (b + c) == c + (a + b)
    assert (a + b + c).events == sum(sizes)
    assert (a + b + c).lumisections == ((1, 1), (1, 2), (1, 3))


def test_halves_of_a_lumisection_add_up_to_the_whole():
    whole = anything(3, 40)
    halves = [
        LumisectionEvents(
            1,
            1,
            np.ascontiguousarray(whole.features[:, part]),
            {k: ObjectColumns(o.pt[cut], o.eta[cut], o.phi[cut]) for k, o in whole.objects.items()},
        )
        for part, cut in ((slice(0, 13), slice(0, 7)), (slice(13, None), slice(7, None)))
    ]

    assert COMPILED.fill(halves[0]) + COMPILED.fill(halves[1]) == COMPILED.fill(whole)


def test_a_summary_survives_bytes_and_is_small():
    summary = COMPILED.fill(anything(5, 4000))
    blob = summary.to_bytes()

    assert LumisectionSummary.from_bytes(blob) == summary
    assert len(blob) <= 100_000


def everything(seed, n, **options):
    events = anything(seed, n, **options)
    weights = np.random.default_rng(seed).exponential(1.0, n)
    return Summariser(AXOL1TL_57, thresholds=(("L1_AXO", 9000),)).fill(events, any_scores(seed, n), weights)


def test_an_altered_summary_is_refused_whichever_byte_it_is():
    blob = everything(5, 1).to_bytes()
    every = {*range(80), *range(0, len(blob), 7), len(blob) - 1}
    unnoticed = []
    for place in every:
        bad = bytearray(blob)
        bad[place] ^= 1 << place % 8
        try:
            LumisectionSummary.from_bytes(bytes(bad))
        except SummaryError:
            continue
        unnoticed.append(place)

    assert unnoticed == []


@pytest.mark.parametrize("change", [lambda blob: blob[:-1], lambda blob: blob + b"\0", lambda blob: blob[:30]])
def test_a_summary_cut_short_or_lengthened_is_refused(change):
    blob = COMPILED.fill(anything(5, 4)).to_bytes()

    with pytest.raises(SummaryError):
        LumisectionSummary.from_bytes(change(blob))


def test_a_summary_of_an_older_program_is_refused_with_what_to_do():
    blob = COMPILED.fill(anything(5, 4)).to_bytes()
    old = blob[:4] + (2).to_bytes(2, "little") + blob[6:]

    with pytest.raises(SummaryError, match="version 2, this program reads 3; count it again"):
        LumisectionSummary.from_bytes(old)


@pytest.mark.parametrize("n", [4_000, 100_000])
@pytest.mark.parametrize("kind", ["none", "exponential", "flat", "pileup", "prescale"])
def test_a_lumisection_with_scores_and_weights_stays_below_a_hundred_kilobytes(toy, n, kind):
    rng = np.random.default_rng(7)
    weights = {
        "none": None,
        "exponential": rng.exponential(1.0, n),
        "flat": rng.uniform(0.5, 1.5, n),
        "pileup": np.exp(rng.normal(0, 0.3, 60))[rng.integers(0, 60, n)],
        "prescale": rng.choice([1.0, 100.0, 330.0], n),
    }[kind]
    summariser = Summariser(AXOL1TL_57, thresholds=(("L1_AXO", 9000), ("L1_AXO_TIGHT", 20000)))
    summary = summariser.fill(toy.events(1, 1, 50.0, n, rng), any_scores(7, n), weights)
    blob = summary.to_bytes()

    assert len(blob) <= 100_000
    assert LumisectionSummary.from_bytes(blob) == summary


def test_values_out_of_range_are_counted_and_not_lost():
    events = anything(1, 4)
    events.features[0] = np.array([-5, 4096, 4095, 0], dtype=np.int16)
    one = layout_of(AXOL1TL_57).histograms[0]
    counts = COMPILED.fill(events).counts[one.bins]

    assert (counts[0], counts[-1], counts[1], counts[-2]) == (1, 1, 1, 1)


def test_an_angle_between_objects_is_taken_the_short_way_round():
    events = anything(1, 2)
    for name, values in {"Jet1_phi": [2, 0], "Jet2_phi": [143, 72], "Jet1_pt": [9, 9], "Jet2_pt": [9, 0]}.items():
        events.features[AXOL1TL_57.index(name)] = values
    one = next(h for h in layout_of(AXOL1TL_57).histograms if h.name == "dphi_jet1_jet2")
    counts = COMPILED.fill(events).counts[one.regular]

    assert np.flatnonzero(counts).tolist() == [3, 73]


def test_summaries_of_two_schemas_do_not_add():
    bits = Summariser(NANOAOD_BITS).fill(LumisectionEvents(1, 1, np.zeros((0, 7), dtype=np.int16), {}))

    assert bits.events == 7
    with pytest.raises(SummaryError, match="cannot be added"):
        COMPILED.fill(anything(1, 2)) + bits


def test_events_of_another_shape_are_refused_with_where_they_came_from():
    with pytest.raises(SummaryError, match="run 7 lumisection 9"):
        COMPILED.fill(LumisectionEvents(7, 9, np.zeros((3, 5), dtype=np.int16), {}))
