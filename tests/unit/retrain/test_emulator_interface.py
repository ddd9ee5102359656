"""A C++ program that loads the library as CMSSW does gets PyTorch's integers."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from retrain.contract import Contract
from retrain.firmware import emulator, emulator_source, hls, qonnx
from retrain.firmware.vectors import assemble
from retrain.recipe import Recipe

GOLDEN = Path(__file__).parents[2] / "golden" / "firmware"
CONSUMER = Path(__file__).with_name("consumer.cpp")

# brevitas, qonnx and hls4ml warn about their own deprecations at import and export
pytestmark = pytest.mark.filterwarnings("ignore")


def encoders():
    """Return the contract, the golden encoder, and one of the same shape with other weights."""
    import torch

    from retrain.train import restore

    contract = Contract.from_json(json.loads((GOLDEN / "contract.json").read_bytes()))
    recipe = Recipe.from_json(json.loads((GOLDEN / "recipe.json").read_bytes()))
    first, second = (restore(recipe, contract, load_file(GOLDEN / "checkpoint.safetensors")).encoder for _ in "ab")
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for layer in second:
            if hasattr(layer, "weight"):
                layer.weight += 0.2 * torch.randn(layer.weight.shape, generator=generator)
    return contract, first, second


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two networks built, their libraries installed under names, and the compiled consumer."""
    folder = tmp_path_factory.mktemp("interface")
    contract, *both = encoders()
    (folder / "lib").mkdir()
    for name, encoder in zip(("Model_v1", "Model_v2"), both, strict=True):
        work = folder / name
        work.mkdir()
        qonnx.export(encoder, 57, work / "model.qonnx")
        hls.write(work / "model.qonnx", contract, work / "hls")
        program = qonnx.read(work / "model.qonnx", contract)
        library = emulator.build(work, emulator_source.source(contract, program, hls.read(work / "hls")))
        shutil.copyfile(library, folder / "lib" / f"{name}.so")
    types = folder / "Model_v1" / "hls" / "firmware" / "ap_types"
    flags = ["-std=c++17", "-O1", "-w", "-DN_LATENT=4", f"-I{types}"]
    subprocess.run(["g++", *flags, str(CONSUMER), "-o", str(folder / "consumer"), "-ldl"], check=True, timeout=120)
    return folder, contract, both, program


def consume(world, *arguments):
    folder = world[0]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder / "lib")}
    return subprocess.run(
        [str(folder / "consumer"), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def pytorch(contract, encoder, features):
    """Return Brevitas' latent integers and scores, one row an event."""
    import torch

    raw = np.ascontiguousarray(contract.normalised_raw(features).T)
    inputs = (raw * 2.0 ** -contract.type_of("port").fraction).astype(np.float32)
    with torch.no_grad():
        latent = encoder(torch.from_numpy(inputs)).numpy().astype(np.float64)
    kind, score_kind = contract.type_of("latent"), contract.type_of("score")
    score = np.floor(np.square(latent).sum(axis=1) * 2.0**score_kind.fraction).clip(0, score_kind.high)
    return np.concatenate([latent * 2.0**kind.fraction, score[:, None]], axis=1).astype(np.int64)


def test_two_libraries_loaded_by_name_in_one_process_each_give_the_integers_of_their_pytorch_network(world, events):
    folder, contract, both, program = world
    vectors = assemble(contract, program, events, 30_000, np.random.default_rng(3))
    np.ascontiguousarray(vectors.features.T).tofile(folder / "vectors.bin")

    done = consume(world, "run", folder / "vectors.bin", folder / "out.bin", "Model_v1", "Model_v2")

    assert done.returncode == 0, done.stderr
    answers = np.fromfile(folder / "out.bin", np.int32).reshape(-1, 2, 5)
    expected = [pytorch(contract, encoder, vectors.features) for encoder in both]
    assert len(answers) >= 30_000
    assert vectors.counts["recorded"] == 6000
    assert [int((answers[:, index] != expected[index]).any(axis=1).sum()) for index in (0, 1)] == [0, 0]
    assert (expected[0] != expected[1]).any(axis=1).mean() > 0.5
    assert len(np.unique(expected[0][:, -1])) > 400


def test_one_library_under_two_names_is_two_models(world, events):
    folder, contract, both, _ = world
    shutil.copyfile(folder / "lib" / "Model_v1.so", folder / "lib" / "Copy.so")
    np.ascontiguousarray(events[:, :200].T).tofile(folder / "few.bin")

    done = consume(world, "run", folder / "few.bin", folder / "few.out", "Model_v1", "Copy")

    assert done.returncode == 0, done.stderr
    answers = np.fromfile(folder / "few.out", np.int32).reshape(-1, 2, 5)
    assert np.array_equal(answers[:, 0], answers[:, 1])
    assert np.array_equal(answers[:, 0], pytorch(contract, both[0], events[:, :200]))


def test_pointers_of_wrong_types_are_refused_in_words(world):
    said = consume(world, "wrong", "Model_v1").stdout.splitlines()

    assert len(said) == 5
    assert "prepare_input was given float*; expected a pointer to 57 values of ap_fixed<18,13>" in said[0]
    assert "prepare_input was given nothing" in said[1]
    assert "expected a pointer that is not null" in said[2]
    assert "read_result was given float*; expected a pointer to std::pair<std::array<ap_fixed<10,6" in said[3]
    assert "read_result was given std::pair<" in said[4]


def test_a_wrong_name_and_a_library_without_a_model_are_told_apart(world):
    folder = world[0]
    (folder / "empty.cpp").write_text("int nothing() { return 0; }")
    subprocess.run(
        ["g++", "-shared", "-fPIC", str(folder / "empty.cpp"), "-o", str(folder / "lib" / "Empty.so")], check=True
    )

    absent, empty = (consume(world, "run", "/dev/null", "/dev/null", name) for name in ("Model_v9", "Empty"))

    assert absent.returncode == empty.returncode == 1
    assert "cannot load Model_v9" in absent.stderr
    assert "Empty has no create_model" in empty.stderr


def test_only_the_two_interfaces_leave_the_library(world):
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", str(world[0] / "lib" / "Model_v1.so")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    strong = {line.split()[2] for line in symbols.splitlines() if line.split()[1] in "TDB"}

    assert {"create_model", "destroy_model"} <= strong
    assert {name for name in strong if not name.startswith("emulator_")} == {"create_model", "destroy_model"}
    assert "hls_network" not in symbols
    assert " u " not in symbols


def test_cmssws_result_types_are_offered_only_where_they_hold_the_score(world):
    from dataclasses import replace

    contract = world[1]
    wider = replace(contract, score="ap_ufixed<22,16,AP_TRN,AP_SAT>")

    assert len(emulator_source.result_types(contract, 4)) == 3
    assert emulator_source.result_types(wider, 4) == (
        "std::pair<std::array<ap_fixed<10,6,AP_TRN,AP_SAT>,4>,ap_ufixed<22,16,AP_TRN,AP_SAT>>",
    )
