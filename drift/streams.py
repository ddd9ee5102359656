"""How far a lumisection is from what its pileup makes expected, as a few hundred numbers of unit spread.

A residual stream is one such number per lumisection.  *Directed* streams ask about something a detector does: the pt
scale of an object, its rate, the share of one azimuthal sector or pseudorapidity ring.  *Generic* ones (chi-squared of
a histogram, principal components, their sum of squares) see what nobody thought of.  Nothing here remembers anything:
memory is `drift.detect`'s, and what spread is benign is `drift.benign`'s.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drift.profile import Histogram, Layout, LumisectionSummary, ScoreCounts
from drift.template import Floats, Ints, Template

__all__ = ["Floats", "Ints", "StreamLabel", "StreamModel", "Template"]

MERGED_COUNT = 8.0
"""Expected counts a merged bin needs in one lumisection."""
MOST_BINS = 40
PHI_SECTORS = 12
ETA_RINGS = 8
SCALE_STEP = 0.03
NOISE_STEP = 0.15
NOISE_ANGLES = 16
LEAST_EXPECTED = 4.0
"""Below this expectation a bin counts with the spread of this one, so that rare bins have no heavy tail."""
SHRINKAGE = 0.5
"""Of the covariance of held-out bin residuals, towards one."""
DIRECTED = ("scale", "noise", "mix", "rate", "phi", "eta", "score", "pass")
ONE_SIDED = ("chi2", "t2")
SILENT = 0.0
"""A stream of which a lumisection says nothing; a measured one is never exactly this."""


@dataclass(frozen=True)
class StreamLabel:
    """What one residual stream watches.

    Attributes:
        family: ``scale``, ``noise``, ``mix``, ``rate``, ``phi``, ``eta``, ``chi2``, ``pc``, ``t2``; of the trigger's
            own score ``score`` and ``pass``.
        object: Object type, empty when it is about all of them.
        index: Sector, ring, histogram or component.
        name: As people read it, e.g. ``JET pt scale``.
    """

    family: str
    object: str
    index: int
    name: str


def merge_bins(layout: Layout, counts: Floats, events: float, lumisections: int) -> tuple[Ints, Ints]:
    """Merge neighbouring bins until each expects enough counts in one lumisection.

    Args:
        layout: Where the histograms lie.
        counts: Flat table summed over the reference.
        events: Events in it.
        lumisections: Lumisections in it.

    Returns:
        The merged bin of every table entry (-1 for histograms left out), and the histogram of every merged bin.
    """
    need = max(MERGED_COUNT * lumisections, events / MOST_BINS)
    merged = np.full(layout.size, -1, dtype=np.int64)
    owner: list[int] = []
    for number, one in enumerate(layout.histograms):
        first, gathered, start = len(owner), 0.0, one.bins.start
        for place in range(one.bins.start, one.bins.stop):
            gathered += counts[place]
            if gathered >= need:
                merged[start : place + 1] = len(owner)
                owner.append(number)
                start, gathered = place + 1, 0.0
        if len(owner) > first:
            merged[start : one.bins.stop] = len(owner) - 1
        if len(owner) - first < 2:
            merged[one.bins] = -1
            del owner[first:]
    return merged, np.array(owner, dtype=np.int64)


def merged_counts(table: NDArray[np.int64], merged: Ints, bins: int) -> Floats:
    """Sum a flat table into the merged bins."""
    kept = merged >= 0
    return np.bincount(merged[kept], weights=table[kept], minlength=bins).astype(np.float64)


def scale_direction(one: Histogram, counts: Floats, merged: Ints, bins: int, step: float = SCALE_STEP) -> Floats:
    """Return how the merged-bin shares move per unit of relative pt scale, by scaling the recorded integers both ways.

    Values that the factor leaves between two integers are shared between them, so the answer is smooth.  Hardware
    calibration leaves a comb in the integers, which sharing fills alike for more and for less gain: half the difference
    of the two keeps what changes sign with the gain.
    """
    pooled = counts[one.bins]
    up, down = (_scaled(one, pooled, sign * step) for sign in (1.0, -1.0))
    return _merged_change(one, pooled + (up - down) / 2, pooled, merged, bins) / step


def _scaled(one: Histogram, pooled: Floats, step: float) -> Floats:
    value = np.arange(one.low - 1, one.low + one.width + 1, dtype=np.float64)
    moved = np.where(value > 0, value + step * (value + 0.5), value)
    lower = np.floor(moved)
    share = moved - lower
    place = np.clip(lower.astype(np.int64) - one.low + 1, 0, one.width + 1)
    above = np.clip(place + 1, 0, one.width + 1)
    size = one.width + 2
    return np.asarray(np.bincount(place, pooled * (1 - share), size) + np.bincount(above, pooled * share, size))


def noise_direction(one: Histogram, counts: Floats, merged: Ints, bins: int) -> Floats:
    """Return how the merged-bin shares of a missing momentum move when a small vector of random direction is added."""
    pooled = counts[one.bins]
    value = np.arange(one.low - 1, one.low + one.width + 1, dtype=np.float64) + 0.5
    weight = pooled / max(float(pooled.sum()), 1.0)
    size = NOISE_STEP * float(weight @ value)
    after = np.zeros_like(pooled)
    for angle in (np.arange(NOISE_ANGLES) + 0.5) * (2 * np.pi / NOISE_ANGLES):
        moved = np.hypot(value + size * np.cos(angle), size * np.sin(angle))
        place = np.clip(moved.astype(np.int64) - one.low + 1, 1, one.width)
        after += np.bincount(place, pooled, one.width + 2) / NOISE_ANGLES
    return _merged_change(one, after, pooled, merged, bins)


def mixing_direction(one: Histogram, counts: Floats, merged: Ints, bins: int) -> Floats:
    """Return how the merged-bin shares of an angle between 0 and half a turn move when one of the two is at random.

    The last regular bin holds events without one of the two, which stay what they are.
    """
    pooled = counts[one.bins]
    flat = np.zeros_like(pooled)
    flat[1 : one.width] = 1.0
    flat[[1, one.width - 1]] = 0.5
    there = float(pooled[1 : one.width].sum())
    after = pooled.copy()
    after[1 : one.width] = (flat * (there / flat.sum()))[1 : one.width]
    return _merged_change(one, after, pooled, merged, bins)


def _merged_change(one: Histogram, after: NDArray[Any], before: Floats, merged: Ints, bins: int) -> Floats:
    full = np.zeros(merged.size)
    full[one.bins] = (after - before) / max(float(before.sum()), 1.0)
    kept = merged >= 0
    return np.asarray(np.bincount(merged[kept], weights=full[kept], minlength=bins), dtype=np.float64)


def wilson_hilferty(chi2: float | Floats, freedom: float | NDArray[Any]) -> Floats:
    """Turn a chi-squared into a nearly normal number (E. B. Wilson and M. M. Hilferty, PNAS 17 (1931) 684)."""
    spread = 2.0 / (9.0 * np.asarray(freedom, dtype=np.float64))
    return np.asarray((np.cbrt(np.asarray(chi2) / freedom) - (1 - spread)) / np.sqrt(spread))


class ScorePart(Protocol):
    """Streams of the trigger's own score, after those of its inputs; see `drift.score_streams`."""

    def silence(self, scores: ScoreCounts | None) -> str:
        """Say why these scores say nothing; empty when they do."""

    def raw(self, summary: LumisectionSummary, pileup: float, inputs: Floats) -> Floats:
        """Return its streams before centring and scaling; not a number where it is silent."""

    def shifted(self, rows: Iterable[int]) -> "ScorePart":
        """Return the expectations of some strata, see `Template.shifted`."""


@dataclass(frozen=True, eq=False)
class StreamModel:
    """Everything needed to turn a summary and a pileup into residual streams.

    Attributes:
        objects: Object types with maps, in order.
        merged: Merged bin of every table entry.
        owner: Histogram of every merged bin.
        shares: Expected share of events in every merged bin.
        rates: Expected objects per event by object type.
        sectors: Expected share of an object's total in its sectors and rings, all object types in a row.
        rings: Ring of every η row, one array per object type.
        directions: Directed combinations of bin residuals: scales, then `extras`, shape ``(n_directions, n_merged)``.
        response: Residual per unit relative scale and root event, shape ``(n_scale,)``.
        scale_objects: Object type of every scale direction.
        extras: What the directions after the scales watch.
        components: Principal components of bin residuals, shape ``(n_pc, n_merged)``.
        variances: Their variances.
        kept: Which of all streams are in use.
        labels: Of the streams in use.
        mean: Subtracted from each stream in use.
        spread: Divided by.
        score: Streams of the score, when the reference was fitted with scores.
        blind: Merged bins that are not looked at, shape ``(n_merged,)``; empty when all are.
    """

    objects: tuple[str, ...]
    merged: Ints
    owner: Ints
    shares: Template
    rates: Template
    sectors: Template
    rings: tuple[Ints, ...]
    directions: Floats
    response: Floats
    scale_objects: tuple[str, ...]
    extras: tuple[StreamLabel, ...]
    components: Floats
    variances: Floats
    kept: Ints
    labels: tuple[StreamLabel, ...]
    mean: Floats
    spread: Floats
    score: ScorePart | None = None
    blind: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def shifted(self, rows: Iterable[int]) -> "StreamModel":
        """Return the expectations of some strata, see `Template.shifted`."""
        chosen = tuple(rows)
        shares, rates, sectors = (one.shifted(chosen) for one in (self.shares, self.rates, self.sectors))
        score = None if self.score is None else self.score.shifted(chosen)
        return replace(self, shares=shares, rates=rates, sectors=sectors, score=score)

    def bin_residuals(self, observed: Floats, events: float, pileup: float) -> Floats:
        """Return (observed - expected) / sqrt(expected) in every merged bin, see `LEAST_EXPECTED`."""
        expected = self.expected_bins(events, pileup)
        residual = np.asarray((observed - expected) / np.sqrt(np.maximum(expected, LEAST_EXPECTED)))
        if self.blind.size:
            residual[self.blind] = 0.0
        return residual

    def expected_bins(self, events: float, pileup: float) -> Floats:
        """Return the expected counts of every merged bin; those of one histogram sum to the events."""
        expected = self.shares.at(pileup)
        sums = np.bincount(self.owner, weights=expected)[self.owner]
        return np.asarray(expected / sums * events)

    def _common(self, residual: Floats) -> Floats:
        """Return how much of every principal component there is; from what is looked at, when not all is."""
        if not self.blind.size:
            return np.asarray(self.components @ residual)
        seen = np.where(self.blind, 0.0, self.components)
        return np.asarray(np.linalg.solve(np.diag(1 / self.variances) + seen @ seen.T, seen @ residual))

    def raw_from(self, residual: Floats, events: float, totals: Floats, sectors: Floats, pileup: float) -> Floats:
        """Return every stream, in use or not, before centring and scaling.

        Args:
            residual: From `bin_residuals`.
            events: Number of events.
            totals: Objects by type.
            sectors: From `sector_counts`.
            pileup: Mean collisions per crossing.
        """
        rate = self.rates.at(pileup) * events
        share = self.sectors.at(pileup)
        want = share * np.repeat(np.maximum(totals, 1.0), PHI_SECTORS + ETA_RINGS)
        common = self._common(residual)
        apart = residual - self.components.T @ common
        if self.blind.size:
            apart[self.blind] = 0.0
        chi2 = np.asarray(np.bincount(self.owner, weights=apart**2), dtype=np.float64)
        used = np.unique(self.owner)
        freedom = np.maximum(np.bincount(self.owner) - 1, 1)[used].astype(np.float64)
        scores = common / np.sqrt(self.variances)
        return np.concatenate(
            [
                self.directions @ residual,
                (totals - rate) / np.sqrt(rate),
                (sectors - want) / np.sqrt(np.maximum(want * (1 - np.minimum(share, 0.95)), 1e-3)),
                wilson_hilferty(chi2[used], freedom),
                scores,
                np.atleast_1d(wilson_hilferty(float((scores**2).sum()), float(max(scores.size, 1)))),
            ]
        )

    def standard(self, summary: LumisectionSummary, pileup: float) -> Floats:
        """Return the streams in use, centred and in units of their benign spread; `SILENT` where nothing is said."""
        observed = merged_counts(summary.counts, self.merged, self.owner.size)
        residual = self.bin_residuals(observed, summary.events, pileup)
        totals = np.array([float(summary.maps[kind].sum()) for kind in self.objects])
        sectors = sector_counts(summary.maps, self.objects, self.rings)
        raw = self.raw_from(residual, summary.events, totals, sectors, pileup)
        if self.score is not None:
            raw = np.concatenate([raw, self.score.raw(summary, pileup, raw)])
        value = (raw[self.kept] - self.mean) / self.spread
        return np.where(np.isnan(value), SILENT, value)

    def silence(self, summary: LumisectionSummary) -> str:
        """Say why the score's streams say nothing of a lumisection; empty when they do, or when there are none."""
        return "" if self.score is None else self.score.silence(summary.scores)


def matched(wanted: Floats, inside: NDArray[np.bool_], residual: Floats) -> tuple[Floats, float]:
    """Return the combination of bins that sees a change best against their held-out covariance, and its response."""
    part = residual[:, inside]
    covariance = np.atleast_2d(np.cov(part.T)) * (1 - SHRINKAGE) + np.eye(int(inside.sum())) * SHRINKAGE
    best = np.linalg.solve(covariance, wanted[inside])
    norm = max(float(np.sqrt(best @ covariance @ best)), 1e-12)
    line = np.zeros(len(inside))
    line[inside] = best / norm
    return line, float(wanted[inside] @ best / norm)


def sector_counts(
    maps: Mapping[str, NDArray[np.integer[Any]]], objects: tuple[str, ...], rings: tuple[Ints, ...]
) -> Floats:
    """Count objects in twelve azimuthal sectors and eight rings of every type, in a row."""
    out = []
    for kind, ring in zip(objects, rings, strict=True):
        one = maps[kind]
        out.append(azimuths(one))
        out.append(np.bincount(ring, weights=one.sum(axis=1), minlength=ETA_RINGS))
    return np.concatenate(out).astype(np.float64)


def azimuths(one: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return the objects of a map in twelve azimuthal sectors."""
    return np.asarray(one.sum(axis=0).reshape(PHI_SECTORS, -1).sum(axis=1))


def equal_rings(profile: Floats) -> Ints:
    """Group η rows into eight rings of about equal population."""
    cumulative = (np.cumsum(profile) - profile / 2) / max(profile.sum(), 1.0)
    return np.asarray(np.minimum((cumulative * ETA_RINGS).astype(np.int64), ETA_RINGS - 1))


def label_streams(
    layout: Layout,
    objects: tuple[str, ...],
    scales: tuple[str, ...],
    extras: tuple[StreamLabel, ...],
    owner: Ints,
    components: int,
) -> tuple[StreamLabel, ...]:
    """Name every stream in the order `StreamModel.raw` returns them."""
    found = [StreamLabel("scale", kind, i, f"{kind} pt scale") for i, kind in enumerate(scales)]
    found += extras
    found += [StreamLabel("rate", kind, i, f"{kind} per event") for i, kind in enumerate(objects)]
    for kind in objects:
        found += [StreamLabel("phi", kind, i, f"{kind} azimuth {30 * i} to {30 * i + 30} deg") for i in range(12)]
        found += [StreamLabel("eta", kind, i, f"{kind} ring {i + 1} of 8") for i in range(ETA_RINGS)]
    for number in np.unique(owner):
        one = layout.histograms[int(number)]
        found.append(StreamLabel("chi2", one.object, int(number), one.name))
    found += [StreamLabel("pc", "", i, f"component {i + 1}") for i in range(components)]
    found.append(StreamLabel("t2", "", 0, "all components"))
    return tuple(found)
