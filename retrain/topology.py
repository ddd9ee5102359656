"""The supervised classifier: does this crossing look like one of the signals it was shown?

Dense layers from the 57 L1 inputs to one log-odds for each signal that the recipe learns from; the score is the
largest.  Zero bias is background.  Signal events are drawn in training as many as background ones, so log-odds of zero
mean evenly likely at equal numbers.  Nothing here knows where events come from, about thresholds or C++.

References:
    cms-hls4ml/TOPO (dense network on L1 objects in the global trigger).
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import softplus

from retrain.contract import Contract
from retrain.errors import DatasetError, RecipeError
from retrain.quantisers import cast, dense, rectifier
from retrain.recipe import Recipe
from retrain.sockets import topology_contract
from retrain.straight_through import Encoder, Slow, confirm


class Topology(nn.Module):
    """The shipped model ``topology``; ``latent`` of the recipe is not used, it has one output a learned signal.

    Raises:
        RecipeError: The recipe names no signal to learn from.
    """

    def __init__(self, recipe: Recipe, contract: Contract) -> None:
        super().__init__()
        if not recipe.learn:
            raise RecipeError(f"recipe field learn is empty; model {recipe.model} needs signals to learn from")
        types = (contract.type_of("network_input"), contract.type_of("hidden"), contract.type_of("latent"))
        body: list[nn.Module] = [cast(types[0])]
        fan_in, learned = len(contract.inputs), recipe.bit_price > 0.0
        for size in recipe.hidden:
            body += [dense(fan_in, size, recipe.weight_bits, learned=learned), rectifier(types[1])]
            fan_in = size
        head = [dense(fan_in, len(recipe.learn), recipe.weight_bits, learned=learned), cast(types[2], last=True)]
        self.encoder = nn.Sequential(*body, *head)
        by_hand = Encoder.over(list(self.encoder)[1::2], recipe.weight_bits, types)
        self.by_hand: Encoder | Slow = Slow(self.encoder) if learned else by_hand
        self.signals: tuple[torch.Tensor, ...] = ()

    @staticmethod
    def contract() -> Contract:
        """Return the 57-input socket whose score is the largest log-odds."""
        return topology_contract()

    def show(self, signals: Sequence[torch.Tensor]) -> None:
        """Give it the signal events to learn from, normalised, one tensor ``(n_events, n_inputs)`` a class."""
        self.signals = tuple(signals)

    def loss(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the cross entropy of background against as many events of each signal, averaged over signals.

        Raises:
            DatasetError: No signals were shown.
        """
        if not self.signals:
            raise DatasetError(
                "a classifier learns from signals beside zero bias, and none were shown; use policy full"
            )
        count = max(len(inputs) // len(self.signals), 1)
        drawn = [one[torch.randint(len(one), (count,), generator=generator).to(one.device)] for one in self.signals]
        odds = self.latent(torch.cat([inputs, *drawn]))
        terms = [softplus(odds[: len(inputs)]).mean()]
        for place in range(len(drawn)):
            start = len(inputs) + place * count
            terms.append(softplus(-odds[start : start + count, place]).mean() / len(drawn))
        return torch.stack(terms).sum()

    def latent(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the log-odds ``(n_events, n_signals)``, with gradients, as the firmware will have them."""
        return self.by_hand(inputs)[1]

    def confirm(self, inputs: torch.Tensor) -> None:
        """Hold the network that is trained against Brevitas' own, which is exported.

        Raises:
            MismatchError: They differ in a bit of an output.
        """
        confirm(self.by_hand, self.encoder, inputs)
