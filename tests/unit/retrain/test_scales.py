"""Offsets, shifts and thresholds as a trigger's people have them."""

import json

import pytest

from retrain.contract import axol1tl_contract
from retrain.errors import ContractError
from retrain.fixed_point import FixedPoint
from retrain.preflight import check_structure
from retrain.scales import threshold_of, with_given_scales

SOCKET = axol1tl_contract("L1_AXO")
SCORE = FixedPoint.parse("ap_ufixed<18,14>")


def given(**changes):
    return {
        "inputs": [one.name for one in SOCKET.inputs],
        "ad_offsets": [float(index) for index in range(57)],
        "ad_shift": [index % 5 for index in range(57)],
        **changes,
    }


def test_scales_are_taken_in_the_order_of_the_trigger():
    contract = with_given_scales(SOCKET, given(padding="included", offset_type="ap_fixed<12,10>"))

    assert [one.offset for one in contract.inputs] == list(range(57))
    assert [one.shift for one in contract.inputs][:6] == [0, 1, 2, 3, 4, 0]
    assert (contract.padding, contract.offset_type, contract.name) == ("included", "ap_fixed<12,10>", "L1_AXO")


def test_a_file_of_versions_is_asked_for_one(shared):
    value = json.loads((shared / "data" / "conditions" / "axol1tl" / "scales.json").read_text())

    v4 = with_given_scales(SOCKET, value, "v4.0.0")
    assert (v4.inputs[0].offset, v4.inputs[0].shift) == (18.0, 3)
    assert check_structure(v4) == ()
    assert any("swapped" in str(one) for one in check_structure(with_given_scales(SOCKET, value, "v6.0.0")))
    with pytest.raises(ContractError, match="name one of them"):
        with_given_scales(SOCKET, value)
    with pytest.raises(ContractError, match="not 'v9'"):
        with_given_scales(SOCKET, value, "v9")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inputs": ["MET_pt", "MET_phi"]}, "2 inputs, L1_AXO has 57; the first that differs is number 2"),
        ({"ad_shift": None}, "cannot be read"),
        ({"ad_offsets": [1.0]}, "1 offsets and 57 shifts"),
        ({"ad_shift": [0.5] * 57}, "not a whole number"),
        ({"padding": "some"}, "expected one of"),
    ],
)
def test_scales_of_another_form_are_refused(changes, words):
    with pytest.raises(ContractError, match=words):
        with_given_scales(SOCKET, given(**changes))


def test_a_threshold_is_an_integer_or_a_score():
    assert threshold_of("3541", SCORE) == 3541
    assert threshold_of("221.3125", SCORE) == 3541
    assert threshold_of("221.30", SCORE) == 3541


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "-1", "262144", "nan", "in.f"])
def test_a_threshold_that_no_score_reaches_is_refused(text):
    with pytest.raises(ContractError, match="threshold"):
        threshold_of(text, SCORE)
