"""Whether a mean is above zero, told at any time: an e-process that bets on each value as it comes.

A gambler who starts with one unit and stakes a share of it on every value can, when no value is expected above zero,
end with twenty units at one time or another in at most one game of twenty.  So the test may be looked at after every
value and stopped at will.  Pure; what the values are is for `retrain.gain`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.errors import RetrainError

STAKES = np.array([0.1, 0.3, 0.6, 0.95])
"""Shares that are staked side by side, each by a gambler of its own with an equal part of the unit; below 1, so that
none is ever ruined by one value."""


class BetError(RetrainError, ValueError):
    """A value was given that no stake is safe for."""


@dataclass(frozen=True)
class Bet:
    """How a game went.

    Attributes:
        steps: Values seen.
        mean: Of them; 0 without any.
        log10_e: Decimal logarithm of the most that the gambler ever held.
        shown_after: After how many values the mean was first known to be above zero; None when it never was.
    """

    steps: int
    mean: float
    log10_e: float
    shown_after: int | None


def log_wealth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the natural logarithm of what the gambler holds after each value, shape ``(n,)``.

    The wealth is an e-process of "no value is expected above zero, whatever came before": its expectation at any time
    of stopping is at most one.  Mixing over stakes needs no knowledge of how far above zero the mean is.

    Args:
        values: Each between -1 and 1, in the order in which they came, shape ``(n,)``.

    Raises:
        BetError: A value lies outside, where a stake could lose more than there is.

    References:
        I. Waudby-Smith, A. Ramdas, J. R. Stat. Soc. B 86 (2024) 1, doi:10.1093/jrsssb/qkad009.
    """
    if values.size and not np.abs(values).max() <= 1.0:
        raise BetError(f"a value of {float(np.abs(values).max()):g} is beyond 1; scale what is bet on to -1..1")
    each = np.cumsum(np.log1p(STAKES[:, None] * values[None, :]), axis=1)
    return np.asarray(np.logaddexp.reduce(each, axis=0) - math.log(len(STAKES)), np.float64)


def bet(values: NDArray[np.float64], error: float) -> Bet:
    """Return whether, and after how many values, the mean is known to be above zero.

    Args:
        values: Each between -1 and 1, in order, shape ``(n,)``.
        error: Largest probability of ever saying so when it is not (Ville's inequality), above 0.

    Raises:
        BetError: A value lies outside.

    References:
        J. Ville, Etude critique de la notion de collectif, Gauthier-Villars, Paris 1939.
    """
    wealth = log_wealth(np.asarray(values, np.float64))
    over = np.flatnonzero(wealth >= -math.log(error))
    return Bet(
        steps=len(wealth),
        mean=float(np.mean(values)) if len(wealth) else 0.0,
        log10_e=float(wealth.max(initial=0.0)) / math.log(10.0),
        shown_after=int(over[0]) + 1 if len(over) else None,
    )
