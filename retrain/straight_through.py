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
from torch.nn import functional

from retrain.errors import ContractError
from retrain.fixed_point import FixedPoint

BIAS_BITS = 16
_ROUNDING = {"AP_TRN": torch.floor, "AP_RND_CONV": torch.round}
_SMALLEST_SCALE = 2.0**-40  # a layer of zeros has a scale all the same


class _Cast(torch.autograd.Function):
    """Round and saturate; gradients pass where nothing saturates."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, cast: "Cast") -> torch.Tensor:
        raw = _ROUNDING[cast.kind.rounding](values * 2.0**cast.kind.fraction)
        inside = (raw >= cast.kind.low) & (raw <= cast.kind.high)
        ctx.save_for_backward(inside & (values > 0) if cast.rectify else inside)
        return raw.clamp_(cast.kind.low, cast.kind.high).mul_(2.0**-cast.kind.fraction)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (passes,) = ctx.saved_tensors
        return gradient * passes, None


class _OnGrid(torch.autograd.Function):
    """Round a parameter to its grid; gradients pass everywhere."""

    @staticmethod
    def forward(_ctx: Any, values: torch.Tensor, scale: torch.Tensor, limit: tuple[int, int]) -> torch.Tensor:
        return torch.round(values / scale).clamp_(*limit).mul_(scale)

    @staticmethod
    def backward(_ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradient, None, None


_cast: Callable[..., Any] = _Cast.apply  # torch types neither
_on_grid: Callable[..., Any] = _OnGrid.apply


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
        """Return the values on the type's grid."""
        out: torch.Tensor = _cast(values, self)
        return out


@dataclass(frozen=True)
class Dense:
    """A dense layer whose weights share one power-of-two scale and whose bias lies on the grid of the sum.

    Attributes:
        layer: Brevitas' layer, which owns ``weight`` and ``bias``.
        bits: Bits of a weight, sign included; the range is narrow.
        input_fraction: Fractional bits of what comes in.
    """

    layer: Any
    bits: int
    input_fraction: int

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Return sums for ``(n_events, n_in)`` values that lie on the input's grid."""
        weight, bias = self.layer.weight, self.layer.bias
        with torch.no_grad():
            scale = torch.exp2(torch.ceil(torch.log2(weight.abs().max())) - (self.bits - 1)).clamp_(_SMALLEST_SCALE)
        top = 2 ** (self.bits - 1) - 1
        weights = _on_grid(weight, scale, (-top, top))
        half = 2 ** (BIAS_BITS - 1)
        biases = _on_grid(bias, scale * 2.0**-self.input_fraction, (-half, half - 1))
        return functional.linear(values, weights, biases)


@dataclass(frozen=True)
class Encoder:
    """The layers in order: a cast, then dense layers and casts in turn."""

    layers: tuple[Cast | Dense, ...]

    @classmethod
    def over(cls, dense: Sequence[Any], bits: int, types: tuple[FixedPoint, FixedPoint, FixedPoint]) -> "Encoder":
        """Return the encoder over Brevitas' dense layers.

        Args:
            dense: In order, from the inputs to the latent mean.
            bits: Bits of a weight.
            types: Of the network input, of hidden values, of the latent values.
        """
        entry, inner, last = types
        layers: list[Cast | Dense] = [Cast(entry, rectify=False)]
        fraction = entry.fraction
        for number, layer in enumerate(dense, start=1):
            layers.append(Dense(layer, bits, fraction))
            layers.append(Cast(inner, rectify=True) if number < len(dense) else Cast(last, rectify=False))
            fraction = inner.fraction
        return cls(tuple(layers))

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last hidden layer and the latent means, of normalised inputs ``(n_events, n_inputs)``."""
        values = inputs
        for layer in self.layers[:-2]:
            values = layer(values)
        return values, self.layers[-1](self.layers[-2](values))


def disagreement(by_hand: Encoder, brevitas: Any, inputs: torch.Tensor) -> int:
    """Return how many latent values differ in any bit between the two, on normalised inputs."""
    with torch.no_grad():
        return int((by_hand(inputs)[1] != brevitas(inputs)).sum())
