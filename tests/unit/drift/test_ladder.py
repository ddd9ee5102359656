"""The cheapest step that can suffice is the one that is named."""

import pytest

from drift.ladder import AGEING, BROKEN, CAUSES, CONDITIONS, CONTRACT, TRANSIENT, Rung, action_of, rung_of


def test_the_ladder_goes_from_the_cheapest_step_to_the_dearest():
    assert [one.word for one in sorted(Rung)] == [
        "nothing",
        "mask_or_call",
        "prescale_column",
        "threshold",
        "weights",
        "architecture",
    ]


@pytest.mark.parametrize(
    ("cause", "scale", "luminosity", "rung"),
    [
        (TRANSIENT, 0.3, False, Rung.NOTHING),
        (BROKEN, 0.3, False, Rung.MASK_OR_CALL),
        (CONTRACT, 0.0, False, Rung.MASK_OR_CALL),
        (CONDITIONS, 0.0, True, Rung.PRESCALE_COLUMN),
        (CONDITIONS, 0.0, False, Rung.THRESHOLD),
        (AGEING, 0.01, False, Rung.THRESHOLD),
        (AGEING, -0.05, False, Rung.WEIGHTS),
    ],
)
def test_each_cause_names_the_first_step_that_can_suffice(cause, scale, luminosity, rung):
    assert rung_of(cause, scale, luminosity=luminosity) == rung


def test_nobody_is_asked_to_retrain_on_a_fault():
    for cause in CAUSES:
        action = action_of(cause, rung_of(cause, 0.05))
        assert ("retrain candidate" in action) == (cause in {AGEING, CONDITIONS}), cause
