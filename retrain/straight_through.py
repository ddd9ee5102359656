"""The quantised encoder again, by hand: the same numbers as Brevitas, at a fraction of the time a step.

Brevitas builds scales and wrappers anew in every step, about 20 ms whatever the batch.  Here scales that are constant
are numbers, and rounding passes gradients straight through.  It reads the parameters of Brevitas' own layers and has
none itself; Brevitas stays what is exported and proven, and `disagreement` holds the two against each other, bit by
bit.  Nothing here knows about losses or data.

References:
    Y. Bengio, N. Leonard, A. Courville, arXiv:1308.3432 (straight-through estimator).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from retrain.errors import ContractError, MismatchError
from retrain.fixed_point import FixedPoint

BIAS_BITS = 16
_ROUNDING = {"AP_TRN": torch.floor, "AP_RND_CONV": torch.round}
_SMALLEST_SCALE = 2.0**-40  # a layer of zeros has a scale all the same


@dataclass(frozen=True)
class Cast:
    """A cast to a fixed-point type, after an optional rectifier.

    Raises:
        ContractError: The type wraps, which no gradient survives.
    """

    kind: FixedPoint
    rectify: bool

    def __post_init__(self) -> None:
        if self.kind.overflow != "AP_SAT":
            raise ContractError(f"{self.kind} wraps on overflow; a trained layer needs AP_SAT")

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values on the type's grid; no gradient comes back through this."""
        with torch.no_grad():
            return self.saturated(self.rounded(values)).mul_(2.0**-self.kind.fraction)

    def rounded(self, values: torch.Tensor) -> torch.Tensor:
        """Return raw values that may lie outside the type."""
        return _ROUNDING[self.kind.rounding](values * 2.0**self.kind.fraction)

    def saturated(self, raw: torch.Tensor) -> torch.Tensor:
        """Return raw values that the type holds; a rectified type holds none below zero."""
        return raw.clamp(self.kind.low, self.kind.high)


class _Layer(torch.autograd.Function):
    """A dense layer and the cast behind it, with gradients that pass where nothing saturates."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, own: "Layer") -> torch.Tensor:
        weights, biases = own.on_grid(weight, bias)
        sums = torch.addmm(biases, values, weights.t())
        raw = own.cast.rounded(sums)
        out = own.cast.saturated(raw)
        inside = out == raw
        if own.cast.rectify:
            inside &= sums > 0
        ctx.save_for_backward(values, weights, inside)
        return out.mul_(2.0**-own.cast.kind.fraction)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor, None]:
        values, weights, inside = ctx.saved_tensors
        passed = gradient * inside
        back = passed.mm(weights) if ctx.needs_input_grad[0] else None
        return back, passed.t().mm(values), passed.sum(0), None


_layer: Callable[..., Any] = _Layer.apply  # torch does not type it


@dataclass(frozen=True)
class Layer:
    """A dense layer, its weights on one power-of-two scale, its bias on the grid of the sum, and the cast behind it.

    Attributes:
        dense: Brevitas' layer, which owns ``weight`` and ``bias``.
        bits: Bits of a weight, sign included; the range is narrow.
        input_fraction: Fractional bits of what comes in.
        cast: What the sums are cast to.
    """

    dense: Any
    bits: int
    input_fraction: int
    cast: Cast

    def on_grid(self, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights and biases as the firmware holds them."""
        scale = torch.exp2(torch.ceil(torch.log2(weight.abs().max())) - (self.bits - 1)).clamp_(_SMALLEST_SCALE)
        top, half = 2 ** (self.bits - 1) - 1, 2 ** (BIAS_BITS - 1)
        weights = (weight / scale).round_().clamp_(-top, top).mul_(scale)
        step = scale * 2.0**-self.input_fraction
        return weights, (bias / step).round_().clamp_(-half, half - 1).mul_(step)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Return cast sums for ``(n_events, n_in)`` values that lie on the input's grid."""
        out: torch.Tensor = _layer(values, self.dense.weight, self.dense.bias, self)
        return out


def stacked(dense: Sequence[Any], bits: int, fraction: int, casts: Sequence[Cast]) -> tuple[Layer, ...]:
    """Return layers in a row, each with its cast, over Brevitas' dense layers; inputs have ``fraction`` bits."""
    fractions = [fraction, *(one.kind.fraction for one in casts)]
    return tuple(Layer(layer, bits, grid, cast) for layer, grid, cast in zip(dense, fractions, casts, strict=False))


@dataclass(frozen=True)
class Encoder:
    """The cast of the inputs, then dense layers with their casts."""

    entry: Cast
    layers: tuple[Layer, ...]

    @classmethod
    def over(cls, dense: Sequence[Any], bits: int, types: tuple[FixedPoint, FixedPoint, FixedPoint]) -> "Encoder":
        """Return the encoder over Brevitas' dense layers.

        Args:
            dense: In order, from the inputs to the latent mean.
            bits: Bits of a weight.
            types: Of the network input, of hidden values, of the latent values.
        """
        entry, inner, last = types
        casts = [*[Cast(inner, rectify=True)] * (len(dense) - 1), Cast(last, rectify=False)]
        return cls(Cast(entry, rectify=False), stacked(dense, bits, entry.fraction, casts))

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last hidden layer and the latent means, of normalised inputs ``(n_events, n_inputs)``.

        Gradients reach the parameters, not the inputs.
        """
        values = self.entry(inputs)
        for layer in self.layers[:-1]:
            values = layer(values)
        return values, self.layers[-1](values)


@dataclass(frozen=True)
class Slow:
    """Brevitas' own encoder, asked as an `Encoder` is: for quantisers that are not known here, as learned bits."""

    encoder: Any

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last hidden layer and the latent values, with gradients."""
        hidden = self.encoder[:-2](inputs)
        return hidden.value, self.encoder[-2:](hidden)


def disagreement(
    by_hand: Callable[[torch.Tensor], tuple[Any, torch.Tensor]], brevitas: Any, inputs: torch.Tensor
) -> int:
    """Return how many latent values differ in any bit between the two, on normalised inputs."""
    with torch.no_grad():
        return int((by_hand(inputs)[1] != brevitas(inputs)).sum())


def confirm(by_hand: Callable[[torch.Tensor], tuple[Any, torch.Tensor]], brevitas: Any, inputs: torch.Tensor) -> None:
    """Hold the encoder that is trained against Brevitas' own, which is exported, on normalised inputs.

    Raises:
        MismatchError: They differ in a bit of a latent value.
    """
    different = disagreement(by_hand, brevitas, inputs)
    if different:
        raise MismatchError(
            f"the encoder trained by hand and Brevitas' differ in {different} latent values of {len(inputs)} events; "
            "retrain.straight_through does not know these quantisers"
        )
