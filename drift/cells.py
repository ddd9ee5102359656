"""What every η-φ cell of an object type should hold, given its total and the pileup, and how sure that is.

The expectation is a ring share that follows pileup times a static azimuthal modulation, shrunk to flat where the
reference is too small to know better.  Evidence is only asked for beyond what the reference leaves open, so a cell
whose expectation is poorly known stays silent.  Nothing here remembers anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.streams import Floats, Template

RATIOS = (0.05, 0.4, 0.75, 1.35, 3.0, 10.0)
"""Alternatives: the rate a fault leaves in a cell, relative to the expected one."""
LEVELS = 4
"""Cells of 1, 2 x 2, 4 x 4 and 8 x 8 towers."""
STRIPS = (1, 2)
"""Parts of the pseudorapidity range in which azimuthal strips are watched beside the cells: all of it, and halves."""
STRIP_SHARE, STRIP_STEPS = 12, 36
"""A strip is one twelfth of a turn, as a muon sector is, and begins at every tenth degree."""
SYSTEMATIC = 0.03
"""Relative change of a cell's share that is benign."""
BAND = 2.0
"""Standard deviations of the expectation's own error that belong to the null."""
LEAST_EXPECTED = 0.1


@dataclass(frozen=True, eq=False)
class CellModel:
    """Expectation of one object type's map.

    Attributes:
        name: The map's name, see `MapGrid`.
        rings: Expected share of each η row, by pileup.
        modulation: Share of a row's objects in each φ column, shape ``(n_eta, n_phi)``, rows sum to one.
        error: Relative standard error of the cells, one array per pyramid level, flat.
        active: Cells that expect enough, one array per level, flat.
        rows: Objects in every η row of each stratum, shape ``(n_strata, n_eta)``.
    """

    name: str
    rings: Template
    modulation: Floats
    error: tuple[Floats, ...]
    active: tuple[NDArray[np.bool_], ...]
    rows: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def object(self) -> str:
        """Object type."""
        return self.name.split(" ", 1)[0]

    def expected(self, total: float, pileup: float) -> Floats:
        """Return the expected map, scaled to a total."""
        rings = self.rings.at(pileup)
        return np.asarray((rings / rings.sum() * total)[:, None] * self.modulation)

    def shifted(self, rows: Iterable[int]) -> "CellModel":
        """Return the expectation of some strata, see `Template.shifted`; what they leave open in a ring is added."""
        chosen, error = tuple(rows), self.error
        for row in chosen:
            if np.isfinite(self.rows[row]).all():  # where it is not, the row's constants are zero and known
                around = np.repeat(self.rows[row][:, None], self.modulation.shape[1], axis=1)
                parts = zip(error, pyramid(around), widths(self.modulation.shape[1]), strict=True)
                error = tuple(np.sqrt(known**2 + 1 / (ring / width + 1.0)) for known, ring, width in parts)
        return replace(self, rings=self.rings.shifted(chosen), error=error)

    def log_factors(self, observed: NDArray[Any], pileup: float) -> Floats:
        """Return the log e-value of every cell of every level under every ratio, shape ``(n_ratios, n_cells)``.

        The e-value of a ratio above one is fair at the largest benign rate, of one below at the smallest, so its mean
        is at most one over the whole benign band.
        """
        expected = self.expected(float(observed.sum()), pileup)
        ratio = np.array(RATIOS)[:, None]
        out = []
        levels = zip(pyramid(observed.astype(np.float64)), pyramid(expected), self.error, self.active, strict=True)
        for seen, want, error, active in levels:
            band = BAND * error + SYSTEMATIC
            rate = np.where(ratio > 1, want * (1 + band), want * np.maximum(1 - band, 0.0))
            factor = np.log(ratio) * seen - (ratio - 1) * rate
            out.append(np.where(active, factor, -np.inf))
        return np.concatenate(out, axis=1)

    @classmethod
    def fit(
        cls,
        name: str,
        rows: NDArray[np.integer[Any]],
        pooled: NDArray[np.integer[Any]],
        pileup: Floats,
        degree: int,
        strata: Floats | None = None,
    ) -> "CellModel":
        """Fit from the reference's maps.

        Args:
            name: The map's name.
            rows: Objects in every η row of each lumisection, shape ``(n_lumisections, n_eta)``.
            pooled: The reference's map, summed, shape ``(n_eta, n_phi)``.
            pileup: Shape ``(n_lumisections,)``.
            degree: Of the ring shares' polynomials.
            strata: See `Template.fit`.
        """
        total = np.maximum(rows.sum(axis=1), 1).astype(np.float64)
        rings = Template.fit(rows.astype(np.float64), total, pileup, degree, strata)
        counts = pooled.astype(np.float64)
        modulation, prior = shrunk_modulation(counts)
        around = np.repeat(counts.sum(axis=1, keepdims=True), counts.shape[1], axis=1)
        columns = widths(counts.shape[1])
        parts = zip(pyramid(counts), pyramid(around), pyramid(np.ones_like(counts)), columns, strict=True)
        error, active = [], []
        for inside, ring, cells, width in parts:
            error.append(np.sqrt(1 / (inside + prior * cells + 1.0) + 1 / (ring / width + 1.0)))
            active.append(inside / len(rows) >= LEAST_EXPECTED)
        own = np.zeros((0, 0)) if strata is None else strata.T @ rows
        return cls(name, rings, modulation, tuple(error), tuple(active), own)


def shrunk_modulation(pooled: Floats) -> tuple[Floats, float]:
    """Return each row's azimuthal shares, shrunk to flat by empirical Bayes, and the prior's weight in counts.

    Gamma-Poisson: the prior's strength is what the spread beyond counting statistics over the whole map leaves.
    """
    columns = pooled.shape[1]
    flat = np.repeat(pooled.mean(axis=1, keepdims=True), columns, axis=1)
    known = flat > 5
    spread = float(((pooled - flat)[known] ** 2 - flat[known]).sum())
    excess = spread / max(float((flat[known] ** 2).sum()), 1.0)
    prior = 1 / max(excess, 1e-4)
    weight = prior / np.maximum(flat, 1e-9)
    rate = (pooled + prior) / (1 + weight)
    return rate / np.maximum(rate.sum(axis=1, keepdims=True), 1e-12), float(min(prior, 1e4))


def pyramid(one: Floats) -> list[Floats]:
    """Return the sums of a map in the cells of every level, then in the azimuthal strips of each part, flat."""
    out = [one.ravel()]
    level = one
    for _ in range(LEVELS - 1):
        level = halve(level)
        out.append(level.ravel())
    return out + [strips(one, parts).ravel() for parts in STRIPS]


def widths(n_phi: int) -> list[int]:
    """Return how many columns an entry of every level of `pyramid` has."""
    return [2**level for level in range(LEVELS)] + [n_phi // STRIP_SHARE] * len(STRIPS)


def strips(one: Floats, parts: int) -> Floats:
    """Return the sums in strips of a twelfth of a turn, each beginning a tenth of a right angle after the last.

    Args:
        one: Map, shape ``(n_eta, n_phi)``.
        parts: Into how many equal parts the pseudorapidity range is cut.

    Returns:
        Shape ``(parts, n_strips)``.
    """
    rows = part_edges(one.shape[0], parts)
    summed = np.add.reduceat(one, rows[:-1], axis=0)
    width, step = strip_columns(one.shape[1])
    total = np.concatenate(
        [np.zeros((parts, 1)), np.cumsum(np.concatenate([summed, summed[:, :width]], axis=1), axis=1)], 1
    )
    starts = np.arange(0, one.shape[1], step)
    return np.asarray(total[:, starts + width] - total[:, starts])


def strip_columns(n_phi: int) -> tuple[int, int]:
    """Return the width of a strip and the distance between two, in columns."""
    return n_phi // STRIP_SHARE, max(1, n_phi // STRIP_STEPS)


def rectangle(flat: int, n_eta: int, n_phi: int) -> tuple[int, int, int, int]:
    """Return first row, one past the last row, first column and width of one entry of the flat pyramid.

    Args:
        flat: Its place when the levels of `pyramid` are put one after another.
        n_eta: Rows of the map.
        n_phi: Columns of the map; a rectangle may go on past the last one at the first.
    """
    rows, columns, size = n_eta, n_phi, 1
    for _ in range(LEVELS):
        if flat < rows * columns:
            row, column = divmod(flat, columns)
            return row * size, min((row + 1) * size, n_eta), column * size, min(size, n_phi - column * size)
        flat -= rows * columns
        rows, columns, size = -(-rows // 2), -(-columns // 2), 2 * size
    width, step = strip_columns(n_phi)
    for parts in STRIPS:
        each = -(-n_phi // step)
        if flat < parts * each:
            part, strip = divmod(flat, each)
            edges = part_edges(n_eta, parts)
            return int(edges[part]), int(edges[part + 1]), strip * step, width
        flat -= parts * each
    raise IndexError(f"place {flat} is beyond the pyramid of a {n_eta} x {n_phi} map")


def part_edges(n_eta: int, parts: int) -> NDArray[np.int64]:
    """Return the rows at which equal parts of the pseudorapidity range begin, and one past the last."""
    return np.linspace(0, n_eta, parts + 1).round().astype(np.int64)


def halve(one: Floats) -> Floats:
    """Sum neighbouring pairs along both axes; an odd last row stays alone."""
    rows = one if one.shape[0] % 2 == 0 else np.concatenate([one, np.zeros((1, one.shape[1]))])
    columns = rows if rows.shape[1] % 2 == 0 else np.concatenate([rows, np.zeros((rows.shape[0], 1))], axis=1)
    n_eta, n_phi = columns.shape
    return np.asarray(columns.reshape(n_eta // 2, 2, n_phi // 2, 2).sum(axis=(1, 3)))
