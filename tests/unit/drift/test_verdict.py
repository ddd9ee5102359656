"""Rules and library together: in doubt a broken detector, and each verdict says what speaks against it."""

from dataclasses import replace

import numpy as np
import pytest

from drift.boxes import Box
from drift.diagnose import SHIFT
from drift.ladder import AGEING, BROKEN, CONDITIONS, CONTRACT, TRANSIENT, Rung
from drift.verdict import place_evidence
from drift.watch import Watch
from tests.unit.drift.test_diagnose import window


def told(reference, pairs):
    watch = Watch(reference, false_alarms_per_lumisection=9e-6, stream="axo")
    return next(alarm for pair in pairs if (alarm := watch.take(*pair).alarm) is not None)


def lost(kind, fraction):
    def fault(found, rng):
        found[kind].pt[rng.random(found[kind].pt.shape) < fraction] = 0

    return fault


def without(reference, *families):
    return replace(reference, signatures=reference.signatures.without(families)).digested()


@pytest.fixture(scope="module")
def jets_up(toy):
    return list(toy.fills(23, 2, 40, 300, fault=toy.scaled(("JET",), 1.08), from_lumisection=45))


@pytest.fixture(scope="module")
def egs_gone(toy):
    return list(toy.fills(24, 2, 40, 300, fault=lost("EG", 0.12), from_lumisection=45))


def test_a_jet_energy_scale_is_a_real_shift_of_calibration_with_its_size(toy_library, jets_up):
    alarm = told(toy_library, jets_up)

    assert (alarm.verdict, alarm.cause, alarm.object) == (SHIFT, AGEING, "JET")
    assert {one.name for one in alarm.modes[:2]} <= {"gain_jet", "ageing_jet", "gain"}
    assert next(one for one in alarm.modes if one.name == "gain_jet").size == pytest.approx(0.08, rel=0.5)
    assert alarm.rung is Rung.WEIGHTS
    assert "less likely" in alarm.against


def test_objects_lost_everywhere_at_every_pt_are_a_broken_detector_although_no_rule_knows_it(toy_library, egs_gone):
    alarm = told(toy_library, egs_gone)

    assert (alarm.verdict, alarm.cause, alarm.object) == (BROKEN, BROKEN, "EG")
    assert alarm.modes[0].name == "loss_eg"
    assert alarm.modes[0].size == pytest.approx(0.12, rel=0.3)
    assert alarm.rung is Rung.MASK_OR_CALL
    assert "needed for a real shift" in alarm.against


def test_without_a_library_the_rules_decide_alone_as_they_did(toy_reference, egs_gone, jets_up):
    smooth, shifted = told(toy_reference, egs_gone), told(toy_reference, jets_up)

    assert (smooth.verdict, smooth.modes) == (SHIFT, ())
    assert (shifted.verdict, shifted.cause, shifted.rung) == (SHIFT, AGEING, Rung.WEIGHTS)


def test_with_nothing_but_faults_in_the_library_nothing_is_called_a_real_shift(toy_library, jets_up):
    families = {
        family
        for family, cause in zip(toy_library.signatures.families, toy_library.signatures.causes, strict=True)
        if cause != BROKEN
    }
    alarm = told(without(toy_library, *families), jets_up)

    assert alarm.verdict == BROKEN
    assert "no real shift to compare with" in alarm.against


def test_a_smooth_change_that_no_real_shift_explains_is_in_doubt_a_broken_detector(toy_library, toy):
    """Muons lost everywhere, by a library that has neither efficiency nor rings of muons."""
    alarm = told(
        without(toy_library, "efficiency", "ring_mu"),
        toy.fills(25, 2, 40, 300, fault=lost("MU", 0.45), from_lumisection=45),
    )

    assert alarm.verdict == BROKEN
    assert "needed for a real shift" in alarm.against or "half" in alarm.against


def test_a_dead_region_keeps_its_verdict_and_leads_its_modes(toy_library, toy):
    alarm = told(toy_library, toy.fills(22, 2, 40, 300, fault=toy.dead_box(keep=0.05), from_lumisection=45))

    assert (alarm.verdict, alarm.object) == (BROKEN, "JET")
    assert alarm.modes[0].name == "dead_region"
    assert alarm.modes[0].probability > 0.9
    assert alarm.modes[0].size > 0.8
    assert alarm.against == "the same place does not stand out in EG, which the same calorimeter sees"


def test_a_region_dead_in_both_calorimeter_objects_names_both_and_muons_are_not_asked(toy_library, toy):
    jets, egs = toy.dead_box("JET", keep=0.05), toy.dead_box("EG", keep=0.05)

    def both(found, rng):
        jets(found, rng)
        egs(found, rng)

    alarm = told(toy_library, toy.fills(26, 2, 40, 300, fault=both, from_lumisection=45))

    assert alarm.object in {"JET", "EG"}
    assert "the same place stands out in" in alarm.text
    assert alarm.against == "nothing measured"


def test_a_hole_in_the_muon_chambers_is_not_held_against_calorimeters(toy_library, toy):
    """Neither EG nor JET comes from a muon chamber, so nothing is said of them."""
    hole = toy.dead_box("MU", (-225, 226), (0, 144), 0.0)
    alarm = told(toy_library, toy.fills(29, 2, 40, 300, fault=hole, from_lumisection=45))

    assert (alarm.verdict, alarm.object) == (BROKEN, "MU")
    assert alarm.box is not None
    assert "stand out" not in alarm.against


def test_another_luminosity_than_is_said_is_new_conditions(toy_library, toy):
    pairs = [
        (summary, replace(conditions, pileup=conditions.pileup / 1.12) if place >= 45 else conditions)
        for place, (summary, conditions) in enumerate(toy.fills(27, 2, 40, 300, start=62.0))
    ]
    alarm = told(toy_library, pairs)

    assert (alarm.verdict, alarm.cause) == (SHIFT, CONDITIONS)
    assert alarm.modes[0].name == "luminosity"
    assert alarm.modes[0].size == pytest.approx(0.12, rel=0.4)
    assert alarm.rung in {Rung.PRESCALE_COLUMN, Rung.THRESHOLD}


def test_a_transient_and_a_breach_have_their_own_rung(toy_library, toy):
    def doubled(found, _):
        found["JET"].pt = 2 * np.floor(found["JET"].pt)

    breach = told(toy_library, toy.fills(26, 1, 40, 300, fault=doubled, from_lumisection=20))
    pairs = list(toy.fills(28, 1, 40, 300))
    glitch = list(toy.fills(28, 1, 40, 300, fault=toy.dead_box("JET", (-120, 120), (0, 72), 0.0)))
    passing = told(toy_library, [*pairs[:20], *glitch[20:22], *pairs[22:]])

    assert (breach.verdict, breach.cause, breach.rung) == (CONTRACT, CONTRACT, Rung.MASK_OR_CALL)
    assert breach.against.endswith("kept the contract")
    assert (passing.verdict, passing.cause, passing.rung) == (TRANSIENT, TRANSIENT, Rung.NOTHING)


def test_the_public_form_carries_cause_rung_and_modes(toy_library, jets_up):
    line = told(toy_library, jets_up).to_json()

    assert (line["verdict"], line["cause"], line["rung"], line["object"]) == (SHIFT, AGEING, "weights", "JET")
    assert len(line["modes"]) == 3
    assert sum(one["probability"] for one in line["modes"]) <= 1.0
    assert line["modes"][0].keys() == {"mode", "words", "object", "cause", "size", "log_likelihood", "probability"}


def test_a_watch_restored_from_bytes_gives_the_same_verdict(toy_library, jets_up):
    first = Watch(toy_library, false_alarms_per_lumisection=9e-6, stream="axo")
    for pair in jets_up[:40]:
        first.take(*pair)
    second = Watch(toy_library, false_alarms_per_lumisection=9e-6, stream="axo", state=first.save())
    one, other = ([watch.take(*pair).alarm for pair in jets_up[40:]] for watch in (first, second))

    assert [alarm.to_json() for alarm in one if alarm] == [alarm.to_json() for alarm in other if alarm]


def test_a_known_place_is_measured_against_its_own_rings():
    def dead(truth):
        truth[:, 10:17, 27:31] *= 0.3

    since = np.ones(20, dtype=bool)
    sick, well = window(change=dead).fine["JET"], window().fine["JET"]
    grid = sick.grid
    eta = [(grid.eta_low + row * grid.eta_step - 0.5) * grid.eta_lsb for row in (10, 17)]
    box = Box("JET", (eta[0], eta[1]), (27 * np.pi / 18 - 2 * np.pi, 31 * np.pi / 18 - 2 * np.pi))

    assert place_evidence(sick, since, box) > 50
    assert abs(place_evidence(well, since, box)) < 5
