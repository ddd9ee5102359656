"""What a declared change leaves armed, and what happens where people end it."""

from dataclasses import replace

import numpy as np

from drift.conditions import Conditions
from drift.expected import news
from drift.rebaseline import rebaseline
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.watch import Watch
from tests.unit.drift.test_declared import BUDGET, UNSCOPED, under


def test_muons_that_are_lost_behind_an_expected_change_are_told(toy, toy_reference):
    """What the change moved takes no part from then on; what it did not move stays armed."""

    def later(found, rng):
        toy.scaled(("JET", "EG"), 1.06)(found, rng)
        later.count += 1
        if later.count > 60:
            found["MU"].pt[rng.random(found["MU"].pt.shape) < 0.7] = 0

    later.count = 0
    pairs = list(toy.fills(26, 3, 50, 300, fault=later, from_lumisection=59, first=20))

    watch = Watch(toy_reference, false_alarms_per_lumisection=BUDGET, stream="s")
    alarms = [one for one in (watch.take(*pair).alarm for pair in under(pairs, UNSCOPED)) if one is not None]

    assert alarms[0].verdict == "expected_change"
    assert "watched for holes alone" in alarms[0].action
    assert alarms[-1].verdict == "broken_detector"
    assert alarms[-1].object == "MU"


def test_columns_that_break_behind_another_alarm_are_told(toy, toy_reference):
    pairs = list(toy.fills(27, 1, 120, 300, fault=toy.dead_box(keep=0.0), from_lumisection=20))
    watch = Watch(toy_reference, false_alarms_per_lumisection=BUDGET, stream="s")
    verdicts = []
    for place, (summary, conditions) in enumerate(pairs):
        broken = replace(summary, counts=np.roll(summary.counts, 64)) if place >= 80 else summary
        alarm = watch.take(broken, conditions).alarm
        verdicts += [] if alarm is None else [alarm.verdict]

    assert verdicts == ["broken_detector", "contract"]


def test_a_change_that_people_end_after_it_was_rebaselined_is_over(toy, toy_reference):
    """The reference froze an open interval; the declaration as it is now says where it ends."""
    change = replace(UNSCOPED, id="jec-12", kind="calibration", objects=("JET", "MET"), first=(1401, 1), last=None)
    inside = toy.fills(400, 3, 50, 300, fault=toy.scaled(("JET",), 1.06), first=401)
    renewed = rebaseline(toy_reference, change, ((one, replace(at, declared=(change,))) for one, at in inside))
    ended = replace(change, last=(1410, 1))
    healthy = list(toy.fills(401, 2, 60, 300, first=420))
    watch = Watch(renewed, false_alarms_per_lumisection=BUDGET, stream="s")

    told = [watch.take(one, replace(at, elsewhere=(ended,))).alarm for one, at in healthy]

    assert told == [None] * len(healthy)
    assert renewed.standing(replace(healthy[0][1], elsewhere=(ended,))).rebaselined == ()
    assert renewed.standing(replace(healthy[0][1], declared=(change,))).rebaselined == ("jec-12",)


def test_where_a_change_the_reference_was_taken_under_is_over_its_objects_take_no_part(toy):
    change = replace(UNSCOPED, id="a", kind="calibration", objects=("JET", "MET"), first=(1, 1), last=None)
    taken = toy.fills(11, 6, 60, 300, fault=toy.scaled(("JET",), 1.06))
    reference = Reference.fit(((one, replace(at, declared=(change,))) for one, at in taken), AXOL1TL_57)
    over = replace(change, last=(1100, 1))
    watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream="s")

    alarms = [watch.take(one, replace(at, elsewhere=(over,))).alarm for one, at in toy.fills(28, 2, 60, 300, first=110)]

    assert reference.settled == ("a",)
    assert alarms == [None] * len(alarms)
    unscoped = replace(change, objects=(), last=(1109, 60))
    found = news(replace(healthy_at(1110, 1), elsewhere=(unscoped,)), ("a",))
    assert [(one.id, one.first) for one in found] == [("a (over)", (1109, 61))]


def healthy_at(run, lumisection):
    return Conditions(run, lumisection, run, 50.0, 2340, "2p0E34", "STABLE BEAMS", True, True, 0.02)


def test_what_was_learnt_of_a_change_is_forgotten_where_nobody_declares_it(toy, toy_reference):
    """A declaration that people took out of the file is not in force, and what it moved speaks again."""
    pairs = list(toy.fills(26, 3, 50, 300, fault=toy.scaled(("JET", "EG"), 1.06), from_lumisection=59, first=20))
    watch = Watch(toy_reference, false_alarms_per_lumisection=BUDGET, stream="s")
    told = [watch.take(*pair).alarm for pair in under(pairs[:100], UNSCOPED)]
    after = [watch.take(*pair).alarm for pair in pairs[100:]]

    assert [one.verdict for one in told if one is not None] == ["expected_change"]
    assert any(one is not None and one.verdict == "real_shift" for one in after)


def test_what_a_change_moved_that_was_over_before_it_was_told_speaks_again_when_the_alarm_is_closed(toy, toy_reference):
    short = replace(UNSCOPED, last=(1021, 11))
    pairs = list(toy.fills(26, 3, 50, 300, fault=toy.scaled(("JET", "EG"), 1.06), from_lumisection=59, first=20))
    watch, verdicts = Watch(toy_reference, false_alarms_per_lumisection=BUDGET, stream="s"), []
    for place, pair in enumerate(under(pairs, short)):
        if place == 100:
            assert verdicts == ["expected_change"]
            restored = Watch(toy_reference, false_alarms_per_lumisection=BUDGET, stream="s", state=watch.save())
            assert restored.save() == watch.save()
            watch.acknowledge()
        alarm = watch.take(*pair).alarm
        verdicts += [] if alarm is None else [alarm.verdict]

    assert verdicts == ["expected_change", "real_shift"]
