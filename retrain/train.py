"""How a recipe becomes weights, the same bits every time.

Tensors stay in memory and batches are slices of a permutation; one thread, one generator, deterministic kernels.
Nothing here knows where events come from or what happens to the weights.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrain.contract import Contract
from retrain.digest import canonical, digest_of_bytes
from retrain.errors import DatasetError
from retrain.models import resolve
from retrain.recipe import Recipe

GRADIENT_NORM = 1.0  # a single monster event must not throw the weights across the room

Beat = Callable[[float, str], None]


@dataclass(frozen=True)
class Trained:
    """A model after training.

    Attributes:
        model: The module, in evaluation mode.
        losses: Mean loss of each epoch.
        epoch_digests: Digest of the parameters after each epoch.
        events: Training events seen in an epoch.
    """

    model: Any
    losses: tuple[float, ...]
    epoch_digests: tuple[str, ...]
    events: int


def settle() -> None:
    """Make PyTorch compute the same bits on every run: one thread, deterministic kernels."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def fit(
    recipe: Recipe,
    contract: Contract,
    normalised: NDArray[np.float32],
    *,
    beat: Beat = lambda _fraction, _text: None,
    stop_after: int | None = None,
) -> Trained:
    """Train the recipe's model.

    Args:
        recipe: Seeds, sizes and rates.
        contract: Fixed-point types at the ports.
        normalised: Training events, shape ``(n_events, n_inputs)``, as the network's port carries them.
        beat: Called about once a second of work with a fraction and a line of text.
        stop_after: Stop after this many epochs, everything else as if the recipe's number were run.

    Raises:
        DatasetError: There are fewer events than one batch, or the loss stopped being a number.
    """
    settle()
    if len(normalised) < recipe.batch_size:
        raise DatasetError(f"training has {len(normalised)} events; expected at least one batch of {recipe.batch_size}")
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    model = resolve(recipe.model)(recipe, contract)
    optimiser = torch.optim.Adam(model.parameters(), recipe.learning_rate)
    steps = len(normalised) // recipe.batch_size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs * steps)
    inputs = torch.from_numpy(np.ascontiguousarray(normalised))
    losses: list[float] = []
    digests: list[str] = []
    model.train()
    for epoch in range(min(recipe.epochs, stop_after or recipe.epochs)):
        order = torch.randperm(len(inputs), generator=generator)
        total = 0.0
        for step in range(steps):
            batch = inputs[order[step * recipe.batch_size : (step + 1) * recipe.batch_size]]
            loss = model.loss(batch, generator)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
            optimiser.step()
            schedule.step()
            total += loss.item()
            beat((epoch + step / steps) / recipe.epochs, f"epoch {epoch + 1} of {recipe.epochs}")
        losses.append(total / steps)
        if not math.isfinite(losses[-1]):
            raise DatasetError(f"training diverged in epoch {epoch + 1}: the loss is {losses[-1]}; lower learning_rate")
        digests.append(state_digest(model))
    model.eval()
    return Trained(model, tuple(losses), tuple(digests), steps * recipe.batch_size)


def state_arrays(model: Any) -> dict[str, NDArray[Any]]:
    """Return every parameter and buffer as an array."""
    return {name: np.ascontiguousarray(value.detach().numpy()) for name, value in model.state_dict().items()}


def state_digest(model: Any) -> str:
    """Return the SHA-256 (hex) of all parameters and buffers, names, types and shapes included."""
    arrays = state_arrays(model)
    head = [[name, str(array.dtype), list(array.shape)] for name, array in sorted(arrays.items())]
    return digest_of_bytes(canonical(head) + b"".join(arrays[name].tobytes() for name in sorted(arrays)))


def restore(recipe: Recipe, contract: Contract, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return the recipe's model with a checkpoint's parameters, in evaluation mode.

    Raises:
        DatasetError: The checkpoint is of another network.
    """
    settle()
    model = resolve(recipe.model)(recipe, contract)
    try:
        model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, strict=True)
    except RuntimeError as error:
        raise DatasetError(f"checkpoint does not fit model {recipe.model}: {error}; train again") from error
    model.eval()
    return model
