"""What is seen of a board, judged: pass, fail, or not known yet."""

from dataclasses import replace

import pytest

from daemon.lifecycle.observed import (
    Comparison,
    LatencyWatch,
    RateWatch,
    agreement_of,
    latency_verdict,
    rate_verdict,
)

ALIKE = Comparison(lumisections=50, events=10_000, mismatches=0, mismatch_rate_low=0.0, mismatch_rate_high=3.7e-4)
STEADY = RateWatch(lumisections=50, expected_hz=1000.0, observed_hz=1010.0, low=990.0, high=1030.0)


def agreement(lumisections=50, tolerated=0.0, certainty=1e-3, **changed):
    return agreement_of(
        replace(ALIKE, **changed), lumisections=lumisections, tolerated=tolerated, certainty=certainty
    ).verdict


def rate(**changed):
    return rate_verdict(replace(STEADY, **changed), lumisections=50, tolerance=0.1).verdict


def test_a_board_agrees_when_enough_was_compared_and_nothing_differs():
    assert agreement() == "pass"
    assert agreement(lumisections=51) == "inconclusive"
    assert agreement(certainty=3.7e-4) == "pass"
    assert agreement(certainty=3.6e-4) == "inconclusive"


def test_one_differing_event_is_a_failure_where_none_is_tolerated_also_before_enough_was_compared():
    one = {"mismatches": 1, "mismatch_rate_low": 2.5e-6, "mismatch_rate_high": 5.6e-4}

    assert agreement(**one) == "fail"
    assert agreement(lumisections=1000, **one) == "fail"
    assert agreement(tolerated=2.4e-6, **one) == "fail"
    assert agreement(tolerated=2.5e-6, **one) == "pass"
    assert agreement(**{**one, "mismatches": 0}) == "pass"


def test_what_could_not_be_read_never_counts_as_agreement():
    assert agreement(unreadable=6) == "pass"
    assert agreement(unreadable=7) == "inconclusive"
    assert agreement(unreadable=10_000) == "inconclusive"


def test_nothing_compared_is_no_agreement():
    assert agreement_of(None, lumisections=0, tolerated=0.0, certainty=1e-3).verdict == "inconclusive"
    assert agreement(events=0, mismatch_rate_high=0.0) == "inconclusive"


def test_a_verdict_says_its_numbers():
    told = agreement_of(ALIKE, lumisections=50, tolerated=0.0, certainty=1e-3)

    assert told.why == "0 of 10000 events differ in 50 lumisections; at most 0.00037 do"


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "pass"),
        ({"low": 900.0, "high": 1100.0}, "pass"),
        ({"low": 899.0}, "inconclusive"),
        ({"high": 1101.0}, "inconclusive"),
        ({"low": 1100.0, "high": 1300.0}, "inconclusive"),
        ({"low": 1100.1, "high": 1300.0}, "fail"),
        ({"low": 700.0, "high": 900.0}, "inconclusive"),
        ({"low": 700.0, "high": 899.9}, "fail"),
        ({"lumisections": 49}, "inconclusive"),
        ({"lumisections": 1, "low": 1200.0, "high": 1300.0}, "fail"),
        ({"lumisections": 0, "low": 1200.0, "high": 1300.0}, "inconclusive"),
    ],
)
def test_a_rate_fails_only_when_its_whole_interval_is_outside_and_passes_when_all_of_it_is_inside(changed, verdict):
    assert rate(**changed) == verdict


def test_an_unwatched_rate_is_a_doubt_and_an_unreported_latency_is_none():
    assert rate_verdict(None, lumisections=0, tolerance=0.1).verdict == "inconclusive"
    assert latency_verdict(None).verdict == "pass"


@pytest.mark.parametrize(("ticks", "verdict"), [(9, "pass"), (10, "pass"), (11, "fail")])
def test_a_board_that_decides_too_late_fails(ticks, verdict):
    assert latency_verdict(LatencyWatch(worst_ticks=ticks, allowed_ticks=10)).verdict == verdict
