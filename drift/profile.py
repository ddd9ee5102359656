"""How the events of one lumisection become lossless integer counts that add up exactly.

The inputs are integers, so counts at full resolution lose nothing that a one-dimensional test could ask for; the
eta-phi maps and the bounded pair quantities add what single columns cannot show.  Scores and weights of the events are
counted beside them when they are given.  Nothing here knows what a reference, a pileup or an alarm is.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.errors import SummaryError
from drift.events import LumisectionEvents
from drift.kernels import count_map, count_rows, sum_rows
from drift.layout import ABSENT, CALO_PHI, HARD_MET, HT_BINS, HT_STEP, RECOIL_ETA, Histogram, Layout, MapGrid, layout_of
from drift.schema import FeatureSchema
from drift.score_bins import SCORE_BINS, SCORE_CELLS, ScoreCounts, Threshold, bins_of, checked_thresholds
from drift.scorer import Scorer
from drift.summary import LumisectionSummary
from drift.weights import Weighted, checked_scale, rounded

Counts = NDArray[np.int64]

__all__ = [
    "Histogram",
    "Layout",
    "LumisectionSummary",
    "MapGrid",
    "ScoreCounts",
    "Summariser",
    "Threshold",
    "layout_of",
]


_TURN = np.stack([f((np.arange(CALO_PHI) + 0.5) * (2 * np.pi / CALO_PHI)) for f in (np.cos, np.sin)])


class Summariser:
    """Counts the events of a lumisection under one schema; the same bits with and without compilation.

    Args:
        schema: What is counted.
        thresholds: Named working points; pass counts at each are exact.  With any, scores must be given.
        scorer: The model that scores events whose scores are not given; its thresholds are counted too.
        weight_scale: A power of two near the typical weight; see `drift.weights`.
        compiled: Use the compiled loops.

    Raises:
        SummaryError: Thresholds or scale that cannot be.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        *,
        thresholds: Iterable[tuple[str, int]] = (),
        scorer: Scorer | None = None,
        weight_scale: float = 1.0,
        compiled: bool = True,
    ) -> None:
        self.schema = schema
        self.layout = layout_of(schema)
        self.scorer = scorer
        self.thresholds = checked_thresholds((*thresholds, *(scorer.thresholds if scorer is not None else ())))
        self._scale = checked_scale(weight_scale)
        self._compiled = compiled
        histograms = self.layout.histograms
        self._low = np.array([*(one.low for one in histograms), 0], dtype=np.int64)
        self._width = np.array([*(one.width for one in histograms), SCORE_BINS], dtype=np.int64)
        self._offset = np.array([*(one.offset for one in histograms), self.layout.size], dtype=np.int64)

    def fill(
        self,
        events: LumisectionEvents,
        scores: NDArray[np.integer[Any]] | None = None,
        weights: NDArray[np.floating[Any] | np.integer[Any]] | None = None,
    ) -> LumisectionSummary:
        """Count one lumisection.

        Args:
            events: Its events.
            scores: The trigger's integer score of each event, shape ``(n_events,)``; left out, the scorer's, if any.
            weights: Weight of each event, shape ``(n_events,)``.

        Raises:
            SummaryError: The events do not have the schema's number of features, or scores or weights do not fit them.
        """
        rows = len(self.schema.features)
        where = f"run {events.run} lumisection {events.lumisection}"
        if events.features.shape[0] != rows:
            raise SummaryError(
                f"{where} has {events.features.shape[0]} features, schema "
                f"{self.schema.name} has {rows}; read the file under this schema"
            )
        if scores is None and self.scorer is not None:
            scores = self.scorer.scores(events.features)
        whole = self._scores(scores, events, where)
        lines, size = [events.features, self._pairs(events.features)], self.layout.size
        if whole is not None:
            lines.append(bins_of(whole)[np.newaxis])
            size += SCORE_CELLS
        values = np.concatenate(lines)
        n = len(values)
        bins = (self._low[:n], self._width[:n], self._offset[:n], size)
        table = count_rows(values, *bins, compiled=self._compiled)
        passing = np.zeros((0, events.events), dtype=np.bool_)
        counted = weighted = None
        if whole is not None:
            passing = whole >= np.array([[one.score] for one in self.thresholds], dtype=np.int64).reshape(-1, 1)
            named = self.scorer.digest if self.scorer is not None else ""
            counted = ScoreCounts(self.thresholds, table[self.layout.size :], passing.sum(axis=1), named)
        if weights is not None:
            pair = rounded(_one_each(weights, "weights", events, where).astype(np.float64), self._scale, where)
            sums = sum_rows(values, *bins, pair, compiled=self._compiled)
            total = pair.sum(axis=1, keepdims=True)
            weighted = Weighted(self._scale, np.concatenate([total, sums, pair @ passing.T], axis=1))
            weighted.checked(events.events)
        place = ((events.run, events.lumisection),)
        table = table[: self.layout.size]
        return LumisectionSummary(
            self.schema.digest, place, events.events, table, self._maps(events), counted, weighted
        )

    def _scores(
        self, scores: NDArray[np.integer[Any]] | None, events: LumisectionEvents, where: str
    ) -> NDArray[np.int64] | None:
        if scores is None:
            if self.thresholds:
                raise SummaryError(
                    f"{where} came without scores, but {len(self.thresholds)} thresholds are counted; give them"
                )
            return None
        found = _one_each(scores, "scores", events, where)
        if found.dtype.kind not in "iu":
            raise SummaryError(
                f"{where} has scores of type {found.dtype}, expected the trigger's integers; do not scale them"
            )
        return found.astype(np.int64)

    def _maps(self, events: LumisectionEvents) -> dict[str, Counts]:
        maps = {}
        for grid in self.layout.maps:
            columns = events.objects[grid.object]
            hard = columns.pt >= grid.pt_low if grid.pt_low else slice(None)
            maps[grid.name] = count_map(
                columns.pt[hard],
                columns.eta[hard],
                columns.phi[hard],
                grid.shape,
                grid.eta_low,
                (grid.eta_step, grid.phi_step),
                compiled=self._compiled,
            )
        return maps

    def _met_against_recoil(self, features: NDArray[np.int16], row: dict[str, NDArray[np.int16]]) -> NDArray[np.int16]:
        """Return the angle between missing momentum and the vector sum of central jets and e/gamma.

        On simulated zero bias at pileup 50 this tells missing momentum of another event from its own seven times better
        than the leading jet does, and nearly as well as the best linear combination of all objects.
        """
        x, y = np.zeros(features.shape[1]), np.zeros(features.shape[1])
        for kind in ("JET", "EG"):
            pt, eta, phi = (
                features[[i for i, f in enumerate(self.schema.features) if (f.object, f.quantity) == (kind, one)]]
                for one in ("pt", "eta", "phi")
            )
            if len(pt) == len(eta) == len(phi):
                central = np.where(np.abs(eta) <= RECOIL_ETA, pt, 0)
                turn = np.clip(phi, 0, CALO_PHI - 1)
                x += (central * _TURN[0][turn]).sum(axis=0)
                y += (central * _TURN[1][turn]).sum(axis=0)
        recoil = (np.arctan2(y, x) % (2 * np.pi) * (CALO_PHI / (2 * np.pi))).astype(np.int16) % CALO_PHI
        there = (row["MET_pt"] > 0) & ((x != 0) | (y != 0))
        return _angle(row["MET_phi"], recoil.astype(np.int16), there)

    def _pairs(self, features: NDArray[np.int16]) -> NDArray[np.int16]:
        derived = self.layout.histograms[len(self.schema.features) :]
        out = np.zeros((len(derived), features.shape[1]), dtype=np.int16)
        row = {f.name: features[i] for i, f in enumerate(self.schema.features)}
        pts = {
            kind: features[[i for i, f in enumerate(self.schema.features) if f.object == kind and f.quantity == "pt"]]
            for kind in self.schema.objects
        }
        recoil = self._met_against_recoil(features, row) if "MET_phi" in row and "Jet1_phi" in row else None
        for line, one in zip(out, derived, strict=True):
            if one.quantity == "count":
                line[:] = (pts[one.object] > 0).sum(axis=0)
            elif one.quantity == "sum":
                line[:] = np.minimum(pts["JET"].astype(np.int32).sum(axis=0) // HT_STEP, HT_BINS - 1)
            elif one.name.endswith("met_recoil"):
                assert recoil is not None
                line[:] = np.where(row["MET_pt"] >= HARD_MET, recoil, ABSENT) if "hard" in one.name else recoil
            elif one.name == "dphi_met_jet1":
                there = (row["MET_pt"] > 0) & (row["Jet1_pt"] > 0)
                line[:] = _angle(row["MET_phi"], row["Jet1_phi"], there)
            else:
                line[:] = _angle(row["Jet1_phi"], row["Jet2_phi"], row["Jet2_pt"] > 0)
        return out


def _angle(one: NDArray[np.int16], other: NDArray[np.int16], there: NDArray[np.bool_]) -> NDArray[np.int16]:
    apart = np.abs(one - other) % CALO_PHI
    return np.where(there, np.minimum(apart, CALO_PHI - apart), ABSENT).astype(np.int16)


def _one_each(values: Any, what: str, events: LumisectionEvents, where: str) -> NDArray[Any]:
    found = np.asarray(values)
    if found.shape != (events.events,) or found.dtype.kind not in "iuf":
        raise SummaryError(
            f"{where} has {events.events} events and {what} of shape {found.shape} and type {found.dtype}; "
            "give one number for each event"
        )
    return found
