"""Two models on the same events: what is lost, where, and whether that is worse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retrain.comparison import LISTED, by_pileup, by_place, compare, leading_place, listed, mcnemar, paired_difference

SURE = {"confidence": 0.95, "margin": 0.1}


def pair(both, lost, gained, neither):
    """Return candidate and champion with these four counts."""
    candidate = np.repeat([True, False, True, False], [both, lost, gained, neither])
    champion = np.repeat([True, True, False, False], [both, lost, gained, neither])
    return candidate, champion


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_p_value_is_that_of_a_fair_coin(lost, gained):
    if lost + gained:
        expected = stats.binomtest(gained, lost + gained, 0.5).pvalue
        assert mcnemar(lost, gained) == pytest.approx(expected)
    else:
        assert mcnemar(lost, gained) == 1.0


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200), st.sampled_from([0.9, 0.99]))
def test_the_interval_holds_the_difference_seen_and_grows_with_confidence(lost, gained, rest, confidence):
    events = lost + gained + rest
    if events == 0:
        return
    low, high = paired_difference(lost, gained, events, confidence)
    wider = paired_difference(lost, gained, events, 0.999)

    assert -1.0 <= low <= (gained - lost) / events <= high <= 1.0
    assert wider[0] <= low
    assert high <= wider[1]


def test_the_interval_covers_the_true_difference():
    rng, covered = np.random.default_rng(6), 0
    for _ in range(400):
        lost, gained, _ = rng.multinomial(500, [0.03, 0.01, 0.96])
        low, high = paired_difference(int(lost), int(gained), 500, 0.9)
        covered += low <= -0.02 <= high

    assert covered / 400 >= 0.9


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((400, 0, 100, 500), "better"),
        ((500, 0, 0, 500), "not_worse"),
        ((480, 10, 10, 500), "not_worse"),
        ((300, 200, 0, 500), "worse"),
        ((5, 0, 0, 95), "inconclusive"),
        ((40, 6, 5, 49), "inconclusive"),
        ((0, 0, 0, 10), "inconclusive"),
    ],
)
def test_the_verdict_follows_what_the_interval_allows(counts, verdict):
    assert compare(*pair(*counts), **SURE)["verdict"] == verdict


def test_a_comparison_adds_up():
    told = compare(*pair(30, 4, 6, 60), **SURE)

    assert (told["candidate"]["passing"], told["champion"]["passing"], told["events"]) == (36, 34, 100)
    assert told["overlap"] == 0.75
    assert told["difference"] == pytest.approx(0.02)


def test_strata_hold_every_event_once_and_do_without_a_champion():
    candidate, champion = pair(30, 4, 6, 60)
    pileup = np.where(np.arange(100) < 50, 31.0, 52.0)
    pileup[:3] = np.nan

    beside = by_pileup(candidate, champion, pileup, **SURE)
    alone = by_pileup(candidate, None, pileup, **SURE)

    assert [(row["pileup_from"], row["events"]) for row in beside] == [(30.0, 47), (50.0, 50), (None, 3)]
    assert sum(row["lost"] for row in beside) == 4
    assert sum(row["candidate"]["passing"] for row in alone) == 36


def test_the_leading_object_is_the_one_of_highest_momentum_and_never_the_missing_one(contract):
    names = {port.name: row for row, port in enumerate(contract.inputs)}
    features = np.zeros((57, 3), np.int16)
    features[names["MET_pt"]] = 900
    features[names["Jet1_pt"], 0], features[names["Jet1_eta"], 0], features[names["Jet1_phi"], 0] = 80, -46, 72
    features[names["Mu1_pt"], :2] = 60, 60
    features[names["Mu1_eta"], 1], features[names["Mu1_phi"], 1] = 92, 144

    eta, phi = leading_place(contract, features)

    assert eta[:2] == pytest.approx([-46 * 0.0435, 92 * 0.010875])
    assert phi == pytest.approx([0.5, 0.25, -1.0])
    assert np.isnan(eta[2])


def test_the_slice_that_loses_most_stands_first(contract, events):
    eta, phi = leading_place(contract, events)
    champion = np.ones(events.shape[1], bool)
    dead = (eta > 1.5) & (eta < 3.0) & (phi > 1 / 3) & (phi < 0.5)

    rows = by_place(contract, events, champion & ~dead, champion, **SURE)

    assert (rows[0]["eta"], rows[0]["turn"]) == ([1.5, 3.0], [2 / 6, 3 / 6])
    assert rows[0]["lost"] == int(dead.sum()) > 0
    assert sum(row["events"] for row in rows) == int((phi >= 0).sum())


def test_lost_and_gained_events_are_named_up_to_a_limit_highest_score_first():
    candidate, champion = pair(5, 500, 3, 10)
    scores = np.arange(518)

    told = listed(candidate, champion, scores, lambda place: [382913, 1, place])

    assert told["lost"]["events"] == 500
    assert len(told["lost"]["listed"]) == LISTED
    assert told["lost"]["listed"][0] == [382913, 1, 504]
    assert [place for _, _, place in told["gained"]["listed"]] == [507, 506, 505]
