"""Replayed faults do to recorded events what they say, and leave the rest alone."""

import numpy as np
import pytest

from drift.faults import Box, Decorrelate, FaultError, Gain, Hot, Loss, Noise, Recorded, StuckBit, Swapped, sector_loss
from drift.schema import AXOL1TL_57, NANOAOD_BITS

BOX = Box((-40, 10), (100, 130))
ALL = [
    Gain(1.05),
    Gain(0.95, ("EG",), met=False),
    Loss(("JET", "EG"), 1.0, BOX, "a box"),
    Loss(("JET",), 0.3, BOX, "a box"),
    sector_loss("MU", 3, 12, 0.5, 576),
    Hot("JET", 0.2, 11, 31),
    Noise(6.0),
    Decorrelate(0.5),
    StuckBit("JET", "phi", 1, 1),
    Swapped("EG", "eta", "phi"),
]


@pytest.fixture(scope="module")
def recorded(toy):
    return Recorded.of(toy.events(1, 1, 55.0, 4000, np.random.default_rng(3)), AXOL1TL_57)


def applied(fault, recorded, seed=5):
    return fault.apply(recorded, np.random.default_rng(seed))


def test_recorded_events_come_back_as_they_were(toy, recorded):
    events = toy.events(1, 1, 55.0, 4000, np.random.default_rng(3))

    assert np.array_equal(recorded.as_events(AXOL1TL_57, 1, 1).features, events.features)


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_every_fault_sends_what_hardware_can_send_and_leaves_its_input_as_it_was(fault, recorded):
    before = recorded.as_events(AXOL1TL_57, 1, 1).features.copy()
    after = applied(fault, recorded)
    swaps = isinstance(fault, Swapped | StuckBit)

    for kind, one in after.objects.items():
        assert (np.diff(one.pt.astype(int), axis=1) <= 0).all(), kind
        assert one.pt.max() <= one.high
        assert swaps or ((one.phi >= 0) & (one.phi < one.turn)).all()
    assert ((after.met_phi >= 0) & (after.met_phi < 144)).all()
    assert np.array_equal(recorded.as_events(AXOL1TL_57, 1, 1).features, before)


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_the_same_seed_gives_the_same_faulty_events(fault, recorded):
    one, other = (applied(fault, recorded).as_events(AXOL1TL_57, 1, 1).features for _ in range(2))

    assert np.array_equal(one, other)


def test_a_gain_moves_the_mean_pt_by_its_factor_even_where_it_is_less_than_one_count(recorded):
    before, after = recorded.objects["JET"].pt, applied(Gain(1.01), recorded).objects["JET"].pt
    there = before > 0

    assert (after[there].mean() + 0.5) / (before[there].mean() + 0.5) == pytest.approx(1.01, abs=0.002)


def test_a_dead_box_is_empty_afterwards_and_what_it_held_is_missing(recorded):
    after = applied(Loss(("JET", "EG"), 1.0, BOX, "a box"), recorded)
    hit = BOX.holds(recorded.objects["JET"]).any(axis=1)

    assert not BOX.holds(after.objects["JET"]).any()
    assert not BOX.holds(after.objects["EG"]).any()
    assert BOX.holds(recorded.objects["JET"]).sum() > 100
    assert np.array_equal(after.met_pt[~hit], recorded.met_pt[~hit])
    toward = np.abs((after.met_phi[hit] - 115 + 72) % 144 - 72).mean()
    assert toward < np.abs((recorded.met_phi[hit] - 115 + 72) % 144 - 72).mean() - 2


def test_a_box_may_lie_across_zero(recorded):
    box = Box((-40, 40), (140, 150))
    phi = recorded.objects["JET"].phi[box.holds(recorded.objects["JET"])]

    assert set(phi) <= {140, 141, 142, 143, 0, 1, 2, 3, 4, 5}


def test_a_sector_at_half_efficiency_loses_half(recorded):
    before, after = recorded.objects["MU"], applied(sector_loss("MU", 3, 12, 0.5, 576), recorded).objects["MU"]
    counts = [((one.phi >= 144) & (one.phi < 192) & (one.pt > 0)).sum() for one in (before, after)]

    assert counts[1] / counts[0] == pytest.approx(0.5, abs=0.12)
    assert (after.pt > 0).sum() == (before.pt > 0).sum() - counts[0] + counts[1]


def test_a_hot_cell_fires_as_often_as_it_says_and_pushes_missing_momentum_away(recorded):
    after = applied(Hot("JET", 0.2, 11, 31, pt_low=100), recorded)
    fired = ((after.objects["JET"].eta == 11) & (after.objects["JET"].phi == 31)).any(axis=1)

    assert fired.mean() == pytest.approx(0.2, abs=0.03)
    assert np.abs((after.met_phi[fired] - 103 + 72) % 144 - 72).mean() < 20


def test_mixing_up_missing_momentum_changes_no_single_column(recorded):
    after = applied(Decorrelate(1.0), recorded)

    assert np.array_equal(np.sort(after.met_phi), np.sort(recorded.met_phi))
    assert np.array_equal(after.met_pt, recorded.met_pt)
    assert not np.array_equal(after.met_phi, recorded.met_phi)


def test_only_what_should_be_learnt_is_not_called_broken():
    assert [fault.broken for fault in ALL] == [isinstance(fault, Gain) is False for fault in ALL]


def test_a_schema_without_missing_momentum_is_refused(toy):
    with pytest.raises(FaultError, match="no missing momentum"):
        Recorded.of(toy.events(1, 1, 55.0, 10, np.random.default_rng(3)), NANOAOD_BITS)
