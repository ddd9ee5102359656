"""Counting loses nothing, adds exactly, and survives a trip through bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.errors import SummaryError
from drift.events import LumisectionEvents, ObjectColumns
from drift.profile import LumisectionSummary, Summariser, layout_of
from drift.schema import AXOL1TL_57, NANOAOD_BITS

COMPILED, PLAIN = Summariser(AXOL1TL_57), Summariser(AXOL1TL_57, compiled=False)


def anything(seed, n, run=1, lumisection=1, wild=False):
    rng = np.random.default_rng(seed)
    rows = []
    for one in AXOL1TL_57.features:
        low, high = (-(2**15), 2**15) if wild else (one.low, one.high + 1)
        rows.append(rng.integers(low, high, n))
    objects = {}
    for kind, branches in AXOL1TL_57.objects.items():
        m = int(rng.integers(0, 3 * n + 1))
        eta = rng.integers(-branches.eta_high, branches.eta_high + 1, m)
        phi = rng.integers(0, branches.phi_bins, m)
        columns = [rng.integers(0, 4, m), eta, phi]
        objects[kind] = ObjectColumns(*(one.astype(np.int16) for one in columns))
    return LumisectionEvents(run, lumisection, np.stack(rows).astype(np.int16).reshape(57, n), objects)


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


@pytest.mark.parametrize("place", [0, 3, 4, 20, 60, -1])
def test_an_altered_summary_is_refused(place):
    blob = bytearray(COMPILED.fill(anything(5, 40)).to_bytes())
    blob[place] ^= 1

    with pytest.raises(SummaryError):
        LumisectionSummary.from_bytes(bytes(blob))


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
