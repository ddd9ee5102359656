"""Where on an η-φ map objects are missing or too many, seen against the rest of the same ring.

Comparing a box with its own ring makes the answer blind to whatever is symmetric in azimuth: pileup, ageing that
depends on pseudorapidity, a change of scale.  Pure arithmetic on maps; what a box means is `drift.diagnose`'s.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.profile import MapGrid

Floats = NDArray[np.float64]

LEFT = np.array([0.02, 0.2, 0.4, 0.6, 0.75, 0.88, 1.15, 1.4, 2.0, 4.0, 10.0])
"""What a fault may leave of the expected rate in a box."""
WIDEST = 24
TINY = 1e-9
TURN = 2 * np.pi


@dataclass(frozen=True)
class CellBox:
    """A rectangle of cells, and how much better it explains a map than nothing does.

    Attributes:
        eta_first: First η row.
        eta_last: One past the last η row.
        phi_first: First φ column; the box may wrap around.
        phi_width: Number of φ columns.
        left: What is left of the expected rate, estimated.
        log_ratio: Log likelihood ratio against no box.
    """

    eta_first: int
    eta_last: int
    phi_first: int
    phi_width: int
    left: float
    log_ratio: float

    def columns(self, n_phi: int) -> NDArray[np.int64]:
        """Return the φ columns inside."""
        return (self.phi_first + np.arange(self.phi_width)) % n_phi


@dataclass(frozen=True)
class Box:
    """A region in physical units.

    Attributes:
        object: Object type whose map shows it.
        eta: Low and high pseudorapidity.
        phi: Low and high azimuth in radians; low is in -pi..pi, high may pass pi when the region wraps.
    """

    object: str
    eta: tuple[float, float]
    phi: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {
            "object": self.object,
            "eta": [round(edge, 3) for edge in self.eta],
            "phi": [round(edge, 3) for edge in self.phi],
        }

    def words(self) -> str:
        """Return the region as an expert reads it out."""
        low, high = self.phi
        if high - low >= TURN - 1e-9:
            return f"eta {self.eta[0]:.2f} to {self.eta[1]:.2f}, all phi"
        if high > np.pi:  # it wraps: an azimuth of 6.46 is on nobody's map
            return f"eta {self.eta[0]:.2f} to {self.eta[1]:.2f}, phi {low:.2f} through pi to {high - TURN:.2f}"
        return f"eta {self.eta[0]:.2f} to {self.eta[1]:.2f}, phi {low:.2f} to {high:.2f}"

    def overlap(self, other: "Box") -> float:
        """Return intersection over union of the two areas, azimuth taken around the circle."""

        def common(one: tuple[float, float], two: tuple[float, float]) -> float:
            return max(0.0, min(one[1], two[1]) - max(one[0], two[0]))

        phi = sum(common(self.phi, (other.phi[0] + k * TURN, other.phi[1] + k * TURN)) for k in (-1, 0, 1))
        both = common(self.eta, other.eta) * phi
        area = sum((one.eta[1] - one.eta[0]) * (one.phi[1] - one.phi[0]) for one in (self, other))
        return float(both / (area - both)) if area > both else 0.0


def find_box(observed: Floats, expected: Floats) -> CellBox:
    """Return the best rectangle, by a likelihood that compares each row's share inside with its share outside.

    Given a row's total, the number inside is binomial; a common factor for the rows of the box is tried on a grid, and
    the best run of rows is the largest sum over neighbours (J. Bentley, CACM 27 (1984) 865).

    Args:
        observed: Counts, shape ``(n_eta, n_phi)``.
        expected: Expectation in any normalisation by row, same shape.
    """
    n_phi = observed.shape[1]
    seen_row = observed.sum(axis=1)
    want_row = np.maximum(expected.sum(axis=1), TINY)
    seen = np.concatenate([np.zeros((len(observed), 1)), np.cumsum(np.tile(observed, 2), axis=1)], axis=1)
    want = np.concatenate([np.zeros((len(observed), 1)), np.cumsum(np.tile(expected, 2), axis=1)], axis=1)
    first = np.arange(n_phi)
    best = CellBox(0, len(observed), 0, 1, 1.0, 0.0)
    for width in range(1, min(WIDEST, n_phi - 1) + 1):
        inside = seen[:, first + width] - seen[:, first]
        share = np.clip((want[:, first + width] - want[:, first]) / want_row[:, None], 0.0, 1.0)
        gain = np.log(LEFT)[:, None, None] * inside - np.log1p(share * (LEFT[:, None, None] - 1)) * seen_row[:, None]
        total = np.concatenate([np.zeros((len(LEFT), 1, n_phi)), np.cumsum(gain, axis=1)], axis=1)
        rise = total - np.minimum.accumulate(total, axis=1)
        place = int(rise.argmax())
        height = float(rise.flat[place])
        if height > best.log_ratio:
            factor, last, start = (int(k) for k in np.unravel_index(place, rise.shape))
            eta_first = int(total[factor, :last, start].argmin())
            best = CellBox(eta_first, last, start, width, float(LEFT[factor]), height)
    return _measured(best, observed, expected)


def _measured(box: CellBox, observed: Floats, expected: Floats) -> CellBox:
    rows, columns = slice(box.eta_first, box.eta_last), box.columns(observed.shape[1])
    seen_row, want_row = observed[rows].sum(axis=1), np.maximum(expected[rows].sum(axis=1), TINY)
    seen, want = observed[rows][:, columns].sum(axis=1), expected[rows][:, columns].sum(axis=1)
    outside = want * np.maximum(seen_row - seen, 0.5) / np.maximum(want_row - want, TINY)
    left = float(seen.sum() / max(outside.sum(), TINY))
    return CellBox(box.eta_first, box.eta_last, box.phi_first, box.phi_width, left, box.log_ratio)


def box_gains(box: CellBox, observed: NDArray[Any], expected: Floats) -> Floats:
    """Return how much each lumisection speaks for a box.

    Args:
        box: The rectangle and what is left in it.
        observed: Counts, shape ``(n_lumisections, n_eta, n_phi)``.
        expected: Expectation, same shape.
    """
    rows, columns = slice(box.eta_first, box.eta_last), box.columns(observed.shape[2])
    left = float(np.clip(box.left, 0.02, 50.0))
    seen = observed[:, rows][:, :, columns].sum(axis=2)
    share = expected[:, rows][:, :, columns].sum(axis=2) / np.maximum(expected[:, rows].sum(axis=2), TINY)
    gain = np.log(left) * seen - np.log1p(share * (left - 1)) * observed[:, rows].sum(axis=2)
    return np.asarray(gain.sum(axis=1))


@dataclass(frozen=True)
class Ring:
    """A run of η rows whose share of all objects changed, the same all around.

    Attributes:
        first: First row.
        last: One past the last row.
        left: What is left of the expected rate, against the map's typical row.
        log_ratio: Log likelihood ratio against no change.
    """

    first: int
    last: int
    left: float
    log_ratio: float


def find_ring(observed: Floats, expected: Floats) -> Ring:
    """Return the run of rows that departs most from the typical row.

    Args:
        observed: Counts by row, shape ``(n_eta,)``.
        expected: Expectation by row, any normalisation.
    """
    ratio = observed / np.maximum(expected, TINY)
    order = np.argsort(ratio)
    weight = np.cumsum(expected[order])
    typical = float(ratio[order][np.searchsorted(weight, weight[-1] / 2)])
    want = expected * max(typical, TINY)
    gain = np.log(LEFT)[:, None] * observed - (LEFT[:, None] - 1) * want
    total = np.concatenate([np.zeros((len(LEFT), 1)), np.cumsum(gain, axis=1)], axis=1)
    rise = total - np.minimum.accumulate(total, axis=1)
    factor, last = (int(k) for k in np.unravel_index(int(rise.argmax()), rise.shape))
    if last == 0:
        return Ring(0, len(observed), 1.0, 0.0)
    first = int(total[factor, :last].argmin())
    left = float(observed[first:last].sum() / max(want[first:last].sum(), TINY))
    return Ring(first, last, left, float(rise[factor, last]))


def physical(box: CellBox, grid: MapGrid) -> Box:
    """Return a box of cells in pseudorapidity and radians."""
    eta = tuple((grid.eta_low + row * grid.eta_step - 0.5) * grid.eta_lsb for row in (box.eta_first, box.eta_last))
    turn = TURN / grid.shape[1]
    low = (box.phi_first * turn + np.pi) % TURN - np.pi
    return Box(grid.object, (float(eta[0]), float(eta[1])), (float(low), float(low + box.phi_width * turn)))
