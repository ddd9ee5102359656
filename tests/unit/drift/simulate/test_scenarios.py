import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.conditions.declared import REACH
from drift.simulate import KINDS, grid, scenarios
from drift.simulate.kernels import cross
from drift.simulate.pools import MINIMUM_BIAS, load_pool
from drift.simulate.stream import tables
from drift.simulate.timeline import make_timeline
from drift.simulate.towers import BeamSpot, project

LENGTH = 40
EVENTS = 1500
HEM = grid.region(-2.964, -1.305, -1.571, -0.873)


def changed(name, severity=1.0):
    """Crossings at pileup 50 with and without a change, and the truth about its parameters."""
    ((_, parameters),) = scenarios.parse(name)
    quiet = make_timeline(1, 1, 10_001, LENGTH)[0].lumisections[0]
    pair = []
    for severities in ({}, {name.split(":")[0]: severity}):
        detector = scenarios.detector_of(quiet, {name.split(":")[0]: parameters})
        if severities:
            edit = KINDS[name.split(":")[0]].detector
            edit(detector, parameters, severity)
        pair.append(cross(tables(detector.beam_spot), detector, 50.0, EVENTS, np.random.default_rng(4)))
    return pair


def in_box(objects, eta_low, eta_high, phi_low, phi_high):
    inside = grid.region(eta_low, eta_high, phi_low, phi_high)
    return int((inside[objects[:, :, 1], objects[:, :, 2]] & (objects[:, :, 0] > 0)).sum())


def test_hem_takes_most_jets_from_its_box_and_none_from_the_other_end():
    before, after = changed("hem1516")

    assert in_box(after.jets, -2.964, -1.305, -1.571, -0.873) < 0.6 * in_box(
        before.jets, -2.964, -1.305, -1.571, -0.873
    )
    opposite = [in_box(c.jets, 1.305, 2.964, -1.571, -0.873) for c in (before, after)]
    assert opposite[1] == pytest.approx(opposite[0], rel=0.05)


def test_light_loss_lowers_electron_momenta_most_in_the_endcap():
    before, after = changed("ecal_transparency")
    forward = [np.abs(grid.row_centres()[c.egs[:, :, 1]]) > 2.0 for c in (before, after)]
    kept = [int(((c.egs[:, :, 0] >= 14) & part).sum()) for c, part in zip((before, after), forward, strict=True)]

    assert kept[1] < 0.85 * kept[0]


def test_a_silent_card_leaves_no_jet_in_its_stripe():
    before, after = changed("calo_card")

    assert in_box(after.jets, -2.5, 2.5, 1.0472, 1.0472 + np.radians(20)) == 0
    assert in_box(before.jets, -2.5, 2.5, 1.0472, 1.0472 + np.radians(20)) > 100


def test_a_hot_tower_adds_clusters_only_where_it_is():
    before, after = changed("hot_tower")
    here = [
        int(((c.egs[:, :, 1] == 47) & (c.egs[:, :, 2] == 20) & (c.egs[:, :, 0] > 0)).sum()) for c in (before, after)
    ]

    assert here[1] > 10 * max(here[0], 1)


def test_forward_noise_raises_the_missing_energy_with_the_forward_part_alone():
    before, after = changed("hf_noise")

    assert np.array_equal(before.sums[:, 2], after.sums[:, 2])
    assert np.median(after.sums[:, 4, 0]) > 1.15 * np.median(before.sums[:, 4, 0])


def test_the_jet_table_moves_jets_and_nothing_else():
    before, after = changed("jet_lut:scale=1.10")

    assert np.array_equal(before.egs, after.egs)
    assert np.array_equal(before.muons, after.muons)
    assert after.jets[:, 0, 0].mean() == pytest.approx(1.10 * before.jets[:, 0, 0].mean(), rel=0.02)


def test_a_dead_muon_sector_has_no_muon():
    before, after = changed("csc_sector")

    def found(c):
        eta, phi = c.muons[:, :, 3] * 0.010875, c.muons[:, :, 4] * (2 * np.pi / 576)
        good = (c.muons[:, :, 0] > 0) & (eta > 1.35) & (phi > 4.2 * np.pi / 6) & (phi < 4.8 * np.pi / 6)
        return int(good.sum())

    assert found(after) == 0
    assert found(before) > 0


def test_the_beam_spot_is_hardly_seen():
    before, after = changed("beamspot_shift")

    assert np.median(after.jets[:, 0, 0]) == pytest.approx(np.median(before.jets[:, 0, 0]), rel=0.05)


def test_a_moved_beam_spot_changes_no_decay():
    """Few pool events have a muon; drawn anew at every beam spot, their number would jump by a fifth."""
    muons = [len(project([load_pool(MINIMUM_BIAS)], spot, 1).muons) for spot in (BeamSpot(), BeamSpot(0.03, 0.003))]

    assert muons[0] == muons[1] > 0


@pytest.mark.parametrize("name", [name for name in KINDS if name != "none"])
def test_a_change_begins_in_fills_three_to_six_and_never_earlier(name):
    fills = make_timeline(8, 3, 10_001, 20)
    for seed in range(12):
        (change,) = scenarios.place(name, fills, seed)
        fill = change.first // 20

        assert 2 <= fill <= 5


@pytest.mark.parametrize("name", ["hem1516", "jet_lut", "menu_change"])
def test_some_changes_come_only_with_a_new_run(name):
    fills = make_timeline(6, 3, 10_001, 40)
    everything = [ls for fill in fills for ls in fill.lumisections]

    for seed in range(12):
        (change,) = scenarios.place(name, fills, seed)
        assert everything[change.first].number == 1


def test_light_loss_grows_linearly_over_one_fill():
    fills = make_timeline(6, 3, 10_001, 40)
    (change,) = scenarios.place("ecal_transparency", fills, 3)
    severities = [change.severity(change.first + k) for k in range(40)]

    assert change.severity(change.first - 1) == 0.0
    assert severities == pytest.approx([(k + 1) / 40 for k in range(40)])


def test_a_pileup_step_touches_nothing_of_the_detector():
    fills = make_timeline(6, 3, 10_001, 40)
    before = [ls for fill in fills for ls in fill.lumisections]
    changes = scenarios.place("pu_step", fills, 3)
    after = [ls for fill in scenarios.apply(fills, changes) for ls in fill.lumisections]
    touched = after[changes[0].first]

    assert touched.pileup != before[changes[0].first].pileup
    assert touched.em_wander == before[changes[0].first].em_wander
    assert np.all(
        scenarios.detector_of(touched, {"pu_step": {}}).had_gain
        == scenarios.detector_of(before[changes[0].first], {}).had_gain
    )


def test_an_unknown_parameter_names_the_nearest():
    with pytest.raises(scenarios.ScenarioError, match="did you mean 'eta_low'"):
        scenarios.parse("hem1516:eta_lo=1")


def test_a_parameter_that_is_no_number_is_refused():
    with pytest.raises(scenarios.ScenarioError, match="is not a number"):
        scenarios.parse("ecal_transparency:f=ten")


@given(st.text(max_size=12).filter(lambda text: text.split(":")[0].split(",")[0].strip() not in KINDS))
def test_a_text_that_names_no_scenario_is_refused(text):
    with pytest.raises(scenarios.ScenarioError, match="is unknown"):
        scenarios.parse(text)


@pytest.mark.parametrize(("name", "objects"), [("JET", "jets"), ("EG", "egs")])
def test_a_hole_changes_high_objects_as_far_as_a_declared_mask_is_taken_to_reach(name, objects):
    quiet, holed = (getattr(one, objects) for one in changed("hem1516"))
    rows, columns = (np.flatnonzero(one) for one in (hole.any(axis=1) for hole in (HEM, HEM.T)))

    def far(found, cut):
        row, column = found[..., 1], found[..., 2]
        turns = np.minimum.reduce([np.abs((column - one + 36) % 72 - 36) for one in columns])
        away = np.maximum(np.maximum(rows.min() - row, row - rows.max()), turns)
        return np.sort(found[(found[..., 0] > cut) & (away > REACH[name])][:, 0])

    cut = {"JET": 80, "EG": 24}[name]
    assert len(far(quiet, cut)) > 20
    np.testing.assert_array_equal(far(quiet, cut), far(holed, cut))
