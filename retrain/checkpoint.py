"""A model's parameters as arrays, their digest, and the way back to a model.

Nothing here knows how they were learned.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrain.contract import Contract
from retrain.digest import canonical, digest_of_bytes
from retrain.errors import DatasetError
from retrain.models import resolve
from retrain.recipe import Recipe

Arrays = dict[str, NDArray[Any]]


def settle() -> None:
    """Make PyTorch compute the same bits on every run: one thread, deterministic kernels."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def state_arrays(model: Any) -> Arrays:
    """Return every parameter and buffer as an array."""
    return {name: np.ascontiguousarray(value.detach().cpu().numpy()) for name, value in model.state_dict().items()}


def state_digest(model: Any) -> str:
    """Return the SHA-256 (hex) of all parameters and buffers, names, types and shapes included."""
    return digest_of_arrays(state_arrays(model))


def digest_of_arrays(arrays: Arrays) -> str:
    """Return the SHA-256 (hex) of named arrays, names, types and shapes included."""
    head = [[name, str(array.dtype), list(array.shape)] for name, array in sorted(arrays.items())]
    return digest_of_bytes(canonical(head) + b"".join(arrays[name].tobytes() for name in sorted(arrays)))


def load_into(model: Any, recipe: Recipe, arrays: Arrays) -> None:
    """Give a model a checkpoint's parameters.

    Raises:
        DatasetError: The checkpoint is of another network.
    """
    try:
        model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, strict=True)
    except RuntimeError as error:
        raise DatasetError(f"checkpoint does not fit model {recipe.model}: {error}; train again") from error


def restore(recipe: Recipe, contract: Contract, arrays: Arrays) -> Any:
    """Return the recipe's model with a checkpoint's parameters, in evaluation mode.

    Raises:
        DatasetError: The checkpoint is of another network.
    """
    settle()
    model = resolve(recipe.model)(recipe, contract)
    load_into(model, recipe, arrays)
    model.eval()
    return model
