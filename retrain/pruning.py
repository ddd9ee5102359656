"""Weights taken out while the network learns, so that the firmware has no adder for them.

A pruned weight is exactly zero, in float as in integers, and stays so.  In every layer the smallest go first; the share
grows over the first half of the training, after which the rest has time to settle.  Nothing here knows about losses or
data.

References:
    M. Zhu, S. Gupta, "To prune, or not to prune", arXiv:1710.01878 (the schedule).
"""

from typing import Any

import torch
from torch import nn

RAMP = 0.5  # share of the steps over which the share of zeros grows


class Pruning:
    """Takes weights out of the layers that become firmware, one call after each step of an optimiser."""

    def __init__(self, encoder: Any, sparsity: float, steps: int) -> None:
        """Begin; weights that are zero already, as a pruned champion's, are taken out from the start.

        Args:
            encoder: The ``torch.nn.Module`` that becomes firmware.
            sparsity: Share of each layer's weights that is zero in the end, rounded down.
            steps: Of the whole training.
        """
        self._weights = [layer.weight for layer in encoder.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        self._kept = [one.detach() != 0 for one in self._weights]
        self._sparsity, self._ramp, self._step = sparsity, max(RAMP * steps, 1.0), 0
        self._counts = [int((~kept).sum()) for kept in self._kept]

    def after(self, optimiser: torch.optim.Optimizer) -> None:
        """Have every step of an optimiser followed by one of this."""
        optimiser.register_step_post_hook(lambda *_: self.step())

    @torch.no_grad()
    def step(self) -> None:
        """Take out what is due by now, and whatever the optimiser moved away from zero."""
        self._step += 1
        share = self._sparsity * (1.0 - max(1.0 - self._step / self._ramp, 0.0) ** 3)
        for place, weight in enumerate(self._weights):
            weight.mul_(self._kept[place])
            wanted = int(share * weight.numel() + 1e-9)
            if wanted > self._counts[place]:
                order = torch.argsort(weight.abs().flatten(), stable=True)
                self._kept[place].view(-1)[order[:wanted]] = False
                self._counts[place] = wanted
                weight.mul_(self._kept[place])


def hold(encoder: Any, optimiser: torch.optim.Optimizer) -> None:
    """Keep out what is out: after every step of the optimiser, weights that are zero now are zero again."""
    Pruning(encoder, 0.0, 1).after(optimiser)
