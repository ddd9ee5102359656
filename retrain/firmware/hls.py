"""The network as hls4ml C++ sources, and those sources read back.

What is written is stripped of stamps and absolute paths, so that one network gives one tree of bytes.  What is
read back are the constants and types that a compiler would see, compared with the integer program without
running anything.  Nothing here compiles.
"""

import contextlib
import io
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Contract
from retrain.errors import ExportError
from retrain.fixed_point import FixedPoint
from retrain.program import Dense, IntegerProgram, Layer, Requantise, Residual

TOP = "network"
NAMESPACE = "hls_network"
PART = "xcvu13p-flga2577-2-e"

_TYPEDEF = re.compile(r"typedef (ap_u?fixed<[^>]*>) (\w+);")
_ARRAY = re.compile(r"\b\w+ (\w+)\[\d+\] = \{([^}]*)\};")
_INCLUDE = re.compile(r'#include "weights/([wb]\d+)\.h"')
_CALL = re.compile(r"nnet::(linear|dense|relu|subtract)<([\w, ]+)>\(([\w, ]+)\);")
_LAYERS = re.compile(r'save_layer_output<\w+>\(\w+, "(\w+)", (\d+)\);')


@dataclass(frozen=True)
class Link:
    """One layer as the C++ has it.

    Attributes:
        name: hls4ml's name, under which it can be traced.
        width: Number of outputs.
        operation: ``linear``, ``dense``, ``relu`` or ``subtract``.
        result: Type of its outputs.
        weights: Name of its weight array; empty when it has none.
        bias: Name of its bias array; empty when it has none.
        takes: Names of the variables it reads.
        gives: Name of the variable it writes.
    """

    name: str
    width: int
    operation: str
    result: FixedPoint
    weights: str
    bias: str
    takes: tuple[str, ...]
    gives: str

    @classmethod
    def of(cls, call: tuple[str, str, str], layer: tuple[str, str], types: Mapping[str, FixedPoint]) -> "Link":
        """Read a call, as ``(operation, template arguments, arguments)``, and the layer's name and width."""
        operation, templates, arguments = call
        given, words = templates.split(", "), arguments.split(", ")
        inputs = 2 if operation == "subtract" else 1
        weights, bias = words[inputs + 1 :] or ("", "")
        takes, gives = tuple(words[:inputs]), words[inputs]
        return cls(layer[0], int(layer[1]), operation, types[given[inputs]], weights, bias, takes, gives)


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
    return Sources(types, constants, tuple(Link.of(*pair, types) for pair in zip(calls, layers, strict=True)))


def _plain(text: str) -> str:
    """Drop the saturation-bit count and rounding modes of constants, whose values are compared instead."""
    return re.sub(r"AP_RND_CONV,AP_SAT_SYM,0>", "AP_RND_CONV,AP_SAT>", text).replace(",AP_SAT,0>", ",AP_SAT>")


def aligned(sources: Sources, program: IntegerProgram) -> list[tuple[Link, tuple[Layer, ...]]]:
    """Return which of the program's layers each layer of the C++ does; it puts out the values of the last of them.

    A cast is the result type of what comes before it, or a layer of its own.  Pairing ends where the two part.
    """
    out: list[tuple[Link, tuple[Layer, ...]]] = []
    left = list(program.layers)
    kinds = {"dense": Dense, "subtract": Residual, "linear": Requantise, "relu": Requantise}
    for number, link in enumerate(sources.links):
        if not left or not isinstance(left[0], kinds[link.operation]):
            break
        done = [left.pop(0)]
        follows = sources.links[number + 1].operation if number + 1 < len(sources.links) else ""
        if not isinstance(done[0], Requantise) and left and follows not in {"linear", "relu"}:
            done.append(left.pop(0))
        out.append((link, tuple(done)))
    return out


def differences(sources: Sources, program: IntegerProgram) -> list[str]:
    """Return how the C++ constants and types differ from the integer program, layer by layer; empty when equal.

    Unlike vectors, this sees an error that no input happens to reach.
    """
    out: list[str] = []
    if sources.types.get("input_t") != program.port:
        out.append(f"input_t is {sources.types.get('input_t')}; the program's port is {program.port}")
    pairs = aligned(sources, program)
    done = [layer.name for _, layers in pairs for layer in layers]
    if len(done) != len(program.layers) or len(pairs) != len(sources.links):
        there = [link.operation for link in sources.links]
        return [*out, f"C++ has the layers {there}, the program {[layer.name for layer in program.layers]}"]
    gives: dict[str, str] = {}
    before = sources.links[0].takes[0]
    for link, layers in pairs:
        wanted = (before, *(gives.get(layer.cast, "nothing") for layer in layers if isinstance(layer, Residual)))
        if link.takes != wanted:
            out.append(f"{link.name} takes {', '.join(link.takes)}; {layers[0].name} takes {', '.join(wanted)}")
        before = gives[layers[-1].name] = link.gives
        for layer in layers:
            if isinstance(layer, Requantise) and (
                link.result != layer.kind or (link.operation == "relu") != layer.rectify
            ):
                out.append(f"{link.name} gives {link.result} ({link.operation}); {layer.name} is {layer.kind}")
            if isinstance(layer, Dense):
                out += _constants(sources, link, layer, program.fractions[layer.name])
    return out


def _constants(sources: Sources, link: Link, layer: Dense, fraction: int) -> list[str]:
    out: list[str] = []
    for array, wanted, bits in (
        (link.weights, layer.weights, layer.weight_fraction),
        (link.bias, layer.bias, fraction),
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
