"""River's detectors behind our interface: what they see, what they cannot say, and that a restart changes nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from drift.alternatives import RiverDetector, change_point
from drift.errors import ReferenceUnfitError, StateError
from drift.events import LumisectionEvents
from drift.listeners import NAMES, parameters_for
from drift.profile import Summariser
from drift.schema import AXOL1TL_57, NANOAOD_BITS
from drift.watch import Watch

BUDGET = 9e-6
SHORT = {"kswin": {"window_size": 28, "stat_size": 10, "alpha": 2e-5}, "adwin": {"delta": 1e-5}}
"""KSWIN needs a hundred lumisections before it speaks, and ADWIN tens after the change; these are quicker."""


def start(reference, name, state=None, **more):
    given = {"parameters": SHORT.get(name)} | more
    return RiverDetector(
        reference, detector=name, false_alarms_per_lumisection=BUDGET, stream="axo", state=state, **given
    )


def decide(detector, pairs):
    return [detector.take(summary, conditions) for summary, conditions in pairs]


def told(choices):
    return [one.alarm for one in choices if one.alarm is not None]


@pytest.fixture(scope="module")
def healthy(toy):
    return list(toy.fills(21, 3, 60, 300))


@pytest.fixture(scope="module")
def shifted(toy):
    return list(toy.fills(22, 2, 60, 300, fault=toy.scaled(("JET",), 1.15), from_lumisection=60))


@pytest.mark.parametrize("name", ["adwin", "page_hinkley"])
def test_healthy_fills_raise_no_alarm(toy_reference, healthy, name):
    choices = decide(start(toy_reference, name), healthy)

    assert told(choices) == []
    assert sum(one.state == "quiet" for one in choices) > 150


@pytest.mark.parametrize("name", NAMES)
def test_a_scale_shift_is_one_alarm_that_names_its_streams_and_onset_but_no_kind_of_cause(toy_reference, shifted, name):
    alarm, *more = told(decide(start(toy_reference, name), shifted))

    assert more == []
    assert {"JET", "MET"} & set(alarm.objects)
    assert alarm.run == 1002
    assert abs((alarm.onset[0] - 1001) * 60 + alarm.onset[1] - 61) <= 4
    assert alarm.to_json()["verdict"] == "undiagnosed"


def test_an_alarm_has_the_public_form_without_evidence(toy_reference, shifted):
    body = json.loads(json.dumps(told(decide(start(toy_reference, "page_hinkley"), shifted))[0].to_json()))

    assert body["type"] == "alarm"
    assert body["onset"].keys() == {"run", "lumisection"}
    assert body["log_evidence"] is None
    assert body["contributors"][0].keys() == {"feature", "object", "log_evidence"}
    assert body["detector"] == "page_hinkley"
    assert {"stream", "run", "lumisection", "action", "box", "text", "against"} <= body.keys()


def test_a_cause_is_told_once_until_it_is_acknowledged(toy_reference, healthy, shifted):
    detector = start(toy_reference, "page_hinkley")
    latched = [one for one in decide(detector, shifted) if one.state == "alarm"][-1]
    place = detector.told
    detector.acknowledge()
    after = decide(detector, healthy[:20])

    assert (latched.state, latched.alarm) == ("alarm", None)
    assert f"run {place[0]} lumisection {place[1]}" in latched.reason
    assert {one.state for one in after} == {"quiet", "out_of_support"}
    assert detector.told is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cut", [0, 1, 29, 60, 64, 80])
def test_a_restored_detector_decides_bit_for_bit_as_if_it_had_never_stopped(toy_reference, shifted, name, cut):
    """A memory of 28 lumisections: the detector has started again from its last ones before some of the cuts."""
    whole, stopped = start(toy_reference, name, memory=28), start(toy_reference, name, memory=28)
    expected = decide(whole, shifted)
    decide(stopped, shifted[:cut])
    state = stopped.save()
    restored = start(toy_reference, name, state, memory=28)
    continued = decide(restored, shifted[cut:])

    assert len(told(expected)) == 1
    assert continued == expected[cut:]
    assert restored.save() == whole.save()
    assert len(state) < 2_000_000


def test_a_damaged_state_or_one_of_another_detector_is_refused(toy_reference, healthy):
    detector = start(toy_reference, "adwin")
    decide(detector, healthy[:5])
    state = detector.save()

    with pytest.raises(StateError, match="another detector and parameters"):
        start(toy_reference, "page_hinkley", state)
    with pytest.raises(StateError, match="another parameters"):
        start(toy_reference, "adwin", state, parameters={"delta": 0.5})
    for blob in (state[:-9], b"nothing", state[:80] + bytes([state[80] ^ 1]) + state[81:]):
        with pytest.raises(StateError):
            start(toy_reference, "adwin", blob)


@pytest.mark.parametrize(
    "change", [{"beam_mode": "ADJUST"}, {"pileup": None}, {"dead_time": 0.6}, {"pileup": 90.0}, {"dcs_ok": False}]
)
def test_what_says_nothing_to_the_watch_says_nothing_here_and_leaves_the_state_alone(toy_reference, healthy, change):
    watch = Watch(toy_reference, false_alarms_per_lumisection=BUDGET, stream="axo")
    detector = start(toy_reference, "adwin")
    decide(detector, healthy[:10])
    before = detector.save()
    summary, conditions = healthy[10]
    choice = detector.take(summary, replace(conditions, **change))
    decision = watch.take(summary, replace(conditions, **change))

    assert (choice.state, choice.reason) == (decision.state, decision.reason)
    assert detector.save() == before


def test_too_few_events_are_a_data_gap(toy, toy_reference, healthy):
    one = toy.events(1, 1, 50.0, 20, np.random.default_rng(1))
    choice = start(toy_reference, "adwin").take(Summariser(AXOL1TL_57).fill(one), healthy[10][1])

    assert (choice.state, "20 events" in choice.reason) == ("data_gap", True)


def test_another_schema_is_refused(toy_reference, healthy):
    bits = Summariser(NANOAOD_BITS).fill(LumisectionEvents(1, 1, np.zeros((0, 900), dtype=np.int16), {}))

    with pytest.raises(ReferenceUnfitError, match="another schema"):
        start(toy_reference, "adwin").take(bits, healthy[0][1])


def test_a_budget_is_shared_among_the_streams():
    assert parameters_for("adwin", 1e-5, 100)["delta"] == pytest.approx(1e-7)
    assert parameters_for("kswin", 1e-5, 100)["alpha"] == pytest.approx(1e-7)


def test_the_page_hinkley_threshold_keeps_its_budget_for_independent_normal_numbers():
    """400 trials, seed 61, of a two-sided CUSUM at a mean of 300 between false alarms; 10 % is two standard errors."""
    found = parameters_for("page_hinkley", 1 / 300, 1)
    rng = np.random.default_rng(61)
    sums, length = np.zeros((400, 2)), np.zeros(400)
    while (running := sums.max(axis=1) <= found["threshold"]).any():
        value = rng.normal(size=(400, 1)) * np.array([1.0, -1.0])
        sums = np.where(running[:, None], np.maximum(sums + value - found["delta"], 0.0), sums)
        length += running

    assert length.mean() == pytest.approx(300, rel=0.1)


@pytest.mark.parametrize(("name", "rate"), [("ddm", 1e-5), ("adwin", 0.0), ("kswin", 1.0)])
def test_what_is_no_detector_or_no_rate_is_refused(name, rate):
    with pytest.raises(ValueError, match=r"known are|give a rate"):
        parameters_for(name, rate, 10)


@pytest.mark.parametrize(("series", "place"), [([0, 0, 0, 5, 5], 3), ([5, 0, 0, 0], 1), ([1.0], 0)])
def test_a_change_point_is_where_the_mean_changed(series, place):
    assert change_point(np.array(series, dtype=float))[0] == place
