"""Stay near the champion's latents: learning without forgetting, for a network without labels.

References:
    Z. Li, D. Hoiem, IEEE Trans. PAMI 40 (2018) 2935, doi:10.1109/TPAMI.2017.2773081.
"""

from dataclasses import dataclass
from typing import Any

import torch


def latent_of(model: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Return a model's latent values; one that offers no ``latent`` of its own is asked through its encoder."""
    out: torch.Tensor = model.latent(inputs) if hasattr(model, "latent") else model.encoder(inputs)
    return out


@dataclass(frozen=True)
class Distillation:
    """A penalty on the mean squared distance from a teacher's latents.

    Attributes:
        teacher: The champion's model; it is only read.
        weight: Of the penalty.
        remembered_only: Whether only the events from memory count, which stand last in a batch.
    """

    teacher: Any
    weight: float
    remembered_only: bool

    def __call__(self, model: Any, batch: torch.Tensor, remembered: int) -> torch.Tensor:
        """Return the penalty for a batch of which the last ``remembered`` events are old."""
        events = batch[len(batch) - remembered :] if self.remembered_only else batch
        with torch.no_grad():
            wanted = latent_of(self.teacher, events)
        return self.weight * torch.square(latent_of(model, events) - wanted).mean()
