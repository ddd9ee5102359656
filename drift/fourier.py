"""Events as random Fourier features: bounded numbers whose means tell two samples apart, singly and jointly.

A mean of cos(w x + b) over events is an estimate of a kernel mean embedding (A. Rahimi and B. Recht, NeurIPS 2007;
D. Sutherland and J. Schneider, UAI 2015).  One kernel over all 57 inputs would drown a change of one of them, so every
feature looks at one input, one object, or the same quantity of two leading objects, and belongs to a group that says
which.  Nothing here knows which sample is which.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from drift.schema import FeatureSchema

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EACH = 8
"""Random features a group has."""
LEADING = {"MET": 1, "EG": 2, "MU": 2, "JET": 4}
LEAST_SPREAD = 0.02
STRETCH = (0.7, 2.0)
"""Spread of w x, in radians, of a group's odd and even features: one for broad changes, one for narrower ones."""


@dataclass(frozen=True)
class Column:
    """One real input made of a hardware integer.

    Attributes:
        row: Row of the integer in the events.
        present: Row of the pt that says whether the object is there.
        kind: ``pt``, ``eta``, ``sin`` or ``cos``.
        low: Smallest value of the integer.
        high: Largest value of the integer.
    """

    row: int
    present: int
    kind: str
    low: int
    high: int

    def of(self, features: NDArray[np.int16]) -> Floats:
        """Return the input of every event: about -1 to 1 over the hardware range, 0 where the object is absent."""
        value = features[self.row].astype(np.float64)
        if self.kind == "pt":
            return np.asarray(np.log1p(np.maximum(value, 0.0)) / np.log1p(self.high))
        if self.kind == "eta":
            out = value / max(abs(self.low), abs(self.high))
        else:
            turn = 2 * np.pi * value / (self.high + 1)
            out = np.sin(turn) if self.kind == "sin" else np.cos(turn)
        return np.where(features[self.present] > 0, out, 0.0)


def columns_of(schema: FeatureSchema) -> tuple[Column, ...]:
    """Return the inputs of a schema: log of pt, η, sine and cosine of φ; what is constant by design is left out."""
    found = []
    for row, one in enumerate(schema.features):
        if one.high == one.low:
            continue
        present = next(
            place
            for place, other in enumerate(schema.features)
            if (other.object, other.rank, other.quantity) == (one.object, one.rank, "pt")
        )
        kinds = ("sin", "cos") if one.quantity == "phi" else (one.quantity,)
        found += [Column(row, present, kind, one.low, one.high) for kind in kinds]
    return tuple(found)


def inputs(columns: tuple[Column, ...], features: NDArray[np.int16]) -> Floats:
    """Return every input of every event, shape ``(n_events, n_columns)``."""
    return np.stack([one.of(features) for one in columns], axis=1)


@dataclass(frozen=True, eq=False)
class RandomFeatures:
    """A draw of random Fourier features.

    Attributes:
        columns: What they are functions of.
        weights: Sparse, shape ``(n_features, n_columns)``.
        phase: Shape ``(n_features,)``.
        group: Group of each feature, shape ``(n_features,)``, rising.
        names: Of the groups, e.g. ``Jet1_pt``, ``Jet1``, ``MET_phi with Jet1_phi``.
    """

    columns: tuple[Column, ...]
    weights: Any
    phase: Floats
    group: Ints
    names: tuple[str, ...]

    @classmethod
    def draw(cls, schema: FeatureSchema, spread: Floats, rng: np.random.Generator) -> "RandomFeatures":
        """Draw features of a schema.

        Args:
            schema: Which inputs there are.
            spread: Standard deviation of every column over events, of both samples together.
            rng: Source of the weights.
        """
        columns = columns_of(schema)
        groups = _groups(schema, columns)
        weights = np.zeros((len(groups) * EACH, len(columns)))
        scale = np.maximum(spread, LEAST_SPREAD)
        for number, (_, members) in enumerate(groups):
            for turn in range(EACH):
                drawn = rng.normal(size=len(members)) * STRETCH[turn % 2] / np.sqrt(len(members))
                weights[number * EACH + turn, members] = drawn / scale[members]
        phase = rng.uniform(0, 2 * np.pi, len(weights))
        group = np.repeat(np.arange(len(groups)), EACH)
        return cls(columns, csr_array(weights), phase, group, tuple(name for name, _ in groups))

    def of(self, features: NDArray[np.int16], only: Ints | None = None) -> Floats:
        """Return the features of every event, shape ``(n_events, n_features)``, or of the chosen ones only."""
        weights, phase = (self.weights, self.phase) if only is None else (self.weights[only], self.phase[only])
        angle = weights @ inputs(self.columns, features).T + phase[:, None]
        return np.asarray(np.sqrt(2.0) * np.cos(angle)).T


def _groups(schema: FeatureSchema, columns: tuple[Column, ...]) -> list[tuple[str, list[int]]]:
    """Name every group and list its columns: single inputs, objects, the same quantity of two leading objects."""
    by_feature: dict[int, list[int]] = {}
    for place, one in enumerate(columns):
        by_feature.setdefault(one.row, []).append(place)
    found = [(schema.features[row].name, members) for row, members in by_feature.items()]
    objects: dict[str, list[int]] = {}
    for row, members in by_feature.items():
        objects.setdefault(schema.features[row].name.rsplit("_", 1)[0], []).extend(members)
    found += list(objects.items())
    leading = [row for row in by_feature if schema.features[row].rank <= LEADING.get(schema.features[row].object, 1)]
    for first, second in combinations(leading, 2):
        left, right = schema.features[first], schema.features[second]
        if left.quantity == right.quantity:
            found.append((f"{left.name} with {right.name}", by_feature[first] + by_feature[second]))
    return found
