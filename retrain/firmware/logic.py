"""The whole chain, from what the port carries to the score, as adders and shifts: da4ml's trace of the integer program.

Normalisation, network and score are one piece of logic, so that what is simulated as RTL is what the board would be
given.  Multiplications by constants become shared additions of shifted values.  Nothing here writes Verilog.

References:
    C. Sun et al., "da4ml: Distributed Arithmetic for Real-time Neural Networks on FPGAs" (arXiv:2507.04535).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from retrain.contract import SUM_OF_SQUARES, Contract
from retrain.errors import ExportError
from retrain.fixed_point import FixedPoint
from retrain.program import Dense, IntegerProgram, Residual

DELAY_CONSTRAINT = 2  # adders that da4ml may add to the shortest path in order to share more; 0, 2 and -1 differ by 5 %


def trace(contract: Contract, program: IntegerProgram) -> Any:
    """Return da4ml's combinational logic of a program under a contract, without registers.

    Its inputs are the port's values with the bits that a hardware integer can set (`port_bits`); its outputs are the
    latent values and then the score.

    Raises:
        ExportError: A cast rounds in a way that the logic cannot follow exactly.
    """
    from da4ml.trace import comb_trace  # noqa: PLC0415 - heavy, and only needed here

    inputs = _inputs(contract)
    *_, (_, latent), (_, score) = _layers(contract, program, inputs)
    return comb_trace(inputs, np.concatenate([latent, score]))


def traces(contract: Contract, program: IntegerProgram) -> Iterator[tuple[str, Any]]:
    """Yield each layer's name and the logic that ends with it, to see in which of them a difference begins.

    The first is ``normalisation``, the last ``score``; between them the names are the program's own.
    """
    from da4ml.trace import comb_trace  # noqa: PLC0415 - heavy, and only needed here

    inputs = _inputs(contract)
    for name, values in _layers(contract, program, inputs):
        yield name, comb_trace(inputs, values)


def _inputs(contract: Contract) -> Any:
    from da4ml.trace import FixedVariableArray, HWConfig  # noqa: PLC0415 - heavy, and only needed here

    keep, integer, fraction = (np.array(column, np.int8) for column in zip(*port_bits(contract), strict=True))
    options = {"hard_dc": DELAY_CONSTRAINT}
    return FixedVariableArray.from_kif(keep, integer, fraction, HWConfig(1, -1, -1), 0, options)


def _layers(contract: Contract, program: IntegerProgram, inputs: Any) -> Iterator[tuple[str, Any]]:
    values: Any = _normalised(contract, inputs)
    yield "normalisation", values
    seen: dict[str, Any] = {}
    for layer in program.layers:
        if isinstance(layer, Dense):
            bias = layer.bias * 2.0 ** -program.fractions[layer.name]
            values = values @ (layer.weights * 2.0**-layer.weight_fraction) + bias
        elif isinstance(layer, Residual):
            values = values - seen[layer.cast]
        else:
            values = _cast(layer.name, values.relu() if layer.rectify else values, layer.kind)
        seen[layer.name] = values
        yield layer.name, values
    yield "score", _cast("score", _score(program, values), program.score)


def _score(program: IntegerProgram, latent: Any) -> Any:
    parts = latent * latent if program.score_rule == SUM_OF_SQUARES else latent
    total = parts[0:1]
    for index in range(1, len(parts)):
        one = parts[index : index + 1]
        total = total + one if program.score_rule == SUM_OF_SQUARES else one + (total - one).relu()
    return total


def port_bits(contract: Contract) -> list[tuple[int, int, int]]:
    """Return for every input its sign bit, integer bits and those fractional bits that a hardware integer can set."""
    kind = contract.type_of("port")
    sign = int(kind.signed)
    return [(sign, kind.integer - sign, int(one.halved)) for one in contract.inputs]


def _normalised(contract: Contract, inputs: Any) -> Any:
    kind, offset_kind = contract.type_of("port"), contract.type_of("offset_type")
    out = []
    for index, one in enumerate(contract.inputs):
        raw = np.array([math.floor(one.offset * 2.0**offset_kind.fraction)], np.int64)
        offset = float(offset_kind.from_raw(raw, offset_kind.fraction)[0]) * 2.0**-offset_kind.fraction
        centred = _cast(one.name, inputs[index : index + 1] - offset, kind)
        out.append(_cast(one.name, centred * 2.0**-one.shift, kind))
    return np.concatenate(out)


def _cast(where: str, values: Any, kind: FixedPoint) -> Any:
    sign = int(kind.signed)
    overflow = "SAT" if kind.overflow == "AP_SAT" else "WRAP"
    if kind.rounding == "AP_RND_CONV":
        values = _half_to_even(values, kind.fraction)
    elif kind.rounding != "AP_TRN":
        raise ExportError(f"{where}: {kind} rounds in a way the logic cannot follow; use AP_TRN or AP_RND_CONV")
    return values.quantize(sign, kind.integer - sign, kind.fraction, overflow, "TRN")


def _half_to_even(values: Any, fraction: int) -> Any:
    """Return values that truncate to what rounding half to even would give: half a step less one unit, plus the bit."""
    out = []
    for index, (_, _, own) in enumerate(np.stack(values.kif, axis=-1).reshape(-1, 3).tolist()):
        one = values[index : index + 1]
        if own > fraction:
            unit, step = 2.0**-own, 2.0**-fraction
            last = one.quantize(0, 1 - fraction, fraction, "WRAP", "TRN")  # the lowest bit that stays
            one = one + (step / 2 - unit) + last * (unit / step)
        out.append(one)
    return np.concatenate(out)
