"""How a recipe becomes weights, the same bits every time.

Tensors stay in memory and batches are slices of a permutation; one thread, one generator, deterministic kernels.
Nothing here knows where events come from or what happens to the weights.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrain.bits import BitPrice, bound
from retrain.checkpoint import load_into, restore, settle, state_arrays, state_digest
from retrain.contract import Contract
from retrain.errors import DatasetError
from retrain.models import resolve
from retrain.policies.lesson import PLAIN, Lesson
from retrain.pruning import Pruning
from retrain.recipe import Recipe

__all__ = ["Beat", "Trained", "fit", "learn", "optimiser_of", "restore", "settle", "state_arrays", "state_digest"]

GRADIENT_NORM = 1.0  # a single monster event must not throw the weights across the room
CONFIRMED_EVENTS = 4096  # a model that has two descriptions of itself compares them on so many, every epoch

Beat = Callable[[float, str], None]


@dataclass(frozen=True)
class Trained:
    """A model after training.

    Attributes:
        model: The module, in evaluation mode, in main memory.
        losses: Mean loss of each epoch.
        epoch_digests: Digest of the parameters after each epoch.
        events: New training events seen in an epoch.
    """

    model: Any
    losses: tuple[float, ...]
    epoch_digests: tuple[str, ...]
    events: int


@dataclass(frozen=True)
class _Course:
    """A model on its way, with everything that a step needs."""

    recipe: Recipe
    model: Any
    lesson: Lesson
    generator: torch.Generator
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler

    def step(self, fresh: torch.Tensor) -> float:
        """Learn from one batch of new events; return its loss."""
        loss = learn(self.model, self.optimiser, self.lesson, fresh, self.recipe.batch_size, self.generator)
        self.schedule.step()
        return loss


def optimiser_of(model: Any, learning_rate: float) -> torch.optim.Adam:
    """Return Adam over a model's parameters, fused: one kernel where plain PyTorch runs fourteen loops."""
    return torch.optim.Adam(model.parameters(), learning_rate, fused=True)


def learn(
    model: Any,
    optimiser: torch.optim.Optimizer,
    lesson: Lesson,
    fresh: torch.Tensor,
    batch_size: int,
    generator: torch.Generator,
) -> float:
    """Move the model by one step; return the loss before it.

    Args:
        model: In training mode.
        optimiser: Of its parameters.
        lesson: Old events and penalties.
        fresh: New normalised events, shape ``(n_events, n_inputs)``.
        batch_size: Events of a whole batch, the lesson's old ones included.
        generator: Draws old events and the model's noise.
    """
    batch = lesson.batch(fresh, batch_size, generator)
    loss = model.loss(batch, generator)
    for penalty in lesson.penalties:
        loss = loss + penalty(model, batch, len(batch) - len(fresh))
    optimiser.zero_grad()
    loss.backward()
    moved = [one for group in optimiser.param_groups for one in group["params"]]
    torch.nn.utils.clip_grad_norm_(moved, GRADIENT_NORM, foreach=True)
    optimiser.step()
    return float(loss.item())


def fit(
    recipe: Recipe,
    contract: Contract,
    normalised: NDArray[np.float32],
    *,
    signals: Sequence[NDArray[np.float32]] = (),
    lesson: Lesson = PLAIN,
    device: str = "cpu",
    beat: Beat = lambda _fraction, _text: None,
    stop_after: int | None = None,
) -> Trained:
    """Train the recipe's model.

    Args:
        recipe: Seeds, sizes and rates.
        contract: Fixed-point types at the ports.
        normalised: Training events, shape ``(n_events, n_inputs)``, as the network's port carries them.
        signals: For a classifier, events of each signal of the recipe's ``learn``, shapes ``(n_events, n_inputs)``.
        lesson: What the recipe's policy adds, made for the same device; see `retrain.policies.lesson.lesson_of`.
        device: ``cpu`` or ``cuda``; random numbers are drawn on the CPU, so both see the same batches and noise, but
            their sums round differently: bits are comparable on one kind of device only.
        beat: Called about once a second of work with a fraction and a line of text.
        stop_after: Stop after this many epochs, everything else as if the recipe's number were run.

    Raises:
        DatasetError: There are fewer events than one batch, the loss stopped being a number, or the device is absent.
        MismatchError: The model's own descriptions of its encoder disagree after an epoch.
    """
    settle()
    _settle_device(device)
    new = recipe.batch_size - lesson.old_in(recipe.batch_size)
    if len(normalised) < new:
        raise DatasetError(f"training has {len(normalised)} events; expected at least one batch of {new}")
    steps = len(normalised) // new
    inputs = torch.from_numpy(np.ascontiguousarray(normalised)).to(device)
    course = _begin(recipe, contract, lesson, device, recipe.epochs * steps)
    if recipe.learn:
        _show(course.model, recipe, signals, device)
    losses: list[float] = []
    digests: list[str] = []
    course.model.train()
    for epoch in range(min(recipe.epochs, stop_after or recipe.epochs)):
        order = torch.randperm(len(inputs), generator=course.generator).to(device)
        total = 0.0
        for step in range(steps):
            total += course.step(inputs.index_select(0, order[step * new : (step + 1) * new]))
            beat((epoch + step / steps) / recipe.epochs, f"epoch {epoch + 1} of {recipe.epochs}")
        losses.append(total / steps)
        if not math.isfinite(losses[-1]):
            raise DatasetError(f"training diverged in epoch {epoch + 1}: the loss is {losses[-1]}; lower learning_rate")
        if hasattr(course.model, "confirm"):
            course.model.confirm(inputs[:CONFIRMED_EVENTS])
        digests.append(state_digest(course.model))
    model = course.model.to("cpu").eval()
    return Trained(model, tuple(losses), tuple(digests), steps * new)


def _begin(recipe: Recipe, contract: Contract, lesson: Lesson, device: str, steps: int) -> _Course:
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    model = resolve(recipe.model)(recipe, contract)
    if lesson.start is not None:
        load_into(model, recipe, lesson.start)
    model.to(device)
    optimiser = optimiser_of(model, recipe.learning_rate)
    if recipe.bit_price:
        lesson = replace(lesson, penalties=(*lesson.penalties, BitPrice(recipe.bit_price)))
        bound(model.encoder, recipe.weight_bits, optimiser)
    if recipe.sparsity or lesson.start is not None:  # a pruned champion's zeros stay out, asked for again or not
        Pruning(model.encoder, recipe.sparsity, steps).after(optimiser)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    return _Course(recipe, model, lesson, generator, optimiser, schedule)


def _show(model: Any, recipe: Recipe, signals: Sequence[NDArray[np.float32]], device: str) -> None:
    if not hasattr(model, "show"):
        raise DatasetError(f"recipe field learn is {recipe.learn!r}; model {recipe.model} learns from zero bias alone")
    if len(signals) != len(recipe.learn):
        raise DatasetError(f"training was given {len(signals)} signals; the recipe learns from {recipe.learn!r}")
    model.show([torch.from_numpy(np.ascontiguousarray(one)).to(device) for one in signals])


def _settle_device(device: str) -> None:
    kind = torch.device(device).type
    if kind not in {"cpu", "cuda"}:
        raise DatasetError(f"device is {device!r}; expected cpu or cuda")
    if kind == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats its bits only with this
        if not torch.cuda.is_available():
            raise DatasetError(f"device is {device!r}; this machine has no CUDA; use cpu")
