"""Brevitas' quantisers as the fixed-point types of a contract, and dense layers made with them.

Nothing here knows a model.
"""

from typing import Any

import brevitas.nn as qnn
from brevitas.inject.enum import BitWidthImplType, FloatToIntImplType, ScalingImplType
from brevitas.quant import Int16Bias
from brevitas.quant.fixed_point import (
    Int8ActPerTensorFixedPointMinMaxInit,
    Int8WeightPerTensorFixedPoint,
    Uint8ActPerTensorFixedPointMaxInit,
)
from torch import nn

from retrain.errors import ContractError
from retrain.fixed_point import FixedPoint

_ROUNDING = {"AP_TRN": FloatToIntImplType.FLOOR, "AP_RND_CONV": FloatToIntImplType.ROUND}


def weight_quantiser(bits: int, *, learned: bool = False) -> type[Any]:
    """Return a weight quantiser: narrow range, one power-of-two scale a layer.

    Args:
        bits: Of a weight, sign included.
        learned: Whether that is but where a layer's own number of bits begins; see `retrain.bits`.
    """
    how = BitWidthImplType.PARAMETER if learned else BitWidthImplType.CONST
    return type("Weight", (Int8WeightPerTensorFixedPoint,), {"bit_width": bits, "bit_width_impl_type": how})


def cast_quantiser(kind: FixedPoint) -> type[Any]:
    """Return an activation quantiser that is exactly this fixed-point type, with a constant scale.

    Raises:
        ContractError: The type wraps, which no gradient survives.
    """
    if kind.overflow != "AP_SAT":
        raise ContractError(f"{kind} wraps on overflow; a trained layer needs AP_SAT")
    common: dict[str, Any] = {
        "bit_width": kind.width,
        "scaling_impl_type": ScalingImplType.CONST,
        "float_to_int_impl_type": _ROUNDING[kind.rounding],
    }
    if kind.signed:
        limit = 2.0 ** (kind.integer - 1)
        return type("Cast", (Int8ActPerTensorFixedPointMinMaxInit,), {**common, "min_val": -limit, "max_val": limit})
    return type("Cast", (Uint8ActPerTensorFixedPointMaxInit,), {**common, "max_val": 2.0**kind.integer})


def dense(fan_in: int, size: int, bits: int, *, learned: bool = False) -> nn.Module:
    """Return a dense layer with weights of so many bits, or learned ones, and its bias on the grid of the sum."""
    weight_quant = weight_quantiser(bits, learned=learned)
    layer: nn.Module = qnn.QuantLinear(fan_in, size, bias=True, weight_quant=weight_quant, bias_quant=Int16Bias)
    return layer


def cast(kind: FixedPoint, *, last: bool = False) -> nn.Module:
    """Return a cast to a type; the last of a network gives plain numbers."""
    layer: nn.Module = qnn.QuantIdentity(act_quant=cast_quantiser(kind), return_quant_tensor=not last)
    return layer


def rectifier(kind: FixedPoint) -> nn.Module:
    """Return a rectifier and the cast behind it."""
    layer: nn.Module = qnn.QuantReLU(act_quant=cast_quantiser(kind), return_quant_tensor=True)
    return layer
