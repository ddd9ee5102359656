"""Hold back the weights that mattered: elastic weight consolidation with a diagonal Fisher information.

The information is the mean square of the loss's gradient over small groups of the champion's own events, which near
a minimum is the information of single events up to a factor; only its shape over the weights counts, so it is scaled
to a mean of one.

References:
    J. Kirkpatrick et al., PNAS 114 (2017) 3521, doi:10.1073/pnas.1611835114.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

GROUP = 8  # events a gradient is taken over
GROUPS = 256  # of them; 2 048 events in all

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Consolidation:
    """A quadratic penalty around the champion's parameters.

    Attributes:
        anchor: The champion's parameters.
        information: Non-negative, of the same shapes, mean one over all.
        stiffness: Weight of the penalty.
    """

    anchor: Tensors
    information: Tensors
    stiffness: float

    def __call__(self, model: Any, batch: torch.Tensor, remembered: int) -> torch.Tensor:
        """Return half the stiffness times the informed square distance from the champion; events take no part."""
        del batch, remembered
        terms = [
            (self.information[name] * torch.square(value - self.anchor[name])).sum()
            for name, value in model.named_parameters()
        ]
        return 0.5 * self.stiffness * torch.stack(terms).sum()


def consolidate(model: Any, events: torch.Tensor, stiffness: float, generator: torch.Generator) -> Consolidation:
    """Return the penalty around a trained model.

    Args:
        model: The champion.
        events: Normalised events that it learned from, shape ``(n_events, n_inputs)``; drawn with replacement.
        stiffness: Weight of the penalty.
        generator: Draws the events and the model's noise.
    """
    parameters = dict(model.named_parameters())
    squares = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for _ in range(GROUPS):
        chosen = torch.randint(len(events), (GROUP,), generator=generator)
        model.zero_grad()
        model.loss(events[chosen], generator).backward()
        for name, value in parameters.items():
            if value.grad is not None:
                squares[name] += torch.square(value.grad)
    model.zero_grad()
    total = sum(float(one.double().sum()) for one in squares.values())
    mean = max(total / sum(one.numel() for one in squares.values()), 1e-30)
    information = {name: (one / mean).detach() for name, one in squares.items()}
    return Consolidation({name: one.detach().clone() for name, one in parameters.items()}, information, stiffness)
