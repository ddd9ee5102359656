"""The page says what the rows say, and what was not run."""

import json

import pytest

from benchmarks.delay_floor import poisson_information
from benchmarks.drift_page import attribution, matched, page, quantile, right


def test_a_quantile_of_delays_is_one_of_them_and_a_dash_when_it_was_not_seen():
    assert quantile([3, 1, None, 2, 5], 0.5) == "3"
    assert quantile([3, 1, None, 2, 5], 0.9) == "-"
    assert quantile([None, None, 1], 0.5) == "-"


def test_an_alarm_is_right_when_it_names_object_and_kind():
    row = {"point": "mu:1.0", "broken": True, "object": "MU", "verdict": "broken_detector"}

    assert right(row)
    assert not right(row | {"object": "JET"})
    assert not right(row | {"verdict": "real_shift"})


def test_the_information_of_a_count_is_that_of_two_poisson_laws():
    assert poisson_information(12.0, 0.0) == 12.0
    assert poisson_information(12.0, 12.0) == 0.0
    assert poisson_information(10.0, 7.0) == pytest.approx(0.50328, abs=1e-4)


def test_a_page_without_rows_says_what_to_run(tmp_path):
    text = page(tmp_path)

    assert "Not run: `make bench-drift`." in text
    assert "Not run: `make bench-peers`." in text
    assert "Not run: `make bench-month`." in text


def test_a_detector_that_misses_some_says_how_many():
    head = {
        "what": "campaign", "seed": 1, "points": "dead:0.02", "replicates": 3, "null": 9000,
        "thresholds": {"retrigger": 11.6, "KS": 3.0, "never": -1.0},
    }  # fmt: skip
    delays = [{"retrigger": k, "KS": None if k == 1 else 20, "never": None} for k in (1, 2, 3)]
    rows = [{"what": "fault", "point": "dead:0.02", "seed": k, "delay": one} for k, one in enumerate(delays)]

    text = "\n".join(matched([head, *rows]))

    assert "| fault | retrigger | KS | never |" in text
    assert "| dead:0.02 | 2, 3 | 20, - (1) | miss |" in text


def test_a_peer_that_could_not_run_is_named_with_the_reason(tmp_path):
    (tmp_path / "own-frouros.jsonl").write_text(json.dumps({"peer": "frouros", "failed": "could not be installed"}))

    assert "| frouros | could not be installed |" in page(tmp_path)


def test_rows_of_the_attribution_campaign_are_shown_as_they_are():
    rows = [{"what": "campaign", "seed": 5}, {"what": "attribution", "fault": "mu", "right": 9, "of": 10}]

    text = "\n".join(attribution([], rows))

    assert "| fault | right | of |" in text
    assert "| mu | 9 | 10 |" in text
