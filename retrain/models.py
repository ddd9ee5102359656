"""Which class a model's name stands for.

Models register under the entry-point group ``retrigger.models``; the shipped ones are known without it.
Nothing here imports a model before it is asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol

from retrain.contract import Contract, axol1tl_contract
from retrain.errors import RecipeError
from retrain.recipe import Recipe
from retrain.sockets import cicada_contract, topology_contract

GROUP = "retrigger.models"
BUILT_IN = {
    "axol1tl": "retrain.network:Axol1tl",
    "axol1tl_v5": "retrain.autoencoder:Axol1tlV5",
    "topology": "retrain.topology:Topology",
    "cicada": "retrain.regions:Cicada",
}
SOCKETS: Mapping[str, Callable[[], Contract]] = {
    "axol1tl": axol1tl_contract,
    "axol1tl_v5": axol1tl_contract,
    "topology": topology_contract,
    "cicada": cicada_contract,
}


class Model(Protocol):
    """What a class must offer to be trained and built: a ``torch.nn.Module`` with an exportable encoder.

    It is called as ``cls(recipe, contract)``, and must draw every initial value from PyTorch's global generator,
    which the trainer seeds.  It may also offer ``latent(inputs)``, the latent values with gradients, which distillation
    then uses, and ``confirm(inputs)``, called after each epoch, which raises when the encoder that is trained and the
    one that is exported disagree.
    """

    encoder: Any
    """The quantised ``torch.nn.Sequential`` that becomes firmware: normalised inputs to latent values.

    A layer that is neither dense, cast, rectifier nor difference offers ``unrolled`` and ``unrolled_weight``, as
    `retrain.regions.RegionConvolution`.  A model that learns from signals also has ``show(signals)``.
    """

    def __init__(self, recipe: Recipe, contract: Contract) -> None: ...

    @staticmethod
    def contract() -> Contract:
        """Return the socket the model is made for, offsets and shifts at zero."""
        ...

    def loss(self, inputs: Any, generator: Any) -> Any:
        """Return the scalar loss of normalised inputs ``(n_events, n_inputs)``, drawing from ``generator``."""
        ...

    def parameters(self) -> Iterator[Any]:
        """Return what the optimiser may move."""
        ...


def names() -> tuple[str, ...]:
    """Return every known model name, sorted."""
    return tuple(sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))}))


def socket(name: str) -> Contract:
    """Return the contract without scales that a model is made for; the shipped ones answer without torch.

    Raises:
        RecipeError: As `resolve`.
    """
    if name in SOCKETS and _target(name) == BUILT_IN[name]:
        return SOCKETS[name]()
    out: Contract = resolve(name).contract()
    return out


def _target(name: str) -> str | None:
    return next((point.value for point in entry_points(group=GROUP) if point.name == name), BUILT_IN.get(name))


def resolve(name: str) -> type[Any]:
    """Return the class registered under a name; importing it may import torch.

    Raises:
        RecipeError: No model has that name, or its module cannot be imported.
    """
    target = _target(name)
    if target is None:
        raise RecipeError(f"model {name!r} is not registered under {GROUP}; known are {list(names())}")
    module, _, attribute = target.partition(":")
    try:
        found: type[Any] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"model {name!r} points to {target!r}, which cannot be imported: {error}") from error
    return found
