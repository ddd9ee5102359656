"""The network as a QONNX graph, and that graph read back as integers.

Export is Brevitas'; reading is our own, so that the integer reference does not inherit an exporter's opinion.
Nothing here compiles anything.
"""

import contextlib
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from retrain.contract import Contract
from retrain.errors import ExportError
from retrain.fixed_point import FixedPoint, Rounding
from retrain.program import Dense, IntegerProgram, Layer, Requantise, Residual

Array = NDArray[np.float64]
_ROUNDINGS: Mapping[str, Rounding] = {"FLOOR": "AP_TRN", "ROUND": "AP_RND_CONV"}


def export(encoder: Any, width: int, path: Path) -> None:
    """Write a trained encoder as a cleaned QONNX file with ``MatMul`` and ``Add`` in place of ``Gemm``.

    The TorchScript exporter is asked for: the newer one writes weights into a second file and loses
    quantised residual sums.
    """
    import torch  # noqa: PLC0415 - the pure half of this module must be importable without it
    from brevitas.export import export_qonnx  # noqa: PLC0415 - paid only where it is needed
    from qonnx.core.modelwrapper import ModelWrapper  # noqa: PLC0415 - paid only where it is needed
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul  # noqa: PLC0415 - paid only where it is needed
    from qonnx.util.cleanup import cleanup_model  # noqa: PLC0415 - paid only where it is needed

    raw = path.with_suffix(".raw")
    with contextlib.redirect_stdout(io.StringIO()):
        export_qonnx(encoder, args=torch.zeros(1, width), export_path=str(raw), dynamo=False)
        model = cleanup_model(ModelWrapper(str(raw)))
        cleanup_model(model.transform(GemmToMatMul())).save(str(path))
    raw.unlink()


def read(path: Path, contract: Contract) -> IntegerProgram:
    """Return the integer program that a QONNX file describes.

    Raises:
        ExportError: The graph holds something that is not an exact integer operation on power-of-two grids, or a
            port whose type is not the contract's.
    """
    return _Reader(path, contract.type_of("port")).program(contract)


class _Reader:
    """One walk along a graph; `layers` grows, `fraction` is that of the values at the `current` point."""

    def __init__(self, path: Path, port: FixedPoint) -> None:
        self.graph = onnx.load(str(path)).graph
        self.port = port
        self.constants: dict[str, Array] = {}
        self.scales: dict[str, tuple[int, int]] = {}  # quantised constant -> fractional bits, bits
        self.layers: list[Layer] = []
        self.fraction = port.fraction
        self.rectify = False
        self.current = self.graph.input[0].name
        self.casts: dict[str, str] = {}  # tensor -> the cast that gave it

    def program(self, contract: Contract) -> IntegerProgram:
        for tensor in self.graph.initializer:
            self.constants[tensor.name] = numpy_helper.to_array(tensor).astype(np.float64)
        for node in self.graph.node:
            step = getattr(self, f"_{node.op_type.lower()}", None)
            if step is None:
                raise ExportError(f"QONNX node {node.name}: operation {node.op_type} has no integer counterpart here")
            moving = [name for name in node.input if name and name not in self.constants]
            if moving and self.current != moving[0]:
                raise ExportError(f"QONNX node {node.name} takes {moving[0]}; the value before it is {self.current}")
            step(node)
            if moving:
                self.current = node.output[0]
        self._hold_ports(contract)
        return IntegerProgram(self.port, tuple(self.layers), contract.type_of("score"), contract.score_rule)

    def _hold_ports(self, contract: Contract) -> None:
        casts = [layer for layer in self.layers if isinstance(layer, Requantise)]
        if len(casts) < 2:
            raise ExportError("QONNX graph: no cast at its input or none at its output")
        last = {self.layers[place - 1].name for place, one in enumerate(self.layers) if isinstance(one, Residual)}
        inner = ["latent" if cast.name in last else "hidden" for cast in casts[1:-1]]
        wanted = ["network_input", *inner, "latent"]
        for cast, name in zip(casts, wanted, strict=True):
            if cast.kind != contract.type_of(name):
                raise ExportError(
                    f"layer {cast.name}: type {cast.kind}; the contract's {name} is {getattr(contract, name)}; "
                    "the socket is frozen, train with the contract's types"
                )

    def _constant(self, node: Any) -> None:
        self.constants[node.output[0]] = numpy_helper.to_array(_attributes(node)["value"]).astype(np.float64)

    def _quant(self, node: Any) -> None:
        at = _attributes(node)
        scale, zero, bits = (self.constants[name] for name in node.input[1:4])
        if np.any(zero != 0) or scale.size != 1 or bits.size != 1:
            raise ExportError(f"QONNX node {node.name}: zero points and scales per channel are not exact here")
        fraction = _fraction(node.name, float(scale.ravel()[0]))
        width, signed, narrow = int(bits.ravel()[0]), bool(at["signed"]), bool(at["narrow"])
        rounding = at["rounding_mode"].decode()
        if node.input[0] in self.constants:
            low = -(1 << (width - 1)) + int(narrow) if signed else 0
            high = (1 << (width - int(signed))) - 1
            values = self.constants[node.input[0]] * 2.0**fraction
            self.constants[node.output[0]] = np.clip(_round(node.name, rounding, values), low, high)
            self.scales[node.output[0]] = (fraction, width)
            return
        if narrow or rounding not in _ROUNDINGS:
            raise ExportError(f"QONNX node {node.name}: narrow range or rounding {rounding} has no firmware type")
        kind = FixedPoint(width, width - fraction, signed, _ROUNDINGS[rounding], "AP_SAT")
        self.layers.append(Requantise(f"cast{self._count(Requantise)}", kind, self.rectify))
        self.casts[node.output[0]] = self.layers[-1].name
        self.fraction, self.rectify = fraction, False

    def _matmul(self, node: Any) -> None:
        weights, (fraction, bits) = self._quantised(node.name, node.input[1])
        bias = np.zeros(weights.shape[1], np.int64)
        self.layers.append(
            Dense(f"dense{self._count(Dense)}", weights.astype(np.int64), bias, fraction, bits),
        )
        self.fraction += fraction

    def _add(self, node: Any) -> None:
        last = self.layers[-1] if self.layers else None
        if not isinstance(last, Dense):
            raise ExportError(f"QONNX node {node.name}: an addition that is not a bias")
        name = next(one for one in node.input if one in self.constants)
        bias, (fraction, _) = self._quantised(node.name, name)
        if fraction != self.fraction:
            raise ExportError(
                f"QONNX node {node.name}: bias on a grid of 2**-{fraction}, sum on 2**-{self.fraction}; quantise the "
                "bias with the scale of input times weight"
            )
        raw = bias.astype(np.int64).reshape(-1)
        self.layers[-1] = Dense(last.name, last.weights, raw, last.weight_fraction, last.weight_bits)

    def _sub(self, node: Any) -> None:
        if node.input[1] not in self.casts or self.rectify:
            raise ExportError(f"QONNX node {node.name}: a difference from something that is no earlier cast")
        self.layers.append(Residual(f"residual{self._count(Residual)}", self.casts[node.input[1]]))
        self.fraction = max(
            self.fraction,
            *(
                layer.kind.fraction
                for layer in self.layers
                if isinstance(layer, Requantise) and layer.name == self.casts[node.input[1]]
            ),
        )

    def _relu(self, node: Any) -> None:
        if self.rectify or not self.layers:
            raise ExportError(f"QONNX node {node.name}: a rectifier without a layer before it")
        self.rectify = True

    def _quantised(self, where: str, name: str) -> tuple[Array, tuple[int, int]]:
        if name not in self.scales:
            raise ExportError(
                f"QONNX node {where}: parameter {name} is not quantised; firmware would round it in silence"
            )
        return self.constants[name], self.scales[name]

    def _count(self, kind: type[Layer]) -> int:
        return sum(isinstance(layer, kind) for layer in self.layers)


def _attributes(node: Any) -> dict[str, Any]:
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def _fraction(where: str, scale: float) -> int:
    mantissa, exponent = math.frexp(scale)
    if mantissa != 0.5:
        raise ExportError(f"QONNX node {where}: scale {scale!r} is not a power of two; firmware cannot shift by it")
    return 1 - exponent


def _round(where: str, rounding: str, values: Array) -> Array:
    if rounding == "ROUND":
        return np.rint(values)
    if rounding == "FLOOR":
        return np.floor(values)
    raise ExportError(f"QONNX node {where}: rounding mode {rounding} of a parameter is not known here")


def parameters(encoder: Any) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return each dense layer's integer weights ``(n_in, n_out)`` and bias, asked from Brevitas itself.

    The second witness for the graph's parameters: it never passes through the exporter.
    """
    import brevitas.nn as qnn  # noqa: PLC0415 - paid only where it is needed
    import torch  # noqa: PLC0415 - paid only where it is needed

    out: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    values: Any = torch.zeros(1, next(layer.in_features for layer in encoder if isinstance(layer, qnn.QuantLinear)))
    with torch.no_grad():
        for layer in encoder:
            if isinstance(layer, qnn.QuantLinear):
                weight = layer.quant_weight()
                grid = values.scale * weight.scale
                bias = layer.bias_quant(layer.bias, values, weight)
                whole = torch.round(bias.value / grid.reshape(-1)).numpy().astype(np.int64)
                out.append((weight.int().numpy().astype(np.int64).T, whole))
            values = layer(values)
    return out


def run(path: Path, normalised: NDArray[np.float32], beat: Any = None) -> NDArray[np.float32]:
    """Return what the QONNX runtime computes for normalised inputs of shape ``(n_events, n_inputs)``."""
    from qonnx.core.modelwrapper import ModelWrapper  # noqa: PLC0415 - paid only where it is needed
    from qonnx.core.onnx_exec import execute_onnx  # noqa: PLC0415 - paid only where it is needed
    from qonnx.transformation.change_batchsize import ChangeBatchSize  # noqa: PLC0415 - paid only where it is needed
    from qonnx.transformation.infer_shapes import InferShapes  # noqa: PLC0415 - paid only where it is needed

    batch = 4096
    model = ModelWrapper(str(path)).transform(ChangeBatchSize(batch)).transform(InferShapes())
    first, last = model.graph.input[0].name, model.graph.output[0].name
    out = []
    for start in range(0, len(normalised), batch):
        part = normalised[start : start + batch]
        padded = np.concatenate([part, np.zeros((batch - len(part), normalised.shape[1]), np.float32)])
        out.append(execute_onnx(model, {first: padded})[last][: len(part)])
        if beat is not None:
            beat(start / len(normalised), "QONNX runtime")
    return np.concatenate(out)
