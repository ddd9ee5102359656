"""Whether a weighted sum of numbers tells two samples apart: logistic regression, and how often it ranks them right.

Nothing here knows what the samples are.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RIDGE = 1e-3
MOST_STEPS = 100
SETTLED = 1e-4


def logistic(inputs: Floats, label: NDArray[np.bool_], share: Floats) -> Floats:
    """Fit a logistic regression; return the intercept and the weights.

    Newton steps with the largest curvature the likelihood can have, which is inverted once and always climbs: samples
    worth a classifier are nearly alike, where that curvature is the true one.

    Args:
        inputs: Shape ``(n_events, n_features)``.
        label: What is to be told apart.
        share: Weight of every event; those of either label add up to the same.

    References:
        D. Boehning, Ann. Inst. Stat. Math. 44 (1992) 197.
    """
    terms = np.concatenate([np.ones((len(inputs), 1)), inputs], axis=1)
    weights = np.zeros(terms.shape[1])
    ridge = RIDGE * share.sum()
    bend = (terms * (share / 4)[:, None]).T @ terms + ridge * np.eye(terms.shape[1])
    inverse = np.linalg.inv(bend)
    for _ in range(MOST_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(terms @ weights, -30, 30)))
        step = inverse @ ((share * (label - chance)) @ terms - ridge * weights)
        weights += step
        if float(np.abs(step).max()) < SETTLED:
            break
    return weights


def beats(one: Floats, other: Floats) -> float:
    """Return the chance that a value of the first exceeds one of the second, which is sorted; ties count half."""
    below = np.searchsorted(other, one, side="left") + np.searchsorted(other, one, side="right")
    return float(below.mean() / (2 * len(other)))
