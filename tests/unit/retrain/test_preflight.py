"""The mistakes that were shipped, found before they ship."""

import json

import numpy as np
import pytest

from retrain.contract import axol1tl_contract
from retrain.errors import ContractError
from retrain.preflight import check_contract, check_structure, derive


def scales(contract):
    offsets = np.array([port.offset for port in contract.inputs])
    return offsets, np.array([port.shift for port in contract.inputs], np.float64)


@pytest.fixture
def shipped(shared):
    versions = json.loads((shared / "data/conditions/axol1tl/scales.json").read_text())["versions"]

    def of(version):
        found = next(value for name, value in versions.items() if name.startswith(version))
        return axol1tl_contract(version).with_scales(np.array(found["ad_offsets"]), np.array(found["ad_shift"]))

    return of


@pytest.mark.parametrize("version", ["v3", "v4", "v5"])
def test_the_scales_that_ran_have_a_sound_structure(shipped, version):
    assert check_structure(shipped(version)) == ()


def test_version_six_is_refused_for_overflow_and_swapped_arrays(shipped):
    findings = check_structure(shipped("v6.0.0"))

    overflows = [one for one in findings if "ap_fixed<5,5>" in one.evidence]
    assert any(one.field == "Jet1_pt.shift" and one.found == "62" for one in overflows)
    assert any("swapped" in one.evidence for one in findings)


def test_derived_scales_fit_the_data_they_come_from(contract, events):
    assert check_contract(contract, events) == ()


def test_derivation_gives_median_and_log_of_the_spread(contract):
    phi = next(port for port in contract.inputs if port.name == "Jet1_phi")

    assert (phi.offset, phi.shift) == (pytest.approx(72, abs=3), 6)


def test_momenta_taken_in_half_gev_are_found_as_a_factor_of_two(contract, events):
    offsets, shifts = scales(contract)
    offsets[::3] *= 2
    shifts[::3] += 1

    findings = check_contract(contract.with_scales(offsets, shifts), events)

    assert any(one.field == "pt unit" for one in findings)


def test_one_wrong_shift_is_named(contract, events):
    offsets, shifts = scales(contract)
    shifts[2] = 1

    fields = {one.field for one in check_contract(contract.with_scales(offsets, shifts), events)}

    assert {"MET_phi.shift", "MET_phi network input"} <= fields


def test_one_wrong_offset_is_named(contract, events):
    offsets, shifts = scales(contract)
    offsets[2] = 300

    findings = check_contract(contract.with_scales(offsets, shifts), events)

    assert any(one.field == "MET_phi.offset" and one.found == "300" for one in findings)


def test_a_value_the_port_never_sends_is_found(contract, events):
    changed = events.copy()
    changed[2, 0] = 144

    findings = check_contract(contract, changed)

    assert [one.field for one in findings] == ["MET_phi hardware integer"]


def test_a_changed_padding_convention_is_found(contract, events):
    with_padding = derive(type(contract)(name="x", inputs=contract.inputs, padding="included"), events)

    fields = {one.field for one in check_contract(contract.with_scales(*scales(with_padding)), events)}

    assert "padding" in fields


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
