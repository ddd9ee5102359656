"""The network as hls4ml C++ sources, and those sources read back.

What is written is stripped of stamps and absolute paths, so that one network gives one tree of bytes.  What is
read back are the constants and types that a compiler would see, compared with the integer program without
running anything.  Nothing here compiles.
"""

import contextlib
import io
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Contract
from retrain.errors import ExportError
from retrain.fixed_point import FixedPoint
from retrain.program import Dense, IntegerProgram, Requantise

TOP = "network"
NAMESPACE = "hls_network"
PART = "xcvu13p-flga2577-2-e"

_TYPEDEF = re.compile(r"typedef (ap_u?fixed<[^>]*>) (\w+);")
_ARRAY = re.compile(r"\b\w+ (\w+)\[\d+\] = \{([^}]*)\};")
_INCLUDE = re.compile(r'#include "weights/([wb]\d+)\.h"')
_CALL = re.compile(r"nnet::(linear|dense|relu)<(\w+), (\w+), \w+>\((\w+), (\w+)(?:, (\w+), (\w+))?\);")
_LAYERS = re.compile(r'save_layer_output<\w+>\(\w+, "(\w+)", (\d+)\);')


@dataclass(frozen=True)
class Link:
    """One layer as the C++ has it.

    Attributes:
        name: hls4ml's name, under which it can be traced.
        width: Number of outputs.
        operation: ``linear``, ``dense`` or ``relu``.
        result: Type of its outputs.
        weights: Name of its weight array; empty when it has none.
        bias: Name of its bias array; empty when it has none.
    """

    name: str
    width: int
    operation: str
    result: FixedPoint
    weights: str
    bias: str


@dataclass(frozen=True)
class Sources:
    """hls4ml's C++ as read back from disk: types by name, constants by name, layers in order."""

    types: dict[str, FixedPoint]
    constants: dict[str, NDArray[np.float64]]
    links: tuple[Link, ...]


def write(qonnx: Path, contract: Contract, folder: Path) -> None:
    """Write the network's C++ under ``folder/firmware``, weights baked in, with headers, without stamps.

    Raises:
        ExportError: hls4ml finds no layer that is the network's input.
    """
    import hls4ml  # noqa: PLC0415 - heavy, and only this function needs it
    from qonnx.core.modelwrapper import ModelWrapper  # noqa: PLC0415 - paid only where it is needed

    work = folder.with_name(folder.name + ".hls4ml")
    shutil.rmtree(work, ignore_errors=True)
    with contextlib.redirect_stdout(io.StringIO()):
        model = ModelWrapper(str(qonnx))
        config = hls4ml.utils.config_from_onnx_model(
            model, granularity="name", backend="Vitis", default_precision="fixed<16,6>"
        )
        first = model.graph.input[0].name
        if first not in config["LayerName"]:
            raise ExportError(f"hls4ml configuration has no layer {first!r}; its input type cannot be set")
        config["LayerName"][first]["Precision"] = contract.port.removeprefix("ap_")
        built = hls4ml.converters.convert_from_onnx_model(
            model,
            output_dir=str(work),
            project_name=TOP,
            backend="Vitis",
            io_type="io_parallel",
            hls_config=config,
            part=PART,
            clock_period=4,
            namespace=NAMESPACE,
            write_weights_txt=False,
        )
        _trace_all(built)
        built.write()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "firmware", ignore_errors=True)
    shutil.copytree(work / "firmware", folder / "firmware")
    shutil.rmtree(work)


def _trace_all(built: Any) -> None:
    """Have every layer offer its output, which costs one test of a flag; a mismatch can then be located."""
    built.config.trace_output = True
    for layer in built.get_layers():
        layer.set_attr("trace", True)


def read(folder: Path) -> Sources:
    """Read back what a compiler would see.

    Raises:
        ExportError: The sources are not of the linear form written by `write`.
    """
    firmware = folder / "firmware"
    types = {
        name: FixedPoint.parse(text)
        for text, name in _TYPEDEF.findall(_plain((firmware / "defines.h").read_text(encoding="utf-8")))
    }
    constants: dict[str, NDArray[np.float64]] = {}
    for name in _INCLUDE.findall((firmware / "parameters.h").read_text(encoding="utf-8")):
        text = (firmware / "weights" / f"{name}.h").read_text(encoding="utf-8")
        for array, numbers in _ARRAY.findall(text):
            constants[array] = np.array([float(number) for number in numbers.split(",")])
    body = (firmware / f"{TOP}.cpp").read_text(encoding="utf-8")
    calls, layers = _CALL.findall(body), _LAYERS.findall(body)
    if not calls or len(calls) != len(layers):
        raise ExportError(
            f"{TOP}.cpp has {len(calls)} layers of known form and {len(layers)} traced ones; they must agree"
        )
    links = tuple(
        Link(name, int(width), operation, types[result], weights, bias)
        for (operation, _, result, _, _, weights, bias), (name, width) in zip(calls, layers, strict=True)
    )
    return Sources(types, constants, links)


def _plain(text: str) -> str:
    """Drop the saturation-bit count and rounding modes of constants, whose values are compared instead."""
    return re.sub(r"AP_RND_CONV,AP_SAT_SYM,0>", "AP_RND_CONV,AP_SAT>", text).replace(",AP_SAT,0>", ",AP_SAT>")


def differences(sources: Sources, program: IntegerProgram) -> list[str]:
    """Return how the C++ constants and types differ from the integer program, layer by layer; empty when equal.

    Unlike vectors, this sees an error that no input happens to reach.
    """
    out: list[str] = []
    if sources.types.get("input_t") != program.port:
        out.append(f"input_t is {sources.types.get('input_t')}; the program's port is {program.port}")
    fraction = program.port.fraction
    links = [link for link in sources.links if link.operation == "dense"]
    dense = [layer for layer in program.layers if isinstance(layer, Dense)]
    casts = [layer for layer in program.layers if isinstance(layer, Requantise)]
    if len(links) != len(dense):
        return [*out, f"{len(links)} dense layers in C++, {len(dense)} in the program"]
    found = [link for link in sources.links if link.operation != "dense"]
    if len(found) == len(casts) - 1:  # the cast of the last dense layer is its own result type
        found.append(links[-1])
    for link, cast in zip(found, casts, strict=False):
        if link.result != cast.kind or (link.operation == "relu") != cast.rectify:
            out.append(f"{link.name} gives {link.result} ({link.operation}); {cast.name} is {cast.kind}")
    for link, layer, cast in zip(links, dense, casts, strict=False):
        fraction = cast.kind.fraction
        for array, wanted, bits in (
            (link.weights, layer.weights, layer.weight_fraction),
            (link.bias, layer.bias, fraction + layer.weight_fraction),
        ):
            raw = sources.constants[array] * 2.0**bits
            if raw.shape != wanted.reshape(-1).shape:
                out.append(f"{link.name}.{array} has {raw.size} constants; {layer.name} has {wanted.size}")
                continue
            wrong = int((raw != wanted.reshape(-1)).sum())
            if wrong:
                out.append(f"{link.name}.{array}: {wrong} of {raw.size} constants differ from {layer.name}")
    return out


def narrow_accumulators(sources: Sources, program: IntegerProgram) -> list[str]:
    """Return the accumulators that cannot hold their own worst case; empty when none can overflow."""
    bounds = {bound.layer: bound for bound in program.bounds()}
    dense = [layer for layer in program.layers if isinstance(layer, Dense)]
    out: list[str] = []
    for link, layer in zip([one for one in sources.links if one.operation == "dense"], dense, strict=True):
        kind = sources.types.get(f"{link.name}_accum_t")
        bound = bounds[layer.name]
        if kind is None:
            out.append(f"{link.name} declares no accumulator type")
        elif kind.fraction < bound.fraction or kind.high * 2.0**-kind.fraction < bound.high * 2.0**-bound.fraction:
            out.append(f"{link.name} accumulates in {kind}; the worst case is {bound.high} / 2**{bound.fraction}")
    return out
