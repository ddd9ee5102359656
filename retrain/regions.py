"""The anomaly detector on regional energies, as CICADA is one: a small convolution, then dense layers to one score.

A float autoencoder, the teacher, learns to rebuild the 18 x 14 energies; the quantised student learns the logarithm of
the teacher's error and is all that becomes firmware.  There the convolution is a dense layer with most weights zero and
the others shared.  Nothing here knows about data, thresholds or C++.

References:
    arXiv:2310.06047; cms-hls4ml/CICADA v2: four 2 x 2 filters of stride 2, 16 neurons, one output, 4 080 parameters.
"""

from typing import Any

import brevitas.nn as qnn
import torch
from torch import nn

from retrain.contract import Contract
from retrain.errors import RecipeError
from retrain.quantisers import cast, dense, rectifier, weight_quantiser
from retrain.recipe import Recipe
from retrain.sockets import REGIONS_ETA, REGIONS_PHI, cicada_contract
from retrain.straight_through import Encoder, Slow, confirm

SIDE = 2  # of a filter, and its stride
BANDS = REGIONS_PHI // SIDE
MOST_FILTERS = 8
BOTTLENECK = 20  # of the teacher
OCTAVES = 4.0  # of the score for each factor of two in the teacher's error plus one


class RegionConvolution(qnn.QuantConv2d):  # type: ignore[misc] # brevitas is not typed
    """A convolution over flat regions, and the same as a dense layer.

    Regions stand azimuth by azimuth, so a row of patches sees one unbroken band of inputs; outputs stand band by band.
    """

    def __init__(self, filters: int, bits: int, *, learned: bool = False) -> None:
        weight_quant = weight_quantiser(bits, learned=learned)
        super().__init__(1, filters, SIDE, stride=SIDE, bias=False, weight_quant=weight_quant)
        across = REGIONS_ETA // SIDE
        self._band = (filters * across, SIDE * REGIONS_ETA)  # outputs and inputs of a band
        place = torch.arange(SIDE**2)
        cells = place // SIDE * REGIONS_ETA + place % SIDE + SIDE * torch.arange(across)[:, None]
        self._cells, self._patches = cells.flatten(), torch.arange(across).repeat_interleave(SIDE**2)
        self._places = place.repeat(across)

    def forward(self, values: Any) -> Any:
        """Return ``(n_events, bands * filters * patches)`` of ``(n_events, regions)``."""
        out = super().forward(values.view(-1, 1, REGIONS_PHI, REGIONS_ETA))
        return out.transpose(1, 2).flatten(1)

    @property
    def outputs(self) -> int:
        """Number of values that it gives."""
        return BANDS * self._band[0]

    def banded(self, weight: torch.Tensor) -> torch.Tensor:
        """Return filters ``(filters, 1, side, side)`` as the matrix of one band, ``(outputs, inputs)``."""
        flat = weight.reshape(len(weight), -1)
        out = flat.new_zeros(len(weight), REGIONS_ETA // SIDE, self._band[1])
        out[:, self._patches, self._cells] = flat[:, self._places]
        return out.flatten(0, 1)

    def unrolled_weight(self, weight: torch.Tensor) -> torch.Tensor:
        """Return filters ``(filters, 1, side, side)`` as a matrix ``(outputs, regions)``."""
        return torch.kron(torch.eye(BANDS, dtype=weight.dtype, device=weight.device), self.banded(weight))

    def unrolled(self) -> nn.Module:
        """Return a dense layer with the same weights: what is written as QONNX, C++ and RTL."""
        weight_quant = weight_quantiser(round(float(self.weight_quant.bit_width())))
        out: Any = qnn.QuantLinear(REGIONS_PHI * REGIONS_ETA, self.outputs, bias=False, weight_quant=weight_quant)
        with torch.no_grad():
            out.weight.copy_(self.unrolled_weight(self.weight))
        layer: nn.Module = out.train(self.training)
        return layer


class _Flat:
    """A convolution's parameters as those of a dense layer, with gradients."""

    def __init__(self, convolution: RegionConvolution) -> None:
        self._convolution = convolution

    @property
    def weight(self) -> torch.Tensor:
        return self._convolution.unrolled_weight(self._convolution.weight)

    @property
    def bias(self) -> torch.Tensor:
        out: torch.Tensor = self._convolution.weight.new_zeros(self._convolution.outputs)
        return out


class Cicada(nn.Module):
    """The shipped model ``cicada``: ``hidden`` is the number of filters, then widths; ``latent`` is not used.

    ``hidden = (4, 16)`` is CICADA's size.

    Raises:
        RecipeError: There are more than eight filters.
    """

    def __init__(self, recipe: Recipe, contract: Contract) -> None:
        super().__init__()
        filters, *widths = recipe.hidden
        learned = recipe.bit_price > 0.0
        if filters > MOST_FILTERS:
            raise RecipeError(
                f"recipe field hidden is {recipe.hidden!r}; model {recipe.model} takes its first number for that of "
                f"filters, at most {MOST_FILTERS}"
            )
        types = (contract.type_of("network_input"), contract.type_of("hidden"), contract.type_of("latent"))
        convolution = RegionConvolution(filters, recipe.weight_bits, learned=learned)
        fan_in = convolution.outputs
        body: list[nn.Module] = [cast(types[0]), convolution, rectifier(types[1])]
        for size in widths:
            body += [dense(fan_in, size, recipe.weight_bits, learned=learned), rectifier(types[1])]
            fan_in = size
        last = dense(fan_in, 1, recipe.weight_bits, learned=learned)
        nn.init.constant_(last.bias, 1.0)  # type: ignore[arg-type] # an output below zero would learn nothing
        self.encoder = nn.Sequential(*body, last, cast(types[2], last=True))
        layers: list[Any] = [_Flat(convolution), *list(self.encoder)[3::2]]
        by_hand = Encoder.over(layers, recipe.weight_bits, types)
        self.by_hand: Encoder | Slow = Slow(self.encoder) if learned else by_hand
        regions = len(contract.inputs)
        self.teacher = nn.Sequential(
            nn.Linear(regions, 64), nn.ReLU(), nn.Linear(64, BOTTLENECK), nn.Linear(BOTTLENECK, 64), nn.ReLU(),
            nn.Linear(64, regions),
        )  # fmt: skip
        self.limit = 2.0 ** types[0].integer

    @staticmethod
    def contract() -> Contract:
        """Return the socket of 252 regional energies."""
        return cicada_contract()

    def loss(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the teacher's error plus the student's; nothing is drawn."""
        del generator
        wanted = inputs.clamp(0.0, self.limit)
        error = torch.square(self.teacher(wanted) - wanted).mean(dim=1)
        aim = OCTAVES * torch.log2(1.0 + error.detach())
        out: torch.Tensor = error.mean() + torch.square(self.latent(inputs)[:, 0] - aim).mean()
        return out

    def latent(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the student's score ``(n_events, 1)``, with gradients, as the firmware will have it."""
        out: torch.Tensor = self.by_hand(inputs)[1]
        return out

    def confirm(self, inputs: torch.Tensor) -> None:
        """Hold the network that is trained, its convolution unrolled, against Brevitas' own with a real convolution.

        Raises:
            MismatchError: They differ in a bit of a score.
        """
        confirm(self.by_hand, self.encoder, inputs)
