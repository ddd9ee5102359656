"""How fast a network of the shipped size answers once it is back in software, and what its library costs.

CPU seconds on one thread; the weights are those the network starts with.  The C interface and the bridge run the same
class, the bridge in a process of its own through CMSSW's interface, with its start counted.

    python -m benchmarks.back_to_software
"""

import json
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrain.adopted import Interface
from retrain.bundle import EMULATOR
from retrain.contract import axol1tl_contract
from retrain.firmware import emulator, emulator_source, hls, plain_onnx, plain_run, qonnx
from retrain.firmware.adopt import adopt
from retrain.models import resolve
from retrain.preflight import derive
from retrain.recipe import Recipe, ranges

SEED = 1
EVENTS = 20_000


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return how much time of a processor it took, children's included, and what it gave."""
    start = sum(os.times()[:4])
    answer = work()
    return sum(os.times()[:4]) - start, answer


def main() -> None:
    """Print one JSON line."""
    warnings.simplefilter("ignore")
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    socket = axol1tl_contract("L1_AXO")
    rows = [
        rng.exponential(20, EVENTS).clip(0, port.high)
        if port.quantity == "pt"
        else rng.integers(port.low, port.high, EVENTS)
        for port in socket.inputs
    ]
    events = np.stack(rows).astype(np.int16)
    contract = derive(socket, events)
    encoder = resolve("axol1tl")(Recipe("L1_AXO", ranges([(1, 1)])), contract).encoder.eval()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        qonnx.export(encoder, len(contract.inputs), folder / "model.qonnx")
        program = qonnx.read(folder / "model.qonnx", contract)
        hls.write(folder / "model.qonnx", contract, folder / "hls")
        text = emulator_source.source(contract, program, hls.read(folder / "hls"))
        built, library = seconds(lambda: emulator.build(folder, text))
        loaded = emulator.Emulator(folder / EMULATOR, len(contract.inputs))
        c_interface, (_, expected) = seconds(lambda: loaded.run(events))
        n_latent = loaded.n_latent
        exact = Interface(contract.port, contract.latent, n_latent, contract.score)
        adopting, found = seconds(lambda: adopt(library, contract, exact, threshold=0, out=folder / "adopted"))
        bridge, scores = seconds(lambda: found.scores(events))
        plain_onnx.write(contract, program, folder / "model.onnx")
        many = np.tile(events, (1, 25))
        graph, (_, by_graph) = seconds(lambda: plain_run.run(folder / "model.onnx", many))
        assert np.array_equal(expected, scores)
        assert np.array_equal(np.tile(expected, 25), by_graph)
        told = {
            "build_s": round(built, 1),
            "library_bytes": library.stat().st_size,
            "c_interface_events_per_s": round(EVENTS / c_interface),
            "adopt_s": round(adopting, 1),
            "bridge_events_per_s": round(EVENTS / bridge),
            "graph_bytes": (folder / "model.onnx").stat().st_size,
            "graph_events_per_s": round(many.shape[1] / graph),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
