"""The chain from graph to C++, and the proof: it passes for what is right and finds what is wrong."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file

from retrain.contract import Contract
from retrain.errors import BuildError, ExportError
from retrain.firmware import emulator, emulator_source, hls, qonnx, rtl
from retrain.firmware.emulator import Emulator
from retrain.firmware.proof import prove
from retrain.firmware.vectors import assemble
from retrain.fixed_point import FixedPoint
from retrain.recipe import Recipe
from tests.unit.retrain.chains import built

GOLDEN = Path(__file__).parents[2] / "golden" / "firmware"

# brevitas, qonnx and hls4ml warn about their own deprecations at import and export
pytestmark = pytest.mark.filterwarnings("ignore")


def quiet(_fraction, _text):
    return None


def restored():
    from retrain.train import restore

    contract = Contract.from_json(json.loads((GOLDEN / "contract.json").read_bytes()))
    recipe = Recipe.from_json(json.loads((GOLDEN / "recipe.json").read_bytes()))
    return contract, restore(recipe, contract, load_file(GOLDEN / "checkpoint.safetensors")).encoder


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """The golden network, written by hls4ml and built by g++."""
    folder = tmp_path_factory.mktemp("chain")
    contract, encoder = restored()
    graph = folder / "model.qonnx"
    shutil.copyfile(GOLDEN / "network.qonnx", graph)
    return built(encoder, contract, graph, folder)


@pytest.fixture(scope="module")
def vectors(chain, events):
    return assemble(chain.contract, chain.program, events[:, :2000], 16_000, np.random.default_rng(1))


def rebuilt(chain, folder, *, source=None):
    """Compile a copy of the chain's sources and return witnesses that use it."""
    source = source or emulator_source.source(chain.contract, chain.program, chain.sources)
    return replace(chain, library=emulator.build(folder, source), sources=hls.read(folder / "hls"))


def test_all_engines_agree_on_every_vector(chain, vectors):
    evidence = prove(chain, vectors, quiet).evidence

    assert evidence["mismatching_vectors"] == {"pytorch": 0, "qonnx": 0, "onnx": 0, "cpp": 0, "rtl": 0}
    assert evidence["structure"] == []
    assert evidence["accumulators"]["too_narrow"] == []
    assert evidence["first_difference"] is None
    assert "not reached" not in str(evidence["rails"]["cast0"])


def test_the_built_library_answers_the_golden_integers(chain):
    golden = json.loads((GOLDEN / "golden.json").read_bytes())
    features = np.array(golden["features"], np.int16).T

    latent, score = Emulator(chain.library, 57).run(np.ascontiguousarray(features))

    assert latent.tolist() == golden["latent"]
    assert score.tolist() == golden["score"]


def test_the_exporter_gives_the_golden_graph_again(chain, tmp_path):
    qonnx.export(chain.encoder, 57, tmp_path / "again.qonnx")

    again = qonnx.read(tmp_path / "again.qonnx", chain.contract)
    assert again.structure() == chain.program.structure()
    assert all(np.array_equal(again.arrays()[name], array) for name, array in chain.program.arrays().items())


def test_one_event_at_a_time_is_the_same_as_a_batch(chain, events):
    import ctypes

    library = ctypes.CDLL(str(chain.library))
    library.emulator_create.restype = ctypes.c_void_p
    model = ctypes.c_void_p(library.emulator_create())
    event = np.ascontiguousarray(events[:, 3])
    latent, score = np.zeros(4, np.int32), np.zeros(1, np.uint32)
    library.emulator_prepare_input(model, ctypes.c_void_p(event.ctypes.data))
    library.emulator_predict(model)
    library.emulator_read_result(model, ctypes.c_void_p(latent.ctypes.data), ctypes.c_void_p(score.ctypes.data))
    library.emulator_destroy(model)

    batch = Emulator(chain.library, 57).run(events[:, 3:4])
    assert latent.tolist() == batch[0][0].tolist()
    assert score.tolist() == batch[1].tolist()


def test_a_weight_off_by_one_in_cpp_is_found_and_located(chain, vectors, tmp_path):
    shutil.copytree(chain.library.parents[1] / "hls", tmp_path / "hls")
    link = next(link for link in chain.sources.links if link.operation == "dense")
    header = tmp_path / "hls" / "firmware" / "weights" / f"{link.weights}.h"
    text = header.read_text()
    start = text.index("] = {") + len("] = {")
    first = text[start:].split(",", 1)[0]
    step = 2.0 ** -next(layer.weight_fraction for layer in chain.program.layers if layer.name == "dense0")
    header.write_text(f"{text[:start]}{float(first) + step!r}{text[start + len(first) :]}")

    proof = prove(rebuilt(chain, tmp_path), vectors, quiet)

    assert proof.evidence["mismatching_vectors"]["cpp"] > 0
    assert proof.evidence["mismatching_vectors"]["pytorch"] == 0
    assert proof.evidence["first_difference"]["engine"] == "cpp"
    assert proof.evidence["first_difference"]["layer"] == "dense0"
    assert any(link.weights in one for one in proof.evidence["structure"])
    assert len(proof.mismatching) == proof.evidence["mismatching_total"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "layer"),
    [
        ("values[i] - offsets[i]", "values[i] - offsets[i] - (i == 5)", "normalisation"),
        ("value = value >> 1", "value = wide_t(value.to_int() / 2)", "normalisation"),
        ("sum += value * value", "sum += value * value * (i != 1)", "score"),
    ],
)
def test_a_slip_around_the_network_is_found_and_located(chain, vectors, tmp_path, right, wrong, layer):
    shutil.copytree(chain.library.parents[1] / "hls", tmp_path / "hls")
    source = emulator_source.source(chain.contract, chain.program, chain.sources)
    assert right in source

    evidence = prove(rebuilt(chain, tmp_path, source=source.replace(right, wrong)), vectors, quiet).evidence

    assert evidence["mismatching_vectors"]["cpp"] > 0
    assert evidence["first_difference"]["layer"] == layer


def test_a_weight_off_in_pytorch_is_found_and_located(chain, vectors):
    import torch

    _, other = restored()
    with torch.no_grad():
        other[3].weight[0, 0] += 1.0

    evidence = prove(replace(chain, encoder=other), vectors, quiet).evidence

    assert evidence["mismatching_vectors"]["pytorch"] > 0
    assert evidence["first_difference"]["engine"] == "pytorch"
    assert evidence["first_difference"]["layer"] == "dense1"
    assert any("Brevitas" in one for one in evidence["structure"])


def test_a_bias_off_in_the_graph_is_found_and_located(chain, vectors, tmp_path):
    model = onnx.load(GOLDEN / "network.qonnx")
    names = {node.input[0] for node in model.graph.node if node.op_type == "Quant"}
    biases = [one for one in model.graph.initializer if one.name in names and len(one.dims) == 1]
    values = numpy_helper.to_array(biases[-1]).copy()
    values[0] += 0.5
    biases[-1].CopyFrom(numpy_helper.from_array(values, biases[-1].name))
    onnx.save(model, tmp_path / "wrong.qonnx")

    evidence = prove(replace(chain, graph=tmp_path / "wrong.qonnx"), vectors, quiet).evidence

    assert evidence["mismatching_vectors"]["qonnx"] > 0
    assert evidence["first_difference"]["engine"] == "qonnx"
    assert evidence["first_difference"]["layer"] in {"dense0", "dense1", "dense2"}


@pytest.mark.parametrize(
    ("operator", "layer"), [("Sub", "normalisation"), ("Gemm", "dense0"), ("Clip", "cast0"), ("ReduceSum", "score")]
)
def test_a_slip_in_the_plain_graph_is_found_and_located(chain, vectors, tmp_path, operator, layer):
    model = onnx.load(chain.plain)
    node = next(node for node in model.graph.node if node.op_type == operator)
    if operator == "ReduceSum":
        multiply = next(one for one in model.graph.node if one.output[0] == node.input[0])
        constant = numpy_helper.from_array(np.float32(-1), "minus")
        model.graph.initializer.append(constant)
        multiply.input[1] = "minus"
    else:
        wrong = next(one for one in model.graph.initializer if one.name == node.input[-1])
        wrong.CopyFrom(
            numpy_helper.from_array(
                numpy_helper.to_array(wrong) - np.float32(32 if operator == "Sub" else 1), wrong.name
            )
        )
    onnx.save(model, tmp_path / "wrong.onnx")

    evidence = prove(replace(chain, plain=tmp_path / "wrong.onnx"), vectors, quiet).evidence

    assert evidence["mismatching_vectors"]["onnx"] > 0
    assert evidence["mismatching_vectors"]["cpp"] == 0
    assert evidence["first_difference"]["engine"] == "onnx"
    assert evidence["first_difference"]["layer"] == layer


def test_a_wrong_integer_program_stands_alone_against_the_others(chain, vectors):
    layers = list(chain.program.layers)
    layers[2] = replace(layers[2], kind=FixedPoint.parse("ap_ufixed<8,4,AP_RND_CONV,AP_SAT>"))

    evidence = prove(replace(chain, program=replace(chain.program, layers=tuple(layers))), vectors, quiet).evidence

    assert set(evidence["mismatching_vectors"]) == {"pytorch", "qonnx", "onnx", "cpp", "rtl"}
    assert all(evidence["mismatching_vectors"].values())
    assert evidence["first_difference"]["layer"] == "cast1"


def test_an_accumulator_made_narrower_is_named(chain):
    link = next(link for link in chain.sources.links if link.operation == "dense")
    types = {**chain.sources.types, f"{link.name}_accum_t": FixedPoint.parse("ap_fixed<8,4>")}

    assert any(link.name in one for one in hls.narrow_accumulators(replace(chain.sources, types=types), chain.program))


def test_a_type_changed_in_the_sources_is_named_without_running_anything(chain):
    links = list(chain.sources.links)
    links[2] = replace(links[2], result=FixedPoint.parse("ap_ufixed<8,3,AP_TRN,AP_SAT>"))

    found = hls.differences(replace(chain.sources, links=tuple(links)), chain.program)

    assert any(links[2].name in one for one in found)


def test_a_graph_with_other_ports_than_the_contract_is_refused(chain):
    other = replace(chain.contract, latent="ap_fixed<12,6,AP_TRN,AP_SAT>")

    with pytest.raises(ExportError, match="latent"):
        qonnx.read(chain.graph, other)


def test_a_scale_that_is_no_power_of_two_is_refused(chain, tmp_path):
    model = onnx.load(GOLDEN / "network.qonnx")
    quant = next(node for node in model.graph.node if node.op_type == "Quant")
    scale = next(one for one in model.graph.initializer if one.name == quant.input[1])
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(0.3), scale.name))
    onnx.save(model, tmp_path / "wrong.qonnx")

    with pytest.raises(ExportError, match="power of two"):
        qonnx.read(tmp_path / "wrong.qonnx", chain.contract)


def test_a_parameter_left_in_float_is_refused(chain, tmp_path):
    model = onnx.load(GOLDEN / "network.qonnx")
    add = next(node for node in model.graph.node if node.op_type == "Add")
    quant = next(node for node in model.graph.node if node.output[0] in add.input and node.op_type == "Quant")
    for index, name in enumerate(add.input):
        if name == quant.output[0]:
            add.input[index] = quant.input[0]
    onnx.save(model, tmp_path / "wrong.qonnx")

    with pytest.raises(ExportError, match="not quantised"):
        qonnx.read(tmp_path / "wrong.qonnx", chain.contract)


def test_sources_that_do_not_compile_are_told_with_the_compilers_words(chain, tmp_path):
    shutil.copytree(chain.library.parents[1] / "hls", tmp_path / "hls")

    with pytest.raises(BuildError, match="error"):
        emulator.build(tmp_path, "this is not C++")


def test_a_library_for_another_network_is_refused(chain, tmp_path):
    (tmp_path / "junk.so").write_bytes(b"not a library")

    with pytest.raises(BuildError, match=r"the contract has 56"):
        Emulator(chain.library, 56)
    with pytest.raises(BuildError, match="cannot be loaded"):
        Emulator(tmp_path / "junk.so", 57)


def test_the_sources_name_no_path_and_no_stamp(chain):
    folder = chain.library.parents[1]
    texts = [path.read_text(errors="replace") for path in (folder / "hls").rglob("*") if path.is_file()]

    assert all(str(folder) not in text for text in texts)
    assert str(folder).encode() not in chain.library.read_bytes()


def test_an_rtl_that_is_stuck_is_a_mismatch_and_not_a_broken_machine(chain, vectors, tmp_path):
    shutil.copytree(chain.module, tmp_path / "rtl")
    top = tmp_path / "rtl" / "src" / "network.v"
    text = top.read_text()
    last = re.search(r"model_out <= stage\d+_out;", text).group(0)
    top.write_text(text.replace(last, "model_out <= 0;"))
    stuck = rtl.verilate(tmp_path / "rtl", tmp_path / "simulator")

    evidence = prove(replace(chain, module=tmp_path / "rtl", simulator=stuck), vectors, quiet).evidence

    assert evidence["mismatching_vectors"]["rtl"] > 0
    assert evidence["first_difference"] | {"vector": 0} == {
        "engine": "rtl",
        "vector": 0,
        "layer": "verilog",
        "their_name": "output",
    }
    assert evidence["latency_counted"] is False
