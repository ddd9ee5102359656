"""Declared changes in force, told with what they silence and how that ends."""

from types import SimpleNamespace

import pytest

from daemon.in_force import in_force
from drift.conditions.declared import change_of

NOBODY = SimpleNamespace(settled=(), rebaselined=())


def change(**fields):
    entry = {
        "id": "lut-2", "kind": "calibration", "first": {"run": 5, "lumisection": 10}, "last": None,
        "objects": ["JET", "MET"], "words": "new jet table", "by": "calo on-call",
    }  # fmt: skip
    return change_of(entry | fields)


def test_a_change_in_force_names_what_it_silences_and_the_verb_that_ends_it():
    (told,) = in_force([change()], (5, 10), NOBODY)

    assert told["silences"] == ["MET", "JET"]
    assert told["words"] == (
        "lut-2 (calibration by calo on-call, since 5:10: new jet table): not compared: MET, JET; "
        "`retrigger reference rebaseline --change lut-2` gives it constants of its own"
    )
    assert in_force([change()], (5, 9), NOBODY) == ()


def test_only_the_region_with_what_sees_it_is_silent_where_a_region_is_declared():
    region = {"object": "EG", "eta": [-1.5, 0.0], "phi": [0.5, 1.0]}
    (told,) = in_force([change(kind="mask", objects=["EG"], region=region)], (6, 1), NOBODY)

    assert told["silences"] == ["EG in eta -1.74 to 0.17, phi 0.26 to 1.22"]


@pytest.mark.parametrize(
    ("declared", "reference", "words"),
    [
        (change(), SimpleNamespace(settled=("lut-2",), rebaselined=()), "all of the reference was taken under it"),
        (
            change(),
            SimpleNamespace(settled=(), rebaselined=(SimpleNamespace(id="lut-2", holds=lambda _: True),)),
            "the reference has constants of its own for it",
        ),
        (change(objects=[]), NOBODY, "an alarm that begins with it is an expected change"),
        (change(objects=[], kind="menu"), NOBODY, "it moves no input"),
    ],
)
def test_a_change_that_silences_nothing_says_why(declared, reference, words):
    (told,) = in_force([declared], (5, 10), reference)

    assert told["silences"] == []
    assert words in told["words"]
    assert "rebaseline" not in told["words"]


def test_a_change_that_is_over_although_the_reference_was_taken_under_it_is_told():
    ended = change(last={"run": 6, "lumisection": 1})
    taken_under = SimpleNamespace(settled=("lut-2",), rebaselined=())

    (told,) = in_force([ended], (7, 1), taken_under)

    assert told["silences"] == ["MET", "JET"]
    assert "does not hold here, and all of the reference was taken under it: not compared: MET, JET" in told["words"]
    assert in_force([ended], (7, 1), NOBODY) == ()
