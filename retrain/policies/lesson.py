"""What a policy adds to plain training: where weights begin, which old events come along, what is penalised.

`retrain.train.fit` knows lessons and no policies; a policy becomes a lesson here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrain.checkpoint import Arrays, restore
from retrain.contract import Contract
from retrain.errors import DatasetError
from retrain.policies.consolidation import consolidate
from retrain.policies.distillation import Distillation
from retrain.policy import PARAMETERS
from retrain.recipe import Recipe

Penalty = Callable[[Any, torch.Tensor, int], torch.Tensor]
"""Of a model, a batch, and how many events at its end come from memory."""
MINIMUM_REMEMBERED = 100  # events; a memory of fewer says nothing about what was


@dataclass(frozen=True)
class Lesson:
    """What differs from plain training.

    Attributes:
        start: The parameters to begin with; None draws fresh ones from the recipe's seed.
        remembered: Normalised old events, shape ``(n_events, n_inputs)``; None when none come along.
        share: Share of a batch that is old.
        penalties: Added to the loss of each batch.
    """

    start: Arrays | None = None
    remembered: torch.Tensor | None = None
    share: float = 0.0
    penalties: tuple[Penalty, ...] = ()

    def old_in(self, batch_size: int) -> int:
        """Return how many events of a batch are old: at least one when any are, and never all."""
        if self.remembered is None:
            return 0
        return min(max(round(self.share * batch_size), 1), batch_size - 1)

    def batch(self, fresh: torch.Tensor, batch_size: int, generator: torch.Generator) -> torch.Tensor:
        """Return new events with old ones, drawn with replacement, behind them."""
        old = self.old_in(batch_size)
        if self.remembered is None or old == 0:
            return fresh
        chosen = torch.randint(len(self.remembered), (old,), generator=generator)
        return torch.cat([fresh, self.remembered[chosen.to(fresh.device)]])


PLAIN = Lesson()


def lesson_of(
    recipe: Recipe,
    contract: Contract,
    champion: Arrays | None,
    memory: NDArray[np.float32] | None,
    device: str = "cpu",
) -> Lesson:
    """Return what the recipe's policy adds to plain training.

    Args:
        recipe: Names the policy; its seed draws what the policy draws.
        contract: Fixed-point types at the ports.
        champion: The champion's checkpoint; only ``full`` does without.
        memory: Normalised events that the champion learned from, shape ``(n_events, n_inputs)``.
        device: Where it is trained.

    Raises:
        DatasetError: The champion's checkpoint or memory is missing, too small, or of another network.
    """
    policy = recipe.policy
    if not policy.from_champion:
        return PLAIN
    if champion is None:
        raise DatasetError(f"policy {policy.name} starts from the champion's checkpoint, and there is none; use full")
    if policy.name in {"naive", "lwf"}:
        remembered = None
    elif memory is None or len(memory) < MINIMUM_REMEMBERED:
        found = "no memory" if memory is None else f"a memory of {len(memory)} events"
        raise DatasetError(
            f"policy {policy.name}: the champion has {found}; expected {MINIMUM_REMEMBERED} at least; "
            "use full once, and its bundle will have one"
        )
    else:
        remembered = torch.from_numpy(np.ascontiguousarray(memory)).to(device)
    teacher = restore(recipe, contract, champion).to(device)
    penalties: list[Penalty] = []
    if policy.name == "ewc":
        assert remembered is not None
        generator = torch.Generator().manual_seed(recipe.seed)
        penalties.append(consolidate(teacher, remembered, policy.stiffness, generator))
    if "distillation" in PARAMETERS[policy.name]:
        penalties.append(Distillation(teacher, policy.distillation, remembered_only=policy.rehearses))
    kept = remembered if policy.rehearses else None
    return Lesson(champion, kept, policy.memory_share if policy.rehearses else 0.0, tuple(penalties))
