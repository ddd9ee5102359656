"""A learner that takes one certified lumisection after another, and can say at any moment what it has become.

Starting from the champion, it learns from each lumisection with old events from memory in every batch, on which the
champion's latents are kept.  What it becomes depends on the champion, the recipe and the lumisections in the order in
which it took them, and on nothing else: randomness is drawn anew for each from the seed and its name.  A lumisection
that is not certified, or is kept for measuring, never reaches the weights.  Nothing here touches a disk.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from retrain.bits import bound
from retrain.checkpoint import Arrays, digest_of_arrays, load_into, restore, settle, state_arrays
from retrain.contract import Contract, Features
from retrain.dataset import kept_for_measuring
from retrain.digest import digest_of
from retrain.errors import DatasetError
from retrain.memory import Memory
from retrain.models import resolve
from retrain.policies.distillation import Distillation
from retrain.policies.lesson import MINIMUM_REMEMBERED, Lesson
from retrain.pruning import hold
from retrain.recipe import LumisectionRange, Recipe, ranges
from retrain.train import learn, optimiser_of

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What Adam remembers of each parameter, by PyTorch's names."""
ALREADY = "learned from already"


@dataclass(frozen=True)
class Portion:
    """One lumisection as the learner is offered it.

    Attributes:
        run: Run number.
        lumisection: Lumisection number.
        features: Hardware integers, shape ``(n_inputs, n_events)``.
        certified: What certification says; None when it has not spoken.
        sha256: Of the file the events came from.
        fill: LHC fill; None when unknown.
        pileup: Mean interactions a crossing; None when unknown.
        era: Of the detector or its calibration.
    """

    run: int
    lumisection: int
    features: Features
    certified: bool | None
    sha256: str
    fill: int | None = None
    pileup: float | None = None
    era: str = ""


@dataclass(frozen=True, eq=False)
class Learned:
    """What the learner is after some lumisections.

    Attributes:
        number: How many it learned from.
        digest: Of this state and, through ``previous``, of every state before it.
        previous: Digest of the state before; the recipe's for the first.
        parameters: The model's.
        moments: Adam's two moments of each parameter, by ``moment/parameter``.
        steps: Steps taken so far.
        memory: Old events.
        taken: Lumisections it learned from.
        events: SHA-256 (hex) of the file of the last one; empty for the first state.
    """

    number: int
    digest: str
    previous: str
    parameters: Arrays
    moments: Arrays
    steps: int
    memory: Memory
    taken: tuple[LumisectionRange, ...]
    events: str

    def computed_digest(self) -> str:
        """Return the digest that these contents have."""
        parts = {
            "number": self.number,
            "previous": self.previous,
            "parameters": digest_of_arrays(self.parameters),
            "moments": digest_of_arrays(self.moments),
            "steps": self.steps,
            "memory": self.memory.digest,
            "taken": [str(span) for span in self.taken],
            "events": self.events,
        }
        return digest_of(parts)

    def has(self, run: int, lumisection: int) -> bool:
        """Whether it learned from this lumisection."""
        return any(span.run == run and span.first <= lumisection <= span.last for span in self.taken)


class OnlineLearner:
    """Turns a state and a lumisection into the next state."""

    def __init__(self, recipe: Recipe, contract: Contract, champion: Arrays) -> None:
        """Make a learner.

        Args:
            recipe: Of policy ``online``; ``epochs`` are passes over a lumisection.
            contract: The champion's, frozen.
            champion: The champion's checkpoint.

        Raises:
            DatasetError: The policy is another, or the checkpoint is of another network.
        """
        if recipe.policy.name != "online":
            raise DatasetError(f"an online learner needs policy online; the recipe has {recipe.policy.name}")
        settle()
        self._recipe = recipe
        self._contract = contract
        self._champion = champion
        self._teacher = restore(recipe, contract, champion)

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self._contract.inputs)

    def begin(self, memory: Memory) -> Learned:
        """Return the state before the first lumisection: the champion, with its memory."""
        parameters = {name: array.copy() for name, array in self._champion.items()}
        moments = {f"{kind}/{name}": np.zeros_like(one) for kind in MOMENTS for name, one in parameters.items()}
        return _sealed(0, self._recipe.digest, parameters, moments, 0, memory, (), "")

    def model_of(self, state: Learned) -> Any:
        """Return the model of a state, in evaluation mode."""
        return restore(self._recipe, self._contract, state.parameters)

    def refusal(self, state: Learned, portion: Portion) -> str:
        """Return why a lumisection is not learned from; empty when it is."""
        if portion.certified is not True:
            return "certified bad" if portion.certified is False else "certification has not spoken"
        if state.has(portion.run, portion.lumisection):
            return ALREADY
        recipe = self._recipe
        if kept_for_measuring(portion.run, portion.lumisection, recipe.held_out_fraction, recipe.seed):
            return "kept for measuring"
        if any(span.run == portion.run and span.first <= portion.lumisection <= span.last for span in recipe.forget):
            return "to be forgotten"
        return "" if portion.features.shape[1] >= 2 else "holds fewer than two events"

    def take(self, state: Learned, portion: Portion) -> Learned:
        """Return the state after a lumisection; the same state when it is refused, whose reason `refusal` gives.

        Raises:
            DatasetError: The parameters stopped being numbers.
        """
        if self.refusal(state, portion):
            return state
        recipe, model = self._recipe, resolve(self._recipe.model)(self._recipe, self._contract)
        load_into(model, recipe, state.parameters)
        model.train()
        optimiser = _optimiser(model, recipe.learning_rate, state)
        if recipe.bit_price:
            bound(model.encoder, recipe.weight_bits, optimiser)
        hold(model.encoder, optimiser)
        generator = torch.Generator().manual_seed(_seed(recipe.seed, portion.run, portion.lumisection))
        lesson = self._lesson(state.memory)
        inputs = torch.from_numpy(self._contract.network_inputs(portion.features))
        new = recipe.batch_size - lesson.old_in(recipe.batch_size)
        steps = 0
        for _ in range(recipe.epochs):
            order = torch.randperm(len(inputs), generator=generator)
            for start in range(0, len(inputs), new):
                fresh = inputs.index_select(0, order[start : start + new])
                learn(model, optimiser, lesson, fresh, recipe.batch_size, generator)
                steps += 1
        parameters = state_arrays(model)
        if not all(np.isfinite(one).all() for one in parameters.values()):
            raise DatasetError(
                f"online learning diverged at {portion.run}:{portion.lumisection}; lower learning_rate and begin again"
            )
        memory = state.memory.merged([_kept(portion)])
        taken = ranges([*_pairs(state.taken), (portion.run, portion.lumisection)])
        moments = _moments(model, optimiser)
        total = state.steps + steps
        return _sealed(state.number + 1, state.digest, parameters, moments, total, memory, taken, portion.sha256)

    def _lesson(self, memory: Memory) -> Lesson:
        if memory.events < MINIMUM_REMEMBERED:
            return Lesson()
        remembered = torch.from_numpy(self._contract.network_inputs(memory.features))
        policy = self._recipe.policy
        penalty = Distillation(self._teacher, policy.distillation, remembered_only=True)
        return Lesson(None, remembered, policy.memory_share, (penalty,))


def _kept(portion: Portion) -> Memory:
    return Memory.of_lumisection(
        portion.features, portion.run, portion.lumisection, fill=portion.fill, pileup=portion.pileup, era=portion.era
    )


def _pairs(spans: Sequence[LumisectionRange]) -> list[tuple[int, int]]:
    return [(span.run, number) for span in spans for number in range(span.first, span.last + 1)]


def _seed(seed: int, run: int, lumisection: int) -> int:
    rank = hashlib.sha256(f"online:{seed}:{run}:{lumisection}".encode()).digest()
    return int.from_bytes(rank[:8], "big") >> 1


def _optimiser(model: Any, learning_rate: float, state: Learned) -> torch.optim.Adam:
    optimiser = optimiser_of(model, learning_rate)
    if state.steps:
        for name, parameter in model.named_parameters():
            moments = {kind: torch.from_numpy(state.moments[f"{kind}/{name}"].copy()) for kind in MOMENTS}
            optimiser.state[parameter] = {"step": torch.tensor(float(state.steps)), **moments}
    return optimiser


def _moments(model: Any, optimiser: torch.optim.Adam) -> Arrays:
    names = {name: optimiser.state[one] for name, one in model.named_parameters() if one in optimiser.state}
    return {f"{kind}/{name}": np.array(own[kind].numpy()) for kind in MOMENTS for name, own in names.items()}


def _sealed(
    number: int,
    previous: str,
    parameters: Arrays,
    moments: Arrays,
    steps: int,
    memory: Memory,
    taken: tuple[LumisectionRange, ...],
    events: str,
) -> Learned:
    state = Learned(number, "", previous, parameters, moments, steps, memory, taken, events)
    return replace(state, digest=state.computed_digest())
