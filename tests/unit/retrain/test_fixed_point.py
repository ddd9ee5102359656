"""Casts are those of the vendor's types."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.errors import ContractError
from retrain.fixed_point import FixedPoint, shift_right


@pytest.mark.parametrize(
    "text", ["ap_fixed<18,13>", "ap_ufixed<8,4,AP_TRN,AP_SAT>", "ap_fixed<6,-1,AP_RND_CONV,AP_SAT>", "ap_fixed<10,10>"]
)
def test_a_type_is_read_and_written_alike(text):
    assert str(FixedPoint.parse(text)) == text


@pytest.mark.parametrize("text", ["float", "ap_fixed<8>", "ap_fixed<8,4,AP_RND,AP_SAT>", "ap_fixed<60,4>"])
def test_a_type_that_cannot_be_proven_is_refused(text):
    with pytest.raises(ContractError):
        FixedPoint.parse(text)


@given(st.integers(-(2**30), 2**30), st.integers(0, 12))
def test_truncation_goes_towards_minus_infinity(raw, bits):
    got = int(shift_right(np.array([raw]), bits, "AP_TRN")[0])

    assert got == Fraction(raw, 2**bits).__floor__()


@given(st.integers(-(2**30), 2**30), st.integers(0, 12))
def test_convergent_rounding_sends_halves_to_even(raw, bits):
    got = int(shift_right(np.array([raw]), bits, "AP_RND_CONV")[0])

    assert got == round(Fraction(raw, 2**bits))


def test_saturation_stops_at_the_rails_and_wrapping_comes_round():
    saturating = FixedPoint.parse("ap_fixed<4,4,AP_TRN,AP_SAT>")
    wrapping = FixedPoint.parse("ap_fixed<4,4>")

    assert saturating.from_raw(np.array([100, -100, 7, 8]), 0).tolist() == [7, -8, 7, 7]
    assert wrapping.from_raw(np.array([8, -9, 16, 7]), 0).tolist() == [-8, 7, 0, 7]
