"""How many bits a layer's weights need, learned with the weights: a price on bits against the loss.

A layer begins with all the bits that the recipe allows, and may go down to two; the firmware has whole bits at every
step.  Nothing here knows a model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

LEAST = 2.0  # bits: where Brevitas' parameter begins to count


def _learning(encoder: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each layer whose bits are learned, with the parameter that is their number above the least."""
    for layer in encoder.modules():
        if not hasattr(layer, "weight_quant"):
            continue
        for name, parameter in layer.weight_quant.named_parameters():
            if name.endswith("bit_width_offset"):
                yield layer, parameter


@dataclass(frozen=True)
class BitPrice:
    """What a model's bits add to its loss: a price times the mean number of bits of a weight."""

    price: float

    def __call__(self, model: Any, batch: torch.Tensor, remembered: int) -> torch.Tensor:
        """Return the penalty; events take no part."""
        del batch, remembered
        layers = [layer for layer, _ in _learning(model.encoder)]
        total = sum(layer.weight.numel() for layer in layers)
        bits = torch.stack([layer.weight_quant.bit_width() * layer.weight.numel() for layer in layers])
        out: torch.Tensor = self.price * bits.sum() / total
        return out


def bound(encoder: Any, most: int, optimiser: torch.optim.Optimizer) -> None:
    """Keep every layer between two bits and ``most``, after each step of the optimiser."""
    found = [parameter for _, parameter in _learning(encoder)]

    def clamp(*_: Any) -> None:
        with torch.no_grad():
            for parameter in found:
                parameter.clamp_(0.0, most - LEAST)

    optimiser.register_step_post_hook(clamp)


def bits_of(encoder: Any) -> list[int]:
    """Return the bits of every layer that learns them, in order."""
    return [round(float(layer.weight_quant.bit_width())) for layer, _ in _learning(encoder)]
