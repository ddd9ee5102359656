"""What faults do and physics cannot is called broken, and where; what is smooth all around is called a shift."""

import numpy as np
import pytest

from drift.boxes import Box, CellBox, find_box, find_ring, physical
from drift.breach import Contract
from drift.detect import Contributor
from drift.diagnose import SHIFT, diagnose
from drift.events import LumisectionEvents
from drift.ladder import BROKEN, TRANSIENT
from drift.profile import MapGrid, Summariser, layout_of
from drift.schema import AXOL1TL_57
from drift.streams import StreamLabel
from drift.window import FineMap, Window

GRID = MapGrid("JET", -129, 6, 4, (43, 36), 0.0435)
PROFILE = np.exp(-((np.arange(43) - 21) ** 2) / 200)[:, None] * np.ones(36)
LABELS = (
    StreamLabel("scale", "MET", 0, "MET pt scale"),
    StreamLabel("scale", "JET", 1, "JET pt scale"),
    StreamLabel("rate", "JET", 0, "JET per event"),
    StreamLabel("phi", "JET", 3, "JET azimuth 90 to 120 deg"),
)


def lead(kind="scale", index=1, evidence=14.0, sign=1):
    return (Contributor("JET cells" if kind == "cell" else "JET pt scale", "JET", kind, index, sign, evidence, 10),)


def window(n=20, density=2.0, change=None, streams=None, met=None, rate=1.0, seed=1):
    rng = np.random.default_rng(seed)
    truth = np.repeat((PROFILE * density)[None], n, axis=0)
    if change is not None:
        change(truth)
    maps = rng.poisson(truth)
    total = maps.sum(axis=(1, 2), keepdims=True)
    expected = PROFILE[None] / PROFILE.sum() * total
    values = rng.normal(0, 1, (n, 4))
    if streams is not None:
        streams(values)
    share = np.ones(12) / 12
    return Window(
        np.arange(n),
        np.ones(n, dtype=np.int64),
        values,
        np.ones(4),
        np.full(4, 0.02),
        LABELS,
        {"JET": maps},
        {"JET": expected},
        {"JET": maps.sum(axis=(1, 2)) / rate},
        rng.multinomial(300, share if met is None else met, n).astype(float),
        share,
        {"JET": GRID},
        {"JET": FineMap(maps, expected, GRID)},
        {"MET": 0.01, "JET": 0.01},
        np.full(n, 50.0),
        np.ones(n),
    )


def test_a_dead_region_is_called_broken_with_its_box_and_its_onset():
    def dead(truth):
        truth[12:, 10:17, 27:31] *= 0.1

    found = diagnose(window(change=dead), lead("cell", 0), 14)

    assert found.verdict == BROKEN
    assert found.object == "JET"
    assert found.onset == 12
    assert found.box.overlap(physical(CellBox(10, 17, 27, 4, 0.1, 0), GRID)) > 0.8
    assert "loss of 9" in found.text or "loss of 8" in found.text


def test_a_single_cell_that_carries_the_alarm_is_broken_although_no_box_was_asked_for():
    """A dead tower: too small for the search over a million boxes, but the evidence already names it."""

    def dead(truth):
        truth[5:, 20, 30] *= 0.02

    quiet = window(n=20, density=1.0, change=dead)
    pointed = (Contributor("JET cells", "JET", "cell", 20 * 36 + 30, -1, 12.0, -1), *lead())
    found, unpointed = diagnose(quiet, pointed, 16), diagnose(quiet, lead(), 16)

    assert found.verdict == BROKEN
    assert found.box.phi[0] == pytest.approx(30 * np.pi / 18 - 2 * np.pi, abs=0.01)
    assert abs(found.onset - 5) <= 3
    assert unpointed.verdict == SHIFT


def test_the_cells_of_a_pyramid_are_rectangles_of_the_finest_ones():
    fine = FineMap(np.zeros((1, 43, 36), dtype=np.int64), np.zeros((1, 43, 36)), GRID)

    assert fine.cell(2 * 36 + 5) == CellBox(2, 3, 5, 1, 1.0, 0.0)
    assert fine.cell(43 * 36 + 1 * 18 + 3) == CellBox(2, 4, 6, 2, 1.0, 0.0)
    assert fine.cell(43 * 36 + 22 * 18) == CellBox(0, 4, 0, 4, 1.0, 0.0)
    assert fine.cell(43 * 36 + 22 * 18 + 11 * 9 + 6 * 5 - 1) == CellBox(40, 43, 32, 4, 1.0, 0.0)
    assert fine.cell(43 * 36 + 21 * 18) == CellBox(42, 43, 0, 2, 1.0, 0.0)


def test_a_hot_region_that_wraps_around_is_found_whole():
    def hot(truth):
        truth[8:, 18:24, [34, 35, 0, 1]] *= 4

    found = diagnose(window(change=hot), lead("cell", 0), 10)

    assert found.verdict == BROKEN
    assert found.box.overlap(physical(CellBox(18, 24, 34, 4, 4.0, 0), GRID)) > 0.8


def test_a_region_dead_for_two_lumisections_is_a_transient():
    def dead(truth):
        truth[16:18, 10:20, 20:30] = 0

    found = diagnose(window(density=4, change=dead), lead("cell", 0), 17)

    assert (found.verdict, found.onset) == (TRANSIENT, 16)


def test_a_stream_that_jumped_and_came_back_is_a_transient():
    def jump(values):
        values[17, 1] += 12

    assert diagnose(window(streams=jump), lead(), 17).verdict == TRANSIENT


def test_a_global_step_of_a_scale_is_a_real_shift_with_its_size():
    def step(values):
        values[10:, 1] += 3

    found = diagnose(window(streams=step), lead(), 13)

    assert found.verdict == SHIFT
    assert found.onset == pytest.approx(10, abs=1)
    assert "JET pt scale +" in found.text


def test_a_loss_that_depends_on_eta_but_not_on_phi_is_a_real_shift():
    def ageing(truth):
        truth[5:] *= (1 - 0.3 * np.abs(np.arange(43) - 21) / 21)[None, :, None]

    def step(values):
        values[5:, 1] -= 3

    found = diagnose(window(change=ageing, streams=step), lead(sign=-1), 9)

    assert (found.verdict, found.box) == (SHIFT, None)


def test_a_ring_full_of_noise_is_broken_although_it_is_the_same_all_around():
    def noise(truth):
        truth[5:, 36:] += 1.5

    found = diagnose(window(change=noise), lead("cell", 0), 9)

    assert found.verdict == BROKEN
    assert found.box.eta[0] == pytest.approx((-129 + 36 * 6 - 0.5) * 0.0435, abs=0.3)
    assert found.box.phi[1] - found.box.phi[0] == pytest.approx(2 * np.pi)


def test_half_of_all_objects_gone_everywhere_is_broken():
    assert diagnose(window(rate=0.4), lead("rate", 2, sign=-1), 15).verdict == BROKEN


def test_missing_momentum_that_grows_alone_is_noise():
    def step(values):
        values[5:, 0] += 4

    found = diagnose(window(streams=step), lead(index=0), 9)

    assert (found.verdict, found.object) == (BROKEN, "MET")


def test_missing_momentum_that_prefers_a_direction_is_broken():
    met = np.ones(12) / 12
    met[3] *= 1.6

    found = diagnose(window(met=met / met.sum()), lead("chi2", 1), 15)

    assert (found.verdict, found.object) == (BROKEN, "MET")


def test_a_healthy_map_has_no_box_that_counts():
    for seed in range(5):
        view = window(seed=seed)
        assert find_box(view.maps["JET"].sum(axis=0).astype(float), view.expected["JET"].sum(axis=0)).log_ratio < 15


def test_a_change_common_to_a_ring_leaves_no_box():
    rng = np.random.default_rng(2)
    scale = rng.uniform(0.3, 3, (43, 1))

    assert find_box(rng.poisson(PROFILE * 30 * scale).astype(float), PROFILE).log_ratio < 15


def test_a_ring_is_measured_against_the_typical_row():
    rows = np.full(43, 100.0)
    rows[30:34] = 500
    ring = find_ring(rows, np.full(43, 60.0))

    assert (ring.first, ring.last) == (30, 34)
    assert ring.left == pytest.approx(5.0)


def counted(toy, fault=None, **columns):
    one = toy.events(1, 1, 50.0, 300, np.random.default_rng(4), fault)
    features = one.features.copy()
    for name, value in columns.items():
        row = AXOL1TL_57.index(name)
        features[row] = value(features[row]) if callable(value) else value
    return Summariser(AXOL1TL_57).fill(LumisectionEvents(1, 1, features, one.objects))


@pytest.fixture(scope="module")
def contract(toy_reference):
    return Contract(layout_of(AXOL1TL_57), toy_reference.counts, toy_reference.promises)


def test_a_healthy_lumisection_breaks_no_contract(toy, contract):
    assert contract.breaches(counted(toy), 50.0) == ()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"MET_phi": 17}, "MET_phi is constantly 17"),
        ({"Jet3_eta": 0}, "Jet3_eta is constantly 0"),
        ({"EG1_pt": 511}, "EG1_pt is constantly 511"),
        ({"Jet1_pt": lambda v: np.where(np.arange(v.size) % 3 == 0, 2047, v)}, "Jet1_pt is saturated in 33%"),
        ({"MET_phi": lambda v: v + 40}, "MET_phi is out of its range"),
        ({f"Jet{i}_pt": lambda v: 2 * v for i in range(1, 11)}, "JET pt is twice"),
        ({f"EG{i}_pt": lambda v: v // 2 for i in range(1, 5)}, "EG pt is half"),
    ],
)
def test_a_broken_column_is_named(toy, contract, columns, words):
    found = contract.breaches(counted(toy, **columns), 50.0)

    assert len(found) == 1
    assert found[0].text.startswith(words)


def test_a_column_that_is_always_zero_by_definition_keeps_its_contract(toy, contract):
    assert not any(one.feature == "MET_eta" for one in contract.breaches(counted(toy, MET_phi=3), 50.0))


def test_a_tenth_jet_that_is_never_there_breaks_a_promise_only_where_dozens_are_due(toy, contract):
    def without_tenth_jet(pileup, n):
        one = toy.events(1, 1, pileup, n, np.random.default_rng(4))
        features = one.features.copy()
        features[list(AXOL1TL_57.rows("JET")[27:])] = 0
        return Summariser(AXOL1TL_57).fill(LumisectionEvents(1, 1, features, one.objects))

    few, many = (
        contract.breaches(without_tenth_jet(36.0, 100), 36.0),
        contract.breaches(without_tenth_jet(57.0, 300), 57.0),
    )

    assert few == ()
    assert {one.feature for one in many} == {"Jet10_pt", "Jet10_eta", "Jet10_phi"}


def test_the_usual_pt_follows_pileup(toy_reference):
    promises = toy_reference.promises
    jet1 = promises.medians[:, -2]

    assert (np.diff(promises.pileups) > 0).all()
    assert jet1[-1] > 1.02 * jet1[0]


@pytest.mark.parametrize(
    ("phi", "words"),
    [
        ((-1.57, -0.87), "phi -1.57 to -0.87"),
        ((2.62, 6.46), "phi 2.62 through pi to 0.18"),
        ((2.97, 3.49), "phi 2.97 through pi to -2.79"),
        ((-3.14159265, 3.14159266), "all phi"),
    ],
)
def test_a_region_is_read_out_in_azimuths_that_are_on_the_map(phi, words):
    assert Box("JET", (-3.0, -1.4), phi).words() == f"eta -3.00 to -1.40, {words}"
