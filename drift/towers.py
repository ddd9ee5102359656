"""Where the trigger towers lie in pseudorapidity: how far an object sees is a number of towers, not a length."""

import numpy as np
from numpy.typing import NDArray

EDGES: NDArray[np.float64] = np.array(
    [round(0.087 * k, 3) for k in range(21)]
    + [1.83, 1.93, 2.043, 2.172, 2.322, 2.5, 2.65, 3.0]
    + [3.139, 3.314, 3.489, 3.664, 3.839, 4.013, 4.191, 4.363, 4.538, 4.716, 4.889, 5.191]
)
"""Edges in |eta| of the 40 rows of one side (CMS calorimeter TDR; row 28 is stretched to the start of the HF)."""
TOWER_PHI = 2 * np.pi / 72
"""Width of a tower in azimuth, radians."""


def widened(low: float, high: float, towers: int) -> tuple[float, float]:
    """Return the span of pseudorapidity that is so many towers wider at both ends than the towers that one touches.

    A span that reaches beyond the calorimeter is not cut.

    Args:
        low: Lower end of the span.
        high: Upper end, above it.
        towers: 0 leaves the span as it is.
    """
    if not towers:
        return low, high
    edges = np.concatenate([-EDGES[:0:-1], EDGES])
    first = int(np.searchsorted(edges, low + 1e-9, side="right")) - 1 - towers
    last = int(np.searchsorted(edges, high - 1e-9, side="left")) + towers
    return min(low, float(edges[max(first, 0)])), max(high, float(edges[min(last, edges.size - 1)]))


def turned(low: float, high: float, towers: int) -> tuple[float, float]:
    """Return the span of azimuth that is so many towers wider than the towers that one touches, a turn at most.

    Args:
        low: Lower end of the span, radians.
        high: Upper end, above it; it may pass pi.
        towers: 0 leaves the span as it is.
    """
    if not towers:
        return low, high
    first = (np.floor(low / TOWER_PHI + 0.01) - towers) * TOWER_PHI
    last = (np.ceil(high / TOWER_PHI - 0.01) + towers) * TOWER_PHI
    beyond = max(0.0, float(last - first) - 2 * np.pi)
    return float(first) + beyond / 2, float(last) - beyond / 2
