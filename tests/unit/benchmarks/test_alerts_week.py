"""The campaign of causes against alerts plays our own rules, only faster, and counts honestly."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.alerts_week import EXPECTED, page, sped_up
from benchmarks.experiment import CAUSES, STREAM, Experiment

ROOT = Path(__file__).parents[3]
START = datetime(2026, 7, 1, tzinfo=UTC)


def test_every_alert_but_the_dead_mans_switch_has_a_cause():
    alerts = set(re.findall(r"- alert: Retrigger(\w+)", (ROOT / "dashboards" / "alerts.yml").read_text()))

    assert set(EXPECTED.values()) == alerts - {"Watchdog"}
    assert set(EXPECTED) <= set(CAUSES)


def test_only_durations_and_the_clock_are_changed_in_rules_that_are_sped_up():
    text = "expr: time() - max(x) > 30 * 86400 and increase(y[1h]) > 2\nfor: 15m\nkeep_firing_for: 5m\n"

    assert sped_up(text, 60.0) == (
        "expr: scalar(simulated_time_seconds) - max(x) > 30 * 86400 and increase(y[60000ms]) > 2\n"
        "for: 15000ms\nkeep_firing_for: 5000ms\n"
    )


def row(cause, told, late=(), resolved=5.0):
    return {
        "cause": cause,
        "expected": EXPECTED[cause],
        "told": told,
        "told_after_min": 1.0,
        "resolved_after_min": resolved,
        "told_after_it_ended": list(late),
        "speed": 120.0,
    }


def test_a_second_alert_or_a_late_one_is_not_counted_as_right():
    calm = {"cause": "none", "told": [], "hours": 5.0, "switch": 9, "longest_switch_gap_min": 2.0}
    rows = [
        row("detector", ["DetectorBroken"]),
        row("disk_low", ["DiskLow", "Lagging"]),
        row("paused", ["Paused"], late=["Blind"]),
        row("shift", [], resolved=None),
    ]
    text = page([*rows, calm])

    assert "Of 4 causes, 1 raised their alert and nothing else; 3 resolved" in text


def test_counters_of_the_experiment_never_fall_whatever_is_wrong():
    experiment = Experiment(start=START, now=START)
    seen = []
    for minute in range(0, 2_000, 7):
        experiment.step(START + timedelta(minutes=minute))
        if minute == 700:
            for cause in CAUSES:
                experiment.set(cause)
        figures = experiment.snapshot().streams[STREAM]
        seen.append(
            (figures.delivered, figures.watched, figures.lumisections["excluded"], sum(figures.alarms.values()))
        )

    for one, other in pairwise(seen):
        assert all(before <= after for before, after in zip(one, other, strict=True))


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_that_ended_leaves_a_healthy_experiment(cause):
    experiment, twin = (Experiment(start=START, now=START, always_beams=True) for _ in range(2))
    experiment.set(cause)
    for one in (experiment, twin):
        one.step(START + timedelta(minutes=1))
    experiment.clear(cause)
    healthy, after = twin.snapshot(), experiment.snapshot()

    assert after.slots.keys() == healthy.slots.keys()
    assert after.loop.stable_beams is healthy.loop.stable_beams is True
    assert not after.streams[STREAM].fault_open
    assert after.record.intact
