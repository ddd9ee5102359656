"""Whether a firmware contract fits itself and the data it will meet.

The shipped history of AXOL1TL shows what goes wrong: offset and shift arrays swapped, shifts that overflow
their type, transverse momenta in the wrong unit by two, a padding convention changed in silence.  Each is
looked for by name.  Pure: a contract and an array in, findings out.

References:
    cms-hls4ml/AXOL1TL, ``scales.h`` of v3.0.2, v4.0.0, v5.0.1, v6.0.0 to v6.0.2.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Contract, Features, InputPort
from retrain.errors import ContractError

MINIMUM_PRESENT = 100  # fewer objects than this say nothing about a median
OFFSET_TOLERANCE = 0.75  # of the spread between median and offset; years of real drift stay below
SHIFT_TOLERANCE_BITS = 1.5
SATURATION_LIMIT = 0.05  # of events at the rail of the network's input
UNIT_RATIO_BITS = (0.7, 1.3)  # log2 of offset over median, when the unit is wrong by two
_SWAPPED_SHARE = 0.25


@dataclass(frozen=True)
class Finding:
    """One reason to refuse a contract.

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


@dataclass(frozen=True)
class Spread:
    """Median and interquartile range of one input, in the unit after halving; ``present`` counts the values."""

    present: int
    median: float
    quartiles: float


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
        if not shift_kind.low <= port.shift <= shift_kind.high
    ]
    out += [
        Finding(
            f"{port.name}.offset",
            str(port.offset),
            f"{offset_kind.low} to {offset_kind.high}",
            f"{contract.offset_type} cannot hold it",
        )
        for port in contract.inputs
        if not offset_kind.low <= port.offset * 2.0**offset_kind.fraction < offset_kind.high + 1
    ]
    out += _swapped(contract)
    return (*out, *(() if out else _wraps(contract)))


def _swapped(contract: Contract) -> list[Finding]:
    kind = contract.type_of("shift_type")
    outside = [port.name for port in contract.inputs if not kind.low <= port.shift <= kind.high]
    powers = [port for port in contract.inputs if port.offset > 0 and math.log2(port.offset).is_integer()]
    share = len(outside) / len(contract.inputs)
    if share <= _SWAPPED_SHARE or len(powers) < 0.75 * len(contract.inputs):
        return []
    return [
        Finding(
            "offset and shift",
            f"{len(outside)} of {len(contract.inputs)} shifts outside their type, {len(powers)} offsets powers of two",
            "offsets about medians, shifts about log2 of spreads",
            "the two arrays look swapped, and the spreads look like divisors, not logarithms",
        )
    ]


def _wraps(contract: Contract) -> list[Finding]:
    kind = contract.type_of("port")
    out: list[Finding] = []
    for port in contract.inputs:
        half = 0.5 if port.halved else 1.0
        ends = [port.low * half, port.high * half]
        steps = {"port": ends, "after the offset": [end - port.offset for end in ends]}
        if port.shift < 0:
            steps["after the shift"] = [(end - port.offset) * 2.0**-port.shift for end in ends]
        for where, values in steps.items():
            low, high = kind.low * 2.0**-kind.fraction, (kind.high + 1) * 2.0**-kind.fraction
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


def check_contract(contract: Contract, features: Features) -> tuple[Finding, ...]:
    """Return every reason to refuse a contract for these data; an empty tuple when it fits.

    Args:
        contract: With its offsets and shifts.
        features: Recent zero-bias events in hardware integers, shape ``(n_inputs, n_events)``.

    Raises:
        ContractError: The array has another number of inputs than the contract, or no event.
    """
    if features.ndim != 2 or features.shape[0] != len(contract.inputs) or features.shape[1] == 0:
        raise ContractError(
            f"contract {contract.name}: features have shape {features.shape}; expected ({len(contract.inputs)}, n > 0)"
        )
    structure = check_structure(contract)
    spreads = [spread_of(contract, features, index) for index in range(len(contract.inputs))]
    out = [*structure, *_ranges(contract, features), *_unit(contract, spreads), *_scales(contract, spreads)]
    out += _padding(contract, features, spreads)
    if not structure:
        out += _saturation(contract, features)
    return tuple(out)


def spread_of(contract: Contract, features: Features, index: int, *, padding: str | None = None) -> Spread:
    """Return the median and spread of one input, absent objects counted or not as the contract's padding says."""
    port = contract.inputs[index]
    values = features[index].astype(np.float64) * (0.5 if port.halved else 1.0)
    if (padding or contract.padding) == "excluded":
        values = values[_present(contract, features, index)]
    return _spread(values)


def _spread(values: NDArray[np.float64]) -> Spread:
    if len(values) == 0:
        return Spread(0, 0.0, 0.0)
    first, median, third = np.percentile(values, [25.0, 50.0, 75.0])
    return Spread(len(values), float(median), float(third - first))


def _present(contract: Contract, features: Features, index: int) -> NDArray[np.bool_]:
    name = contract.inputs[index].name.rsplit("_", 1)[0] + "_pt"
    momentum = next((row for row, port in enumerate(contract.inputs) if port.name == name), index)
    return np.asarray(features[momentum] > 0)


def _ranges(contract: Contract, features: Features) -> list[Finding]:
    lows, highs = features.min(axis=1), features.max(axis=1)
    return [
        Finding(
            f"{port.name} hardware integer",
            f"{low} to {high}",
            f"{port.low} to {port.high}",
            f"unit {port.unit}; the port never sends such a value",
        )
        for port, low, high in zip(contract.inputs, lows, highs, strict=True)
        if low < port.low or high > port.high
    ]


def _unit(contract: Contract, spreads: list[Spread]) -> list[Finding]:
    ratios = [
        math.log2(port.offset / spread.median)
        for port, spread in zip(contract.inputs, spreads, strict=True)
        if port.quantity == "pt" and spread.present >= MINIMUM_PRESENT and spread.median >= 2.0 and port.offset > 0
    ]
    if len(ratios) < 3:
        return []
    middle = float(np.median(ratios))
    if not UNIT_RATIO_BITS[0] <= abs(middle) <= UNIT_RATIO_BITS[1]:
        return []
    return [
        Finding(
            "pt unit",
            f"offsets {2.0**middle:.2f} times the medians",
            "offsets about the medians of hwPt/2, in GeV",
            f"over {len(ratios)} pt inputs; half-GeV hwPt and hwPt/2 were taken for each other",
        )
    ]


def _scales(contract: Contract, spreads: list[Spread]) -> list[Finding]:
    out: list[Finding] = []
    for port, spread in zip(contract.inputs, spreads, strict=True):
        if spread.present < MINIMUM_PRESENT:
            continue
        evidence = f"{spread.present} values, median {spread.median:g}, interquartile range {spread.quartiles:g}"
        scale = max(spread.quartiles, 2.0 ** min(port.shift, 16), 1.0)
        if abs(spread.median - port.offset) > OFFSET_TOLERANCE * scale:
            out.append(Finding(f"{port.name}.offset", f"{port.offset:g}", f"about {spread.median:g}", evidence))
        if spread.quartiles <= 0:
            continue
        ideal = math.log2(spread.quartiles)
        if abs(port.shift - ideal) > SHIFT_TOLERANCE_BITS:
            out.append(Finding(f"{port.name}.shift", str(port.shift), f"about {ideal:.1f}", evidence))
    return out


def _padding(contract: Contract, features: Features, spreads: list[Spread]) -> list[Finding]:
    other = "included" if contract.padding == "excluded" else "excluded"
    told, votes = 0, 0
    for index, (port, spread) in enumerate(zip(contract.inputs, spreads, strict=True)):
        against = spread_of(contract, features, index, padding=other)
        if min(spread.present, against.present) < MINIMUM_PRESENT or port.quantity == "eta":
            continue
        if abs(spread.median - against.median) <= 0.5 * max(spread.quartiles, against.quartiles, 1.0):
            continue
        told += 1
        votes += abs(port.offset - against.median) < abs(port.offset - spread.median)
    if told < 3 or votes < 0.75 * told:
        return []
    return [
        Finding(
            "padding",
            f"offsets as if absent objects were {other}",
            contract.padding,
            f"{votes} of the {told} inputs that can tell",
        )
    ]


def _saturation(contract: Contract, features: Features) -> list[Finding]:
    kind, port_kind = contract.type_of("network_input"), contract.type_of("port")
    raw = contract.normalised_raw(features)
    low, high = (rail * 2.0 ** (port_kind.fraction - kind.fraction) for rail in (kind.low, kind.high + 1))
    shares = ((raw < low) | (raw >= high)).mean(axis=1)
    return [
        Finding(
            f"{port.name} network input",
            f"{share:.1%} of events saturate",
            f"at most {SATURATION_LIMIT:.0%}",
            f"{contract.network_input} after offset {port.offset:g} and shift {port.shift}",
        )
        for port, share in zip(contract.inputs, shares, strict=True)
        if share > SATURATION_LIMIT
    ]


def derive(contract: Contract, features: Features, name: str = "") -> Contract:
    """Return the contract with offsets and shifts measured on data: median, and log2 of the interquartile range.

    Done once, for a slot's first champion; afterwards the contract is frozen.  An input too rare to measure takes
    the values of its object at any rank, and failing that the middle of its range.

    Args:
        contract: The socket; its own offsets and shifts are ignored.
        features: Reference zero-bias events, shape ``(n_inputs, n_events)``.
        name: Of the new contract; the old name when empty.
    """
    inputs = tuple(
        _scaled(contract, port, _measured(contract, features, index)) for index, port in enumerate(contract.inputs)
    )
    return replace(contract, name=name or contract.name, inputs=inputs)


def _measured(contract: Contract, features: Features, index: int) -> Spread:
    spread = spread_of(contract, features, index)
    if spread.present >= MINIMUM_PRESENT:
        return spread
    port = contract.inputs[index]
    half = 0.5 if port.halved else 1.0
    alike = [
        features[row][_present(contract, features, row)]
        for row, other in enumerate(contract.inputs)
        if (other.object, other.quantity) == (port.object, port.quantity)
    ]
    return _spread(np.concatenate(alike).astype(np.float64) * half)


def _scaled(contract: Contract, port: InputPort, spread: Spread) -> InputPort:
    shift_kind, offset_kind = contract.type_of("shift_type"), contract.type_of("offset_type")
    median, quartiles = spread.median, spread.quartiles
    if spread.present < MINIMUM_PRESENT:
        middle = 0.5 * (port.low + port.high)
        median, quartiles = (0.0, 1.0) if port.quantity == "pt" else (middle, 0.5 * (port.high - port.low))
    shift = math.floor(math.log2(quartiles)) if quartiles > 0 else 0
    offset = min(max(math.floor(median + 0.5), offset_kind.low), offset_kind.high)
    return replace(port, offset=float(offset), shift=min(max(shift, shift_kind.low), shift_kind.high))
