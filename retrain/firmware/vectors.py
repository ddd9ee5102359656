"""Which events a proof must be run on.

Recorded events alone miss half of all one-bit errors in a weight; uniform codes find them.  Every vector is made
of hardware integers that the port can carry, though not all are integers a detector would send.  Nothing here
knows what is being proven.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Contract, Features
from retrain.program import Dense, IntegerProgram

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Vectors:
    """Test vectors in hardware integers.

    Attributes:
        features: Shape ``(n_inputs, n_vectors)``, int16.
        counts: How many of each class, in the order in which they stand.
    """

    features: Features
    counts: dict[str, int]


def assemble(
    contract: Contract, program: IntegerProgram, recorded: Features, total: int, rng: np.random.Generator
) -> Vectors:
    """Return at least ``total`` vectors: recorded, uniform in the hardware range, uniform in code, and corners.

    Recorded events fill up to 40 %; the rest is shared by the two uniform classes.
    """
    corner = corners(contract, program)
    edges = boundaries(contract)
    room = max(total - corner.shape[1] - edges.shape[1], 0)
    taken = min(recorded.shape[1], int(0.4 * room))
    picked = np.sort(rng.choice(recorded.shape[1], taken, replace=False)) if taken else np.zeros(0, np.int64)
    spread = (room - taken) // 2
    parts = {
        "recorded": recorded[:, picked],
        "uniform_hardware": _uniform_hardware(contract, spread, rng),
        "uniform_code": _uniform_code(contract, room - taken - spread, rng),
        "boundary": edges,
        "corner": corner,
    }
    features = np.ascontiguousarray(np.concatenate(list(parts.values()), axis=1))
    return Vectors(features, {name: int(part.shape[1]) for name, part in parts.items()})


def limits(contract: Contract) -> tuple[Codes, Codes]:
    """Return the smallest and largest hardware integer that each port can carry, inside int16."""
    kind = contract.type_of("port")
    up = np.array([kind.fraction - int(port.halved) for port in contract.inputs], np.int64)
    return np.maximum(kind.low >> up, -(2**15)), np.minimum(kind.high >> up, 2**15 - 1)


def from_codes(contract: Contract, codes: Codes, rng: np.random.Generator | None = None) -> Features:
    """Return hardware integers that the rule turns into these network-input codes, as near as the port allows.

    Args:
        contract: With offsets and shifts.
        codes: Raw values of the network input's type, shape ``(n_inputs, n_vectors)``.
        rng: When given, fills the bits below the code at random.
    """
    kind = contract.type_of("network_input")
    shifts = np.array([one.shift for one in contract.inputs], np.float64)[:, None]
    offsets = np.array([np.floor(one.offset) for one in contract.inputs], np.float64)[:, None]
    half = np.array([2.0 if one.halved else 1.0 for one in contract.inputs])[:, None]
    inside = rng.random(codes.shape) if rng is not None else 0.0
    wanted = ((codes + inside) * 2.0**-kind.fraction * 2.0**shifts + offsets) * half
    low, high = limits(contract)
    out: Features = np.clip(np.ceil(wanted), low[:, None], high[:, None]).astype(np.int16)
    return out


def _uniform_hardware(contract: Contract, count: int, rng: np.random.Generator) -> Features:
    rows = [rng.integers(port.low, port.high + 1, count, dtype=np.int16) for port in contract.inputs]
    return np.stack(rows)


def _uniform_code(contract: Contract, count: int, rng: np.random.Generator) -> Features:
    kind = contract.type_of("network_input")
    codes = rng.integers(kind.low, kind.high + 1, (len(contract.inputs), count))
    return from_codes(contract, codes, rng)


def boundaries(contract: Contract) -> Features:
    """Return every input swept through the two hardware integers around each step of its code, the others at rest."""
    kind = contract.type_of("network_input")
    codes = np.arange(kind.low - 1, kind.high + 2, max((kind.high - kind.low) // 64, 1), dtype=np.int64)
    rest = from_codes(contract, np.zeros((len(contract.inputs), 1), np.int64))
    low, high = limits(contract)
    out = []
    for row in range(len(contract.inputs)):
        steps = from_codes(contract, np.repeat(codes[None, :], len(contract.inputs), axis=0))[row].astype(np.int64)
        values = np.unique(np.clip(np.concatenate([steps - 1, steps]), low[row], high[row]))
        block = np.repeat(rest, len(values), axis=1)
        block[row] = values.astype(np.int16)
        out.append(block)
    return np.concatenate(out, axis=1)


def corners(contract: Contract, program: IntegerProgram) -> Features:
    """Return the extremes: all rails, one input at a rail, and the inputs that push each neuron furthest.

    The push through more than one layer follows the product of the weight matrices: where no layer rectifies, it is
    the exact extreme, otherwise a good one.
    """
    kind = contract.type_of("network_input")
    width = len(contract.inputs)
    eye = np.eye(width, dtype=np.int64)
    blocks: list[Codes] = [
        np.zeros((width, 1), np.int64),
        np.full((width, 1), kind.low),
        np.full((width, 1), kind.high),
        np.full((width, 1), -1),
        *(eye * value for value in (kind.low, kind.high, 1, -1)),
    ]
    dense = [layer.weights for layer in program.layers if isinstance(layer, Dense)]
    for count in range(1, len(dense) + 1):
        blocks += [_push(paths, kind.low, kind.high) for paths in _paths(dense[:count])]
    rails = np.array([[port.low, port.high] for port in contract.inputs], np.int16)
    coded = [from_codes(contract, block) for block in blocks]
    return np.concatenate([rails, *coded], axis=1)


def _push(directions: NDArray[np.float64], low: int, high: int) -> Codes:
    up = np.where(directions > 0, high, low)
    down = np.where(directions > 0, low, high)
    return np.concatenate([up, down], axis=1).astype(np.int64)


def _paths(dense: list[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
    signed = dense[0].astype(np.float64)
    kept = signed.copy()
    for _, matrix in pairwise(dense):
        # the second direction counts only connections that can switch the next layer on
        signed = signed @ matrix
        kept = kept @ np.maximum(matrix, 0)
    return [signed] if len(dense) == 1 else [signed, kept]
