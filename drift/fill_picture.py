"""What one fill looked like through a reference, lumisection by lumisection: pulls, maps, one region, scores.

Made after the fill from the summaries that the watch had; it decides nothing and keeps no evidence.  Lumisections that
the reference does not speak of are passed over.  Maps are summed, so a fill of any length takes the same memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.boxes import TINY, Box, CellBox, Floats, box_gains
from drift.conditions import Conditions
from drift.memory import Memory, Seen, seen_of, window_of
from drift.profile import LumisectionSummary
from drift.ratio_map import RatioMap, cells_of, ratio_map, within
from drift.reference import Reference
from drift.streams import SILENT
from drift.support import unfit
from drift.window import Window

AT_ONCE = 32
SHARES = (0.5, 0.9, 0.99, 0.999)
"""Quantiles of the score that are shown of each lumisection."""
Place = tuple[int, int]


@dataclass
class _Region:
    """What a region held on one map, and how much that map speaks for it."""

    gain: float = 0.0
    observed: list[int] = field(default_factory=list)
    expected: list[float] = field(default_factory=list)


class FillPicture:
    """Gathers one fill; see the module.

    Attributes:
        places: Run and lumisection of each that was compared, in order.
        pulls: Value over benign spread of every stream in each; None where a stream was silent.
        scores: Of each, quantiles of the score and the share of events that pass, None where nothing was scored.
    """

    def __init__(self, reference: Reference, onset: Place | None = None, box: Box | None = None) -> None:
        """Take what is expected, since when maps are summed (the whole fill when None), and a region to follow."""
        self._reference, self._onset, self._box = reference, onset, box
        self._waiting: list[Seen] = []
        self._sums: dict[str, tuple[Floats, Floats]] = {}
        self._grids: dict[str, Any] = {}
        self._regions: dict[str, _Region] = {}
        self.places: list[Place] = []
        self.pulls: list[list[float | None]] = []
        self.scores: list[dict[str, float] | None] = []

    def take(self, summary: LumisectionSummary, conditions: Conditions) -> bool:
        """Take one lumisection in; return whether the reference speaks of it."""
        reference = self._reference
        if unfit(reference, summary, conditions) is not None or conditions.pileup is None:
            return False
        standing = reference.standing(conditions)
        view = reference.under(standing)
        values = view.residuals(summary, conditions.pileup) * np.sqrt(reference.events / summary.events)
        when = (len(self.places), conditions.fill or 0, conditions.pileup)
        self._waiting.append(seen_of(view, view.looked_at(summary), when, values, (), standing))
        self.places.append((summary.run, summary.lumisection))
        spread = np.sqrt(view.benign.noise + view.benign.offset + view.benign.wander)
        self.pulls.append(_shown(values, spread))
        self.scores.append(_scores(summary))
        if len(self._waiting) >= AT_ONCE:
            self._settle()
        return True

    @property
    def streams(self) -> list[dict[str, str]]:
        """Name, object and family of every stream, in the order of the pulls."""
        labels = self._reference.streams.labels
        return [{"name": one.name, "object": one.object, "family": one.family} for one in labels]

    def maps(self) -> tuple[RatioMap, ...]:
        """Return every map of observed over expected since the onset."""
        self._settle()
        pairs = self._sums.items()
        return tuple(ratio_map(name, self._grids[name], seen, due) for name, (seen, due) in pairs if seen.sum() > 0)

    def inside(self) -> dict[str, Any] | None:
        """Return what the region held, on the map that shows it most: name, observed and expected by lumisection."""
        self._settle()
        if not self._regions:
            return None
        name, best = max(self._regions.items(), key=lambda pair: pair[1].gain)
        return {"map": name, "observed": best.observed, "expected": best.expected}

    def _settle(self) -> None:
        """Add what waits to the sums."""
        if not self._waiting:
            return
        memory = Memory.fresh()
        memory.seen, self._waiting = self._waiting, []
        window = window_of(self._reference, memory)
        since = np.array([self._onset is None or (one.run, one.lumisection) >= self._onset for one in memory.seen])
        for name, seen in window.maps.items():
            self._grids[name] = window.grids[name]
            before = self._sums.get(name, (0.0, 0.0))
            due = window.expected[name][since].sum(axis=0)
            self._sums[name] = (seen[since].sum(axis=0).astype(np.float64) + before[0], due + before[1])
        if self._box is not None:
            self._follow(window, since, self._box)

    def _follow(self, window: Window, since: NDArray[np.bool_], box: Box) -> None:
        for name, fine in window.fine.items():
            if fine.grid.object != box.object:
                continue
            cells = cells_of(box, fine.grid)
            seen, due = within(fine, cells)
            region = self._regions.setdefault(name, _Region())
            region.observed += [int(one) for one in seen]
            region.expected += [round(float(one), 2) for one in due]
            if since.any():
                left = float(np.clip(seen[since].sum() / max(float(due[since].sum()), TINY), 0.02, 50.0))
                rectangle = (cells.eta_first, cells.eta_last, cells.phi_first, cells.phi_width)
                measured = CellBox(*rectangle, left, 0.0)
                region.gain += float(box_gains(measured, fine.seen, fine.expected)[since].sum())


def box_of(told: Mapping[str, Any] | None) -> Box | None:
    """Return the region of an alarm's public form, None when it has none."""
    if told is None:
        return None
    eta, phi = (tuple(float(edge) for edge in told[name]) for name in ("eta", "phi"))
    return Box(str(told["object"]), (eta[0], eta[1]), (phi[0], phi[1]))


def _shown(values: Floats, spread: Floats) -> list[float | None]:
    pulls = zip(values, values / spread, strict=True)
    return [None if value == SILENT else round(float(pull), 2) for value, pull in pulls]


def _scores(summary: LumisectionSummary) -> dict[str, float] | None:
    scores = summary.scores
    total = 0 if scores is None else int(scores.counts.sum())
    if scores is None or not total:
        return None
    found: dict[str, float] = {f"q{share:g}": float(scores.quantile(share)[0]) for share in SHARES}
    for threshold, passed in zip(scores.thresholds, scores.passed, strict=True):
        found[f"threshold {threshold.name}"] = float(threshold.score)
        found[f"passed {threshold.name}"] = float(passed)
    return found | {"events": float(total)}
