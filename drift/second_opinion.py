"""After an alarm: do the events themselves look different from healthy ones at the same pileup, and in what?

Two answers that share nothing with the residual streams.  A kernel two-sample test whose p-value comes from exchanging
whole lumisections of like pileup, since events of one lumisection are not exchangeable with those of another; and the
area under the curve of a classifier that never saw the lumisections it is judged on, which says how large it is.
It explains an alarm and never makes one: a fill's own benign offset counts as a difference here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from drift.fourier import RandomFeatures, columns_of, inputs
from drift.logistic import beats, logistic
from drift.reservoir import Kept
from drift.schema import FeatureSchema

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PERMUTATIONS = 499
LEAST_AFTER = 3
LEAST_BEFORE = 6
TIMES = 3
"""At most so many healthy lumisections for each one since the onset, at each pileup."""
SLOPED = 12
"""Lumisections from which a slope with pileup is taken out."""
LEARNT = 128
"""Random features the classifier is given, those that differ most in its training half."""
CONFIDENCE = 0.95
"""Of either end of the interval of the area."""
NAMED = 5


@dataclass(frozen=True)
class Separation:
    """How far one input, object or pair differs.

    Attributes:
        name: E.g. ``Jet1_pt``, ``Jet1``, ``MET_phi with Jet1_phi``.
        score: Its distance, in spreads of the same distance under exchanged lumisections.
    """

    name: str
    score: float


@dataclass(frozen=True)
class SecondOpinion:
    """What the events say.

    Attributes:
        statistic: The largest of all separations.
        p_value: Share of exchanges with a statistic as large, the one at hand included; never below 1/(exchanges + 1).
        permutations: Number of exchanges.
        auc: Area under the curve on lumisections the classifier never saw; 0.5 when nothing separates.
        auc_low: Lower end of its interval of 90 %.
        auc_high: Upper end.
        separating: What separates most, the strongest first.
        before: Healthy lumisections compared with.
        after: Lumisections since the onset.
        events: Events in both.
        pileup: Lowest and highest pileup compared at.
        seconds: How long it took.
    """

    statistic: float
    p_value: float
    permutations: int
    auc: float
    auc_low: float
    auc_high: float
    separating: tuple[Separation, ...]
    before: int
    after: int
    events: int
    pileup: tuple[float, float]
    seconds: float

    def to_json(self) -> dict[str, object]:
        """Return it as `retrigger scan --second-opinion --json` prints it."""
        return {
            "statistic": round(self.statistic, 2),
            "p_value": round(self.p_value, 5),
            "permutations": self.permutations,
            "auc": round(self.auc, 4),
            "auc_low": round(self.auc_low, 4),
            "auc_high": round(self.auc_high, 4),
            "separating": [{"feature": one.name, "score": round(one.score, 2)} for one in self.separating],
            "lumisections": {"before": self.before, "after": self.after},
            "events": self.events,
            "pileup": [round(one, 1) for one in self.pileup],
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class NoOpinion:
    """Why the events say nothing.

    Attributes:
        reason: In words.
    """

    reason: str

    def to_json(self) -> dict[str, object]:
        """Return it as `retrigger scan --second-opinion --json` prints it."""
        return {"reason": self.reason}


@dataclass(frozen=True, eq=False)
class _Matched:
    """Lumisections of both kinds, in strata that have both; weights add up to 1 since the onset and to -1 before."""

    kept: list[Kept]
    weight: Floats
    stratum: Ints

    @property
    def after(self) -> NDArray[np.bool_]:
        return self.weight > 0


def second_opinion(
    before: Sequence[Kept],
    after: Sequence[Kept],
    schema: FeatureSchema,
    rng: np.random.Generator,
    clock: Callable[[], float],
    *,
    permutations: int = PERMUTATIONS,
) -> SecondOpinion | NoOpinion:
    """Compare the events since an onset with healthy ones at the same pileup.

    Args:
        before: Lumisections before the onset.
        after: Lumisections since.
        schema: What their features are.
        rng: Source of random features, exchanges and halves.
        clock: Seconds, for `SecondOpinion.seconds`.
        permutations: Exchanges; the p-value is never below 1/(permutations + 1).
    """
    started = clock()
    matched = _match(before, after, rng)
    counted = int(matched.after.sum())
    healthy = len(matched.kept) - counted
    if counted < LEAST_AFTER or healthy < LEAST_BEFORE:
        return NoOpinion(
            f"{counted} of {len(after)} lumisections since the onset have {healthy} healthy ones of like "
            f"pileup to compare with; {LEAST_AFTER} and {LEAST_BEFORE} are needed"
        )
    features = RandomFeatures.draw(schema, _spread(matched.kept, schema), rng)
    means = np.stack([features.of(one.features).mean(axis=0) for one in matched.kept])
    pileup = np.array([one.pileup for one in matched.kept])
    means = _unsloped(means, pileup)
    scores, p_value = exchange(means, matched.weight, matched.stratum, features, permutations, rng)
    order = np.argsort(-scores)[:NAMED]
    auc, low, high = _judge(matched, features, means, rng)
    return SecondOpinion(
        float(scores.max()),
        p_value,
        permutations,
        auc,
        low,
        high,
        tuple(Separation(features.names[k], float(scores[k])) for k in order),
        healthy,
        counted,
        sum(one.features.shape[1] for one in matched.kept),
        (float(pileup.min()), float(pileup.max())),
        clock() - started,
    )


def _match(before: Sequence[Kept], after: Sequence[Kept], rng: np.random.Generator) -> _Matched:
    """Choose, at each pileup that both have, healthy lumisections at random for those since the onset."""
    kept: list[Kept] = []
    weight: list[float] = []
    common = sorted({one.stratum for one in before} & {one.stratum for one in after})
    total = sum(one.stratum in common for one in after)
    for stratum in common:
        since = [one for one in after if one.stratum == stratum]
        healthy = [one for one in before if one.stratum == stratum]
        chosen = rng.permutation(len(healthy))[: TIMES * len(since)]
        kept += since + [healthy[k] for k in chosen]
        weight += [1 / total] * len(since) + [-len(since) / total / len(chosen)] * len(chosen)
    return _Matched(kept, np.array(weight), np.array([one.stratum for one in kept], dtype=np.int64))


def _spread(kept: list[Kept], schema: FeatureSchema) -> Floats:
    columns = columns_of(schema)
    found = [inputs(columns, one.features) for one in kept]
    return np.asarray(np.concatenate(found).std(axis=0))


def _unsloped(means: Floats, pileup: Floats) -> Floats:
    """Take out what is linear in pileup, the same for both samples, and scale every feature to unit spread."""
    terms = np.ones((len(means), 1))
    if len(means) >= SLOPED and np.ptp(pileup) > 0:
        terms = np.stack([np.ones(len(means)), pileup - pileup.mean()], axis=1)
    rest = means - terms @ np.linalg.lstsq(terms, means, rcond=None)[0]
    return np.asarray(rest / np.maximum(rest.std(axis=0), 1e-9))


def exchange(
    means: Floats, weight: Floats, stratum: Ints, features: RandomFeatures, permutations: int, rng: np.random.Generator
) -> tuple[Floats, float]:
    """Return how far each group of features separates, and the p-value of the largest.

    Every exchange gives the lumisections of a stratum each other's labels.  Distances of all groups are put in units of
    their spread over exchanges before the largest is taken, so wide and narrow groups count alike; the labels at hand
    are one of the exchanges, which makes the p-value exact for exchangeable lumisections (B. Phipson and G. Smyth,
    Stat. Appl. Genet. Mol. Biol. 9 (2010) 39).
    """
    labels = np.tile(weight, (permutations + 1, 1))
    for one in np.unique(stratum):
        inside = np.flatnonzero(stratum == one)
        labels[1:, inside] = rng.permuted(labels[1:, inside], axis=1)
    square = (labels @ means) ** 2
    distance = np.add.reduceat(square, np.flatnonzero(np.diff(features.group, prepend=-1)), axis=1)
    scores = (distance - distance.mean(axis=0)) / np.maximum(distance.std(axis=0), 1e-12)
    largest = scores.max(axis=1)
    return scores[0], float((largest >= largest[0] - 1e-12).mean())


def _judge(
    matched: _Matched, features: RandomFeatures, means: Floats, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the area under the curve of classifiers taught on one half of the lumisections and judged on the other.

    Its interval is that of a two-sample U statistic whose units are lumisections (E. DeLong et al., Biometrics 44
    (1988) 837), with Student's quantiles.  The two halves err alike, each being the other's teacher, so that both
    together count as one.
    """
    half = _halves(matched, rng)
    areas, variances = [], []
    count = np.array([matched.after.sum(), (~matched.after).sum()])
    for judged in (0, 1):
        weights, chosen = _taught(matched, features, means, half != judged)
        scores = [features.of(one.features, chosen) @ weights[1:] for one in matched.kept]
        since = np.flatnonzero(matched.after & (half == judged))
        healthy = np.flatnonzero(~matched.after & (half == judged))
        wins = np.array([[beats(scores[a], np.sort(scores[b])) for b in healthy] for a in since])
        shares = [np.abs(matched.weight[one]) / np.abs(matched.weight[one]).sum() for one in (since, healthy)]
        means_of = (wins @ shares[1], wins.T @ shares[0])
        area = float(shares[0] @ means_of[0])
        spread = [float(share**2 @ (mean - area) ** 2) for share, mean in zip(shares, means_of, strict=True)]
        areas.append(area)
        variances.append(float((np.array(spread) * count / (count - 2)).sum()))
    area = float(np.mean(areas))
    reach = float(student.ppf(CONFIDENCE, int(count.min()) - 2) * np.sqrt(variances).mean())
    return area, max(area - reach, 0.0), min(area + reach, 1.0)


def _taught(
    matched: _Matched, features: RandomFeatures, means: Floats, learn: NDArray[np.bool_]
) -> tuple[Floats, Ints]:
    """Return the weights of a classifier taught on some of the lumisections, and the features it is given."""
    apart = np.abs(matched.weight[learn] @ means[learn])
    chosen = np.sort(np.argsort(-apart)[:LEARNT])
    places = np.flatnonzero(learn)
    rows = [features.of(matched.kept[k].features, chosen) for k in places]
    size = [len(row) for row in rows]
    share = np.repeat(np.abs(matched.weight[places]) / np.maximum(size, 1), size)
    return logistic(np.concatenate(rows), np.repeat(matched.after[places], size), share), chosen


def _halves(matched: _Matched, rng: np.random.Generator) -> Ints:
    """Deal lumisections into two halves, evenly for both kinds."""
    half = np.zeros(len(matched.kept), dtype=np.int64)
    for kind in (True, False):
        places = rng.permutation(np.flatnonzero(matched.after == kind))
        half[places[::2]] = 1
    return half
