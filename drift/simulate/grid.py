"""The trigger tower grid: 80 rows in eta (ieta -41..-30, -28..-1, 1..28, 30..41) by 72 columns in phi.

Row 0 is the most negative pseudorapidity and ``79 - row`` is its mirror image.  Column ``k`` covers 5k to 5k+5 degrees.
Nothing here knows what is deposited in a tower.
"""

import numpy as np
from numpy.typing import NDArray

from drift.towers import EDGES

ROWS = 80
COLUMNS = 72
HALF = 40
CENTRAL = 28
"""Rows of one side inside |eta| < 3; the other twelve are the forward calorimeter."""


def row_centres() -> NDArray[np.float64]:
    """Return the pseudorapidity at the middle of each row, shape ``(80,)``."""
    middle = 0.5 * (EDGES[1:] + EDGES[:-1])
    return np.concatenate([-middle[::-1], middle])


def row_edges() -> NDArray[np.float64]:
    """Return the 81 edges of the rows in pseudorapidity, ascending."""
    return np.concatenate([-EDGES[:0:-1], EDGES])


def ieta(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the detector's tower number, -41..41 without 0 and +-29, of each row."""
    magnitude = np.where(row >= HALF, row - HALF, HALF - 1 - row) + 1
    magnitude = np.where(magnitude > CENTRAL, magnitude + 1, magnitude)
    return np.asarray(np.where(row >= HALF, magnitude, -magnitude), dtype=np.int64)


def hardware_eta() -> NDArray[np.int16]:
    """Return the calorimeter hardware eta (LSB 0.0435) of the middle of each row, shape ``(80,)``."""
    return np.rint(row_centres() / 0.0435).astype(np.int16)


def region(eta_low: float, eta_high: float, phi_low: float, phi_high: float) -> NDArray[np.bool_]:
    """Return which towers have their middle inside an eta-phi box, shape ``(80, 72)``.

    Args:
        eta_low: Lower edge in pseudorapidity.
        eta_high: Upper edge in pseudorapidity.
        phi_low: Lower edge in radians; the box runs from here in the positive sense.
        phi_high: Upper edge in radians.
    """
    eta = row_centres()
    width = (phi_high - phi_low) % (2 * np.pi) or 2 * np.pi
    phi = ((np.arange(COLUMNS) + 0.5) * (2 * np.pi / COLUMNS) - phi_low) % (2 * np.pi)
    return np.asarray(((eta > eta_low) & (eta < eta_high))[:, None] & (phi < width)[None, :], dtype=np.bool_)
