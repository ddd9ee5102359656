"""The 57-input anomaly detector, quantised while it learns.

The encoder of a variational autoencoder: 57 inputs, two hidden layers, a latent mean.  Only the encoder becomes
firmware; the variance head and the decoder are float and exist in training alone.  The score, the sum of squares
of the latent means, is the part of the Kullback-Leibler term that grows with the surprise.  Nothing here knows
about data, thresholds or C++.

References:
    E. Govorkova et al., Nat. Mach. Intell. 4 (2022) 154, doi:10.1038/s42256-022-00441-3 (encoder-only scores);
    cms-hls4ml/AXOL1TL v3 (57-32-16-8).
"""

from typing import Any

import brevitas.nn as qnn
import torch
from brevitas.inject.enum import FloatToIntImplType, ScalingImplType
from brevitas.quant import Int16Bias
from brevitas.quant.fixed_point import (
    Int8ActPerTensorFixedPointMinMaxInit,
    Int8WeightPerTensorFixedPoint,
    Uint8ActPerTensorFixedPointMaxInit,
)
from torch import nn

from retrain.contract import Contract, axol1tl_contract
from retrain.errors import ContractError, MismatchError
from retrain.fixed_point import FixedPoint
from retrain.recipe import Recipe
from retrain.straight_through import Encoder, disagreement

_ROUNDING = {"AP_TRN": FloatToIntImplType.FLOOR, "AP_RND_CONV": FloatToIntImplType.ROUND}
_VARIANCE_FLOOR = -8.0  # log variance: a latent value is never pinned below exp(-4) in width
_VARIANCE_CEILING = 4.0


def weight_quantiser(bits: int) -> type[Any]:
    """Return a weight quantiser: narrow range, one power-of-two scale a layer."""
    return type("Weight", (Int8WeightPerTensorFixedPoint,), {"bit_width": bits})


def cast_quantiser(kind: FixedPoint) -> type[Any]:
    """Return an activation quantiser that is exactly this fixed-point type, with a constant scale.

    Raises:
        ContractError: The type wraps, which no gradient survives.
    """
    if kind.overflow != "AP_SAT":
        raise ContractError(f"{kind} wraps on overflow; a trained layer needs AP_SAT")
    common: dict[str, Any] = {
        "bit_width": kind.width,
        "scaling_impl_type": ScalingImplType.CONST,
        "float_to_int_impl_type": _ROUNDING[kind.rounding],
    }
    if kind.signed:
        limit = 2.0 ** (kind.integer - 1)
        return type("Cast", (Int8ActPerTensorFixedPointMinMaxInit,), {**common, "min_val": -limit, "max_val": limit})
    return type("Cast", (Uint8ActPerTensorFixedPointMaxInit,), {**common, "max_val": 2.0**kind.integer})


class Axol1tl(nn.Module):
    """The shipped model: ``axol1tl``."""

    def __init__(self, recipe: Recipe, contract: Contract) -> None:
        super().__init__()
        width = len(contract.inputs)
        body: list[nn.Module] = [
            qnn.QuantIdentity(act_quant=cast_quantiser(contract.type_of("network_input")), return_quant_tensor=True)
        ]
        fan_in = width
        for size in recipe.hidden:
            body.append(self._dense(fan_in, size, recipe.weight_bits))
            body.append(qnn.QuantReLU(act_quant=cast_quantiser(contract.type_of("hidden")), return_quant_tensor=True))
            fan_in = size
        head = [
            self._dense(fan_in, recipe.latent, recipe.weight_bits),
            qnn.QuantIdentity(act_quant=cast_quantiser(contract.type_of("latent")), return_quant_tensor=False),
        ]
        self.encoder = nn.Sequential(*body, *head)
        types = (contract.type_of("network_input"), contract.type_of("hidden"), contract.type_of("latent"))
        self.by_hand = Encoder.over(list(self.encoder)[1::2], recipe.weight_bits, types)
        self.variance = nn.Linear(fan_in, recipe.latent)
        self.decoder = _decoder(recipe.latent, recipe.hidden, width)
        kind = contract.type_of("network_input")
        self.limit = 2.0 ** (kind.integer - 1)
        self.kl_weight = recipe.kl_weight

    @staticmethod
    def _dense(fan_in: int, size: int, bits: int) -> nn.Module:
        layer: nn.Module = qnn.QuantLinear(
            fan_in, size, bias=True, weight_quant=weight_quantiser(bits), bias_quant=Int16Bias
        )
        return layer

    @staticmethod
    def contract() -> Contract:
        """Return the 57-input socket of AXOL1TL."""
        return axol1tl_contract()

    def loss(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return reconstruction error plus weighted Kullback-Leibler divergence, averaged over events and inputs."""
        hidden, mean = self.by_hand(inputs)
        log_variance = self.variance(hidden).clamp(_VARIANCE_FLOOR, _VARIANCE_CEILING)
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)  # drawn alike, whatever the device
        latent = mean + torch.exp(0.5 * log_variance) * noise
        wanted = inputs.clamp(-self.limit, self.limit)
        reconstruction = torch.square(self.decoder(latent) - wanted).sum(dim=1)
        divergence = 0.5 * (torch.square(mean) + torch.exp(log_variance) - 1.0 - log_variance).sum(dim=1)
        out: torch.Tensor = (reconstruction + self.kl_weight * divergence).mean() / inputs.shape[1]
        return out

    def latent(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the latent means ``(n_events, n_latent)``, with gradients, as the firmware will have them."""
        return self.by_hand(inputs)[1]

    def confirm(self, inputs: torch.Tensor) -> None:
        """Hold the encoder that is trained against Brevitas' own, which is exported.

        Raises:
            MismatchError: They differ in a bit of a latent value.
        """
        different = disagreement(self.by_hand, self.encoder, inputs)
        if different:
            raise MismatchError(
                f"the encoder trained by hand and Brevitas' differ in {different} latent values of {len(inputs)} "
                "events; retrain.straight_through does not know these quantisers"
            )


def _decoder(latent: int, hidden: tuple[int, ...], width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    fan_in = latent
    for size in reversed(hidden):
        layers += [nn.Linear(fan_in, size), nn.ReLU()]
        fan_in = size
    return nn.Sequential(*layers, nn.Linear(fan_in, width))
