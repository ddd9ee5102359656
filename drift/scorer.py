"""What gives events their trigger score: a model with a digest, and the thresholds at which it is asked to fire.

The model itself lives elsewhere (`daemon.scorer` makes one from a bundle); nothing here knows a network.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Scorer(Protocol):
    """A model as the trigger runs it: the same features, the same integers, always."""

    @property
    def digest(self) -> str:
        """What names the model, e.g. its bundle's SHA-256 (hex); scores of two digests are never compared."""

    @property
    def thresholds(self) -> tuple[tuple[str, int], ...]:
        """Its named working points; an event passes when its integer score is not below one."""

    def scores(self, features: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return the integer score of each event, shape ``(n_events,)``, of features of shape ``(n, n_events)``."""
