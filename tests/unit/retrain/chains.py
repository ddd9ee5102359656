"""From a trained encoder to everything that a proof compares, for tests of several models."""

import numpy as np

from retrain.firmware import emulator, emulator_source, hls, logic, plain_onnx, qonnx, rtl
from retrain.firmware.proof import Witnesses, prove
from retrain.firmware.vectors import assemble


def witnesses(encoder, contract, folder):
    """Write QONNX, plain ONNX, C++ and RTL of an encoder, and build what has to be built."""
    graph = folder / "model.qonnx"
    qonnx.export(encoder, len(contract.inputs), graph)
    return built(encoder, contract, graph, folder)


def built(encoder, contract, graph, folder):
    """Write plain ONNX, C++ and RTL of a graph that is there, and build what has to be built."""
    program = qonnx.read(graph, contract)
    hls.write(graph, contract, folder / "hls")
    sources = hls.read(folder / "hls")
    library = emulator.build(folder, emulator_source.source(contract, program, sources))
    plain_onnx.write(contract, program, folder / "model.onnx")
    rtl.write(logic.trace(contract, program), contract, folder / "rtl")
    simulator = rtl.verilate(folder / "rtl", folder / "simulator")
    return Witnesses(
        contract, program, encoder, graph, sources, library, folder / "model.onnx", folder / "rtl", simulator
    )


def proven(encoder, contract, features, folder, vectors=4000):
    """Return the witnesses of an encoder and the evidence of their comparison."""
    made = witnesses(encoder, contract, folder)
    tested = assemble(contract, made.program, features, vectors, np.random.default_rng(1))
    return made, prove(made, tested, lambda _part, _text: None).evidence


def agreed(evidence):
    """Whether nothing differs, in numbers or in structure."""
    return (
        set(evidence["mismatching_vectors"].values()) == {0}
        and evidence["structure"] == []
        and evidence["accumulators"]["too_narrow"] == []
        and evidence["accumulators"]["exact_in_float32"]
    )
