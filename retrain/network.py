"""The 57-input anomaly detector, quantised while it learns.

The encoder of a variational autoencoder: 57 inputs, two hidden layers, a latent mean.  Only the encoder becomes
firmware; the variance head and the decoder are float and exist in training alone.  The score, the sum of squares
of the latent means, is the part of the Kullback-Leibler term that grows with the surprise.  Nothing here knows
about data, thresholds or C++.

References:
    E. Govorkova et al., Nat. Mach. Intell. 4 (2022) 154, doi:10.1038/s42256-022-00441-3 (encoder-only scores);
    cms-hls4ml/AXOL1TL v3 (57-32-16-8).
"""

import torch
from torch import nn

from retrain.contract import Contract, axol1tl_contract
from retrain.quantisers import cast, dense, rectifier
from retrain.recipe import Recipe
from retrain.straight_through import Encoder, Slow, confirm

_VARIANCE_FLOOR = -8.0  # log variance: a latent value is never pinned below exp(-4) in width
_VARIANCE_CEILING = 4.0


class Axol1tl(nn.Module):
    """The shipped model: ``axol1tl``."""

    def __init__(self, recipe: Recipe, contract: Contract) -> None:
        super().__init__()
        width, learned = len(contract.inputs), recipe.bit_price > 0.0
        body: list[nn.Module] = [cast(contract.type_of("network_input"))]
        fan_in = width
        for size in recipe.hidden:
            body += [dense(fan_in, size, recipe.weight_bits, learned=learned), rectifier(contract.type_of("hidden"))]
            fan_in = size
        head = [
            dense(fan_in, recipe.latent, recipe.weight_bits, learned=learned),
            cast(contract.type_of("latent"), last=True),
        ]
        self.encoder = nn.Sequential(*body, *head)
        types = (contract.type_of("network_input"), contract.type_of("hidden"), contract.type_of("latent"))
        by_hand = Encoder.over(list(self.encoder)[1::2], recipe.weight_bits, types)
        self.by_hand: Encoder | Slow = Slow(self.encoder) if learned else by_hand
        self.variance = nn.Linear(fan_in, recipe.latent)
        self.decoder = _decoder(recipe.latent, recipe.hidden, width)
        kind = contract.type_of("network_input")
        self.limit = 2.0 ** (kind.integer - 1)
        self.kl_weight = recipe.kl_weight

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
        confirm(self.by_hand, self.encoder, inputs)


def _decoder(latent: int, hidden: tuple[int, ...], width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    fan_in = latent
    for size in reversed(hidden):
        layers += [nn.Linear(fan_in, size), nn.ReLU()]
        fan_in = size
    return nn.Sequential(*layers, nn.Linear(fan_in, width))
