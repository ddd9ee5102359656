"""Faults that are alike all around do to events what they say, and leave azimuth alone."""

import numpy as np
import pytest

from drift.faults import Gain, Recorded, StuckBit, joined
from drift.schema import AXOL1TL_57
from drift.wide_faults import Fading, GainByEta, OtherPileup, Partly, Uniform


@pytest.fixture(scope="module")
def recorded(toy):
    return Recorded.of(toy.events(1, 1, 55.0, 6000, np.random.default_rng(3)), AXOL1TL_57)


def applied(fault, recorded):
    return fault.apply(recorded, np.random.default_rng(5))


def there(recorded, kind, low, high):
    one = recorded.objects[kind]
    return (one.pt > 0) & (np.abs(one.eta) >= low) & (np.abs(one.eta) < high)


def test_ageing_takes_most_far_out_and_nothing_at_the_centre(recorded):
    after = applied(GainByEta(0.3, ("JET",)), recorded)
    ratios = [
        (after.objects["JET"].pt[there(after, "JET", *band)] + 0.5).mean()
        / (recorded.objects["JET"].pt[there(recorded, "JET", *band)] + 0.5).mean()
        for band in ((0, 10), (60, 78))
    ]

    assert ratios[0] == pytest.approx(1.0, abs=0.01)
    assert ratios[1] == pytest.approx(0.7, abs=0.06)
    assert np.array_equal(after.objects["EG"].pt, recorded.objects["EG"].pt)


def test_objects_fade_far_out_on_both_sides_alike(recorded):
    after = applied(Fading("EG", 0.5, 2), recorded)

    def left(low, high, side):
        counts = [
            (
                (one.objects["EG"].eta * side >= low)
                & (one.objects["EG"].eta * side < high)
                & (one.objects["EG"].pt > 0)
            ).sum()
            for one in (after, recorded)
        ]
        return counts[0] / counts[1]

    assert left(1, 15, 1) > 0.97
    assert left(62, 76, 1) == pytest.approx(0.5, abs=0.06)
    assert left(62, 76, -1) == pytest.approx(left(62, 76, 1), abs=0.08)


def test_a_uniform_loss_takes_its_fraction_at_every_pt(recorded):
    before, after = recorded.objects["JET"].pt, applied(Uniform("JET", 0.2), recorded).objects["JET"].pt
    hard = np.quantile(before[before > 0], 0.8)

    assert (after > 0).sum() / (before > 0).sum() == pytest.approx(0.8, abs=0.01)
    assert (after > hard).sum() / (before > hard).sum() == pytest.approx(0.8, abs=0.02)


def test_a_fault_in_part_of_the_events_leaves_the_others_as_they_were(recorded):
    after = applied(Partly(StuckBit("JET", "phi", 3, 1), 0.3), recorded)
    touched = (after.objects["JET"].phi != recorded.objects["JET"].phi).any(axis=1)

    assert touched.mean() == pytest.approx(0.3, abs=0.03)
    assert Partly(Gain(1.1), 0.5).broken is False
    assert Partly(StuckBit("JET", "phi", 3, 1), 0.3).broken


def test_a_wrong_luminosity_changes_no_event(recorded):
    assert applied(OtherPileup.by(0.1), recorded) is recorded
    assert OtherPileup.by(0.1).factor == pytest.approx(1.1)


def test_what_a_gain_pushes_below_the_threshold_of_the_trigger_is_lost(recorded):
    low = int(recorded.objects["EG"].pt[recorded.objects["EG"].pt > 0].min())
    after = applied(Gain(0.8), recorded).objects["EG"].pt

    assert after[after > 0].min() >= low
    assert (after > 0).sum() < (recorded.objects["EG"].pt > 0).sum()


def test_events_with_fewer_places_join_those_with_more(toy, recorded):
    narrow = Recorded.of(toy.events(1, 2, 55.0, 10, np.random.default_rng(4)), AXOL1TL_57)
    wide = narrow.with_objects(
        **{
            kind: type(one)(
                *(np.pad(getattr(one, n), ((0, 0), (0, 3))) for n in ("pt", "eta", "phi")), one.turn, one.high
            )
            for kind, one in narrow.objects.items()
        }
    )
    both = joined([recorded, wide])

    assert both.events == recorded.events + 10
    assert both.objects["EG"].pt.shape[1] == 7
