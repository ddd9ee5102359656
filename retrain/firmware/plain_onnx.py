"""The whole chain as an ONNX graph of plain operators: hardware integers in, latent integers and score out.

For software that runs ONNX and nothing else, such as ATLAS' AthOnnx.  Integers travel as floating-point numbers, and
every operation is one that floating point does exactly on them: scaling by a power of two, rounding, clipping, and
sums that stay below the first integer that the element type cannot hold.  Where single precision does not suffice in
the worst case, double is used; where that does not either, the graph is refused.  Nothing here runs a graph.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from retrain.contract import SUM_OF_SQUARES, Contract
from retrain.errors import ExportError
from retrain.fixed_point import FixedPoint
from retrain.program import FLOAT32_LIMIT, Dense, IntegerProgram, Layer, Residual

OPSET = 13  # understood by every onnxruntime since 1.6
IR_VERSION = 7
HARDWARE, LATENT, SCORE, NORMALISED = "hardware", "latent", "score", "normalisation"
FLOAT64_LIMIT = 2**53
_INT16 = 2**15


def write(contract: Contract, program: IntegerProgram, path: Path) -> None:
    """Write the graph; equal contract and program give equal bytes.

    The input ``hardware`` is float32, shape ``(events, n_inputs)``, and holds hardware integers of 16 bits; the outputs
    ``latent``, shape ``(events, n_latent)``, and ``score``, shape ``(events, 1)``, are float32 and hold the raw
    integers of their types.  What a port or type does with a number it cannot hold, the graph does too.

    Raises:
        ExportError: A number can grow beyond what double precision holds exactly.
    """
    path.write_bytes(build(contract, program).SerializeToString(deterministic=True))


def worst_case(contract: Contract, program: IntegerProgram) -> int:
    """Return the largest integer that any sum of the chain can meet, whatever the 16-bit inputs.

    Below 2^24 single precision is exact, below 2^53 double precision is.
    """
    port = contract.type_of("port")
    carried = _INT16 << max(port.fraction - min(int(one.halved) for one in contract.inputs), 0)
    span = 1 << port.width
    left = max(0, *(-one.shift for one in contract.inputs))
    reach = [carried + int(np.abs(contract.offsets_raw()).max()) + span, (span << left) + span]
    bounds = {bound.layer: bound for bound in program.bounds()}
    held, fraction = port.high + 1, port.fraction
    for layer in program.layers:
        if isinstance(layer, Dense):
            held, fraction = bounds[layer.name].high, bounds[layer.name].fraction
            reach.append(held)
        elif isinstance(layer, Residual):
            grid, taken = bounds[layer.name].fraction, bounds[layer.cast]
            reach += [held << (grid - fraction), max(-taken.low, taken.high) << (grid - taken.fraction)]
            held, fraction = max(-bounds[layer.name].low, bounds[layer.name].high), grid
            reach.append(held)
        else:
            reach.append((held << max(layer.kind.fraction - fraction, 0)) + (2 << layer.kind.width))
            held, fraction = 1 << layer.kind.width, layer.kind.fraction
    raw = bounds["score"]
    reach.append(max(-raw.low, raw.high) << max(program.score.fraction - raw.fraction, 0))
    return max(reach)


def build(contract: Contract, program: IntegerProgram) -> onnx.ModelProto:
    """Return the graph that `write` writes."""
    for name, kind in (("latent", program.latent), ("score", program.score)):
        if kind.width > 24:
            raise ExportError(f"plain ONNX: {name} {kind} does not fit a float32 output; at most 24 bits do")
    graph = _Graph(_element(worst_case(contract, program)))
    _normalise(graph, contract)
    for layer in program.layers:
        _layer(graph, layer, program)
    graph.give(LATENT)
    if program.score_rule == SUM_OF_SQUARES:
        graph.apply("Mul", graph.current)
        graph.apply("ReduceSum", graph.constant([1], np.int64), keepdims=1)
    else:
        graph.apply("ReduceMax", axes=[1], keepdims=1)
    graph.assign(program.score, program.raw_score_fraction)
    graph.give(SCORE)
    n_latent = next(len(one.bias) for one in reversed(program.layers) if isinstance(one, Dense))
    made = helper.make_graph(
        graph.nodes,
        "trigger",
        [_port(HARDWARE, len(contract.inputs))],
        [_port(LATENT, n_latent), _port(SCORE, 1)],
        initializer=graph.constants,
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="retrigger", ir_version=IR_VERSION
    )
    told = {"contract": contract.digest, "inputs": ",".join(one.name for one in contract.inputs)}
    helper.set_model_props(model, {**told, "latent_type": str(program.latent), "score_type": str(program.score)})
    onnx.checker.check_model(model)
    return model


def with_layers(path: Path, names: set[str]) -> bytes:
    """Return the graph at ``path`` with the named layers as further outputs, so that a difference can be located."""
    model = onnx.load(str(path))
    exact = TensorProto.DOUBLE if any(one.data_type == TensorProto.DOUBLE for one in model.graph.initializer) else 1
    for node in model.graph.node:
        if node.output[0] in names:
            model.graph.output.append(helper.make_tensor_value_info(node.output[0], exact, None))
    out: bytes = model.SerializeToString(deterministic=True)
    return out


def _element(worst: int) -> int:
    if worst < FLOAT32_LIMIT:
        return TensorProto.FLOAT
    if worst < FLOAT64_LIMIT:
        return TensorProto.DOUBLE
    raise ExportError(
        f"plain ONNX: a sum can reach {worst}, double precision is exact below 2**53 = {FLOAT64_LIMIT}; "
        "use fewer bits or narrower layers"
    )


def _port(name: str, width: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["events", width])


@dataclass
class _Graph:
    """A chain of operators on one value, which is ``current``."""

    element: int
    current: str = HARDWARE
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, values: Any, kind: Any = None) -> str:
        name = f"constant{len(self.constants)}"
        kind = kind or helper.tensor_dtype_to_np_dtype(self.element)
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def apply(self, operator: str, *operands: str, name: str = "", **attributes: Any) -> None:
        out = name or f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.current, *operands], [out], name=out, **attributes))
        self.current = out

    def call(self, name: str) -> None:
        """Name the current value after a layer."""
        self.nodes[-1].output[0] = self.nodes[-1].name = self.current = name

    def give(self, name: str) -> None:
        """Make the current value an output, and go on from where it was."""
        before = self.current
        self.apply("Cast", name=name, to=TensorProto.FLOAT)
        self.current = before

    def overflow(self, kind: FixedPoint) -> None:
        """Do what the type does with raw integers that it cannot hold."""
        if kind.overflow == "AP_SAT":
            self.apply("Clip", self.constant(kind.low), self.constant(kind.high))
            return
        start, span = self.current, 2.0**kind.width
        self.apply("Sub", self.constant(kind.low))
        self.apply("Mul", self.constant(1.0 / span))
        self.apply("Floor")
        self.apply("Mul", self.constant(span))
        turns, self.current = self.current, start
        self.apply("Sub", turns)

    def scale(self, bits: int) -> None:
        """Multiply by a power of two."""
        if bits:
            self.apply("Mul", self.constant(2.0**bits))

    def assign(self, kind: FixedPoint, fraction: int) -> None:
        """Assign raw integers with ``fraction`` fractional bits to a type, as the C++ assignment does."""
        self.scale(kind.fraction - fraction)
        if fraction > kind.fraction:
            self.apply("Floor" if kind.rounding == "AP_TRN" else "Round")  # Round takes a half to the even integer
        self.overflow(kind)


def _normalise(graph: _Graph, contract: Contract) -> None:
    port = contract.type_of("port")
    if graph.element != TensorProto.FLOAT:
        graph.apply("Cast", to=graph.element)
    graph.apply("Mul", graph.constant([2.0 ** (port.fraction - int(one.halved)) for one in contract.inputs]))
    if port.overflow == "AP_SAT":  # one that wraps need do so but once: the difference wraps to the same integer
        graph.overflow(port)
    graph.apply("Sub", graph.constant(contract.offsets_raw()))
    graph.overflow(port)
    shifts = [one.shift for one in contract.inputs]
    graph.apply("Mul", graph.constant([2.0**-shift for shift in shifts]))
    graph.apply("Floor")
    if min(shifts) < 0:
        graph.overflow(port)
    graph.call(NORMALISED)


def _layer(graph: _Graph, layer: Layer, program: IntegerProgram) -> None:
    before = _fraction_before(program, layer)
    if isinstance(layer, Dense):
        graph.apply("Gemm", graph.constant(layer.weights), graph.constant(layer.bias), name=layer.name)
        return
    if isinstance(layer, Residual):
        grid, own = program.fractions[layer.name], graph.current
        graph.current = layer.cast
        graph.scale(grid - program.fractions[layer.cast])
        other, graph.current = graph.current, own
        graph.scale(grid - before)
        graph.apply("Sub", other, name=layer.name)
        return
    if layer.rectify:
        graph.apply("Relu")
    graph.assign(layer.kind, before)
    graph.call(layer.name)


def _fraction_before(program: IntegerProgram, layer: Layer) -> int:
    place = [one.name for one in program.layers].index(layer.name)
    return program.fractions[program.layers[place - 1].name] if place else program.port.fraction
