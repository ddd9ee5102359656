"""What a coordinator wants to see of the newest lumisection, in a few hundred numbers.

Residuals by feature, coarse eta-phi pulls, score quantiles, and each seed's rate beside its prediction: figures to
draw, never to judge by; `drift.watch` judges.  Figures that one lumisection cannot carry are summed over the last few,
and what has too little behind it is left out rather than shown as noise.  Nothing here remembers anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.cells import CellModel
from drift.conditions import Conditions
from drift.counters import SeedCount
from drift.profile import LumisectionSummary, layout_of
from drift.rate_reference import RateReference, exposure
from drift.reference import Reference
from drift.score_bins import SCORE_BINS, ScoreCounts

RECENT = 16
"""Lumisections that maps and score quantiles are summed over: about six minutes."""
ROWS, COLUMNS = 6, 12
"""Of the coarse maps; half a sector of 30 degrees each in phi keeps one dead board apart from its neighbour."""
LEAST = 5.0
"""Expected objects, or events above a quantile, below which a figure is left out."""
SHARES = (("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99), ("0.999", 0.999), ("0.9999", 0.9999))
MOST_SEEDS = 16
"""Seeds shown one by one; the metrics must stay few however large the menu is."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SeedRate:
    """One seed's rate beside its prediction; rates in Hz, ends of the 95 % band of one measurement, sigma of it."""

    seed: str
    observed_hz: float
    predicted_hz: float
    low_hz: float
    high_hz: float
    sigma: float


@dataclass(frozen=True, kw_only=True)
class Glance:
    """The newest lumisection that was compared with the reference.

    Attributes:
        run: Its run.
        lumisection: Its number.
        prescale_column: Name of the prescale column in force; empty when unknown.
        bunches: Colliding bunches; None when unknown.
        dead_time: Fraction 0..1 of delivered luminosity not recorded; None when unknown.
        features: Residual of each feature's histogram given the pileup, in standard deviations.
        parts: The same of directed streams such as ``JET pt scale``.
        empty: Share of events without any object, by object type.
        occupancy: Pull of each coarse eta-phi cell by object type, `ROWS` by `COLUMNS`; None where little is expected.
        quantiles: Integer score below which that share of the recent events lies, by share in words.
        thresholds: Integer score of each working point.
        passing: Share of the recent events at or above each threshold.
        saturated: Share of the recent events whose score is the largest there is; None without scores.
        seeds: Watched seeds, at most `MOST_SEEDS`.
    """

    run: int
    lumisection: int
    prescale_column: str = ""
    bunches: int | None = None
    dead_time: float | None = None
    features: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    empty: Mapping[str, float] = field(default_factory=dict)
    occupancy: Mapping[str, tuple[tuple[float | None, ...], ...]] = field(default_factory=dict)
    quantiles: Mapping[str, int] = field(default_factory=dict)
    thresholds: Mapping[str, int] = field(default_factory=dict)
    passing: Mapping[str, float] = field(default_factory=dict)
    saturated: float | None = None
    seeds: tuple[SeedRate, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Glance":
        """Return the glance that `to_json` took apart."""
        maps = {kind: tuple(tuple(row) for row in rows) for kind, rows in body["occupancy"].items()}
        seeds = tuple(SeedRate(**one) for one in body["seeds"])
        return cls(**{**body, "occupancy": maps, "seeds": seeds})


def glance(
    reference: Reference,
    recent: Sequence[LumisectionSummary],
    conditions: Conditions,
    rates: RateReference | None = None,
    counts: Mapping[str, SeedCount] | None = None,
    own: str = "",
) -> Glance:
    """Return what to show of the newest lumisection.

    Args:
        reference: What is expected.
        recent: The last lumisections that were compared, oldest first; the last one is shown, and is always there.
        conditions: Of that one; its pileup must be known.
        rates: What rate each seed is expected to have, when counters are watched.
        counts: What hardware counted of each seed in it.
        own: What the names of the model's own seeds begin with; they come first.

    Raises:
        ValueError: There is no lumisection, or its pileup is unknown.
    """
    if not recent or conditions.pileup is None:
        raise ValueError("nothing can be shown without a lumisection of known pileup; ask once one was compared")
    newest, pileup = recent[-1], conditions.pileup
    view = reference.under(reference.standing(conditions))
    layout = layout_of(reference.schema)
    residuals = np.clip(view.residuals(newest, pileup), -99.0, 99.0)
    features: dict[str, float] = {}
    parts: dict[str, float] = {}
    for label, value in zip(view.streams.labels, residuals, strict=True):
        if label.family == "chi2" and label.index < len(layout.histograms):
            features[layout.histograms[label.index].name] = round(float(value), 3)
        elif label.family in {"scale", "rate", "mix", "score"}:
            parts[label.name] = round(float(value), 3)
    empty = {
        one.object: round(float(newest.counts[one.regular][0] / max(newest.events, 1)), 5)
        for one in layout.histograms
        if one.quantity == "count"
    }
    plain = [one for one in view.cells if one.name == one.object]
    return Glance(
        run=newest.run,
        lumisection=newest.lumisection,
        prescale_column=conditions.prescale_column or "",
        bunches=conditions.bunches,
        dead_time=conditions.dead_time,
        features=features,
        parts=parts,
        empty=empty,
        occupancy={one.object: coarse_pulls(one, [each.maps[one.name] for each in recent], pileup) for one in plain},
        seeds=() if rates is None or counts is None else _seeds(rates, counts, conditions, own),
        **_of_scores([each.scores for each in recent if each.scores is not None]),
    )


def coarse_pulls(
    model: CellModel, maps: Sequence[NDArray[np.int64]], pileup: float
) -> tuple[tuple[float | None, ...], ...]:
    """Return observed less expected over the root of expected, in `ROWS` by `COLUMNS` blocks of one object's map.

    The expectation is scaled to what was seen, so the pulls show where and not how many.
    """
    seen = np.sum(np.asarray(maps, dtype=np.float64), axis=0)
    due = model.expected(float(seen.sum()), pileup)
    found, expected = _blocks(seen), _blocks(due)
    pulls = (found - expected) / np.sqrt(np.maximum(expected, 1e-9))
    return tuple(
        tuple(round(float(pull), 2) if much >= LEAST else None for pull, much in zip(row, wide, strict=True))
        for row, wide in zip(pulls, expected, strict=True)
    )


def _blocks(fine: Floats) -> Floats:
    rows = [part.sum(axis=0) for part in np.array_split(fine, ROWS, axis=0)]
    return np.stack([part.sum(axis=1) for part in np.array_split(np.stack(rows), COLUMNS, axis=1)], axis=1)


def _of_scores(scores: Sequence[ScoreCounts]) -> dict[str, Any]:
    """Return quantiles and pass shares of the recent scores of one model; nothing when there are none."""
    alike = [one for one in scores if (one.scorer, one.thresholds) == (scores[-1].scorer, scores[-1].thresholds)]
    if not alike:
        return {}
    total = alike[0]
    for one in alike[1:]:
        total += one
    events = int(total.counts.sum())
    if events == 0:
        return {}
    shown = {word: total.quantile(share)[0] for word, share in SHARES if events * (1 - share) >= LEAST}
    passing = {one.name: int(n) / events for one, n in zip(total.thresholds, total.passed, strict=True)}
    return {
        "quantiles": shown,
        "thresholds": {one.name: one.score for one in total.thresholds},
        "passing": passing,
        "saturated": float(total.counts[SCORE_BINS:].sum()) / events,
    }


def _seeds(
    rates: RateReference, counts: Mapping[str, SeedCount], conditions: Conditions, own: str
) -> tuple[SeedRate, ...]:
    assert conditions.pileup is not None
    found: list[SeedRate] = []
    for model in sorted(rates.models, key=lambda one: not one.seed.startswith(own)):
        if model.seed not in counts or not model.speaks(conditions.pileup) or len(found) == MOST_SEEDS:
            continue
        bunch_s, _ = exposure(conditions, counts[model.seed])
        if bunch_s <= 0:
            continue
        bunches = conditions.bunches or 1
        due = model.predict(conditions.pileup, bunches, bunch_s / bunches)
        sigma = float(model.deviation(counts[model.seed].counts, bunch_s, conditions.pileup)[0])
        seen = counts[model.seed].counts / bunch_s * bunches
        found.append(SeedRate(model.seed, seen, due.rate_hz, due.low_hz, due.high_hz, sigma))
    return tuple(found)
