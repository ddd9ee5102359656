"""What a trained network does at its working point, beside its champion, on events it has not learned from.

Arrays and integer programs in, evidence out: the threshold for the recipe's rate, the rate by pileup and by fill, the
efficiency of every signal, and what is lost and gained.  Which of it suffices is for `retrain.verify`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.bundle import Bundle
from retrain.champion import Champion
from retrain.comparison import Mask, by_pileup, by_place, compare, listed
from retrain.contract import Contract, Features
from retrain.dataset import Dataset
from retrain.fixed_point import Integers
from retrain.program import IntegerProgram
from retrain.pure_rate import choose_pure, pure_strata
from retrain.recipe import Recipe
from retrain.signals import Signal
from retrain.working_point import against_champion, choose, same_share, share, stability, strata

Beat = Callable[[float, str], None]


@dataclass(frozen=True)
class Player:
    """A network that scores events: the candidate or the champion."""

    contract: Contract
    program: IntegerProgram

    def scores(self, features: Features) -> Integers:
        """Return integer scores, shape ``(n_events,)``."""
        return self.program.run(self.contract, features)


def working_point(recipe: Recipe, one: Player, data: Dataset, champion: Champion | None, beat: Beat) -> dict[str, Any]:
    """Return the threshold that gives the recipe's rate on held-out events, with all that is known of it."""
    beat(0.1, "integer scores")
    scores = one.scores(data.features)
    held = data.mask(held_out=True)
    point = threshold_point(recipe, scores[held], None if data.pure is None else data.pure[held])
    passed = scores >= point["threshold"]
    pileup = data.per_event([each.pileup for each in data.lumisections])
    group = data.per_event([each.run if each.fill is None else each.fill for each in data.lumisections])
    learned = share(int(passed[~held].sum()), int((~held).sum()), recipe.confidence)
    kept_back = (int(passed[held].sum()), int(held.sum()))
    width: dict[str, Any] = {"bunches": recipe.bunches, "confidence": recipe.confidence}

    def by_step(passing: NDArray[np.bool_]) -> list[dict[str, Any]]:
        if data.pure is None:
            return strata(passing, pileup[held], **width)
        return pure_strata(passing, data.pure[held], pileup[held], **width)

    evidence = {
        **point,
        "strata": by_step(passed[held]),
        "stability": stability(passed[held], pileup[held], group[held].astype(np.int64)),
        "training": {
            **asdict(learned),
            "held_out_fraction": kept_back[0] / kept_back[1],
            "p_value": same_share((learned.passing, learned.events), kept_back),
        },
        "against_champion": None,
    }
    if champion is not None:
        beat(0.4, "the champion on the same events")
        theirs = champion.scores(np.ascontiguousarray(data.features[:, held])) >= champion.threshold
        compared = against_champion(passed[held], theirs, recipe.bunches, recipe.confidence)
        named = {"digest": champion.digest, "threshold": champion.threshold}
        evidence["against_champion"] = {**named, **compared, "strata": by_step(theirs)}
    return evidence


def threshold_point(recipe: Recipe, scores: Integers, weights: NDArray[np.float64] | None) -> dict[str, Any]:
    """Return threshold, rate and interval for the recipe's target, total or pure, on these events."""
    target: dict[str, Any] = {
        "target_rate_hz": recipe.target_rate_hz,
        "bunches": recipe.bunches,
        "confidence": recipe.confidence,
        "minimum_passing": recipe.minimum_passing,
    }
    return choose(scores, **target) if weights is None else choose_pure(scores, weights, **target)


def comparison(
    recipe: Recipe,
    one: Player,
    threshold: int,
    data: Dataset,
    signals: Sequence[Signal],
    champion: Champion | None,
    beat: Beat,
) -> dict[str, Any]:
    """Return efficiencies of every signal, and with a champion what is lost and gained at one rate, as JSON values.

    Both are given the threshold that makes the recipe's rate on these held-out lumisections, so that a champion whose
    rate has run away is not admired for it.  Confidences are raised for the number of verdicts asked for (Bonferroni).
    """
    places = np.flatnonzero(data.mask(held_out=True))
    features = np.ascontiguousarray(data.features[:, places])
    weights = None if data.pure is None else data.pure[places]
    confidence, verdicts = _each_confidence(recipe, signals)
    said: dict[str, Any] = {
        "champion": None,
        "margin": recipe.margin,
        "confidence": recipe.confidence,
        "confidence_each": confidence,
        "verdicts": verdicts,
        "threshold": threshold,
    }
    rival: tuple[Champion, int] | None = None
    scores = one.scores(features)
    if champion is not None:
        beat(0.6, "lost and gained")
        theirs = champion.scores(features)
        rival = champion, int(threshold_point(recipe, theirs, weights)["threshold"])
        same = recipe.action == "threshold"
        said["champion"] = {**_of_champion(champion, rival[1], data), "same_network": same}
        ours, others = scores >= threshold, theirs >= rival[1]
        said["zero_bias"] = {
            **compare(ours, others, confidence=recipe.confidence, margin=recipe.margin),
            "strata": by_pileup(
                ours,
                others,
                data.per_event([each.pileup for each in data.lumisections])[places],
                confidence=recipe.confidence,
                margin=recipe.margin,
            ),
            **_events(ours, others, scores, lambda place: list(data.name_of(int(places[place])))),
        }
    said["signals"] = []
    for number, signal in enumerate(signals, start=1):
        beat(0.6 + 0.4 * number / len(signals), f"signal {signal.name}")
        said["signals"].append(_signal(recipe, one, threshold, signal, rival, confidence))
    return said


def _each_confidence(recipe: Recipe, signals: Sequence[Signal]) -> tuple[float, int]:
    """Return the confidence of each verdict, so that all of them together are wrong as seldom as one may be."""
    strata_of = [
        len(by_pileup(np.zeros(len(one.pileup), np.bool_), None, one.pileup, confidence=0.9, margin=0.1))
        for one in signals
    ]
    verdicts = sum(1 + (count if count > 1 else 0) for count in strata_of)
    return 1.0 - (1.0 - recipe.confidence) / max(verdicts, 1), verdicts


def _of_champion(champion: Champion, threshold: int, data: Dataset) -> dict[str, Any]:
    held = [one for one, out in zip(data.lumisections, data.held_out, strict=True) if out]
    covered = None  # what an adopted library learned from is not known
    if isinstance(champion, Bundle):
        covered = sum(champion.recipe.covers(one.run, one.lumisection) for one in held)
    return {
        "digest": champion.digest,
        "threshold": champion.threshold,
        "threshold_at_rate": threshold,
        "lumisections": len(held),
        "in_its_recipe": covered,
    }


def _signal(
    recipe: Recipe, one: Player, threshold: int, signal: Signal, rival: tuple[Champion, int] | None, confidence: float
) -> dict[str, Any]:
    scores = one.scores(signal.features)
    ours = scores >= threshold
    others: Mask | None = None
    sure = {"confidence": confidence, "margin": recipe.margin}
    told: dict[str, Any] = {"name": signal.name, "files": [list(each) for each in signal.files]}
    if rival is None:
        told |= {"events": len(ours), "candidate": asdict(share(int(ours.sum()), len(ours), confidence))}
    else:
        others = rival[0].scores(signal.features) >= rival[1]
        told |= {**compare(ours, others, **sure), **_events(ours, others, scores, int)}
    told["strata"] = by_pileup(ours, others, signal.pileup, **sure)
    told["slices"] = by_place(one.contract, signal.features, ours, others, **sure)
    return told


def _events(ours: Mask, others: Mask, scores: Integers, name_of: Callable[[int], Any]) -> dict[str, Any]:
    found = listed(ours, others, scores, name_of)
    return {"lost_events": found["lost"]["listed"], "gained_events": found["gained"]["listed"]}
