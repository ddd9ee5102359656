"""How well each failure mode of a library explains what the streams did since an onset.

The step of every stream is estimated against its own past, benign wander included; the steps of all streams together
are then compared with what each mode would do.  A mode's prediction is itself known to some ten percent only, and that
is part of the likelihood, so that a large fault is not laid at the door of whatever bends like its curvature.  Pure.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from drift.benign import RHO, SLOW_RHO, Benign
from drift.ladder import BROKEN
from drift.score_streams import SCORE
from drift.signatures import Signatures
from drift.streams import ONE_SIDED, StreamLabel, wilson_hilferty

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DOUBT = 0.15
"""Relative error of what a mode is predicted to do to one stream: curvature, few replayed events, another fault."""
ROUNDS = 3
POOR = 5.0
"""A residual of so many standard deviations is no fit."""
LEAST_SHARE = 0.7
"""Share of what is seen that the best mode must explain, or nobody thought of this fault."""


@dataclass(frozen=True, eq=False)
class Step:
    """By how much every stream changed at an onset.

    Attributes:
        size: Shape ``(n_streams,)``, in the streams' units at the reference's events.
        variance: Of each, what wanders included.
    """

    size: Floats
    variance: Floats


def step_of(values: Floats, since: Bools, clock: Ints, fill: Ints, factor: Floats, benign: Benign) -> Step:
    """Return the best estimate of a step in every stream, given how each wanders while all is well.

    Generalised least squares: what came before the onset in the same fill is the expectation, as far as the wander lets
    it be; a fill's first lumisection has only the spread between fills to go by.

    Args:
        values: Streams, shape ``(n, n_streams)``.
        since: Which lumisections follow the onset, at least one.
        clock: Of each lumisection.
        fill: Of each.
        factor: How much larger its measurement variance is than the reference's.
        benign: Spreads.
    """
    apart = np.abs(clock[:, None] - clock[None, :])
    same = (fill[:, None] == fill[None, :]).astype(np.float64)
    covariance = (
        benign.wander[:, None, None] * (same * RHO**apart)
        + (benign.offset * (1 - benign.still))[:, None, None] * (same * SLOW_RHO**apart)
        + (benign.offset * benign.still)[:, None, None] * same
        + benign.noise[:, None, None] * np.diag(factor)
    )
    weight = np.linalg.solve(covariance, np.repeat(since.astype(np.float64)[None, :, None], len(covariance), axis=0))
    weight = weight[:, :, 0]
    variance = 1.0 / np.maximum(weight[:, since].sum(axis=1), 1e-12)
    return Step(np.asarray((weight * values.T).sum(axis=1) * variance), variance)


@dataclass(frozen=True)
class Weighed:
    """One failure mode as an explanation.

    Attributes:
        name: Of the mode.
        words: What it is.
        object: Object type that shows it, empty when several do.
        cause: What kind of cause.
        size: Its most likely size.
        log_likelihood: Log likelihood ratio against no change at all, its prior included.
        probability: Among all modes.
    """

    name: str
    words: str
    object: str
    cause: str
    size: float
    log_likelihood: float
    probability: float

    def to_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {
            "mode": self.name,
            "words": self.words,
            "object": self.object,
            "cause": self.cause,
            "size": float(f"{self.size:.3g}"),
            "log_likelihood": round(self.log_likelihood, 2),
            "probability": round(self.probability, 3),
        }


@dataclass(frozen=True)
class Weighing:
    """All modes as explanations of one change.

    Attributes:
        modes: The likeliest first.
        misfit: What the best leaves, in standard deviations of a fit that is right.
        share: Share of the departure that the best explains.
    """

    modes: tuple[Weighed, ...]
    misfit: float
    share: float

    @property
    def unforeseen(self) -> bool:
        """Whether no mode of the library explains what is seen."""
        return not self.modes or (self.misfit > POOR and self.share < LEAST_SHARE)

    def best(self, *, broken: bool) -> Weighed | None:
        """Return the likeliest mode of a broken detector, or of anything else."""
        return next((one for one in self.modes if (one.cause == BROKEN) == broken), None)


def weigh(step: Step, correlation: Floats, used: Bools, signatures: Signatures, pileup: float) -> Weighing:
    """Return the modes of a library by how well they explain a step.

    The size of a mode is its likeliest one inside its range.  Sizes have a scale-free prior, which is alike for all
    modes; families of modes have one prior each, shared among members and signs: the price of having looked at many.

    Args:
        step: Of every stream.
        correlation: Of the streams while all is well.
        used: Which streams take part.
        signatures: Of the modes.
        pileup: Mean collisions per crossing since the onset.
    """
    x = step.size[used]
    spread = np.sqrt(step.variance[used])
    covariance = correlation[np.ix_(used, used)] * np.outer(spread, spread)
    null = _log_density(x, covariance)
    departure = float(x @ np.linalg.solve(covariance, x))
    lines = signatures.at(pileup)[:, used]
    found = []
    for place, line in enumerate(lines):
        size, density, chi2 = _fitted(x, line, covariance, signatures.range[place])
        members = signatures.families.count(signatures.families[place])
        found.append((density - null - np.log(members), size, chi2, place))
    found.sort(key=lambda one: (-one[0], one[3]))
    first = {signatures.names[one[3]]: place for place, one in reversed(list(enumerate(found)))}
    found = [one for place, one in enumerate(found) if first[signatures.names[one[3]]] == place]
    if not found:
        return Weighing((), 0.0, 0.0)
    odds = np.exp(np.array([one[0] - found[0][0] for one in found]))
    chance = odds / odds.sum()
    modes = []
    for probability, (level, size, _, place) in zip(chance, found, strict=True):
        power, trial = float(signatures.power[place]), float(signatures.trial[place])
        told = float(size ** (1 / power) * trial)
        modes.append(
            Weighed(
                signatures.names[place],
                signatures.words[place],
                signatures.objects[place],
                signatures.causes[place],
                told,
                float(level),
                float(probability),
            )
        )
    size, place = found[0][1], found[0][3]
    away = x - size * lines[place]
    left = float(away @ np.linalg.solve(covariance, away))
    excess = max(departure - len(x), 1e-9)
    misfit = float(wilson_hilferty(found[0][2], len(x)))
    return Weighing(tuple(modes), misfit, float(np.clip((departure - left) / excess, 0.0, 1.0)))


def usable(labels: tuple[StreamLabel, ...], sound: Bools) -> Bools:
    """Return which streams take part: those that passed their check and answer a fault in proportion to its size.

    The score's do not: replayed events have none.
    """
    return np.array([one.family not in ONE_SIDED and one.object != SCORE for one in labels]) & sound


def _fitted(x: Floats, line: Floats, covariance: Floats, limits: Floats) -> tuple[float, float, float]:
    """Return a mode's likeliest size, its log density there, and chi-squared of what it leaves."""
    size, widened = 0.0, covariance
    for _ in range(ROUNDS):
        factor = cho_factor(widened)
        ahead = cho_solve(factor, line)
        size = float(np.clip(ahead @ x / max(float(ahead @ line), 1e-12), limits[0], limits[1]))
        widened = covariance + np.diag((DOUBT * size * line) ** 2)
    away = x - size * line
    return size, _log_density(away, widened), float(away @ np.linalg.solve(widened, away))


def _log_density(x: Floats, covariance: Floats) -> float:
    factor, lower = cho_factor(covariance)
    half = float(np.log(np.diag(factor)).sum())
    return float(-half - 0.5 * x @ cho_solve((factor, lower), x))
