"""An alarm carries why: pulls and maps that show it, and how far every other rule was from firing."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.boxes import CellBox, physical
from drift.diagnose import BOX_EVIDENCE, SHIFT, diagnose
from drift.explain import MOST_CURVES
from drift.ladder import BROKEN, TRANSIENT
from drift.layout import MapGrid
from drift.ratio_map import MOST_ROWS, cells_of, ratio_maps
from drift.ruled_out import ruled_out
from drift.watch import Watch
from tests.unit.drift.test_diagnose import GRID, lead, window


def told(reference, pairs):
    """Return the first alarm that a watch tells."""
    watch = Watch(reference, false_alarms_per_lumisection=9e-6, stream="axo")
    return next(alarm for pair in pairs if (alarm := watch.take(*pair).alarm) is not None)


@pytest.fixture(scope="module")
def dead(toy, toy_reference):
    return told(toy_reference, toy.fills(22, 2, 40, 300, fault=toy.dead_box(keep=0.05), from_lumisection=45))


@pytest.fixture(scope="module")
def shifted(toy, toy_reference):
    fault = toy.scaled(("JET", "EG"), 0.94)
    return told(toy_reference, toy.fills(23, 2, 40, 300, fault=fault, from_lumisection=45))


@pytest.fixture(scope="module")
def breached(toy, toy_reference):
    def doubled(found, _):
        found["JET"].pt = 2 * np.floor(found["JET"].pt)

    return told(toy_reference, toy.fills(26, 1, 40, 300, fault=doubled, from_lumisection=20))


def rules(explanation):
    return {one.rule: one for one in explanation.ruled_out}


def test_the_lumisections_end_where_the_alarm_was_told_and_the_onset_is_among_them(dead):
    why = dead.explanation
    moment = why.moments[why.onset]

    assert (moment.run, moment.lumisection) == dead.onset
    assert (why.moments[-1].run, why.moments[-1].lumisection) == (dead.run, dead.lumisection)
    assert {one.fill for one in why.moments} == {1, 2}


def test_a_dead_region_is_seen_to_empty_at_the_onset(dead):
    inside = dead.explanation.inside
    place = dead.explanation.onset
    ratios = np.array(inside.observed) / np.array(inside.expected)

    assert inside.name.startswith("JET")
    assert ratios[:place].mean() == pytest.approx(1.0, abs=0.15)
    assert ratios[place:].mean() < 0.4


def test_the_map_of_the_object_is_emptiest_in_the_region(dead):
    one = next(one for one in dead.explanation.maps if one.name == dead.explanation.inside.name)
    observed, expected = np.array(one.observed, dtype=float), np.array(one.expected)
    row, column = np.unravel_index(np.argmin((observed - expected) / np.sqrt(expected + 1)), observed.shape)

    assert dead.box.eta[0] < (one.eta[row] + one.eta[row + 1]) / 2 < dead.box.eta[1]
    assert dead.box.phi[0] < (one.phi[column] + one.phi[column + 1]) / 2 < dead.box.phi[1]
    assert observed.sum() == pytest.approx(expected.sum(), rel=0.01)


def test_a_dead_region_rules_out_the_others_with_their_numbers(dead):
    found = rules(dead.explanation)

    assert "box" not in found
    assert found["transient"].measured > found["transient"].needed == 2
    assert 0.5 < found["rate"].measured < 2
    assert "JET 0.9" in found["rate"].words or "JET 1.0" in found["rate"].words
    assert "dearer mistake" in found["real_shift"].words


def test_a_real_shift_rules_out_every_rule_of_a_broken_detector(shifted):
    found = rules(shifted.explanation)

    assert list(found) == ["contract", "transient", "box", "sector", "direction", "ring", "rate", "noise", "mixed"]
    assert found["box"].measured < found["box"].needed == BOX_EVIDENCE
    assert f"best log likelihood ratio {found['box'].measured:.1f} of 20 needed" in found["box"].words
    assert found["direction"].measured < found["direction"].needed


def test_the_leading_curve_leaves_its_band_after_the_onset_and_says_which_way(shifted):
    why = shifted.explanation
    curve = why.curves[0]
    before = [one for one in curve.pulls[: why.onset] if one is not None]

    assert 1 < len(why.curves) <= MOST_CURVES
    assert "pt scale" in curve.name
    assert abs(np.mean(before)) < 1
    assert curve.mean < -1
    assert curve.significance < -3
    assert why.contributors[0].part.sign == -1
    assert why.contributors[0].words.startswith(f"{curve.name} down, -")


def test_a_broken_contract_leaves_gaps_and_asks_nothing_else(breached):
    why = breached.explanation

    assert breached.verdict == "contract"
    assert why.ruled_out == ()
    assert why.moments[why.onset].broken
    assert all(curve.pulls[why.onset] is None for curve in why.curves)
    assert any(one is not None for one in why.curves[0].pulls)


def test_a_transient_is_explained_before_it_is_forgotten(toy, toy_reference):
    def glitch(found, rng):
        glitch.count += 1
        if glitch.count == 1:
            toy.scaled(("JET",), 1.4)(found, rng)

    glitch.count = 0
    alarm = told(toy_reference, toy.fills(25, 2, 40, 300, fault=glitch, from_lumisection=45))

    assert alarm.verdict == TRANSIENT
    assert max(alarm.explanation.curves[0].pulls, key=abs) == alarm.explanation.curves[0].pulls[alarm.explanation.onset]
    assert TRANSIENT not in rules(alarm.explanation)


def test_an_explanation_is_plain_json_and_small_and_no_part_of_the_alarm(dead, shifted, breached):
    for alarm in (dead, shifted, breached):
        body = alarm.explanation.to_json()

        assert json.loads(json.dumps(body, allow_nan=False)) == body
        assert len(json.dumps(body)) < 100_000
        assert "explanation" not in alarm.to_json()


# --- agreement with the diagnosis ---------------------------------------------------------------------------------


def region(truth):
    truth[12:, 10:17, 27:31] *= 0.1


def noise_ring(truth):
    truth[5:, 36:] += 1.5


def met_grows(values):
    values[5:, 0] += 4


def jets_rise(values):
    values[10:, 1] += 3


UNEVEN = np.ones(12) / 12 + np.eye(12)[3] * 0.05
CASES = {
    "box": ({"change": region}, lead("cell", 0), BROKEN),
    "direction": ({"met": UNEVEN / UNEVEN.sum()}, lead("chi2", 1), BROKEN),
    "ring": ({"change": noise_ring}, lead("cell", 0), BROKEN),
    "rate": ({"rate": 0.4}, lead("rate", 2, sign=-1), BROKEN),
    "noise": ({"streams": met_grows}, lead(index=0), BROKEN),
    "real_shift": ({"streams": jets_rise}, lead(), SHIFT),
}


@pytest.mark.parametrize("rule", CASES)
def test_what_the_diagnosis_found_is_the_one_thing_that_is_not_ruled_out(rule):
    asked, contributors, verdict = CASES[rule]
    seen = window(**asked)
    found = diagnose(seen, contributors, 14)
    since = seen.clock >= found.onset
    named = {one.rule for one in ruled_out(seen, since, contributors, found, 0)}

    assert found.verdict == verdict
    assert {"box", "sector", "direction", "ring", "rate", "noise", "real_shift"} - named - {rule} <= (
        {"real_shift"} if verdict == SHIFT else set()
    )
    assert rule not in named


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 12), density=st.sampled_from([0.0, 0.01, 0.3, 3.0]))
def test_whatever_was_seen_something_finite_can_be_said(seed, n, density):
    seen = window(n=n, density=density, seed=seed)
    found = diagnose(window(seed=seed), lead(), 14)
    since = seen.clock >= n // 2

    for one in ruled_out(seen, since, lead(), found, 0):
        assert "nan" not in one.words
        assert one.measured is None or np.isfinite(one.measured)
    assert ruled_out(seen, seen.clock > n, lead(), found, 0) == ()


# --- maps ---------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), density=st.sampled_from([0.02, 0.2, 2.0, 20.0]))
def test_a_coarse_map_keeps_every_object_and_its_expectation(seed, density):
    seen = window(n=3, density=density, seed=seed)
    maps = ratio_maps(seen, np.ones(3, dtype=bool))

    for one in maps:
        observed = np.array(one.observed)
        assert observed.sum() == seen.maps["JET"].sum()
        assert np.array(one.expected).sum() == pytest.approx(seen.expected["JET"].sum(), abs=0.005 * observed.size)
        assert observed.shape == (len(one.eta) - 1, len(one.phi) - 1)
        assert len(observed) <= MOST_ROWS
        assert list(one.eta) == sorted(one.eta)
        assert one.phi[0] == pytest.approx(-np.pi, abs=1e-3)


@given(
    first=st.integers(0, 42),
    rows=st.integers(1, 43),
    start=st.integers(0, 35),
    width=st.integers(1, 36),
)
def test_the_cells_of_a_region_are_those_it_was_made_of(first, rows, start, width):
    cells = CellBox(first, min(first + rows, 43), start, width, 1.0, 0.0)

    assert cells_of(physical(cells, GRID), GRID) == cells


def test_a_region_smaller_than_a_cell_still_covers_one():
    fine = MapGrid("JET", -129, 2, 2, (129, 72), 0.0435)
    cells = cells_of(physical(CellBox(64, 65, 71, 1, 1.0, 0.0), fine), GRID)

    assert cells.eta_last - cells.eta_first == cells.phi_width == 1
