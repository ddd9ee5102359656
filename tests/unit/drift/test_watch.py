"""A watch decides on every lumisection, tells one cause once, and goes on after a restart as if it had not stopped."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from drift.boxes import Box
from drift.conditions import Conditions
from drift.errors import ReferenceUnfitError, StateError
from drift.events import LumisectionEvents
from drift.profile import Summariser
from drift.schema import AXOL1TL_57, NANOAOD_BITS
from drift.watch import Watch

BUDGET = 9e-6
KEYS = {"type", "stream", "run", "lumisection", "onset", "verdict", "log_evidence", "contributors", "action"}


def start(reference, state=None):
    return Watch(reference, false_alarms_per_lumisection=BUDGET, stream="axo", state=state)


def decide(watch, pairs):
    return [watch.take(summary, conditions) for summary, conditions in pairs]


def alarms(decisions):
    return [one.alarm for one in decisions if one.alarm is not None]


@pytest.fixture(scope="module")
def healthy(toy):
    return list(toy.fills(21, 2, 50, 300))


@pytest.fixture(scope="module")
def broken(toy):
    return list(toy.fills(22, 2, 40, 300, fault=toy.dead_box(keep=0.05), from_lumisection=45))


def test_healthy_fills_raise_no_alarm(toy_reference, healthy):
    decisions = decide(start(toy_reference), healthy)

    assert alarms(decisions) == []
    assert sum(one.state == "quiet" for one in decisions) > 90


def test_a_dead_region_raises_one_alarm_with_box_onset_and_action(toy_reference, broken):
    told = alarms(decide(start(toy_reference), broken))

    assert [one.verdict for one in told] == ["broken_detector"]
    assert told[0].box.overlap(Box("JET", (-68 * 0.0435, -30 * 0.0435), (-1.571, -0.873))) > 0.5
    assert abs(told[0].onset[1] - 6) <= 1
    assert told[0].action == "call the detector expert; do not retrain"


def test_an_alarm_has_the_public_form(toy_reference, broken):
    body = json.loads(json.dumps(alarms(decide(start(toy_reference), broken))[0].to_json()))

    assert body.keys() >= KEYS
    assert body["type"] == "alarm"
    assert body["onset"].keys() == {"run", "lumisection"}
    assert body["contributors"][0].keys() in (
        {"region", "object", "log_evidence"},
        {"feature", "object", "log_evidence"},
    )
    assert body["box"]["object"] == "JET"


def test_a_scale_shift_is_a_retrain_candidate(toy, toy_reference):
    pairs = toy.fills(23, 2, 40, 300, fault=toy.scaled(("JET", "EG"), 0.94), from_lumisection=45)
    told = alarms(decide(start(toy_reference), pairs))

    assert [(one.verdict, one.action, one.box) for one in told] == [("real_shift", "retrain candidate: weights", None)]


def test_a_broken_detector_behind_a_shift_is_told_too(toy, toy_reference):
    def both(found, rng):
        toy.scaled(("JET", "EG"), 0.94)(found, rng)
        both.count += 1
        if both.count > 40:
            toy.dead_box(keep=0.0)(found, rng)

    both.count = 0
    told = alarms(decide(start(toy_reference), toy.fills(24, 3, 40, 300, fault=both, from_lumisection=10)))

    assert [one.verdict for one in told] == ["real_shift", "broken_detector"]


def test_a_glitch_of_one_lumisection_is_a_transient_and_the_watch_goes_on(toy, toy_reference):
    def glitch(found, rng):
        glitch.count += 1
        if glitch.count == 1:
            toy.scaled(("JET",), 1.4)(found, rng)

    glitch.count = 0
    watch = start(toy_reference)
    decisions = decide(watch, toy.fills(25, 2, 40, 300, fault=glitch, from_lumisection=45))

    assert [one.verdict for one in alarms(decisions)] == ["transient"]
    assert decisions[-1].state == "quiet"


def test_doubled_units_break_the_contract(toy, toy_reference):
    def doubled(found, _):
        found["JET"].pt = 2 * np.floor(found["JET"].pt)

    told = alarms(decide(start(toy_reference), toy.fills(26, 1, 40, 300, fault=doubled, from_lumisection=20)))

    assert [one.verdict for one in told] == ["contract"]
    assert "twice" in told[0].text


def test_an_acknowledged_cause_that_persists_is_told_again(toy_reference, broken):
    watch = start(toy_reference)
    first = alarms(decide(watch, broken[:60]))
    watch.acknowledge()
    second = alarms(decide(watch, broken[60:]))

    assert len(first) == len(second) == 1


@pytest.mark.parametrize("cut", [1, 37, 47, 48, 60])
def test_a_restored_watch_decides_bit_for_bit_as_if_it_had_never_stopped(toy_reference, broken, cut):
    whole, stopped = start(toy_reference), start(toy_reference)
    expected = decide(whole, broken[:75])
    decide(stopped, broken[:cut])
    state = stopped.save()
    restored = start(toy_reference, state)
    continued = decide(restored, broken[cut:75])

    assert continued == expected[cut:]
    assert restored.save() == whole.save()
    assert len(state) < 2_000_000


def test_a_damaged_state_or_one_of_another_stream_is_refused(toy_reference, healthy):
    watch = start(toy_reference)
    decide(watch, healthy[:5])
    state = watch.save()

    with pytest.raises(StateError, match="belongs to stream axo"):
        Watch(toy_reference, false_alarms_per_lumisection=BUDGET, stream="other", state=state)
    for blob in (state[:-9], b"nothing", state[:80] + bytes([state[80] ^ 1]) + state[81:]):
        with pytest.raises(StateError):
            start(toy_reference, blob)


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({"beam_mode": "ADJUST"}, "excluded", "beam mode"),
        ({"pileup": None}, "excluded", "pileup"),
        ({"dead_time": 0.6}, "excluded", "dead time"),
        ({"pileup": 90.0}, "out_of_support", "90.0 is outside"),
    ],
)
def test_a_lumisection_that_says_nothing_leaves_the_evidence_alone(toy_reference, healthy, change, state, words):
    watch = start(toy_reference)
    before = decide(watch, healthy[:10])[-1]
    summary, conditions = healthy[10]
    decision = watch.take(summary, replace(conditions, **change))

    assert decision.state == state
    assert words in decision.reason
    assert decision.log_evidence == before.log_evidence


def test_too_few_events_are_a_data_gap(toy, toy_reference, healthy):
    one = toy.events(1, 1, 50.0, 20, np.random.default_rng(1))
    decision = start(toy_reference).take(Summariser(AXOL1TL_57).fill(one), healthy[10][1])

    assert decision.state == "data_gap"
    assert "20 events" in decision.reason


def test_short_lumisections_are_weighed_by_their_events(toy, toy_reference):
    rng = np.random.default_rng(31)
    pairs = []
    for i, (summary, conditions) in enumerate(toy.fills(27, 1, 60, 300)):
        few = toy.events(summary.run, summary.lumisection, conditions.pileup, 90, rng)
        pairs.append((Summariser(AXOL1TL_57).fill(few), conditions) if i % 2 else (summary, conditions))

    assert alarms(decide(start(toy_reference), pairs)) == []


def test_a_pending_alarm_can_be_told_without_waiting(toy_reference, broken):
    watch = start(toy_reference)
    for summary, conditions in broken:
        if watch.take(summary, conditions).reason.startswith("evidence passed its limit"):
            break

    assert watch.conclude().verdict in {"broken_detector", "transient"}
    assert watch.conclude() is None


def test_an_alarm_that_waits_is_told_even_when_nothing_usable_follows(toy_reference, broken):
    watch = start(toy_reference)
    feed = iter(broken)
    for summary, conditions in feed:
        if watch.take(summary, conditions).reason.startswith("evidence passed its limit"):
            break
    rest = islice(((s, replace(c, beam_mode="BEAM DUMP")) for s, c in feed), 20)

    assert len(alarms(decide(watch, rest))) == 1


def test_another_schema_is_refused(toy_reference):
    bits = Summariser(NANOAOD_BITS).fill(LumisectionEvents(1, 1, np.zeros((0, 900), dtype=np.int16), {}))

    with pytest.raises(ReferenceUnfitError, match="another schema"):
        start(toy_reference).take(bits, Conditions(1, 1))


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0])
def test_a_budget_that_is_no_rate_is_refused(toy_reference, rate):
    with pytest.raises(ValueError, match="give a rate"):
        Watch(toy_reference, false_alarms_per_lumisection=rate, stream="axo")
