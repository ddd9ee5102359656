"""Whether all descriptions of one network are one function.

PyTorch with Brevitas, the QONNX runtime, the integer program, the plain ONNX graph, the compiled C++ and the simulated
RTL are run on the same hardware integers and compared as integers, latent by latent and score by score.  What vectors
may miss is compared as structure: constants, types and accumulators.  The first layer that differs is named.  Nothing
here decides what a difference means.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.contract import SUM_OF_SQUARES, Contract
from retrain.digest import digest_of_bytes
from retrain.firmware import hls, plain_run, qonnx, rtl, rtl_inside
from retrain.firmware.emulator import Emulator
from retrain.firmware.plain_onnx import NORMALISED
from retrain.firmware.vectors import Vectors
from retrain.fixed_point import Integers
from retrain.program import FLOAT32_LIMIT, Dense, IntegerProgram, Requantise

ENGINES = ("pytorch", "qonnx", "integer", "onnx", "cpp", "rtl")
KEPT_MISMATCHES = 1000
_CHUNK = 8192

Beat = Callable[[float, str], None]


@dataclass(frozen=True)
class Proof:
    """What the comparison found.

    Attributes:
        evidence: Counts, digests, structural differences and the first difference, as plain JSON values.
        mismatching: Indices of vectors on which any engine differs from the integer program.
        latent: Latent integers of the integer program, shape ``(n_vectors, n_latent)``.
        score: Its integer scores.
    """

    evidence: dict[str, Any]
    mismatching: NDArray[np.int64]
    latent: Integers
    score: Integers


@dataclass(frozen=True)
class Witnesses:
    """The descriptions to compare, and what is needed to look inside them.

    Attributes:
        contract: Of the socket.
        program: The integer program, which the others are compared with.
        encoder: PyTorch's module with Brevitas' quantisers.
        graph: The QONNX file.
        sources: hls4ml's C++, read back.
        library: The emulator, compiled from it.
        plain: The plain ONNX graph of the whole chain.
        module: Folder of the RTL.
        simulator: The RTL, verilated and compiled.
    """

    contract: Contract
    program: IntegerProgram
    encoder: Any
    graph: Path
    sources: hls.Sources
    library: Path
    plain: Path
    module: Path
    simulator: Path


def prove(witnesses: Witnesses, vectors: Vectors, beat: Beat) -> Proof:
    """Run every engine on every vector and compare.

    Raises:
        BuildError: The emulator library cannot be loaded.
    """
    program = witnesses.program
    emulator = Emulator(witnesses.library, len(witnesses.contract.inputs))
    simulation = rtl.Simulation(witnesses.simulator, witnesses.contract, program, rtl.ports_of(witnesses.module))
    raw = np.ascontiguousarray(witnesses.contract.normalised_raw(vectors.features).T)
    normalised = (raw * 2.0**-program.port.fraction).astype(np.float32)
    beat(0.02, "integer reference")
    latent = program.latent_raw(raw)
    score = program.score_of(latent)
    beat(0.05, "PyTorch")
    found = {
        "pytorch": _scored(program, _pytorch(witnesses.encoder, normalised)),
        "qonnx": _scored(
            program, qonnx.run(witnesses.graph, normalised, lambda part, text: beat(0.1 + 0.1 * part, text))
        ),
        "onnx": plain_run.run(witnesses.plain, vectors.features, lambda part, text: beat(0.2 + 0.1 * part, text)),
        "cpp": emulator.run(vectors.features, lambda part, text: beat(0.3 + 0.5 * part, text)),
        "rtl": simulation.run(vectors.features, lambda part, text: beat(0.8 + 0.2 * part, text)),
    }
    wrong = {name: (got[0] != latent).any(axis=1) | (got[1] != score) for name, got in found.items()}
    any_wrong = np.logical_or.reduce(list(wrong.values()))
    evidence = {
        "engines": list(ENGINES),
        "vectors": int(vectors.features.shape[1]),
        "classes": vectors.counts,
        "vectors_digest": digest_of_bytes(vectors.features.tobytes()),
        "mismatching_vectors": {name: int(mask.sum()) for name, mask in wrong.items()},
        "mismatching_total": int(any_wrong.sum()),
        "structure": _structure(witnesses),
        "accumulators": _accumulators(witnesses),
        "rails": _rails(program, raw),
        "first_difference": _first(witnesses, emulator, vectors, raw, wrong),
    }
    told = {**evidence, **_latency(simulation, vectors, latent, right=not wrong["rtl"].any())}
    return Proof(told, np.flatnonzero(any_wrong), latent, score)


def _latency(simulation: rtl.Simulation, vectors: Vectors, latent: Integers, *, right: bool) -> dict[str, Any]:
    """Return clocks from an event to its answer: counted where the RTL is right and two answers differ."""
    other = int(np.argmax((latent != latent[0]).any(axis=1)))
    if not right or other == 0:
        return {"latency_cycles": simulation.stages, "latency_counted": False}
    cycles = simulation.latency_cycles(np.ascontiguousarray(vectors.features[:, [0, other]]))
    return {"latency_cycles": cycles, "latency_counted": True}


def _pytorch(encoder: Any, normalised: NDArray[np.float32]) -> NDArray[np.float32]:
    import torch  # noqa: PLC0415 - paid only where a proof is run

    with torch.no_grad():
        parts = [
            encoder(torch.from_numpy(normalised[start : start + _CHUNK])).numpy()
            for start in range(0, len(normalised), _CHUNK)
        ]
    return np.concatenate(parts)


def _scored(program: IntegerProgram, latent: NDArray[np.float32]) -> tuple[Integers, Integers]:
    """Return latent integers and scores of floating-point latents; a value off the grid becomes a mismatch."""
    scaled = latent.astype(np.float64) * 2.0**program.latent.fraction
    raw = np.where(scaled == np.floor(scaled), scaled, np.inf)
    whole = np.where(np.isfinite(raw), raw, np.iinfo(np.int32).max).astype(np.int64)
    exact = latent.astype(np.float64)
    value = np.square(exact).sum(axis=1) if program.score_rule == SUM_OF_SQUARES else exact.max(axis=1)
    score = np.floor(value * 2.0**program.score.fraction)
    return whole, np.clip(score, program.score.low, program.score.high).astype(np.int64)


def _structure(witnesses: Witnesses) -> list[str]:
    out = hls.differences(witnesses.sources, witnesses.program)
    dense = [layer for layer in witnesses.program.layers if isinstance(layer, Dense)]
    told = qonnx.parameters(witnesses.encoder, len(witnesses.contract.inputs))
    if len(told) != len(dense):
        return [*out, f"Brevitas has {len(told)} dense layers, QONNX {len(dense)}"]
    for layer, (weights, bias) in zip(dense, told, strict=True):
        if not np.array_equal(layer.weights, weights) or not np.array_equal(layer.bias, bias):
            out.append(f"{layer.name}: Brevitas' own integers are not those of the QONNX graph")
    return out


def _accumulators(witnesses: Witnesses) -> dict[str, Any]:
    bounds = witnesses.program.bounds()
    names = {layer.name for layer in witnesses.program.layers if isinstance(layer, Dense)}
    worst = max(bound.high for bound in bounds if bound.layer in names)
    return {
        "worst_case": worst,
        "float32_limit": FLOAT32_LIMIT,
        "exact_in_float32": worst < FLOAT32_LIMIT,
        "too_narrow": hls.narrow_accumulators(witnesses.sources, witnesses.program),
        "bounds": [vars(bound) for bound in bounds],
    }


def _rails(program: IntegerProgram, raw: Integers) -> dict[str, dict[str, str]]:
    """Say for each cast whether its two rails were hit, cannot be reached, or are merely untested."""
    bounds = {bound.layer: bound for bound in program.bounds()}
    casts = {layer.name: layer.kind for layer in program.layers if isinstance(layer, Requantise)}
    lows, highs = dict.fromkeys(casts, 0), dict.fromkeys(casts, 0)
    for start in range(0, len(raw), _CHUNK):
        for name, values in program.trace(raw[start : start + _CHUNK]):
            if name in casts:
                lows[name], highs[name] = min(lows[name], int(values.min())), max(highs[name], int(values.max()))

    def word(hit: bool, possible: bool) -> str:
        return "reached" if hit else "not reached" if possible else "unreachable"

    return {
        name: {
            "low": word(lows[name] == kind.low, bounds[name].low <= kind.low),
            "high": word(highs[name] == kind.high, bounds[name].high >= kind.high),
        }
        for name, kind in casts.items()
    }


def _first(
    witnesses: Witnesses, emulator: Emulator, vectors: Vectors, raw: Integers, wrong: dict[str, NDArray[np.bool_]]
) -> dict[str, Any] | None:
    """Return the first engine, vector and layer that differ, or None."""
    for engine, mask in wrong.items():
        if not mask.any():
            continue
        index = int(np.flatnonzero(mask)[0])
        ours = dict(witnesses.program.trace(raw[index : index + 1]))
        if engine == "rtl":
            layer, where = _inside_rtl(witnesses, np.ascontiguousarray(vectors.features[:, index : index + 1]))
            return {"engine": engine, "vector": index, "layer": layer, "their_name": where}
        if engine == "cpp":
            theirs = _inside_cpp(witnesses, emulator, vectors.features[:, index])
        elif engine == "pytorch":
            theirs = _inside_pytorch(witnesses, raw[index : index + 1])
        elif engine == "onnx":
            theirs = _inside_plain(witnesses, vectors.features[:, index])
        else:
            theirs = _inside_qonnx(witnesses, raw[index : index + 1])
        layer, where = "score", ""
        for name, label, values in theirs:
            reference = raw[index] if name == NORMALISED else ours[name][0]
            if not np.array_equal(values, reference):
                layer, where = name, label
                break
        return {"engine": engine, "vector": index, "layer": layer, "their_name": where}
    return None


def _inside_cpp(
    witnesses: Witnesses, emulator: Emulator, event: NDArray[np.int16]
) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    program = witnesses.program
    yield NORMALISED, "prepare", emulator.normalised(event) * 2.0**program.port.fraction
    for link, layers in hls.aligned(witnesses.sources, program):
        name = layers[-1].name
        yield name, link.name, emulator.layer(event, link.name, link.width) * 2.0 ** program.fractions[name]


def _inside_rtl(witnesses: Witnesses, event: NDArray[np.int16]) -> tuple[str, str]:
    work = witnesses.simulator.parent.with_name(witnesses.simulator.parent.name + ".opened")
    return rtl_inside.first_difference(witnesses.contract, witnesses.program, witnesses.module, work, event)


def _inside_pytorch(witnesses: Witnesses, raw: Integers) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    import torch  # noqa: PLC0415 - paid only where it is needed

    fractions = witnesses.program.fractions
    values: Any = torch.from_numpy((raw * 2.0**-witnesses.program.port.fraction).astype(np.float32))
    with torch.no_grad():
        for layer, module in zip(witnesses.program.layers, witnesses.encoder, strict=True):
            values = module(values)
            plain = getattr(values, "value", values).numpy().astype(np.float64)[0]
            yield layer.name, type(module).__name__, plain * 2.0 ** fractions[layer.name]


def _inside_plain(witnesses: Witnesses, event: NDArray[np.int16]) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    found = plain_run.inside(witnesses.plain, event, [layer.name for layer in witnesses.program.layers])
    for name, values in found.items():
        yield name, name, values


def _inside_qonnx(witnesses: Witnesses, raw: Integers) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    from qonnx.core.modelwrapper import ModelWrapper  # noqa: PLC0415 - paid only where it is needed
    from qonnx.core.onnx_exec import execute_onnx  # noqa: PLC0415 - paid only where it is needed

    model = ModelWrapper(str(witnesses.graph))
    first = model.graph.input[0].name
    values = (raw * 2.0**-witnesses.program.port.fraction).astype(np.float32)
    context = execute_onnx(model, {first: values}, return_full_exec_context=True)
    constants = {tensor.name for tensor in model.graph.initializer}
    fractions = witnesses.program.fractions
    names = iter(witnesses.program.layers)
    for node in model.graph.node:
        if node.op_type in {"Add", "Sub"} or (node.op_type == "Quant" and node.input[0] not in constants):
            layer = next(names)
            out = np.asarray(context[node.output[0]], np.float64).reshape(-1)
            yield layer.name, node.name, out * 2.0 ** fractions[layer.name]
