"""Who takes part in the continual-learning campaign, all behind one interface: learn a fill, score events.

All but river's two are the same quantised network on the same frozen power-of-two scales, trained by
`retrain.train.fit` or `retrain.online`; their scores are the firmware's integers.  River's models are floating-point
baselines that learn event by event: they can never become firmware.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from river import anomaly

from benchmarks.continual_streams import Fill, joined
from retrain.checkpoint import Arrays, state_arrays
from retrain.contract import Contract, Features, axol1tl_contract
from retrain.memory import Memory
from retrain.online import OnlineLearner, Portion
from retrain.policies.lesson import lesson_of
from retrain.policy import FULL, Policy
from retrain.preflight import derive
from retrain.recipe import Recipe, ranges
from retrain.train import fit

BATCH = 512
FULL_EPOCHS, FULL_RATE = 15, 1e-2
TUNING_EPOCHS, TUNING_RATE = 5, 1e-3
ONLINE_RATE = 5e-4
RIVER_EVENTS = 1500
"""Events of a fill that river's models learn from: one at a time they are some hundred times slower."""
POLICIES: Mapping[str, Policy] = {
    "full retrain": FULL,
    "naive fine-tune": Policy("naive"),
    "replay": Policy("replay"),
    "EWC": Policy("ewc"),
    "LwF": Policy("lwf"),
    "replay + LwF": Policy("replay_lwf"),
}
Scores = NDArray[Any]


class Learner(Protocol):
    """Someone who learns fill after fill."""

    def learn(self, fill: Fill) -> None:
        """Take a fill's teaching lumisections in."""

    def scores(self, features: Features) -> Scores:
        """Return the anomaly score of events ``(57, n_events)``: the larger, the stranger."""


@dataclass(frozen=True, eq=False)
class Champion:
    """What fill 0 left.

    Attributes:
        recipe: It was made from.
        contract: Derived from fill 0 and frozen from then on.
        model: Trained.
        memory: Of fill 0.
    """

    recipe: Recipe
    contract: Contract
    model: Any
    memory: Memory

    @classmethod
    def of(cls, fill: Fill, seed: int) -> "Champion":
        """Train the champion on the healthy fill."""
        features = joined(fill.teaching)
        contract = derive(axol1tl_contract("L1_AXO"), features)
        recipe = Recipe(
            "L1_AXO",
            ranges((fill.run, part.number) for part in fill.teaching),
            seed=seed,
            epochs=FULL_EPOCHS,
            batch_size=BATCH,
            learning_rate=FULL_RATE,
        )
        model = fit(recipe, contract, contract.network_inputs(features)).model
        return cls(recipe, contract, model, remembered(Memory.empty(len(features)), fill))

    def scores(self, model: Any, features: Features) -> Scores:
        """Return a model's integer scores, as the firmware computes them."""
        with torch.no_grad():
            latent = model.latent(torch.from_numpy(self.contract.network_inputs(features))).numpy()
        kind = self.contract.type_of("latent")
        raw = np.rint(latent * 2.0**kind.fraction).astype(np.int64)
        return self.contract.type_of("score").from_raw(np.square(raw).sum(axis=1), 2 * kind.fraction)


def remembered(memory: Memory, fill: Fill) -> Memory:
    """Return a memory with a fill's teaching lumisections taken in."""
    return memory.merged(
        Memory.of_lumisection(part.features, fill.run, part.number, fill=fill.run, pileup=part.pileup)
        for part in fill.teaching
    )


class Frozen:
    """The champion as it was."""

    def __init__(self, champion: Champion) -> None:
        self.champion = champion
        self.model = champion.model

    def learn(self, fill: Fill) -> None:
        """Learn nothing."""

    def scores(self, features: Features) -> Scores:
        """Return the integer scores of the model as it is now."""
        return self.champion.scores(self.model, features)


class Policied(Frozen):
    """A candidate after every fill, by one policy; each is promoted and is the champion of the next."""

    def __init__(self, champion: Champion, policy: Policy) -> None:
        super().__init__(champion)
        self.memory = champion.memory
        epochs, rate = (FULL_EPOCHS, FULL_RATE) if policy == FULL else (TUNING_EPOCHS, TUNING_RATE)
        recipe = replace(champion.recipe, champion="c" * 64, policy=policy)
        self.recipe = replace(recipe, epochs=epochs, learning_rate=rate)

    def learn(self, fill: Fill) -> None:
        """Retrain on the fill as the policy says."""
        contract = self.champion.contract
        before: Arrays = state_arrays(self.model)
        old = contract.network_inputs(self.memory.features)
        lesson = lesson_of(self.recipe, contract, before, old)
        self.model = fit(self.recipe, contract, contract.network_inputs(joined(fill.teaching)), lesson=lesson).model
        self.memory = remembered(self.memory, fill)


class Joint(Frozen):
    """Fresh weights on every event of every fill so far, in as many steps as a full retrain: what keeping all buys."""

    def __init__(self, champion: Champion) -> None:
        super().__init__(champion)
        self.kept = [champion.memory.features[:, :0]]
        self.seen = 0

    def learn(self, fill: Fill) -> None:
        """Retrain from scratch on all events kept."""
        self.kept.append(joined(fill.teaching))
        if fill.index == 0:
            return
        features = np.ascontiguousarray(np.concatenate(self.kept, axis=1))
        epochs = max(round(FULL_EPOCHS * self.kept[-1].shape[1] / features.shape[1]), 1)
        recipe = replace(self.champion.recipe, epochs=epochs)
        self.model = fit(recipe, self.champion.contract, self.champion.contract.network_inputs(features)).model


class Online(Frozen):
    """The continual learner, lumisection by lumisection."""

    def __init__(self, champion: Champion) -> None:
        super().__init__(champion)
        recipe = replace(
            champion.recipe,
            champion="c" * 64,
            policy=Policy("online"),
            epochs=1,
            learning_rate=ONLINE_RATE,
            held_out_fraction=0.05,
            seed=champion.recipe.seed,
        )
        self.learner = OnlineLearner(recipe, champion.contract, state_arrays(champion.model))
        self.state = self.learner.begin(champion.memory)

    def learn(self, fill: Fill) -> None:
        """Take each teaching lumisection."""
        for part in fill.teaching:
            offered = Portion(fill.run, part.number, part.features, True, "", fill.run, part.pileup)
            self.state = self.learner.take(self.state, offered)
        self.model = self.learner.model_of(self.state)


class River:
    """One of river's anomaly detectors, on inputs scaled to 0..1 by what fill 0 held."""

    def __init__(self, champion: Champion, make: Callable[[], Any]) -> None:
        self.model = make()
        seen = champion.memory.features
        self.low = seen.min(axis=1).astype(np.float64)[:, None]
        self.span = np.maximum(seen.max(axis=1) - seen.min(axis=1), 1).astype(np.float64)[:, None]
        self.names = [port.name for port in champion.contract.inputs]

    def _rows(self, features: Features) -> list[dict[str, float]]:
        values = np.clip((features - self.low) / self.span, 0.0, 1.0)
        return [dict(zip(self.names, row, strict=True)) for row in values.T.tolist()]

    def learn(self, fill: Fill) -> None:
        """Learn from the first events of each teaching lumisection, one at a time."""
        each = RIVER_EVENTS // len(fill.teaching)
        for part in fill.teaching:
            for row in self._rows(part.features[:, :each]):
                self.model.learn_one(row)

    def scores(self, features: Features) -> Scores:
        """Return the detector's score of each event."""
        return np.array([self.model.score_one(row) for row in self._rows(features)], np.float64)


def trees(seed: int) -> Any:
    """Return half-space trees, river's anomaly detector for streams."""
    return anomaly.HalfSpaceTrees(n_trees=15, height=8, window_size=250, seed=seed)


def linear() -> Any:
    """Return river's linear one-class model."""
    return anomaly.OneClassSVM(nu=0.05)


def line_up(champion: Champion, seed: int) -> dict[str, Callable[[], Learner]]:
    """Return everyone who takes part, by name, ready to be made."""

    def policied(policy: Policy) -> Callable[[], Learner]:
        return lambda: Policied(champion, policy)

    return {
        "frozen": lambda: Frozen(champion),
        **{name: policied(policy) for name, policy in POLICIES.items()},
        "all fills kept": lambda: Joint(champion),
        "online": lambda: Online(champion),
        "river trees": lambda: River(champion, lambda: trees(seed)),
        "river linear": lambda: River(champion, linear),
    }
