"""The socket of a network."""

import json

import numpy as np
import pytest

from retrain.contract import Contract, axol1tl_contract
from retrain.errors import ContractError


def test_the_inputs_are_those_of_axol1tl_in_the_triggers_order(shared):
    scales = json.loads((shared / "data/conditions/axol1tl/scales.json").read_text())

    assert [port.name for port in axol1tl_contract().inputs] == scales["inputs"]


def test_half_a_gev_is_kept_and_the_shift_truncates(contract):
    event = np.zeros((57, 1), np.int16)
    event[0, 0] = 41  # hwPt of MET: 20.5 GeV
    scales = np.zeros(57), np.zeros(57)
    scales[0][0], scales[1][0] = 18.0, 3.0

    raw = contract.with_scales(*scales).normalised_raw(event)[0, 0]

    assert raw == int((20.5 - 18.0) * 32) >> 3


def test_a_negative_shift_multiplies(contract):
    event = np.full((57, 1), 4, np.int16)

    raw = contract.with_scales(np.zeros(57), np.full(57, -1.0)).normalised_raw(event)[:, 0]

    assert raw[0] == 2 * 2 * 32  # pt: 4 half-GeV are 2 GeV
    assert raw[2] == 2 * 4 * 32


def test_a_contract_survives_its_json(contract):
    again = Contract.from_json(json.loads(json.dumps(contract.to_json())))

    assert again == contract
    assert again.digest == contract.digest


def test_changing_one_offset_changes_the_digest(contract):
    offsets = np.array([port.offset for port in contract.inputs])
    shifts = np.array([port.shift for port in contract.inputs], np.float64)
    offsets[5] += 1

    assert contract.with_scales(offsets, shifts).digest != contract.digest


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"score": "ap_ufixed<18,14>"}, "AP_SAT"),
        ({"port": "ap_fixed<13,13>"}, "fractional"),
        ({"hidden": "ap_fixed<8,4,AP_TRN,AP_SAT>"}, "ap_ufixed"),
        ({"latent": "double"}, "double"),
    ],
)
def test_types_that_contradict_each_other_are_refused(change, word):
    base = axol1tl_contract()

    with pytest.raises(ContractError, match=word):
        Contract(name="x", inputs=base.inputs, **change)


def test_a_contract_of_an_unknown_format_is_refused(contract):
    with pytest.raises(ContractError, match="format"):
        Contract.from_json({**contract.to_json(), "format": "retrigger-contract/9"})
