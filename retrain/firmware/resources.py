"""What the network would cost on the board: an estimate, and called one everywhere.

Adders are counted from the canonical signed digits of the weights, with the sharing that da4ml was measured to
reach; depth is counted in adders and cut into pipeline stages.  No vendor tool has seen the design, so no timing
is closed.  Nothing here knows a budget.
"""

import math
from dataclasses import dataclass

import numpy as np

from retrain.contract import Contract
from retrain.fixed_point import Integers
from retrain.program import Dense, IntegerProgram, Requantise

STATUS = "estimate: no synthesis, no place-and-route, timing not closed"
SHARING = 0.35  # LUT of da4ml over bits of unshared adders at worst-case width; 26.6k LUT measured on 57-32-16-4
ADDERS_PER_STAGE = 4  # carry chains between two registers at 240 MHz on UltraScale+
CROSSING_NS = 25.0


@dataclass(frozen=True)
class Estimate:
    """Estimated cost.

    Attributes:
        lut: Look-up tables.
        ff: Flip-flops.
        dsp: Digital signal processors; constant multiplications need none.
        stages: Pipeline stages, input register included.
        latency_ticks: Bunch crossings of 25 ns, rounded up.
        status: Always that this is an estimate.
    """

    lut: int
    ff: int
    dsp: int
    stages: int
    latency_ticks: int
    status: str = STATUS


def signed_digits(values: Integers) -> Integers:
    """Return the number of non-zero digits of each integer in canonical signed-digit form.

    References:
        G. W. Reitwiesner, Adv. Comput. 1 (1960) 231: the count is the popcount of ``x ^ 3x`` (halved to ``x/2``).
    """
    magnitude = np.abs(values)
    out: Integers = np.bitwise_count(magnitude ^ (3 * magnitude)).astype(np.int64)
    return out


def estimate(contract: Contract, program: IntegerProgram) -> Estimate:
    """Return what the normalisation, the network and the score would take, from the weights alone."""
    port = contract.type_of("port")
    bounds = {bound.layer: bound for bound in program.bounds()}
    bits, levels, registers = float(port.width * len(contract.inputs)), 1, len(contract.inputs) * program.port.width
    for layer in program.layers:
        if isinstance(layer, Dense):
            digits = signed_digits(layer.weights)
            terms = digits.sum(axis=0) + (layer.bias != 0)
            width = max(bounds[layer.name].high, 1).bit_length() + 1
            bits += SHARING * width * float(np.maximum(terms - 1, 0).sum())
            levels += math.ceil(math.log2(max(int(terms.max()), 1)))
            registers += layer.weights.shape[1] * width
        elif isinstance(layer, Requantise):
            bits += 0.5 * layer.kind.width * _width_after(program, layer)
            levels += 1
    latent, count = program.latent, _width_after(program, program.layers[-1])
    bits += count * (latent.width**2 / 2.0 + 2.0 * latent.width)
    levels += math.ceil(math.log2(latent.width)) + math.ceil(math.log2(max(count, 2)))
    stages = math.ceil(levels / ADDERS_PER_STAGE) + 1
    ticks = math.ceil(stages * 1000.0 / contract.budget.clock_mhz / CROSSING_NS)
    return Estimate(math.ceil(bits), registers + stages * program.score.width, 0, stages, ticks)


def _width_after(program: IntegerProgram, layer: object) -> int:
    width = program.width
    for one in program.layers:
        if isinstance(one, Dense):
            width = int(one.weights.shape[1])
        if one is layer:
            break
    return width
