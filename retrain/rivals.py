"""Candidate and champion put to the same tests after the working point: faults they must see, and data that is new.

Arrays and both models in, evidence out.  The arithmetic is that of `retrain.replays` and `retrain.gain`; which of it
suffices is for `retrain.verify`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain import gain
from retrain.adopted import Adopted
from retrain.champion import Champion
from retrain.dataset import Dataset
from retrain.measuring import Player, threshold_point
from retrain.recipe import Recipe
from retrain.replays import Judge, seen
from retrain.signals import Signal

Beat = Callable[[float, str], None]


@dataclass(frozen=True)
class Rivals:
    """Who is compared, and where each is cut to make one rate on the same held-out events.

    Attributes:
        candidate: What was made.
        threshold: Of the candidate.
        champion: What runs now; None when there is none.
        at_rate: Where the champion would be cut for the same rate.
        same_network: Whether the candidate's network is the champion's own.
    """

    candidate: Player
    threshold: int
    champion: Champion | None = None
    at_rate: int = 0
    same_network: bool = False

    def told(self) -> dict[str, Any] | None:
        """Return who the champion is, as JSON values; None when there is none."""
        if self.champion is None:
            return None
        kind = "adopted library" if isinstance(self.champion, Adopted) else "bundle"
        return {"digest": self.champion.digest, "kind": kind, "same_network": self.same_network}


def faults(recipe: Recipe, rivals: Rivals, samples: Sequence[Signal], beat: Beat) -> dict[str, Any]:
    """Return what every fault does to both at one rate; see `retrain.replays.seen`."""
    beat(0.9, f"{max(len(samples) - 1, 0)} faults")
    ours = Judge(rivals.candidate.scores, rivals.threshold)
    theirs = None if rivals.champion is None else Judge(rivals.champion.scores, rivals.at_rate)
    return {"champion": rivals.told(), **seen(samples, ours, theirs, recipe.confidence)}


def new_data(
    recipe: Recipe, rivals: Rivals, data: Dataset, signals: Sequence[Signal], fraction: float, beat: Beat
) -> dict[str, Any]:
    """Return whether the candidate is shown to be better or worse than the champion on held-out data, as JSON values.

    The champion's rate is that at the threshold it runs with.  The candidate's is that at a threshold taken from every
    third block, none of which is played for.  Those blocks lie between the others, so that both see the same pileup, as
    the threshold that would run does; they are not earlier.  What is shown is therefore how well each cut serves these
    lumisections, not how well the candidate's will serve later ones.

    Args:
        recipe: Confidence, margin, rate and seed; the seed orders signal events.
        rivals: Both.
        data: Of which the held-out lumisections are taken, in order of time.
        signals: Judged at one rate.
        fraction: Share of events that should pass.
        beat: Told where it stands.
    """
    said: dict[str, Any] = {"champion": rivals.told(), "needed": recipe.needs_gain, "margin": recipe.margin}
    if rivals.champion is None:
        return {**said, "measures": []}
    beat(0.95, "gain on new data")
    named = () if rivals.same_network else tuple(signals)
    error = (1.0 - recipe.confidence) / (1 + len(named))  # of all gains together, and of all harms
    cut, played = _rate(recipe, rivals, rivals.champion, data, fraction, error)
    rng = np.random.default_rng(recipe.seed)
    measures = [played, *(_signal(rivals, rivals.champion, one, recipe.margin, error, rng) for one in named)]
    return {
        **said,
        "confidence": recipe.confidence,
        "error_each": error,
        "cut": cut,
        "cut_from": gain.CUT_FROM,
        "cut_champion": rivals.champion.threshold,
        "cut_champion_from": "the threshold it runs with",
        "measures": [one.to_json() for one in measures],
    }


def _rate(
    recipe: Recipe, rivals: Rivals, champion: Champion, data: Dataset, fraction: float, error: float
) -> tuple[int | None, gain.Played]:
    held = data.mask(held_out=True)
    counts = [count for count, out in zip(data.counts, data.held_out, strict=True) if out]
    block = np.repeat(gain.blocks(counts, fraction), counts)
    features = np.ascontiguousarray(data.features[:, held])
    weights = None if data.pure is None else data.pure[held]
    first = gain.calibrates(block)
    empty = np.zeros(0, np.float64)
    if not first.any():
        return None, gain.rate(empty, empty, recipe.margin, error)
    scores = rivals.candidate.scores(features)
    cut = int(threshold_point(recipe, scores[first], None if weights is None else weights[first])["threshold"])

    def off(passed: gain.Mask) -> gain.Weights:
        return gain.off_target(passed, weights, block, fraction)

    theirs = champion.scores(features) >= champion.threshold
    return cut, gain.rate(off(scores >= cut), off(theirs), recipe.margin, error)


def _signal(
    rivals: Rivals, champion: Champion, one: Signal, margin: float, error: float, rng: np.random.Generator
) -> gain.Played:
    order = rng.permutation(one.features.shape[1])
    ours = rivals.candidate.scores(one.features) >= rivals.threshold
    theirs = champion.scores(one.features) >= rivals.at_rate
    return gain.efficiency(one.name, ours[order], theirs[order], margin, error)
