"""The network as integers: the golden reference that every other description must equal.

A program is a list of layers on int64 arrays, from what the port carries to an integer score.  It knows
nothing of the framework that trained it or the compiler that will build it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrain.contract import SCORE_RULES, SUM_OF_SQUARES, Contract, Features
from retrain.errors import ExportError
from retrain.fixed_point import FixedPoint, Integers

FLOAT32_LIMIT = 2**24  # integers below this are exact in float32, where PyTorch and QONNX compute
_CHUNK = 8192  # events at a time: intermediate arrays stay in cache


@dataclass(frozen=True)
class Requantise:
    """A cast to a type, after an optional rectifier."""

    name: str
    kind: FixedPoint
    rectify: bool


@dataclass(frozen=True)
class Dense:
    """A matrix and a bias on one grid: ``weights * 2**-weight_fraction``, bias on the grid of the sum.

    Attributes:
        name: Of the layer.
        weights: Shape ``(n_in, n_out)``.
        bias: Shape ``(n_out,)``, with input fraction plus ``weight_fraction`` fractional bits.
        weight_fraction: Fractional bits of a weight.
        weight_bits: Bits of a weight, sign included.
    """

    name: str
    weights: Integers
    bias: Integers
    weight_fraction: int
    weight_bits: int


@dataclass(frozen=True)
class Residual:
    """What is left when the values of an earlier cast are taken away, exactly, on the finer of the two grids.

    Attributes:
        name: Of the layer.
        cast: Name of the earlier `Requantise`; it has as many values.
    """

    name: str
    cast: str


Layer = Requantise | Dense | Residual


@dataclass(frozen=True)
class Bound:
    """The interval that a layer's values can reach, whatever the input: raw, with ``fraction`` bits."""

    layer: str
    low: int
    high: int
    fraction: int


@dataclass(frozen=True)
class IntegerProgram:
    """From normalised inputs to latent integers and an integer score.

    Attributes:
        port: Type in which normalised inputs arrive.
        layers: In order; the last is the cast to the latent type.
        score: Type of the score; its integer is the unit of thresholds.
        score_rule: How the latent values become one score; see `retrain.contract.SCORE_RULES`.
    """

    port: FixedPoint
    layers: tuple[Layer, ...]
    score: FixedPoint
    score_rule: str = SUM_OF_SQUARES

    def __post_init__(self) -> None:
        if self.score_rule not in SCORE_RULES:
            raise ExportError(f"integer program: score rule {self.score_rule!r}; expected one of {SCORE_RULES}")
        if not self.layers or not isinstance(self.layers[-1], Requantise):
            raise ExportError("integer program: the last layer must be the cast to the latent type")
        if not isinstance(self.layers[0], Requantise):
            raise ExportError("integer program: the first layer must be the cast to the network's input type")
        casts: set[str] = set()
        for layer in self.layers:
            if isinstance(layer, Residual) and layer.cast not in casts:
                raise ExportError(f"integer program: {layer.name} takes away {layer.cast!r}, no cast before it")
            if isinstance(layer, Requantise):
                casts.add(layer.name)

    @property
    def latent(self) -> FixedPoint:
        """Type of the latent values."""
        last = self.layers[-1]
        assert isinstance(last, Requantise)
        return last.kind

    @property
    def width(self) -> int:
        """Number of inputs."""
        return next(int(layer.weights.shape[0]) for layer in self.layers if isinstance(layer, Dense))

    @cached_property
    def fractions(self) -> dict[str, int]:
        """Fractional bits of each layer's values, by its name."""
        out: dict[str, int] = {}
        fraction = self.port.fraction
        for layer in self.layers:
            if isinstance(layer, Dense):
                fraction += layer.weight_fraction
            elif isinstance(layer, Residual):
                fraction = max(fraction, out[layer.cast])
            else:
                fraction = layer.kind.fraction
            out[layer.name] = fraction
        return out

    @property
    def raw_score_fraction(self) -> int:
        """Fractional bits of the score before it is cast to its type."""
        return self.latent.fraction * (2 if self.score_rule == SUM_OF_SQUARES else 1)

    def trace(self, normalised: Integers) -> Iterator[tuple[str, Integers]]:
        """Yield each layer's name and raw output, shape ``(n_events, width)``, for ``(n_events, n_inputs)`` inputs."""
        values, fraction = normalised, self.port.fraction
        fractions, casts = self.fractions, dict[str, Integers]()
        for layer in self.layers:
            if isinstance(layer, Dense):
                values = values @ layer.weights + layer.bias
            elif isinstance(layer, Residual):
                grid, other = fractions[layer.name], fractions[layer.cast]
                values = (values << (grid - fraction)) - (casts[layer.cast] << (grid - other))
            else:
                values = layer.kind.from_raw(np.maximum(values, 0) if layer.rectify else values, fraction)
                casts[layer.name] = values
            fraction = fractions[layer.name]
            yield layer.name, values

    def latent_raw(self, normalised: Integers) -> Integers:
        """Return the latent integers, shape ``(n_events, n_latent)``, of ``(n_events, n_inputs)`` raw inputs."""
        parts = [np.zeros((0, len(self._last_dense().bias)), np.int64)]
        for start in range(0, len(normalised), _CHUNK):
            *_, (_, values) = self.trace(normalised[start : start + _CHUNK])
            parts.append(values)
        return np.concatenate(parts)

    def score_of(self, latent_raw: Integers) -> Integers:
        """Return the integer score: the latents' sum of squares, or the largest of them, cast to the score type."""
        raw = np.square(latent_raw).sum(axis=1) if self.score_rule == SUM_OF_SQUARES else latent_raw.max(axis=1)
        return self.score.from_raw(raw, self.raw_score_fraction)

    def run(self, contract: Contract, features: Features) -> Integers:
        """Return integer scores, shape ``(n_events,)``, of hardware integers of shape ``(n_inputs, n_events)``."""
        normalised = np.ascontiguousarray(contract.normalised_raw(features).T)
        return self.score_of(self.latent_raw(normalised))

    def bounds(self) -> tuple[Bound, ...]:
        """Return the worst case of every layer by interval arithmetic, the score last.

        A bound on an accumulator counts every partial sum: the sum over inputs of ``|weight| * max|input|``
        plus ``|bias|``, whatever the order in which a tool adds.
        """
        out: list[Bound] = []
        low: Integers = np.full(self.width, self.port.low, np.int64)
        high: Integers = np.full(self.width, self.port.high, np.int64)
        fraction = self.port.fraction
        casts: dict[str, tuple[Integers, Integers]] = {}
        for layer in self.layers:
            if isinstance(layer, Residual):
                up, down = (self.fractions[layer.name] - one for one in (fraction, self.fractions[layer.cast]))
                least, most = casts[layer.cast]
                low, high, fraction = (low << up) - (most << down), (high << up) - (least << down), fraction + up
                out.append(Bound(layer.name, int(low.min()), int(high.max()), fraction))
                continue
            if isinstance(layer, Dense):
                reach = np.abs(layer.weights).T @ np.maximum(np.abs(low), np.abs(high)) + np.abs(layer.bias)
                low, high = _through(layer, low, high)
                fraction += layer.weight_fraction
                out.append(Bound(layer.name, -int(reach.max()), int(reach.max()), fraction))
                continue
            if layer.rectify:
                low, high = _floored(low), _floored(high)
            low, high = layer.kind.from_raw(low, fraction), layer.kind.from_raw(high, fraction)
            if layer.kind.overflow == "AP_WRAP":
                low, high = np.full_like(low, layer.kind.low), np.full_like(high, layer.kind.high)
            fraction = layer.kind.fraction
            casts[layer.name] = low, high
            out.append(Bound(layer.name, int(low.min()), int(high.max()), fraction))
        if self.score_rule == SUM_OF_SQUARES:
            least_score, most_score = 0, int(np.maximum(np.square(low), np.square(high)).sum())
        else:
            least_score, most_score = int(low.max()), int(high.max())
        return (*out, Bound("score", least_score, most_score, self.raw_score_fraction))

    def _last_dense(self) -> Dense:
        return [layer for layer in self.layers if isinstance(layer, Dense)][-1]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return every weight and bias under a stable name, in the narrowest type that is safe: int16 and int32."""
        out: dict[str, NDArray[Any]] = {}
        for layer in self.layers:
            if isinstance(layer, Dense):
                out[f"{layer.name}.weights"] = _narrow(layer.weights, np.int16)
                out[f"{layer.name}.bias"] = _narrow(layer.bias, np.int32)
        return out

    def structure(self) -> dict[str, Any]:
        """Return everything but the arrays as plain JSON values."""
        layers: list[dict[str, Any]] = []
        for layer in self.layers:
            if isinstance(layer, Dense):
                bits = {"weight_fraction": layer.weight_fraction, "weight_bits": layer.weight_bits}
                layers.append({"name": layer.name, "dense": bits})
            elif isinstance(layer, Residual):
                layers.append({"name": layer.name, "residual": layer.cast})
            else:
                layers.append({"name": layer.name, "cast": str(layer.kind), "rectify": layer.rectify})
        rule = {} if self.score_rule == SUM_OF_SQUARES else {"score_rule": self.score_rule}
        return {"port": str(self.port), "layers": layers, "score": str(self.score), **rule}

    @classmethod
    def assemble(cls, structure: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Put back together what `structure` and `arrays` took apart.

        Raises:
            ExportError: A layer's arrays are missing.
        """
        layers: list[Layer] = []
        for one in structure["layers"]:
            name = one["name"]
            if "cast" in one:
                layers.append(Requantise(name, FixedPoint.parse(one["cast"]), bool(one["rectify"])))
                continue
            if "residual" in one:
                layers.append(Residual(name, one["residual"]))
                continue
            if f"{name}.weights" not in arrays or f"{name}.bias" not in arrays:
                raise ExportError(f"integer program: layer {name} has no weights or bias among {sorted(arrays)}")
            weights, bias = (arrays[f"{name}.{part}"].astype(np.int64) for part in ("weights", "bias"))
            layers.append(Dense(name, weights, bias, one["dense"]["weight_fraction"], one["dense"]["weight_bits"]))
        rule = structure.get("score_rule", SUM_OF_SQUARES)
        return cls(FixedPoint.parse(structure["port"]), tuple(layers), FixedPoint.parse(structure["score"]), rule)


def _floored(values: Integers) -> Integers:
    return np.maximum(values, 0).astype(np.int64)


def _through(layer: Dense, low: Integers, high: Integers) -> tuple[Integers, Integers]:
    positive, negative = np.maximum(layer.weights, 0).T, np.minimum(layer.weights, 0).T
    least = positive @ low + negative @ high + layer.bias
    most = positive @ high + negative @ low + layer.bias
    return least.astype(np.int64), most.astype(np.int64)


def _narrow(values: Integers, kind: type[np.signedinteger[Any]]) -> NDArray[Any]:
    narrowed = values.astype(kind)
    if not np.array_equal(narrowed, values):
        raise ExportError(f"a parameter of {int(np.abs(values).max())} does not fit {np.dtype(kind)}")
    return narrowed
