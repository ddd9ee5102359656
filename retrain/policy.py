"""How a candidate learns from new data without forgetting the old: a name and the few numbers that go with it.

A policy is part of the recipe, so its digest covers it.  Nothing here knows a tensor; `retrain.policies` makes
training out of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from retrain.errors import RecipeError

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "full": (),
    "naive": (),
    "replay": ("memory_share",),
    "ewc": ("stiffness",),
    "lwf": ("distillation",),
    "replay_lwf": ("memory_share", "distillation"),
    "online": ("memory_share", "distillation"),
}
"""Every policy with the parameters it takes: `full` starts from fresh weights, all others from the champion's."""


@dataclass(frozen=True)
class Policy:
    """A way to learn, and its strength.

    Attributes:
        name: ``full`` (fresh weights), ``naive`` (the champion's weights, nothing against forgetting), ``replay``
            (old events in every batch), ``ewc`` (weights that mattered move less), ``lwf`` (the champion's latents are
            kept on new events), ``replay_lwf`` (old events, on which the champion's latents are kept), ``online``
            (as ``replay_lwf``, one lumisection after another; see `retrain.online`).
        memory_share: Share of a batch that comes from the champion's memory.
        stiffness: Weight of the elastic penalty; the Fisher information is scaled to a mean of one.
        distillation: Weight of the squared distance from the champion's latents.

    Raises:
        RecipeError: The name is unknown, a parameter is out of range, or one is given that the policy does not take.
    """

    name: str = "full"
    memory_share: float = 0.3
    stiffness: float = 0.1
    distillation: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in PARAMETERS:
            raise RecipeError(f"recipe field policy is {self.name!r}; expected one of {sorted(PARAMETERS)}")
        checks: dict[str, tuple[bool, str]] = {
            "memory_share": (0.0 < self.memory_share < 1.0, "above 0, below 1"),
            "stiffness": (0.0 < self.stiffness <= 1e6, "above 0, at most 1000000"),
            "distillation": (0.0 < self.distillation <= 1e6, "above 0, at most 1000000"),
        }
        for name, (good, expected) in checks.items():
            if not good:
                raise RecipeError(f"policy {self.name}: {name} is {getattr(self, name)!r}; expected {expected}")
            if name not in PARAMETERS[self.name] and getattr(self, name) != getattr(type(self), name):
                raise RecipeError(f"policy {self.name} takes no {name}; it takes {list(PARAMETERS[self.name])}")

    @property
    def from_champion(self) -> bool:
        """Whether it starts from the champion's weights."""
        return self.name != "full"

    @property
    def rehearses(self) -> bool:
        """Whether it needs the champion's memory in its batches."""
        return "memory_share" in PARAMETERS[self.name]

    def to_json(self) -> dict[str, Any]:
        """Return the name and the parameters that it takes, as plain JSON values."""
        return {"name": self.name, **{name: getattr(self, name) for name in PARAMETERS[self.name]}}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `to_json` wrote.

        Raises:
            RecipeError: It is no policy.
        """
        if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
            raise RecipeError(f"recipe field policy is {value!r}; expected an object with a name")
        unknown = sorted(set(value) - {"name", *PARAMETERS.get(value["name"], ())})
        if unknown and value["name"] in PARAMETERS:
            raise RecipeError(f"policy {value['name']} has unknown fields {unknown}")
        try:
            numbers = {name: float(value[name]) for name in PARAMETERS.get(value["name"], ()) if name in value}
        except (TypeError, ValueError) as error:
            raise RecipeError(f"policy {value['name']} has a value of the wrong type: {error}") from error
        return cls(value["name"], **numbers)


FULL = Policy()
"""Fresh weights on the recipe's lumisections: what is done when nothing is said."""
