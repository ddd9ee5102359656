"""The golden reference computes what it says."""

import numpy as np
import pytest

from retrain.errors import ExportError
from retrain.fixed_point import FixedPoint
from retrain.program import Dense, IntegerProgram, Requantise


def slow_score(program, contract, event):
    """The same network with Python's own integers, one event at a time."""
    values = [int(value) for value in contract.normalised_raw(event[:, None])[:, 0]]
    fraction = program.port.fraction
    for layer in program.layers:
        if isinstance(layer, Dense):
            weights = layer.weights.tolist()
            columns = range(layer.weights.shape[1])
            values = [
                sum(values[row] * weights[row][column] for row in range(len(values))) + int(layer.bias[column])
                for column in columns
            ]
            fraction += layer.weight_fraction
        else:
            kind = layer.kind
            values = [max(value, 0) if layer.rectify else value for value in values]
            values = [min(max(value // 2 ** (fraction - kind.fraction), kind.low), kind.high) for value in values]
            fraction = kind.fraction
    total = sum(value * value for value in values)
    return min(total // 2 ** (2 * fraction - program.score.fraction), program.score.high)


def test_scores_are_those_of_plain_integer_arithmetic(program, contract, events):
    got = program.run(contract, events[:, :50])

    assert got.tolist() == [slow_score(program, contract, events[:, index]) for index in range(50)]
    assert len(set(got.tolist())) > 10


def test_no_event_leaves_the_interval_bounds(program, contract, make_events):
    bounds = {bound.layer: bound for bound in program.bounds()}
    raw = np.ascontiguousarray(contract.normalised_raw(make_events(3000, seed=5)).T)

    for name, values in program.trace(raw):
        assert bounds[name].low <= values.min()
        assert values.max() <= bounds[name].high


def test_the_bound_of_a_sum_is_reached_by_its_worst_input():
    port = FixedPoint.parse("ap_fixed<8,8,AP_TRN,AP_SAT>")
    dense = Dense("dense0", np.array([[3], [-2]]), np.array([5]), 0, 4)
    program = IntegerProgram(
        port,
        (Requantise("cast0", port, rectify=False), dense, Requantise("cast1", port, rectify=False)),
        FixedPoint.parse("ap_ufixed<18,14,AP_TRN,AP_SAT>"),
    )

    assert next(bound.high for bound in program.bounds() if bound.layer == "dense0") == 3 * 128 + 2 * 128 + 5


def test_a_program_is_put_back_together_from_its_parts(program, contract, events):
    again = IntegerProgram.assemble(program.structure(), program.arrays())

    assert np.array_equal(again.run(contract, events), program.run(contract, events))


def test_a_program_without_one_layers_weights_is_refused(program):
    arrays = program.arrays()
    del arrays["dense1.bias"]

    with pytest.raises(ExportError, match="dense1"):
        IntegerProgram.assemble(program.structure(), arrays)


def test_a_program_must_end_in_the_latent_type(program):
    with pytest.raises(ExportError, match="latent"):
        IntegerProgram(program.port, program.layers[:-1], program.score)
