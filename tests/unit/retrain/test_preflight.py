"""The mistakes that were shipped, found before they ship."""

from dataclasses import replace

import numpy as np
import pytest

from retrain.contract import axol1tl_contract
from retrain.errors import ContractError
from retrain.preflight import check_contract, check_structure, derive, from_scales, remarks
from tests.unit.retrain.released_scales import NAMES, arrays_of, contract_of

PILEUPS = (20, 30, 40, 50, 60, 65)


@pytest.fixture(scope="module")
def simulated():
    """Simulated zero bias of a healthy detector by pileup, each ``(57, 4000)``."""
    from drift.schema import AXOL1TL_57
    from drift.simulate.detector import Detector
    from drift.simulate.kernels import cross
    from drift.simulate.resample import recorded_of
    from drift.simulate.stream import tables

    def at(pileup):
        rng = np.random.default_rng([11, pileup])
        crossings = cross(tables(Detector().beam_spot), Detector(), float(pileup), 4000, rng)
        return recorded_of(crossings).as_events(AXOL1TL_57, 1, 1).features

    return {pileup: at(pileup) for pileup in PILEUPS}


def fields(findings):
    return {one.field for one in findings}


def scales(contract):
    offsets = np.array([port.offset for port in contract.inputs])
    return offsets, np.array([port.shift for port in contract.inputs], np.float64)


def with_input(contract, name, **changes):
    inputs = tuple(replace(port, **changes) if port.name == name else port for port in contract.inputs)
    return replace(contract, inputs=inputs)


@pytest.mark.parametrize("pileup", PILEUPS)
@pytest.mark.parametrize("version", ["v3", "v4", "v5", "v6.0.2"])
def test_the_scales_that_ran_pass_at_every_pileup(simulated, version, pileup):
    assert check_contract(contract_of(version), simulated[pileup]) == ()


@pytest.mark.parametrize("pileup", PILEUPS)
def test_scales_derived_at_one_pileup_pass_at_every_other(simulated, pileup):
    derived = derive(axol1tl_contract(), simulated[50])

    assert check_contract(derived, simulated[pileup]) == ()


@pytest.mark.parametrize("pileup", PILEUPS)
def test_version_six_is_refused_for_each_of_its_four_mistakes_and_nothing_else(simulated, pileup):
    findings = check_contract(contract_of("v6.0.0"), simulated[pileup])

    overflows = [one for one in findings if one.evidence == "ap_fixed<5,5> cannot hold it"]
    divisors = arrays_of("v6.0.0")[1]
    assert {one.field: one.found for one in overflows} == {
        f"{name}.shift": f"{value:g}" for name, value in zip(NAMES, divisors, strict=True) if value > 15
    }
    assert fields(findings) - fields(overflows) == {"offset and shift", "scale form", "pt unit"}


@pytest.mark.parametrize("pileup", PILEUPS)
def test_the_first_correction_of_version_six_is_refused_for_its_unit_alone(simulated, pileup):
    findings = check_contract(contract_of("v6.0.1"), simulated[pileup])

    assert [(one.field, one.found[:15]) for one in findings] == [("pt unit", "offsets about 2")]


@pytest.mark.parametrize("pileup", PILEUPS)
@pytest.mark.parametrize(("version", "said"), [("v3", "excluded"), ("v4", "included"), ("v5", "included")])
def test_a_padding_convention_that_is_not_the_declared_one_is_the_one_finding(simulated, version, said, pileup):
    findings = check_contract(contract_of(version, padding=said), simulated[pileup])

    assert [(one.field, one.expected) for one in findings] == [("padding", said)]


def test_what_version_three_lived_with_is_told_without_refusing_it(simulated):
    said = " ".join(remarks(contract_of("v3"), simulated[50]))

    assert "Jet2_pt, Jet3_pt: ap_fixed<10,10> truncates the offset" in said
    assert "Jet6_eta saturates" in said
    assert "Mu1 is there in" in said


def test_with_too_few_muons_it_is_said_that_a_unit_may_go_unseen(simulated):
    few = np.ascontiguousarray(simulated[50][:, :300])

    assert any("a unit wrong by two may go unseen" in one for one in remarks(contract_of("v5"), few))


def test_a_contract_with_nothing_to_say_has_no_remarks(simulated):
    assert remarks(contract_of("v5"), simulated[50]) == ()


def halved_unit(contract):
    offsets, shifts = scales(contract)
    return contract.with_scales(
        np.where(np.arange(57) % 3 == 0, 2 * offsets, offsets), shifts + (np.arange(57) % 3 == 0)
    )


def doubled_unit(contract):
    offsets, shifts = scales(contract)
    return contract.with_scales(
        np.where(np.arange(57) % 3 == 0, offsets / 2, offsets), shifts - (np.arange(57) % 3 == 0)
    )


def swapped(contract):
    offsets, shifts = scales(contract)
    return contract.with_scales(shifts, np.floor(offsets))


MISTAKES = {
    "unit twice as fine": (halved_unit, {"pt unit"}),
    "unit twice as coarse": (doubled_unit, {"pt unit"}),
    "shift outside its type": (lambda c: with_input(c, "MET_phi", shift=16), {"MET_phi.shift"}),
    "offset outside its type": (lambda c: with_input(c, "MET_phi", offset=600.0), {"MET_phi.offset"}),
    "offset far from the data": (lambda c: with_input(c, "Jet1_phi", offset=-300.0), {"Jet1_phi.offset"}),
    "shift too large": (lambda c: with_input(c, "Jet1_phi", shift=9), {"Jet1_phi.shift"}),
    "shift so small that it saturates": (
        lambda c: with_input(c, "Jet1_phi", shift=0),
        {"Jet1_phi.shift", "Jet1_phi network input"},
    ),
    "shift that wraps the port": (
        lambda c: with_input(c, "MET_eta", offset=0.0, shift=-13),
        {"MET_eta after the shift"},
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("pileup", [30, 50, 65])
def test_each_mistake_gives_its_own_finding_and_no_other(simulated, mistake, pileup):
    make, expected = MISTAKES[mistake]
    healthy = derive(axol1tl_contract(), simulated[50])

    assert fields(check_contract(make(healthy), simulated[pileup])) == expected


@pytest.mark.parametrize("behind", ["unit twice as fine", "unit twice as coarse", "shift too large"])
def test_swapped_arrays_hide_no_other_mistake(simulated, behind):
    make, expected = MISTAKES[behind]
    healthy = derive(axol1tl_contract(), simulated[50])

    findings = check_contract(swapped(make(healthy)), simulated[50])

    overflows = [one for one in findings if one.evidence == "ap_fixed<5,5> cannot hold it"]
    assert {f"{kind}.shift" for kind in ("MET_phi", "EG1_phi", "Jet1_phi")} <= fields(overflows)
    assert fields(one for one in findings if one not in overflows) == {"offset and shift"} | expected


def test_two_mistakes_give_both_findings(simulated):
    both = with_input(halved_unit(contract_of("v5")), "MET_phi", shift=16)

    assert fields(check_contract(both, simulated[50])) == {"pt unit", "MET_phi.shift"}


def test_a_scale_that_is_no_power_of_two_is_named_and_the_rest_still_looked_at(simulated):
    offsets, shifts = arrays_of("v5")
    shifts = [2.585 if name == "MET_pt" else shift for name, shift in zip(NAMES, shifts, strict=True)]

    contract, broken = from_scales(axol1tl_contract(), offsets, shifts)

    assert [(one.field, one.found) for one in broken] == [("MET_pt.shift", "2.585")]
    assert "not a power of two" in broken[0].evidence
    assert check_contract(contract, simulated[50]) == ()


def test_an_array_of_another_length_or_with_holes_is_refused():
    offsets, shifts = arrays_of("v5")

    with pytest.raises(ContractError, match="56 offsets"):
        from_scales(axol1tl_contract(), offsets[:-1], shifts)
    with pytest.raises(ContractError, match="not a number"):
        from_scales(axol1tl_contract(), offsets, [float("nan"), *shifts[1:]])


def test_every_finding_says_field_found_expected_and_evidence(simulated):
    for make, _ in MISTAKES.values():
        for one in check_contract(make(contract_of("v5")), simulated[50]):
            assert all((one.field, one.found, one.expected, one.evidence))


def test_derived_scales_fit_the_data_they_come_from(contract, events):
    assert check_contract(contract, events) == ()


def test_derivation_gives_median_and_log_of_the_spread(contract):
    phi = next(port for port in contract.inputs if port.name == "Jet1_phi")

    assert (phi.offset, phi.shift) == (pytest.approx(72, abs=3), 6)


def test_a_value_the_port_never_sends_is_found(contract, events):
    changed = events.copy()
    changed[2, 0] = 144

    findings = check_contract(contract, changed)

    assert [one.field for one in findings] == ["MET_phi hardware integer"]


def test_a_changed_padding_convention_is_found(contract, events):
    with_padding = derive(type(contract)(name="x", inputs=contract.inputs, padding="included"), events)

    assert "padding" in fields(check_contract(contract.with_scales(*scales(with_padding)), events))


def test_a_shift_that_wraps_the_port_is_found(contract):
    offsets, shifts = scales(contract)
    shifts[0] = -6

    assert any("wraps" in one.evidence for one in check_structure(contract.with_scales(offsets, shifts)))


def test_features_of_another_network_are_refused(contract):
    with pytest.raises(ContractError, match="56"):
        check_contract(contract, np.zeros((56, 10), np.int16))


def test_ten_percent_less_energy_is_no_breach_of_contract(contract, events):
    dimmed = events.copy()
    for index, port in enumerate(contract.inputs):
        if port.quantity == "pt" and port.object != "Mu":
            dimmed[index] = (dimmed[index] * 0.9).astype(np.int16)

    assert check_contract(contract, dimmed) == ()
