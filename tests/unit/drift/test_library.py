"""Every failure mode that ships can be replayed, does what its words say, and nonsense is refused."""

from collections import Counter

import numpy as np
import pytest

from drift.errors import LibraryError
from drift.faults import Gain, Recorded
from drift.ladder import AGEING, BROKEN, CAUSES
from drift.library import SHIPPED, FailureMode, examples
from drift.schema import AXOL1TL_57


@pytest.fixture(scope="module")
def recorded(toy):
    return Recorded.of(toy.events(1, 1, 55.0, 1500, np.random.default_rng(3)), AXOL1TL_57)


@pytest.mark.parametrize("mode", SHIPPED, ids=lambda mode: mode.name)
def test_a_mode_at_its_trial_size_changes_the_events_and_can_be_counted(mode, recorded):
    after, said = mode.replayed(recorded, 55.0, np.random.default_rng(1))
    one, other = (each.as_events(AXOL1TL_57, 1, 1).features for each in (recorded, after))

    assert other.shape == one.shape
    assert said != 55.0 or not np.array_equal(one, other)


def test_names_are_unique_and_causes_are_those_that_can_be_weighed():
    names = Counter(one.name for one in SHIPPED)

    assert max(names.values()) == 1
    assert {one.cause for one in SHIPPED} <= set(CAUSES[:3])
    assert len({one.family for one in SHIPPED if one.broken}) > 8
    assert {one.object for one in SHIPPED if one.family == "gain"} == {"", "EG", "JET", "MET"}


def test_twelve_sectors_and_eight_rings_of_every_object_are_there():
    families = Counter(one.family for one in SHIPPED)

    assert [families[f"sector_{kind}"] for kind in ("eg", "jet", "mu")] == [12, 12, 12]
    assert [families[f"ring_{kind}"] for kind in ("eg", "jet", "mu")] == [8, 8, 8]


def test_a_sector_mode_empties_the_sector_that_its_words_name(recorded):
    mode = next(one for one in SHIPPED if one.name == "sector_jet_4")
    after, _ = mode.replayed(recorded, 55.0, np.random.default_rng(1), 1.0)
    jets = after.objects["JET"]
    degrees = jets.phi[jets.pt > 0] * 2.5

    assert "90 to 120" in mode.words
    assert not ((degrees >= 90) & (degrees < 120)).any()
    assert ((degrees >= 120) & (degrees < 150)).any()


def test_a_luminosity_told_wrongly_leaves_the_events_and_changes_what_is_said(recorded):
    mode = next(one for one in SHIPPED if one.name == "luminosity")
    after, said = mode.replayed(recorded, 55.0, np.random.default_rng(1), 0.1)

    assert after is recorded
    assert said == pytest.approx(50.0)


def test_one_example_of_many_alike_is_asked_about():
    names = [one.name for one in examples(SHIPPED)]

    assert sum(name.startswith("sector_mu") for name in names) == 1
    assert {"gain", "gain_eg", "loss_tower", "loss_region", "hot_tower", "met_noise"} <= set(names)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cause": "act_of_god"}, "cause 'act_of_god'"),
        ({"trial": 0.0}, "trial size 0"),
        ({"trial": 0.9, "most": 0.5}, "trial size 0.9"),
        ({"least": 0.5}, "sizes from 0.5"),
    ],
)
def test_a_mode_that_makes_no_sense_is_refused_with_what_was_found(changed, message):
    good = {"cause": AGEING, "trial": 0.02, "most": 0.5, "least": -0.5}

    with pytest.raises(LibraryError, match=message):
        FailureMode("mine", "my gain", "mine", "EG", make=lambda a: Gain(1 + a), **(good | changed))
    assert FailureMode("mine", "my gain", "mine", "EG", make=lambda a: Gain(1 + a), **good).broken is False
    assert BROKEN not in {one.cause for one in SHIPPED if one.family == "gain"}
