"""A declared change silences what it names, inside its interval, and nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest

from drift.boxes import Box
from drift.conditions import Conditions, ConditionsTable, DeclaredChange, Region
from drift.conditions.declared import change_of, parse_changes
from drift.diagnose import Diagnosis
from drift.expected import explained, remembered
from drift.layout import layout_of
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.standing import Standing
from drift.views import inside
from drift.watch import Watch

BUDGET = 9e-6
ENTRY = {
    "id": "lut-1",
    "kind": "calibration",
    "first": {"run": 1021, "lumisection": 10},
    "last": None,
    "objects": ["JET", "MET"],
    "words": "new jet table",
    "by": "calo on-call",
}
LUT = change_of(ENTRY)
UNSCOPED = replace(LUT, objects=())
HOLE = Region("JET", (-68 * 0.0435, -30 * 0.0435), (-1.571, -0.873))
MASK = replace(LUT, id="mask-1", kind="mask", objects=(), region=HOLE)


def under(pairs, *changes):
    return [
        (s, replace(c, declared=tuple(one for one in changes if one.holds((c.run, c.lumisection))))) for s, c in pairs
    ]


def start(reference, state=None):
    return Watch(reference, false_alarms_per_lumisection=BUDGET, stream="axo", state=state)


def decide(reference, pairs):
    watch = start(reference)
    return [watch.take(*pair) for pair in pairs]


def verdicts(reference, pairs):
    return [one.alarm.verdict for one in decide(reference, pairs) if one.alarm is not None]


def both(*faults):
    def fault(found, rng):
        for one in faults:
            one(found, rng)

    return fault


@pytest.fixture(scope="module")
def moved(toy):
    """Fills 20 to 22; from run 1021 lumisection 10 on the jets' pt is 6 % larger."""
    return list(toy.fills(31, 3, 50, 300, fault=toy.scaled(("JET",), 1.06), from_lumisection=59, first=20))


def holed(toy, *more):
    fault = both(toy.dead_box(keep=0.0), *more)
    return list(toy.fills(431, 3, 50, 300, fault=fault, from_lumisection=59, first=20))


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_change_goes_to_json_and_back():
    assert change_of(json.loads(json.dumps(LUT.to_json()))) == LUT
    assert change_of(json.loads(json.dumps(MASK.to_json()))) == MASK


def test_a_region_reaches_as_far_as_its_objects_see_and_never_more_than_a_turn():
    around = replace(HOLE, phi=(-3.0, 3.1))

    assert HOLE.reached.eta == (-4.191, -0.696)  # seven forward towers are wider than seven central ones
    assert HOLE.reached.phi == pytest.approx(
        (np.radians(-125), np.radians(-15))
    )  # whole towers of five degrees, seven more
    assert replace(HOLE, object="MU").reached == replace(HOLE, object="MU")
    low, high = around.reached.phi
    assert high - low == pytest.approx(2 * np.pi)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": ""}, "id is ''"),
        ({"kind": "weather"}, "kind 'weather' is not known; known are calibration, mask, menu, firmware"),
        ({"first": {"run": 1021}}, "first is"),
        ({"first": {"run": 1021, "lumisection": 0}}, "whole numbers from 1"),
        ({"first": {"run": True, "lumisection": 3}}, "whole numbers from 1"),
        ({"last": {"run": 1020, "lumisection": 1}}, "last 1020:1 is before first 1021:10"),
        ({"objects": ["TAU"]}, "object 'TAU' is not known"),
        ({"objects": "JET"}, "expected a list"),
        ({"region": {"object": "MET", "eta": [0, 1], "phi": [0, 1]}}, "one that has a map"),
        ({"region": {"object": "JET", "eta": [1, 0], "phi": [0, 1]}}, "low below high"),
        ({"region": {"object": "JET", "eta": [0, 1], "phi": [0, 90]}}, "give radians"),
        ({"region": {"object": "JET", "eta": [0, 1]}}, "expected object, eta and phi"),
        ({"words": None}, "words is None"),
        ({"scope": "all"}, "scope, which means nothing here"),
        ({"kind": "menu", "region": {"object": "JET", "eta": [0, 1], "phi": [0, 1]}}, "a menu has no region"),
    ],
)
def test_an_entry_that_is_wrong_is_refused_in_words_and_the_others_hold(change, words):
    good = ENTRY | {"id": "good"}
    found, faults, whole = parse_changes(json.dumps([ENTRY | change, good]))

    assert [one.id for one in found] == ["good"]
    assert len(faults) == 1
    assert faults[0].startswith("declared change 1: ")
    assert words in faults[0]
    assert whole


def test_an_entry_must_say_whether_it_ends():
    with pytest.raises(ValueError, match="null while the change goes on"):
        change_of({key: value for key, value in ENTRY.items() if key != "last"})


@pytest.mark.parametrize(
    "text", [json.dumps([ENTRY]), json.dumps(ENTRY), json.dumps(ENTRY, indent=2), "\n\n" + json.dumps(ENTRY)]
)
def test_a_list_one_object_and_one_a_line_read_alike(text):
    assert parse_changes(text) == ((LUT,), (), True)


def test_the_folder_tells_each_lumisection_what_is_in_force(tmp_path):
    ended = ENTRY | {"id": "old", "first": {"run": 1, "lumisection": 1}, "last": {"run": 1021, "lumisection": 10}}
    (tmp_path / "declared_golden.json").write_text(json.dumps([ENTRY]), encoding="utf-8")
    (tmp_path / "declared-dcs.jsonl").write_text(json.dumps(ended) + "\n", encoding="utf-8")
    (tmp_path / "plain.csv").write_text("20,1021,9,40\n20,1021,10,40\n20,1021,11,40\n20,1022,1,40\n", encoding="utf-8")
    table = ConditionsTable.load(tmp_path)

    assert table.faults == ()
    assert [one.id for one in table.declared] == ["old", "lut-1"]
    ids = [[one.id for one in table.at(*place).declared] for place in ((1021, 9), (1021, 10), (1021, 11), (1022, 1))]
    assert ids == [["old"], ["old", "lut-1"], ["lut-1"], ["lut-1"]]
    assert table.at(1021, 9).certified is None


def test_a_half_written_line_keeps_the_last_good_reading_and_is_a_fault(tmp_path):
    path = tmp_path / "declared.jsonl"
    path.write_text(json.dumps(ENTRY) + "\n", encoding="utf-8")
    before = ConditionsTable.load(tmp_path)
    path.write_text(json.dumps(ENTRY)[:40], encoding="utf-8")
    after = ConditionsTable.load(tmp_path)

    assert after.declared == before.declared == (LUT,)
    assert "no JSON" in after.faults[0]
    assert after.counts.malformed == 1


def test_one_name_for_two_changes_is_a_fault_and_the_first_holds(tmp_path):
    (tmp_path / "declared1.json").write_text(json.dumps([ENTRY]), encoding="utf-8")
    (tmp_path / "declared2.json").write_text(json.dumps([ENTRY | {"objects": ["MU"]}]), encoding="utf-8")
    table = ConditionsTable.load(tmp_path)

    assert table.declared == (LUT,)
    assert "'lut-1' is declared in declared1.json too, otherwise" in table.faults[0]


# --- what takes no part -----------------------------------------------------------------------------------------------


def test_a_declared_calibration_of_jets_raises_no_alarm_and_an_undeclared_one_does(toy_reference, moved):
    assert verdicts(toy_reference, moved) == ["real_shift"]
    assert verdicts(toy_reference, under(moved, LUT)) == []


def test_a_declaration_of_other_objects_excuses_nothing(toy_reference, moved):
    assert verdicts(toy_reference, under(moved, replace(LUT, objects=("MU",)))) == ["real_shift"]


def test_other_objects_keep_alarming_and_the_box_is_theirs(toy, toy_reference):
    fault = both(toy.scaled(("JET",), 1.06), toy.dead_box("EG", keep=0.05))
    pairs = list(toy.fills(331, 2, 50, 300, fault=fault, from_lumisection=59, first=20))
    alarms = [one.alarm for one in decide(toy_reference, under(pairs, LUT)) if one.alarm is not None]

    assert [one.verdict for one in alarms] == ["broken_detector"]
    assert alarms[0].box.overlap(Box("EG", HOLE.eta, HOLE.phi)) > 0.5
    assert not any(one.object == "JET" for one in alarms[0].contributors)


def test_streams_that_take_no_part_are_no_evidence_for_a_cause(toy, toy_library):
    """Of a gain of the whole calorimeter only e/gamma is left to say so; the silent jets did not stand still."""
    fault = both(toy.scaled(("JET",), 1.06), toy.scaled(("EG",), 0.93))
    pairs = list(toy.fills(331, 2, 50, 300, fault=fault, from_lumisection=59, first=20))
    alarm = next(one.alarm for one in decide(toy_library, under(pairs, LUT)) if one.alarm is not None)

    assert {one.object for one in alarm.contributors} == {"EG"}
    assert alarm.verdict == "real_shift"
    assert "most like gain of the whole calorimeter" in alarm.text


def test_before_its_first_and_after_its_last_lumisection_a_change_excuses_nothing(toy_reference, moved):
    late = replace(LUT, first=(1022, 1))
    over = replace(LUT, first=(1020, 1), last=(1021, 9))
    alarms = [one.alarm for one in decide(toy_reference, under(moved, over)) if one.alarm is not None]

    assert verdicts(toy_reference, under(moved, late)) == ["real_shift"]
    assert [one.verdict for one in alarms] == ["real_shift"]
    assert alarms[0].onset == (1021, 10)


def test_evidence_of_the_declared_objects_is_dropped_at_the_boundary(toy_reference, moved):
    """Three lumisections of the new table before the declaration begins; their evidence must not outlive them."""
    change = replace(LUT, first=(1021, 13))
    watch = start(toy_reference)
    levels = {}
    for summary, conditions in under(moved, change):
        decision = watch.take(summary, conditions)
        levels[conditions.run, conditions.lumisection] = decision.log_evidence
        assert decision.alarm is None

    assert levels[1021, 12] > 5
    assert max(level for place, level in levels.items() if place >= (1021, 13)) < 4


def test_a_menu_silences_nothing(toy_reference, moved):
    menu = replace(UNSCOPED, kind="menu")
    plain, declared = (decide(toy_reference, pairs) for pairs in (moved, under(moved, menu)))

    assert declared == plain


def test_a_mask_takes_its_region_out_and_leaves_the_rest_comparable(toy, toy_reference):
    pairs = holed(toy)

    assert verdicts(toy_reference, pairs) == ["broken_detector"]
    assert verdicts(toy_reference, under(pairs, MASK)) == []


def test_a_hole_beside_a_mask_is_still_found(toy, toy_reference):
    other = toy.dead_box(eta=(0, 40), phi=(20, 50), keep=0.3)
    alarms = [one.alarm for one in decide(toy_reference, under(holed(toy, other), MASK)) if one.alarm is not None]

    assert [one.verdict for one in alarms] == ["broken_detector"]
    assert alarms[0].box.overlap(Box("JET", (0.0, 40 * 0.0435), (20 * np.pi / 72, 50 * np.pi / 72))) > 0.5


def test_a_masked_map_is_expected_outside_and_normalised_there(toy_reference):
    view = toy_reference.under(Standing(masked=(HOLE,)))
    jets = next(one for one in view.cells if one.name == "JET")
    grid = next(one for one in layout_of(AXOL1TL_57).maps if one.name == "JET")
    out = inside(grid, HOLE.reached)
    before = next(one for one in toy_reference.cells if one.name == "JET").expected(100.0, 50.0)

    assert 19 * 8 <= inside(grid, HOLE).sum() <= 20 * 9
    assert out[inside(grid, HOLE)].all()
    assert jets.expected(100.0, 50.0)[out].sum() == 0
    assert jets.expected(100.0, 50.0).sum() == pytest.approx(100.0)
    assert jets.expected(100.0, 50.0)[~out] == pytest.approx(before[~out] * 100 / before[~out].sum())
    assert not any(level[: out.size][out.ravel()].any() for level in jets.active[:1])


def test_a_masked_tower_leaves_the_spectra_of_its_object_alone(toy_reference):
    tower = Region("JET", (0.01, 0.05), (0.01, 0.05))
    quiet = toy_reference.under(Standing(masked=(tower,))).quiet
    silent = {label.name for label, off in zip(toy_reference.streams.labels, quiet.streams, strict=True) if off}

    assert 2 <= len(silent) <= 6  # rings and sectors that jets see it from
    assert all(name.startswith(("JET azimuth", "JET ring")) for name in silent)


@pytest.mark.parametrize("phi", [(3.0, 3.4), (-0.1, 0.1), (-3.3, -3.0)])
def test_a_region_may_wrap_around(phi):
    grid = next(one for one in layout_of(AXOL1TL_57).maps if one.name == "JET")
    cells = inside(grid, Region("JET", (-0.5, 0.5), phi))
    turn = 2 * np.pi / grid.shape[1]
    middle = (np.arange(grid.shape[1]) + 0.5) * turn
    far = np.abs((middle - sum(phi) / 2 + np.pi) % (2 * np.pi) - np.pi) - (phi[1] - phi[0]) / 2

    assert cells.any(axis=0)[far < 0].all()
    assert not cells.any(axis=0)[far > turn / 2 + 1e-9].any()


def test_a_restored_watch_remembers_what_was_declared(toy_reference, moved):
    pairs = under(moved, replace(LUT, last=(1021, 40)), UNSCOPED)
    whole, stopped = start(toy_reference), start(toy_reference)
    expected = [whole.take(*pair) for pair in pairs]
    for pair in pairs[:75]:
        stopped.take(*pair)
    restored = start(toy_reference, stopped.save())

    assert [restored.take(*pair) for pair in pairs[75:]] == expected[75:]
    assert restored.save() == whole.save()


def test_a_reference_fitted_under_a_change_expects_it(toy):
    changed = under(toy.fills(41, 4, 40, 200, fault=toy.scaled(("JET",), 1.06), first=30), LUT)
    reference = Reference.fit(changed, AXOL1TL_57)
    part = Reference.fit([*under(toy.fills(42, 3, 40, 200, first=1), LUT), *changed], AXOL1TL_57)

    assert reference.settled == ("lut-1",)
    assert reference.at(changed[0][1]) is reference
    assert part.settled == ()
    assert any("lut-1 holds in some of the lumisections" in one for one in part.advice)


# --- changes of which nobody said what they touch --------------------------------------------------------------------


def test_a_shift_that_begins_with_an_unscoped_change_is_expected(toy_reference, moved):
    alarms = [one.alarm for one in decide(toy_reference, under(moved, UNSCOPED)) if one.alarm is not None]

    assert [one.verdict for one in alarms] == ["expected_change"]
    assert alarms[0].action.startswith("no retraining and no call: re-baseline")
    assert "calibration lut-1 was declared then (new jet table, by calo on-call)" in alarms[0].text
    assert "nobody declared what it touches" in alarms[0].against
    assert alarms[0].explanation is not None


def test_a_shift_that_began_long_before_or_after_is_not_expected(toy_reference, moved):
    early, late = replace(UNSCOPED, first=(1020, 20)), replace(UNSCOPED, first=(1021, 20))

    assert verdicts(toy_reference, under(moved, early)) == ["real_shift"]
    assert verdicts(toy_reference, under(moved, late)) == ["real_shift"]


def test_a_change_that_ended_before_the_alarm_was_told_still_explains_it(toy_reference, moved):
    short = replace(UNSCOPED, last=(1021, 11))

    assert verdicts(toy_reference, under(moved, short)) == ["expected_change"]


def test_a_hole_that_opens_later_behind_an_expected_change_is_told(toy, toy_reference):
    def later(found, rng):
        toy.scaled(("JET", "EG"), 1.06)(found, rng)
        later.count += 1
        if later.count > 40:
            toy.dead_box(keep=0.0)(found, rng)

    later.count = 0
    pairs = list(toy.fills(24, 3, 50, 300, fault=later, from_lumisection=59, first=20))

    assert verdicts(toy_reference, under(pairs, UNSCOPED)) == ["expected_change", "broken_detector"]


TRAIL = [(clock, 1021, clock - 39) for clock in range(40, 100)]


@pytest.mark.parametrize(
    ("verdict", "onset", "first", "expected"),
    [
        ("real_shift", 50, (1021, 11), "expected_change"),
        ("broken_detector", 50, (1021, 14), "expected_change"),
        ("broken_detector", 50, (1021, 8), "expected_change"),
        ("real_shift", 50, (1021, 15), "real_shift"),
        ("real_shift", 50, (1021, 7), "real_shift"),
        ("real_shift", 40, (1020, 3), "real_shift"),
        ("real_shift", 90, (1022, 1), "real_shift"),
        ("transient", 50, (1021, 11), "transient"),
        ("contract", 50, (1021, 11), "contract"),
    ],
)
def test_what_began_within_three_lumisections_of_a_change_is_its_doing(verdict, onset, first, expected):
    found = Diagnosis(verdict, "JET", onset, None, "seen", "nothing measured", 0.0)

    assert explained(found, TRAIL, [replace(UNSCOPED, first=first)]).verdict == expected


def test_a_mended_declaration_replaces_itself_and_few_are_remembered():
    many = [replace(UNSCOPED, id=f"c{i}") for i in range(80)]
    mended = replace(many[20], words="mended")

    assert remembered([UNSCOPED], [replace(UNSCOPED, words="mended")]) == [replace(UNSCOPED, words="mended")]
    assert len(remembered(many, [])) == 64
    assert remembered(many, [mended])[-1] == mended


def test_conditions_without_a_declaration_say_so():
    assert Conditions(1, 1).declared == ()
    assert isinstance(LUT, DeclaredChange)
