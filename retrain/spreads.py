"""Where the values of each input lie: median and interquartile range, and the offsets and shifts made from them.

Absent objects are zeros in the data; whether they count is the contract's padding convention.  Nothing here judges.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Contract, Features, InputPort

MEASURED = ("pt", "eta", "phi")
"""Quantities whose scale is measured; any other, as a regional energy, keeps the one of its socket."""
MINIMUM_PRESENT = 100  # fewer objects than this say nothing about a median


@dataclass(frozen=True)
class Spread:
    """Median and interquartile range of one input, in the unit after halving; ``present`` counts the values."""

    present: int
    median: float
    quartiles: float


def spread_of(contract: Contract, features: Features, index: int) -> Spread:
    """Return the median and spread of one input, absent objects counted or not as the contract's padding says."""
    port = contract.inputs[index]
    values = features[index].astype(np.float64) * (0.5 if port.halved else 1.0)
    if contract.padding == "excluded":
        values = values[present_in(contract, features, index)]
    return _spread(values)


def present_in(contract: Contract, features: Features, index: int) -> NDArray[np.bool_]:
    """Return in which events the object of an input is there, shape ``(n_events,)``: its momentum is not zero."""
    momentum = row_of(contract, index, "pt")
    return np.asarray(features[index if momentum is None else momentum] > 0)


def row_of(contract: Contract, index: int, quantity: str) -> int | None:
    """Return the row of another quantity of the same object, or None when it is no input."""
    name = f"{contract.inputs[index].name.rsplit('_', 1)[0]}_{quantity}"
    return next((row for row, port in enumerate(contract.inputs) if port.name == name), None)


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
        _scaled(contract, port, _measured(contract, features, index)) if port.quantity in MEASURED else port
        for index, port in enumerate(contract.inputs)
    )
    return replace(contract, name=name or contract.name, inputs=inputs)


def _spread(values: NDArray[np.float64]) -> Spread:
    if len(values) == 0:
        return Spread(0, 0.0, 0.0)
    first, median, third = np.percentile(values, [25.0, 50.0, 75.0])
    return Spread(len(values), float(median), float(third - first))


def _measured(contract: Contract, features: Features, index: int) -> Spread:
    spread = spread_of(contract, features, index)
    if spread.present >= MINIMUM_PRESENT:
        return spread
    port = contract.inputs[index]
    half = 0.5 if port.halved else 1.0
    alike = [
        features[row][present_in(contract, features, row)]
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
