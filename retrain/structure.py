"""What is wrong with a contract's offsets and shifts before any event is looked at.

A value that its type cannot hold, a scale that is no power of two, two arrays in each other's place, a port that
wraps.  Nothing here knows data; `retrain.preflight` holds a contract against events.

References:
    cms-hls4ml/AXOL1TL, ``scales.h`` of v3.0.2, v4.0.0, v5.0.1 and v6.0.0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from retrain.contract import Contract, InputPort
from retrain.errors import ContractError

_SWAPPED_SHARE = 0.25  # of shifts outside their type, before the arrays are called swapped


@dataclass(frozen=True)
class Finding:
    """One reason to refuse a contract or a bundle.

    Attributes:
        field: What is wrong, e.g. ``Jet1_pt.shift``.
        found: Its value.
        expected: What it should be.
        evidence: The numbers that say so.
    """

    field: str
    found: str
    expected: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.field}: found {self.found}, expected {self.expected} ({self.evidence})"


def from_scales(
    socket: Contract, offsets: Sequence[float], shifts: Sequence[float]
) -> tuple[Contract, tuple[Finding, ...]]:
    """Return the contract that two arrays of a scales file describe, and which of its scales no shift can give.

    A contract holds whole shifts only; one that is not is rounded, so that everything else can still be looked at.

    Args:
        socket: Inputs and types; its own offsets and shifts are ignored.
        offsets: One per input, in order.
        shifts: One per input; the scale is two to this power.

    Raises:
        ContractError: An array has another length than the socket, or holds something that is no number.
    """
    if not all(math.isfinite(one) for one in (*offsets, *shifts)):
        raise ContractError(f"contract {socket.name}: an offset or a shift is not a number; write every one of them")
    broken = tuple(
        Finding(
            f"{port.name}.shift",
            f"{shift:g}",
            "a whole number of bits",
            f"the scale {2.0**shift:.4g} is not a power of two; firmware can only shift",
        )
        for port, shift in zip(socket.inputs, shifts, strict=False)
        if not float(shift).is_integer()
    )
    whole = np.rint(np.array(shifts, np.float64))
    return socket.with_scales(np.array(offsets, np.float64), whole), broken


def check_structure(contract: Contract) -> tuple[Finding, ...]:
    """Return what is wrong with a contract whatever the data: types exceeded, arrays swapped, values that wrap."""
    shift_kind, offset_kind = contract.type_of("shift_type"), contract.type_of("offset_type")
    out = [
        Finding(
            f"{port.name}.shift",
            str(port.shift),
            f"{shift_kind.low} to {shift_kind.high}",
            f"{contract.shift_type} cannot hold it",
        )
        for port in contract.inputs
        if not _shift_fits(contract, port)
    ]
    out += [
        Finding(
            f"{port.name}.offset",
            f"{port.offset:g}",
            f"{offset_kind.low * 2.0**-offset_kind.fraction:g} to {offset_kind.high * 2.0**-offset_kind.fraction:g}",
            f"{contract.offset_type} cannot hold it",
        )
        for port in contract.inputs
        if not _offset_fits(contract, port)
    ]
    swapped = _swapped(contract)
    return (*out, *swapped, *(() if swapped else _wraps(contract)))


def untangled(contract: Contract) -> Contract:
    """Return the contract with swapped arrays put back, so that what else is wrong can be seen; as it is when not."""
    form = _swapped_form(contract)
    if not form:
        return contract
    inputs = tuple(
        replace(
            port,
            offset=float(port.shift),
            shift=int(port.offset) if form == "logarithms" else round(math.log2(port.offset)),
        )
        for port in contract.inputs
    )
    return replace(contract, inputs=inputs)


def impossible(contract: Contract) -> frozenset[str]:
    """Return the names of the inputs whose own offset or shift their type cannot hold; data say nothing about them."""
    bad = (port for port in contract.inputs if not (_shift_fits(contract, port) and _offset_fits(contract, port)))
    return frozenset(port.name for port in bad)


def _shift_fits(contract: Contract, port: InputPort) -> bool:
    kind = contract.type_of("shift_type")
    return kind.low <= port.shift <= kind.high


def _offset_fits(contract: Contract, port: InputPort) -> bool:
    kind = contract.type_of("offset_type")
    return kind.low <= port.offset * 2.0**kind.fraction < kind.high + 1


def _swapped_form(contract: Contract) -> str:
    """Say what the offsets hold if the two arrays are in each other's place: logarithms, divisors, or nothing."""
    kind = contract.type_of("shift_type")
    outside = sum(not _shift_fits(contract, port) for port in contract.inputs)
    if outside <= _SWAPPED_SHARE * len(contract.inputs):
        return ""
    offsets = [port.offset for port in contract.inputs]
    if all(one.is_integer() and kind.low <= one <= kind.high for one in offsets):
        return "logarithms"
    if all(one > 0 and math.log2(one).is_integer() and math.log2(one) <= kind.high for one in offsets):
        return "divisors"
    return ""


def _swapped(contract: Contract) -> list[Finding]:
    form = _swapped_form(contract)
    if not form:
        return []
    outside = sum(not _shift_fits(contract, port) for port in contract.inputs)
    offsets = [port.offset for port in contract.inputs]
    out = [
        Finding(
            "offset and shift",
            f"{outside} of {len(contract.inputs)} shifts outside {contract.shift_type}, every offset a possible scale",
            "offsets about medians, shifts about log2 of spreads",
            "the two arrays are swapped",
        )
    ]
    if form == "divisors":
        out.append(
            Finding(
                "scale form",
                f"divisors {min(offsets):g} to {max(offsets):g}",
                f"their logarithms, {math.log2(min(offsets)):g} to {math.log2(max(offsets)):g}",
                f"all {len(offsets)} are powers of two; firmware shifts by the number it is given",
            )
        )
    return out


def _wraps(contract: Contract) -> list[Finding]:
    kind = contract.type_of("port")
    low, high = kind.low * 2.0**-kind.fraction, (kind.high + 1) * 2.0**-kind.fraction
    out: list[Finding] = []
    for port in contract.inputs:
        if port.name in impossible(contract):
            continue
        half = 0.5 if port.halved else 1.0
        ends = [port.low * half, port.high * half]
        steps = {"port": ends, "after the offset": [end - port.offset for end in ends]}
        if port.shift < 0:
            steps["after the shift"] = [(end - port.offset) * 2.0**-port.shift for end in ends]
        for where, values in steps.items():
            if min(values) < low or max(values) >= high:
                out.append(
                    Finding(
                        f"{port.name} {where}",
                        f"{min(values):g} to {max(values):g}",
                        f"{low:g} to below {high:g}",
                        f"{contract.port} wraps",
                    )
                )
                break
    return out
