"""Sources that are not those of the weights are named before anything is built from them."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from retrain.contract import Contract
from retrain.firmware import emulator_source, hls, qonnx
from retrain.firmware.inspection import inspect
from retrain.program import Dense, IntegerProgram

GOLDEN = Path(__file__).parents[2] / "golden" / "firmware"

pytestmark = pytest.mark.filterwarnings("ignore")  # qonnx and hls4ml warn about their own deprecations


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The golden network's sources as a bundle has them; its contract and program."""
    folder = tmp_path_factory.mktemp("bundle")
    contract = Contract.from_json(json.loads((GOLDEN / "contract.json").read_bytes()))
    shutil.copyfile(GOLDEN / "network.qonnx", folder / "model.qonnx")
    program = qonnx.read(folder / "model.qonnx", contract)
    hls.write(folder / "model.qonnx", contract, folder / "hls")
    (folder / "emulator").mkdir()
    (folder / "emulator" / "emulator.cpp").write_text(
        emulator_source.source(contract, program, hls.read(folder / "hls"))
    )
    return folder, contract, program


@pytest.fixture
def bundle(written, tmp_path):
    """A copy that a test may spoil."""
    folder, contract, program = written
    shutil.copytree(folder, tmp_path / "bundle")
    return tmp_path / "bundle", contract, program


def weights(folder):
    return min((folder / "hls/firmware/weights").glob("w*.h"))


def edit(path, change):
    path.write_text(change(path.read_text()))


def numbers(text, change):
    """Return a weight file's text with its list of numbers changed."""
    head, tail = text.split("= {", 1)
    inside, rest = tail.split("}", 1)
    return f"{head}= {{{', '.join(map(repr, change([float(one) for one in inside.split(',')])))}}}{rest}"


def biases(folder):
    return max((folder / "hls/firmware/weights").glob("b*.h"), key=lambda path: len(path.read_text()))


def nudged_graph(path, by):
    """Change one quantised parameter of a graph."""
    model = onnx.load(str(path))
    largest = max(model.graph.initializer, key=lambda one: int(np.prod(one.dims)))
    largest.CopyFrom(numpy_helper.from_array(by(numpy_helper.to_array(largest).copy()), largest.name))
    onnx.save(model, str(path))


def test_sources_as_they_were_written_have_nothing_against_them(bundle):
    assert inspect(*bundle) == ()


def test_a_second_set_of_weights_left_beside_the_first_is_found(bundle):
    folder = bundle[0]
    shutil.copyfile(weights(folder), folder / "hls/firmware/weights.h")
    edit(folder / "hls/firmware/weights.h", lambda text: numbers(text, lambda all_: [all_[0] + 1, *all_[1:]]))

    found = inspect(*bundle)

    assert [one.field for one in found] == [f"hls/firmware array {weights(folder).stem}"]
    assert "weights.h" in found[0].found
    assert found[0].evidence == "two sources with different values"


def test_a_weight_file_that_nothing_includes_is_stale(bundle):
    folder = bundle[0]
    (folder / "hls/firmware/weights/w99.h").write_text("//Numpy array shape [2]\nmodel_default_t w99[2] = {0, 1};\n")

    assert [(one.field, one.evidence) for one in inspect(*bundle)] == [("hls/firmware/weights/w99.h", "a stale source")]


def test_a_weight_file_included_twice_is_named(bundle):
    folder = bundle[0]
    name = weights(folder).name
    edit(folder / "hls/firmware/parameters.h", lambda text: f'#include "weights/{name}"\n{text}')

    assert [(one.field, one.found) for one in inspect(*bundle)] == [
        (f"hls/firmware/weights/{name}", "included 2 times")
    ]


def test_weights_in_c_that_are_not_those_of_the_file_are_found(bundle):
    step = 2.0 ** -next(layer for layer in bundle[2].layers if isinstance(layer, Dense)).weight_fraction
    edit(weights(bundle[0]), lambda text: numbers(text, lambda all_: [all_[0] + step, *all_[1:]]))

    found = inspect(*bundle)

    assert [one.field for one in found] == ["hls constants"]
    assert "1 of" in found[0].found


def test_a_bias_between_two_steps_of_its_scale_is_found(bundle):
    path = biases(bundle[0])
    edit(path, lambda text: numbers(text, lambda all_: [all_[0] + 2.0**-20, *all_[1:]]))

    found = inspect(*bundle)

    assert [one.field.split(".")[1] for one in found] == [path.stem]
    assert "multiples of 2**-" in found[0].expected


def test_a_weight_whose_scale_is_no_power_of_two_is_found_in_c_and_in_the_graph(bundle):
    edit(weights(bundle[0]), lambda text: numbers(text, lambda all_: [value / 3 for value in all_]))
    model = onnx.load(str(bundle[0] / "model.qonnx"))
    quant = [node for node in model.graph.node if node.op_type == "Quant"]
    constants = {one.name: one for one in model.graph.initializer}
    scale = constants[next(node for node in quant if node.input[0] in constants).input[1]]
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(0.75), scale.name))
    onnx.save(model, str(bundle[0] / "model.qonnx"))

    found = {one.field: one for one in inspect(*bundle)}

    assert "not a power of two" in found["model.qonnx"].found
    assert any("between steps" in one.found for one in found.values())


def test_an_accumulator_that_cannot_hold_its_worst_case_is_found(bundle):
    path = bundle[0] / "hls/firmware/defines.h"
    line = next(one for one in path.read_text().splitlines() if "_accum_t;" in one)
    name = line.split()[-1].rstrip(";")
    edit(path, lambda text: text.replace(line, f"typedef ap_fixed<12,6> {name};"))

    found = inspect(*bundle)

    assert [one.field for one in found] == [f"{name.removesuffix('_accum_t')} accumulator"]
    assert "worst case" in found[0].found


def test_sums_beyond_float32_are_found_by_interval_arithmetic(bundle):
    folder, contract, program = bundle
    grown = tuple(
        Dense(one.name, one.weights, one.bias + 2**24, one.weight_fraction, one.weight_bits)
        if isinstance(one, Dense)
        else one
        for one in program.layers
    )

    found = inspect(folder, contract, IntegerProgram(program.port, grown, program.score))

    assert {"dense0 sum", "dense1 sum"} <= {one.field for one in found}


def test_a_graph_with_other_weights_is_found(bundle):
    nudged_graph(bundle[0] / "model.qonnx", lambda array: array[::-1])

    found = inspect(*bundle)

    assert [one.field for one in found] == ["model.qonnx dense0.weights"]


def test_a_graph_that_cannot_be_read_is_found(bundle):
    (bundle[0] / "model.qonnx").write_bytes(b"no graph")

    assert [one.field for one in inspect(*bundle)] == ["model.qonnx"]


def test_an_emulator_written_for_other_scales_is_found(bundle):
    path = bundle[0] / "emulator/emulator.cpp"
    edit(path, lambda text: text.replace("shifts[n_inputs] = {", "shifts[n_inputs] = {1 + ", 1))

    found = inspect(*bundle)

    assert [one.field for one in found] == ["emulator/emulator.cpp"]
    assert "shifts[n_inputs]" in found[0].found


def test_one_spoilt_source_does_not_hide_another(bundle):
    folder = bundle[0]
    (folder / "hls/firmware/weights/w99.h").write_text("model_default_t w99[2] = {0, 1};\n")
    edit(biases(folder), lambda text: numbers(text, lambda all_: [all_[0] + 2.0**-20, *all_[1:]]))
    (folder / "emulator/emulator.cpp").unlink()

    fields = [one.field for one in inspect(*bundle)]

    assert len(fields) == 3
    assert {"hls/firmware/weights/w99.h", "emulator/emulator.cpp"} < set(fields)


def test_sources_that_cannot_be_read_back_are_one_finding(bundle):
    folder = bundle[0]
    edit(folder / "hls/firmware/network.cpp", lambda text: text.replace("nnet::dense<", "nnet::dense_da<"))

    assert [one.field for one in inspect(*bundle)] == ["hls/firmware"]
