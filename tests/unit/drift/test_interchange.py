"""What plots in hist comes back bit for bit, and what was rebinned, scaled or lost on the way is refused."""

import json

import boost_histogram as bh
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift import interchange
from drift.errors import SummaryError
from drift.events import LumisectionEvents
from drift.profile import LumisectionSummary, Summariser
from drift.schema import AXOL1TL_57, NANOAOD_BITS, FeatureSchema
from tests.unit.drift.counting import any_scores, anything

SUMMARISER = Summariser(AXOL1TL_57, thresholds=(("L1_AXO", 9000), ("L1_AXO_TIGHT", 20000)))


def summary_of(seed=1, n=20, *, scored=True, weighted=True, wild=False):
    events = anything(seed, n, wild=wild)
    scores = any_scores(seed, n) if scored else None
    weights = np.random.default_rng(seed).exponential(1.0, n) if weighted else None
    return (SUMMARISER if scored else Summariser(AXOL1TL_57)).fill(events, scores, weights)


@given(seed=st.integers(0, 2**31), n=st.integers(0, 40), options=st.tuples(*(st.booleans(),) * 3))
@settings(max_examples=15, deadline=None)
def test_a_summary_comes_back_from_boost_histograms_bit_for_bit(seed, n, options):
    scored, weighted, wild = options
    summary = summary_of(seed, n, scored=scored, weighted=weighted, wild=wild)
    back = LumisectionSummary.from_boost(summary.to_boost())

    assert back == summary
    assert back.to_bytes() == summary.to_bytes()


@pytest.mark.parametrize(("scored", "weighted"), [(False, False), (True, False), (True, True)])
def test_a_summary_comes_back_from_uhi_json_bit_for_bit(scored, weighted):
    summary = summary_of(scored=scored, weighted=weighted)
    text = interchange.to_json(summary.to_boost())

    assert LumisectionSummary.from_boost(interchange.from_json(text)).to_bytes() == summary.to_bytes()


def test_the_json_has_only_the_keys_that_uhi_declares():
    """The keys of histogram.schema.json in uhi 1.2.1; that package itself is not needed to write it."""
    tree = json.loads(interchange.to_json(summary_of().to_boost()))
    axes = [axis for one in tree.values() for axis in one["axes"]]
    metadata = [one["metadata"] for one in tree.values()] + [axis["metadata"] for axis in axes]

    assert all(one["uhi_schema"] == 1 for one in tree.values())
    assert {key for one in tree.values() for key in one} == {"uhi_schema", "writer_info", "axes", "storage", "metadata"}
    assert {axis["type"] for axis in axes} == {"regular", "variable", "category_str"}
    assert {one["storage"]["type"] for one in tree.values()} == {"int", "weighted"}
    assert all(isinstance(value, str | int | float) for one in metadata for value in one.values())


def test_a_feature_is_an_integer_axis_with_its_values_and_unit():
    histogram = summary_of(weighted=False).to_boost()["Jet1_eta"]
    axis = histogram.axes[0]

    assert isinstance(axis, bh.axis.Integer)
    assert (axis.edges[0], axis.edges[-1]) == (-127, 128)
    assert (axis.name, axis.unit) == ("Jet1_eta", "0.0435")
    assert histogram.sum(flow=True) == 20


def test_a_map_is_in_pseudorapidity_and_radians_and_says_its_hardware_steps():
    summary = summary_of()
    histogram = summary.to_boost()["map_JET"]
    eta, phi = histogram.axes

    assert (eta.size, phi.size) == (128, 72)
    assert (eta.edges[0], eta.edges[-1]) == pytest.approx((-128 * 0.0435, 128 * 0.0435))
    assert (phi.edges[0], phi.edges[-1]) == pytest.approx((0, 2 * np.pi))
    assert (eta.hardware_low, eta.hardware_step, phi.hardware_step) == (-128, 2, 2)
    assert np.array_equal(histogram.values(), summary.maps["JET"])


def test_with_weights_a_name_holds_the_sums_and_its_twin_the_counts():
    summary = summary_of()
    histograms = summary.to_boost()
    held, twin = histograms["passed"], histograms["unweighted/passed"]

    assert np.array_equal(held.view().value, summary.weighted.sums[0, -2:])
    assert np.array_equal(held.view().variance, summary.weighted.sums[1, -2:])
    assert np.array_equal(twin.values(), summary.scores.passed)


def test_many_lumisections_travel_as_one():
    merged = summary_of(1) + Summariser.fill(SUMMARISER, anything(2, 5, 8, 3), any_scores(2, 5), np.ones(5))

    assert LumisectionSummary.from_boost(merged.to_boost()).lumisections == ((1, 1), (8, 3))


def test_counts_in_another_storage_are_taken_when_they_are_whole():
    summary = summary_of(weighted=False)
    histograms = {
        name: bh.Histogram(*one.axes, storage=bh.storage.Double(), __dict__=dict(vars(one)))
        for name, one in summary.to_boost().items()
    }
    for name, one in summary.to_boost().items():
        histograms[name].view(flow=True)[...] = one.view(flow=True)

    assert LumisectionSummary.from_boost(histograms) == summary


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("Jet1_pt", lambda one: None, "'unweighted/Jet1_pt' is missing|'Jet1_pt' is missing"),
        ("events", lambda one: None, "'events' with retrigger's metadata"),
        ("map_JET", lambda one: one[:, :: bh.rebin(2)], "do not rebin"),
        ("Jet1_phi", lambda one: one[5:20], "do not rebin"),
        ("Jet1_phi", lambda one: one * 0.3, "do not scale"),
        ("map_EG", lambda one: one * 0.5, "does not hold counts"),
        ("unweighted/Jet1_phi", lambda one: one + one, "entries of 20 events"),
    ],
)
def test_what_was_altered_on_the_way_is_refused_by_name(name, change, words):
    histograms = summary_of().to_boost()
    changed = change(histograms.pop(name))
    if changed is not None:
        histograms[name] = changed

    with pytest.raises(SummaryError, match=words):
        LumisectionSummary.from_boost(histograms)


def test_a_histogram_without_weights_among_weighted_ones_is_refused():
    histograms = summary_of().to_boost()
    histograms["ht"] = histograms["unweighted/ht"]

    with pytest.raises(SummaryError, match="'ht' has no weights"):
        LumisectionSummary.from_boost(histograms)


def test_damaged_metadata_are_refused():
    histograms = summary_of().to_boost()
    vars(histograms["events"])["retrigger"] = "{"

    with pytest.raises(SummaryError, match="metadata of histogram 'events' are damaged"):
        LumisectionSummary.from_boost(histograms)


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"axes": []}}'])
def test_what_is_no_uhi_json_is_refused(text):
    with pytest.raises(SummaryError, match="no UHI JSON"):
        interchange.from_json(text)


def test_a_schema_that_is_not_declared_has_to_be_given():
    mine = FeatureSchema("mine", AXOL1TL_57.features[:3], {}, sum_type=2)
    summary = Summariser(mine).fill(LumisectionEvents(1, 1, np.ones((3, 4), dtype=np.int16), {}))

    assert LumisectionSummary.from_boost(summary.to_boost(mine), mine) == summary
    with pytest.raises(SummaryError, match="none of axol1tl_57, nanoaod_bits"):
        summary.to_boost()
    with pytest.raises(SummaryError, match="none of nanoaod_bits"):
        summary.to_boost(NANOAOD_BITS)
