"""How the score's streams are learnt, beside the inputs': templates by pileup, and held-out residuals.

A pass rate is never estimated from a handful: a threshold takes part only where a lumisection of the reference expects
enough passes, and otherwise the reference says that it is inconclusive.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drift.errors import ReferenceUnfitError
from drift.score_bins import SCORE_CELLS, ScoreCounts, Threshold
from drift.score_streams import SCORE_LAYOUT, ScoreModel, score_scale_direction
from drift.streams import Floats, Ints, StreamLabel, Template, matched, merge_bins

TAIL_COUNT = 30.0
"""Events a lumisection that the upper tail is made to hold: as far out as can still be counted."""
COMPONENTS = 3
FORETELLING = ("scale", "noise", "mix", "rate", "pc")
"""Families of input streams that foretell the score."""
RIDGE = 10.0


@dataclass(frozen=True, eq=False)
class ScoreSample:
    """The scores of a reference's lumisections, in time order, histograms kept sparse.

    Attributes:
        scorer: Digest of the model that scored all of them.
        thresholds: At which passes were counted.
        sparse: Score cells and their counts, of each lumisection.
        passed: Passes at each threshold, shape ``(n, n_thresholds)``.
    """

    scorer: str
    thresholds: tuple[Threshold, ...]
    sparse: list[tuple[Ints, Ints]]
    passed: Ints

    @classmethod
    def of(cls, scores: Sequence[ScoreCounts | None]) -> "ScoreSample | None":
        """Return the scores of a reference; None when no lumisection has any.

        Raises:
            ReferenceUnfitError: Only some have scores, or they are of several models or thresholds.
        """
        there = [one for one in scores if one is not None]
        if not there:
            return None
        kinds = {(one.scorer, one.thresholds) for one in there}
        if len(there) < len(scores) or len(kinds) > 1:
            raise ReferenceUnfitError(
                f"{len(there)} of {len(scores)} lumisections have scores, of {len(kinds)} models or sets of "
                "thresholds; count all of them with one model, or none"
            )
        cells = [np.flatnonzero(one.counts) for one in there]
        sparse = [(place, one.counts[place]) for place, one in zip(cells, there, strict=True)]
        return cls(there[0].scorer, there[0].thresholds, sparse, np.stack([one.passed for one in there]))

    @property
    def total(self) -> Floats:
        """Score cells summed over all."""
        out = np.zeros(SCORE_CELLS)
        for place, n in self.sparse:
            out[place] += n
        return out

    def merged(self, merged: Ints, bins: int) -> Floats:
        """Return the merged counts of every lumisection, shape ``(n, bins)``."""
        return np.array(
            [np.bincount(merged[place], weights=n, minlength=bins) for place, n in self.sparse], dtype=np.float64
        )

    def beyond(self, cell: int) -> Ints:
        """Return the events of every lumisection at or above a score cell, shape ``(n,)``."""
        return np.array([int(n[place >= cell].sum()) for place, n in self.sparse], dtype=np.int64)


def _folded(fold: ScoreModel, out: NDArray[np.bool_], stratum: Ints) -> dict[int, ScoreModel]:
    """Return the model of each lumisection that is held out, as it looks in its stratum."""
    found: dict[int, ScoreModel] = {}
    for one in np.unique(stratum[out]):
        inside = np.flatnonzero(out & (stratum == one)).tolist()
        found |= dict.fromkeys(inside, fold.shifted([int(one)] if one >= 0 else []))
    return found


def fit_scores(
    sample: ScoreSample,
    events: Floats,
    pileup: Floats,
    degree: int,
    held: Sequence[NDArray[np.bool_]],
    places: Sequence[int],
    inputs: tuple[Sequence[StreamLabel], Floats],
    strata: tuple[Ints, Floats],
) -> tuple[ScoreModel, Floats]:
    """Fit the score's streams, and return them with held-out raw streams.

    Args:
        sample: Scores of the reference's lumisections.
        events: In each, shape ``(n,)``.
        pileup: Of each.
        degree: Of the inputs' polynomials; the score's shape takes one more where there are enough lumisections.
        held: The lumisections of each group of fills that is held out in turn, shape ``(n,)`` each.
        places: The lumisections whose held-out streams are asked for.
        inputs: Labels and held-out raw streams of the inputs, shape ``(len(places), n_input_streams)``.
        strata: Stratum of each lumisection, -1 without, and one where it is of it, shape ``(n, n_strata)``.

    Returns:
        The model, and its streams for every one of ``places``, shape ``(len(places), n_streams)``.
    """
    total, n = sample.total, len(sample.sparse)
    merged, owner = merge_bins(SCORE_LAYOUT, total, float(events.sum()), n)
    if not owner.size:  # nearly all events have one score
        merged, owner = np.zeros(SCORE_CELLS, dtype=np.int64), np.zeros(1, dtype=np.int64)
    bins = owner.size
    above = np.cumsum(total[::-1])[::-1]
    tail = int(np.flatnonzero(above >= min(TAIL_COUNT * n, above[0]))[-1])
    bent = degree + 1 if degree > 1 else degree  # a score follows pileup more steeply than any of its inputs
    counts = sample.merged(merged, bins)
    passed = np.concatenate([sample.beyond(tail)[:, None], sample.passed], axis=1).astype(np.float64)

    def templates(used: NDArray[np.bool_]) -> tuple[Template, Template]:
        seen, of = (events[used], pileup[used]), strata[1][used]
        return Template.fit(counts[used], *seen, bent, of), Template.fit(passed[used], *seen, min(degree, 2), of)

    shares, passes = templates(np.ones(n, dtype=bool))
    model = ScoreModel(
        sample.scorer,
        tuple(one.name for one in sample.thresholds),
        tuple(one.score for one in sample.thresholds),
        sample.passed.mean(axis=0),
        merged,
        shares,
        tail,
        passes,
        np.zeros(bins),
        0.0,
        np.zeros((0, bins)),
        np.zeros(0),
        _foretelling(*inputs),
        np.zeros(0),
    )
    fold_of: dict[int, ScoreModel] = {}
    for out in held:
        part = templates(~out)
        fold_of |= _folded(replace(model, shares=part[0], passes=part[1]), out, strata[0])
    residual = np.stack([fold_of[i].residuals(counts[i], events[i], pileup[i]) for i in places])
    model = _with_lines(model, total, residual)
    folds = {i: replace(model, shares=one.shares, passes=one.passes) for i, one in fold_of.items()}
    raw = [folds[i].raw_from(residual[row], passed[i], events[i], pileup[i]) for row, i in enumerate(places)]
    seen = np.stack(raw)
    pull, given = _foretold(inputs[1][:, model.inputs], seen[:, 0], [out[list(places)] for out in held])
    return replace(model, pull=pull), np.concatenate([seen, given[:, None]], axis=1)


def _foretelling(labels: Sequence[StreamLabel], raw: Floats) -> Ints:
    """Return the input streams that foretell the score: those that are always a number, and not always the same."""
    good = np.isfinite(raw).all(axis=0) & (np.ptp(np.nan_to_num(raw), axis=0) > 1e-6)
    return np.array([i for i, one in enumerate(labels) if one.family in FORETELLING and good[i]], dtype=np.int64)


def _foretold(inputs: Floats, scale: Floats, held: Sequence[NDArray[np.bool_]]) -> tuple[Floats, Floats]:
    """Return by how much each input stream pulls the score's scale, and what is left of it in fills held out.

    Least squares with a ridge of `RIDGE` lumisections.
    """

    def pull(used: NDArray[np.bool_]) -> Floats:
        x, y = inputs[used], scale[used]
        return np.asarray(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y))

    left = scale.copy()
    for out in held:
        left[out] -= inputs[out] @ pull(~out)
    return pull(np.ones(len(scale), dtype=bool)), left


def _with_lines(model: ScoreModel, total: Floats, residual: Floats) -> ScoreModel:
    """Add the direction in which a scale moves the bins, and what the bins do together when all is well."""
    bins = residual.shape[1]
    shares = np.bincount(model.merged, weights=total, minlength=bins) / total.sum()
    wanted = score_scale_direction(total, model.merged, bins) / np.sqrt(np.maximum(shares, 1e-6))
    direction, response = matched(wanted, np.ones(bins, dtype=bool), residual)
    count = min(COMPONENTS, bins - 1, len(residual) // 20)
    _, sizes, axes = np.linalg.svd(residual - residual.mean(axis=0), full_matrices=False)
    pivot = np.sign(axes[:count][np.arange(count), np.abs(axes[:count]).argmax(axis=1)])
    variances = np.maximum(sizes[:count] ** 2 / len(residual), 1e-12)
    return replace(
        model, direction=direction, response=response, components=axes[:count] * pivot[:, None], variances=variances
    )


def told(model: ScoreModel, mean_events: float, least: float) -> NDArray[np.bool_]:
    """Return which of a model's streams expect enough events a lumisection, in the order of its labels."""
    good = np.ones(len(model.labels), dtype=bool)
    good[1] = min(TAIL_COUNT, mean_events) >= least
    good[2 : 2 + len(model.names)] = model.expected >= least
    return good
