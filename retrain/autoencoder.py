"""The autoencoder on features, as AXOL1TL has been since v5: what it cannot rebuild is the score.

A block of dense layers turns the 57 inputs into a few features that keep what two disturbed views of one event share
(VICReg); an autoencoder rebuilds the features through a bottleneck.  The latent values of the firmware are the
residuals, reconstruction minus features, and the score is the sum of their squares.  Nothing here knows about data,
thresholds or C++.

References:
    A. Bardes, J. Ponce, Y. LeCun, arXiv:2105.04906 (VICReg); cms-hls4ml/AXOL1TL v5, v6 (57-29-10-9-6-4-6-9-10).
"""

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from retrain.contract import Contract, axol1tl_contract
from retrain.errors import RecipeError
from retrain.quantisers import cast, dense, rectifier
from retrain.recipe import Recipe
from retrain.straight_through import Cast, Layer, confirm, stacked

FEATURE_LAYERS = 2  # the first of the hidden layers; the rest lead down to the bottleneck
NOISE = 0.5  # of a view, in units of the normalised inputs: half a spread
DROPPED = 0.1  # share of inputs that a view does not see
VARIANCE, COVARIANCE = 1.0, 0.04  # beside an invariance of one, the proportions of the paper
_STILL = 1e-4  # added to a variance, whose root has no gradient at zero


class Kept(nn.Module):
    """A module that remembers what it gave last, for `Minus`."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.last: Any = None

    def forward(self, values: Any) -> Any:
        """Return what the inner module gives."""
        self.last = self.inner(values)
        return self.last


class Minus(nn.Module):
    """Takes away what a `Kept` module gave for the same events."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self._kept = (kept,)  # in a tuple: it is registered where it stands

    def forward(self, values: Any) -> torch.Tensor:
        """Return the difference as plain numbers."""
        other = self._kept[0].last
        out: torch.Tensor = getattr(values, "value", values) - getattr(other, "value", other)
        return out


class Axol1tlV5(nn.Module):
    """The shipped model ``axol1tl_v5``: ``hidden`` are two feature layers and the way down, ``latent`` the bottleneck.

    ``hidden = (29, 10, 9, 6)`` with ``latent = 4`` is AXOL1TL's 57-29-10-9-6-4-6-9-10, of 2 362 parameters.

    Raises:
        RecipeError: There are fewer than two hidden layers.
    """

    def __init__(self, recipe: Recipe, contract: Contract) -> None:
        super().__init__()
        if len(recipe.hidden) < FEATURE_LAYERS:
            raise RecipeError(
                f"recipe field hidden is {recipe.hidden!r}; model {recipe.model} needs two feature layers first"
            )
        feature, way = recipe.hidden[:FEATURE_LAYERS], recipe.hidden[FEATURE_LAYERS:]
        widths = (len(contract.inputs), *feature, *way, recipe.latent, *reversed(way), feature[-1])
        layers = [
            dense(fan_in, size, recipe.weight_bits, learned=recipe.bit_price > 0.0) for fan_in, size in pairwise(widths)
        ]
        entry, hidden, latent = (contract.type_of(name) for name in ("network_input", "hidden", "latent"))
        kept = Kept(rectifier(hidden))
        body: list[nn.Module] = [cast(entry)]
        for number, layer in enumerate(layers[:-1], start=1):
            body += [layer, kept if number == FEATURE_LAYERS else rectifier(hidden)]
        self.encoder = nn.Sequential(*body, layers[-1], cast(latent), Minus(kept), cast(latent, last=True))
        casts = [*[Cast(hidden, rectify=True)] * (len(layers) - 1), Cast(latent, rectify=False)]
        self.entry, self.last = Cast(entry, rectify=False), casts[-1]
        self.learned_bits = recipe.bit_price > 0.0  # which only Brevitas' own layers know
        self.layers: tuple[Layer, ...] = stacked(layers, recipe.weight_bits, entry.fraction, casts)

    @staticmethod
    def contract() -> Contract:
        """Return the 57-input socket of AXOL1TL; its latent type is that of the residuals."""
        return axol1tl_contract()

    def loss(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return what two views of one event do not share, plus what the autoencoder does not rebuild.

        The features learn from the views alone: rebuilt features would else shrink to nothing.
        """
        features = self._features(inputs)
        shared = _vicreg(*(self._features(_view(inputs, generator)) for _ in range(2)))
        out: torch.Tensor = shared + torch.square(self._rebuilt(features.detach()) - features.detach()).mean()
        return out

    def latent(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the residuals ``(n_events, n_features)``, with gradients, before their cast."""
        features = self._features(inputs)
        return self._rebuilt(features) - features

    def confirm(self, inputs: torch.Tensor) -> None:
        """Hold the network that is trained against Brevitas' own, which is exported.

        Raises:
            MismatchError: They differ in a bit of a residual.
        """
        confirm(lambda events: (None, self.last(self.latent(events))), self.encoder, inputs)

    def _features(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.learned_bits:
            out: torch.Tensor = self.encoder[: 1 + 2 * FEATURE_LAYERS](inputs).value
            return out
        values = self.entry(inputs)
        for layer in self.layers[:FEATURE_LAYERS]:
            values = layer(values)
        return values

    def _rebuilt(self, features: torch.Tensor) -> torch.Tensor:
        if self.learned_bits:
            place: Any = self.encoder[2 * FEATURE_LAYERS]
            kept = place.inner.act_quant(features)
            out: torch.Tensor = self.encoder[1 + 2 * FEATURE_LAYERS : -2](kept).value
            return out
        for layer in self.layers[FEATURE_LAYERS:]:
            features = layer(features)
        return features


def _view(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(inputs.shape, generator=generator).to(inputs.device)  # drawn alike, whatever the device
    seen = torch.rand(inputs.shape, generator=generator).to(inputs.device) >= DROPPED
    return (inputs + NOISE * noise) * seen


def _vicreg(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    out = torch.square(one - two).mean()
    for features in (one, two):
        centred = features - features.mean(dim=0)
        covariance = centred.t().mm(centred) / max(len(features) - 1, 1)
        spread = torch.sqrt(torch.diagonal(covariance) + _STILL)
        out = out + 0.5 * VARIANCE * torch.relu(1.0 - spread).mean()
        apart = torch.square(covariance).sum() - torch.square(torch.diagonal(covariance)).sum()
        out = out + COVARIANCE * apart / features.shape[1]
    return out
