"""How far the trigger's own score is from what its pileup makes expected: scale, upper tail, shape, passes.

A model's output is the one place where all of its inputs meet, and what the trigger rate hangs on.  One stream is its
scale less what the inputs of the same events foretell of it: benign wander and the luck of the draw are in both, a
fault of the network is not.  The streams are of one model: scores of another one, or none, say nothing here, and then
the inputs' streams are what they always were.
Nothing here remembers anything, and nothing knows a network.

References:
    S. Rabanser, S. Guennemann, Z. Lipton, Failing Loudly (2019), arXiv:1810.11953: test what the model says, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drift.layout import Histogram, Layout
from drift.score_bins import SCORE_BINS, SCORE_CELLS, ScoreCounts, score_edges
from drift.streams import LEAST_EXPECTED, SILENT, StreamLabel, StreamModel, Template, wilson_hilferty
from drift.summary import LumisectionSummary

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCORE = "SCORE"
"""Object type of every stream that is about the score."""
SCORE_LAYOUT = Layout((Histogram("score", SCORE, "score", 0, 0, SCORE_BINS, 0),), (), SCORE_CELLS)
SCALE_STEP = 0.04
"""Each way: wide enough that the slope at a bin's edge is not the luck of one integer."""


@dataclass(frozen=True, eq=False)
class ScoreModel:
    """What is expected of one model's score at each pileup.

    Attributes:
        scorer: Digest of the model.
        names: Its thresholds, in rising order.
        levels: Their integer scores.
        expected: Mean passes in a lumisection at each threshold, shape ``(n_thresholds,)``.
        merged: Merged bin of every score cell, shape ``(SCORE_CELLS,)``.
        shares: Expected share of events in every merged bin.
        tail: Score cell at which the upper tail begins.
        passes: Expected events in the tail, then at each threshold, per event.
        direction: Combination of bin residuals that sees another scale of the score, shape ``(n_bins,)``.
        response: Residual per unit relative scale and root event.
        components: Principal components of bin residuals, shape ``(n_pc, n_bins)``.
        variances: Their variances.
        inputs: Places, among the raw streams of the inputs, of those that foretell the score's scale.
        pull: By how much each does, shape ``(n_inputs,)``.
    """

    scorer: str
    names: tuple[str, ...]
    levels: tuple[int, ...]
    expected: Floats
    merged: Ints
    shares: Template
    tail: int
    passes: Template
    direction: Floats
    response: float
    components: Floats
    variances: Floats
    inputs: Ints
    pull: Floats

    def effect(self, spread: float, events: float) -> float:
        """Return the relative scale of the score that one unit of its scale stream means.

        Args:
            spread: What the stream was divided by.
            events: In a lumisection.
        """
        return float(spread / (max(self.response, 1e-9) * np.sqrt(events)))

    def shifted(self, rows: Iterable[int]) -> "ScoreModel":
        """Return the expectations of some strata, see `Template.shifted`."""
        chosen = tuple(rows)
        return replace(self, shares=self.shares.shifted(chosen), passes=self.passes.shifted(chosen))

    def counted(self, scores: ScoreCounts) -> tuple[Floats, Floats]:
        """Return the events in every merged bin, and those in the tail and at each threshold."""
        counts = np.bincount(self.merged, weights=scores.counts, minlength=self.direction.size).astype(np.float64)
        passed = np.concatenate([[scores.counts[self.tail :].sum()], scores.passed]).astype(np.float64)
        return counts, passed

    def silence(self, scores: ScoreCounts | None) -> str:
        """Say why these scores say nothing here; empty when they do."""
        if scores is None:
            return "the events came without scores"
        if scores.scorer != self.scorer:
            return (
                f"the scores are of model {scores.scorer[:12] or '(unnamed)'}, the reference's of "
                f"{self.scorer[:12] or '(unnamed)'}; fit it anew with the model that runs"
            )
        if scores.thresholds != tuple(zip(self.names, self.levels, strict=True)):
            return "the passes were counted at other thresholds than the reference's"
        return ""

    def residuals(self, counts: Floats, events: float, pileup: float) -> Floats:
        """Return (observed - expected) / sqrt(expected) in every merged bin, see `LEAST_EXPECTED`."""
        expected = self.expected_bins(events, pileup)
        return np.asarray((counts - expected) / np.sqrt(np.maximum(expected, LEAST_EXPECTED)))

    def expected_bins(self, events: float, pileup: float) -> Floats:
        """Return the expected counts of every merged bin; they sum to the events."""
        expected = self.shares.at(pileup)
        return np.asarray(expected / expected.sum() * events)

    def raw(self, summary: LumisectionSummary, pileup: float, inputs: Floats) -> Floats:
        """Return every stream before centring and scaling, as `labels` names them; not a number where it is silent.

        Args:
            summary: Of the lumisection.
            pileup: Mean collisions per crossing.
            inputs: Raw streams of the inputs.
        """
        scores = summary.scores
        if scores is None or self.silence(scores):
            return np.full(len(self.labels), np.nan)
        counts, passed = self.counted(scores)
        found = self.raw_from(self.residuals(counts, summary.events, pileup), passed, summary.events, pileup)
        return np.append(found, self.given(found[0], inputs))

    def given(self, scale: float, inputs: Floats) -> float:
        """Return the raw scale stream less what the same events' inputs foretell of it."""
        return float(scale - self.pull @ inputs[self.inputs])

    def raw_from(self, residual: Floats, passed: Floats, events: float, pileup: float) -> Floats:
        """Return all but the last from bin residuals, and from the events in the tail and at each threshold."""
        want = self.passes.at(pileup) * events
        found = self.components @ residual
        chi2 = float(((residual - self.components.T @ found) ** 2).sum())
        return np.concatenate(
            [
                [float(self.direction @ residual)],
                (passed - want) / np.sqrt(want),
                np.atleast_1d(wilson_hilferty(chi2, float(max(residual.size - 1, 1)))),
                found / np.sqrt(self.variances),
            ]
        )

    @property
    def labels(self) -> tuple[StreamLabel, ...]:
        """Name every stream: scale, tail, passes at each threshold, chi-squared, components, scale given the inputs."""
        found = [StreamLabel("score", SCORE, 0, "score scale"), StreamLabel("score", SCORE, 1, "score upper tail")]
        found += [StreamLabel("pass", SCORE, i, f"{name} passes per event") for i, name in enumerate(self.names)]
        found.append(StreamLabel("chi2", SCORE, 0, "score"))
        found += [StreamLabel("pc", SCORE, i, f"score component {i + 1}") for i in range(len(self.variances))]
        found.append(StreamLabel("score", SCORE, 2, "score given its inputs"))
        return tuple(found)

    def advice(self, events: float, least: float) -> tuple[str, ...]:
        """Say which thresholds pass too few events for their rate to be told, and that this is not a good rate."""
        return tuple(
            f"the pass rate of {name} is inconclusive at {events:.0f} events a lumisection: {mean:.2g} are expected to "
            f"pass, {least:.0f} are needed; the score's scale and tail are watched"
            for name, mean in zip(self.names, self.expected, strict=True)
            if mean < least
        )


def score_note(model: StreamModel, summary: LumisectionSummary, before: Sequence[Floats]) -> str:
    """Say that the score's streams fall silent at a lumisection, and why, or that they speak again; empty otherwise.

    Args:
        model: All streams.
        summary: Of the lumisection.
        before: Streams in use of the lumisection before, as `StreamModel.standard` returned them; none at the start.
    """
    if model.score is None:
        return ""
    ours = [place for place, one in enumerate(model.labels) if one.object == SCORE]
    was_silent = bool(before) and bool((before[-1][ours] == SILENT).all())
    why = model.silence(summary)
    if why and not was_silent:
        return f"the score's streams are silent: {why}"
    return "the score's streams speak again" if was_silent and not why else ""


def score_scale_direction(counts: Floats, merged: Ints, bins: int, step: float = SCALE_STEP) -> Floats:
    """Return how the merged-bin shares move per unit of relative scale of the score.

    A score is truncated to its integer, so an integer stands for all up to the next one, evenly; a score of zero stays.

    Args:
        counts: Score cells summed over the reference, shape ``(SCORE_CELLS,)``.
        merged: Merged bin of every cell.
        bins: Number of merged bins.
        step: Relative scale to try, up and down.
    """
    edges = score_edges().astype(np.float64)
    regular = counts[1:-1].astype(np.float64)
    regular[0] = 0.0
    cumulative = np.concatenate([[0.0], np.cumsum(regular)])
    up, down = (
        np.diff(np.interp(edges[:-1] / factor, edges, cumulative), append=cumulative[-1])
        for factor in (1 + step, 1 - step)
    )
    change = np.concatenate([[0.0], up - down, [0.0]])
    total = max(float(counts.sum()), 1.0)
    return np.bincount(merged, weights=change, minlength=bins).astype(np.float64) / (2 * step * total)
