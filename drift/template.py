"""Expectations that follow pileup, and how they are fitted to counts.

One polynomial of pileup a column, and one constant more a stratum.  Nothing here knows what a column counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEWTON_STEPS = 30


@dataclass(frozen=True, eq=False)
class Template:
    """Expectations whose logarithms are polynomials of pileup, so that they are positive wherever they are asked.

    Attributes:
        centre: Pileup in the middle of the support.
        half: Half the width of the support.
        coefficients: Shape ``(degree + 1, n)``.
        shifts: What each stratum adds to the constants, shape ``(n_strata, n)``.
    """

    centre: float
    half: float
    coefficients: Floats
    shifts: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def at(self, pileup: float) -> Floats:
        """Return the n expectations at one pileup."""
        powers = _powers(np.array([pileup]), self.centre, self.half, len(self.coefficients) - 1)
        return np.asarray(np.exp((powers @ self.coefficients)[0]))

    def shifted(self, rows: Iterable[int] = (), more: Floats | float = 0.0) -> "Template":
        """Return the expectations of some strata, added up, and of what else is added to their logarithms."""
        constants = self.coefficients[0] + sum((self.shifts[row] for row in rows), np.asarray(more))
        return replace(self, coefficients=np.concatenate([constants[None, :], self.coefficients[1:]]))

    @classmethod
    def fit(
        cls, counts: Floats, exposure: Floats, pileup: Floats, degree: int, strata: Floats | None = None
    ) -> "Template":
        """Fit by Poisson likelihood with a log link, all columns at once.

        The slopes and what a stratum adds carry a weak prior (one unit of logarithm, over the support), so that rare
        bins stay tame.  The prior also makes the shifts of all strata sum to zero: the constants are their middle.

        Args:
            counts: Shape ``(n_lumisections, n)``.
            exposure: What the expectation is per, e.g. events, shape ``(n_lumisections,)`` or as counts.
            pileup: Shape ``(n_lumisections,)``.
            degree: Of the polynomial.
            strata: One where a lumisection is of a stratum, shape ``(n_lumisections, n_strata)``; None without strata.

        References:
            P. McCullagh and J. Nelder, Generalized Linear Models (1989), section 2.5.
        """
        low, high = float(pileup.min()), float(pileup.max())
        centre, half = (low + high) / 2, max((high - low) / 2, 0.02 * max(high, 1.0))
        members = np.zeros((len(pileup), 0)) if strata is None else strata
        powers = np.concatenate([_powers(pileup, centre, half, degree), members], axis=1)
        terms = powers.shape[1]
        weight = np.broadcast_to(exposure if exposure.ndim == 2 else exposure[:, None], counts.shape)
        coefficients = np.zeros((terms, counts.shape[1]))
        coefficients[0] = np.log((counts.sum(axis=0) + 0.5) / (weight.sum(axis=0) + 1.0))
        prior = np.diag([1e-6] + [1.0] * (terms - 1))
        for _ in range(NEWTON_STEPS):
            mean = weight * np.exp(np.clip(powers @ coefficients, -40, 20))
            slope = powers.T @ (counts - mean) - prior @ coefficients
            bend = np.einsum("ni,nj,nm->mij", powers, powers, mean, optimize=True) + prior
            step = np.clip(np.linalg.solve(bend, slope.T[:, :, None])[:, :, 0].T, -1.0, 1.0)
            coefficients += step
            if float(np.abs(step).max()) < 1e-7:
                break
        return cls(centre, half, coefficients[: degree + 1], coefficients[degree + 1 :])


def _powers(pileup: Floats, centre: float, half: float, degree: int) -> Floats:
    z = np.clip((pileup - centre) / half, -1.1, 1.1)
    return np.stack([z**power for power in range(degree + 1)], axis=1)
