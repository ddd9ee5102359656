"""The plain graph does the integer program's arithmetic, whatever the types, and on every 16-bit input."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from retrain.contract import Contract
from retrain.errors import ExportError
from retrain.firmware import plain_onnx, plain_run
from retrain.firmware.metadata import describe
from retrain.fixed_point import FixedPoint
from retrain.program import Dense, Requantise

# onnx warns about its own deprecations while it is imported
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def reference(contract: Contract, program, features):
    latent = program.latent_raw(np.ascontiguousarray(contract.normalised_raw(features).T))
    return latent, program.score_of(latent)


def anything(count, seed=0):
    """Return hardware integers of all 16 bits, far outside what a detector sends."""
    return np.random.default_rng(seed).integers(-(2**15), 2**15, (57, count)).astype(np.int16)


def agree(contract, program, features, folder):
    plain_onnx.write(contract, program, folder / "model.onnx")
    latent, score = plain_run.run(folder / "model.onnx", features)
    expected = reference(contract, program, features)
    return np.array_equal(latent, expected[0]) and np.array_equal(score, expected[1]) and len(set(score.tolist())) > 1


def test_recorded_events_and_every_wrap_of_the_port_come_out_as_the_same_integers(contract, program, events, tmp_path):
    features = np.concatenate([events, anything(20_000)], axis=1)

    assert agree(contract, program, features, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"port": "ap_fixed<18,13,AP_TRN,AP_SAT>"},
        {"port": "ap_fixed<16,12>"},
        {"offset_type": "ap_fixed<12,10>"},
        {"network_input": "ap_fixed<8,6,AP_RND_CONV,AP_SAT>"},
        {"network_input": "ap_fixed<14,6,AP_TRN,AP_SAT>"},
        {"network_input": "ap_fixed<6,4>"},
    ],
)
def test_other_types_of_port_offset_and_input_are_followed(contract, program, tmp_path, changes):
    other = replace(contract, **changes)
    layers = (replace(program.layers[0], kind=other.type_of("network_input")), *program.layers[1:])

    assert agree(other, replace(program, port=other.type_of("port"), layers=layers), anything(4000), tmp_path)


def test_halves_are_rounded_to_even_where_the_type_says_so(contract, program, tmp_path):
    kinds = ("ap_ufixed<8,4,AP_RND_CONV,AP_SAT>", "ap_fixed<10,6,AP_RND_CONV,AP_SAT>")
    layers = list(program.layers)
    layers[2], layers[4] = (replace(layers[i], kind=FixedPoint.parse(k)) for i, k in zip((2, 4), kinds, strict=True))

    assert agree(contract, replace(program, layers=tuple(layers)), anything(4000), tmp_path)


def test_a_shift_to_the_left_wraps_as_the_port_does(contract, program, tmp_path):
    shifts = np.array([-(index % 3) for index in range(57)], float)
    offsets = np.array([one.offset for one in contract.inputs])

    assert agree(contract.with_scales(offsets, shifts), program, anything(4000), tmp_path)


def large(program, size):
    dense = Dense("dense0", np.full((57, 3), size, np.int64), np.arange(3), 5, 24)
    return replace(program, layers=(program.layers[0], dense, Requantise("cast1", program.latent, rectify=False)))


def test_sums_beyond_single_precision_are_computed_in_double(contract, program, tmp_path):
    heavy = large(program, 3_000_001)
    plain_onnx.write(contract, heavy, tmp_path / "model.onnx")

    kinds = {one.data_type for one in onnx.load(tmp_path / "model.onnx").graph.initializer}
    assert plain_onnx.worst_case(contract, heavy) > 2**24
    assert onnx.TensorProto.FLOAT not in kinds
    assert agree(contract, heavy, anything(4000), tmp_path)


def test_sums_beyond_double_precision_are_refused(contract, program, tmp_path):
    with pytest.raises(ExportError, match=r"double precision is exact below 2\*\*53"):
        plain_onnx.write(contract, large(program, 2**45), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_score_that_a_float_cannot_carry_is_refused(contract, program, tmp_path):
    wide = replace(program, score=FixedPoint.parse("ap_ufixed<30,26,AP_TRN,AP_SAT>"))

    with pytest.raises(ExportError, match=r"score .* does not fit a float32"):
        plain_onnx.write(contract, wide, tmp_path / "model.onnx")


def test_equal_networks_are_equal_bytes_of_standard_operators(contract, program, tmp_path):
    for name in ("a", "b"):
        plain_onnx.write(contract, program, tmp_path / name)
    model = onnx.load(tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert [one.domain for one in model.opset_import] == [""]
    assert model.opset_import[0].version == 13
    assert {node.domain for node in model.graph.node} == {""}
    allowed = {"Cast", "Clip", "Floor", "Gemm", "Mul", "ReduceSum", "Relu", "Sub"}
    assert {node.op_type for node in model.graph.node} <= allowed


def test_the_metadata_say_how_to_call_the_emulator_and_what_it_is_made_of(contract, program):
    digests = {"weights": "ab" * 32, "contract": contract.digest}
    told = describe(contract, program, threshold=2001, identity={"slot": "L1_AXO", "model": "axol1tl"}, digests=digests)

    assert told["threshold"] == {
        "integer": 2001,
        "value": 2001 / 16,
        "units_per_integer": 1 / 16,
        "rule": "an event passes when its integer score is not below the threshold",
    }
    assert told["interface"]["prepare_input"] == "pointer to 57 values of ap_fixed<18,13>"
    assert told["interface"]["read_result"][0].endswith("3>,ap_ufixed<18,14,AP_TRN,AP_SAT>>")
    assert told["inputs"][0] == vars(contract.inputs[0])
    assert told["digests"] == digests
    assert (told["version"], told["onnx"]["computes_in"]) == ("ab" * 6, "float32")
