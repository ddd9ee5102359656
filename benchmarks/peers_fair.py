"""Detectors a competent user would build first, so that a benchmark compares like with like.

Each gives every lumisection one score and alarms at ``score >= threshold``, so false-alarm rates can be matched before
delays are compared.  All of them see the lumisections that `drift.support` lets through, and all but one know pileup;
what they lack is memory.  `Always`, `Never` and `Random` say what a number is worth that a dummy reaches too.
River's sequential detectors are in `drift.alternatives`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov
from scipy.stats import betabinom

from benchmarks.drift_store import Kept
from drift.profile import layout_of
from drift.reference import Reference
from drift.streams import merged_counts
from drift.support import unfit

Floats = NDArray[np.float64]

DEGREE = 2
SATURATED = 15.0
"""Kolmogorov distance from which its probability is taken from the leading term, lest it underflow."""
DISPERSIONS = (1e-6, 0.5)
"""Of a beta-binomial, which has none of one or more; rare bins of large histograms seem to."""


class Peer(ABC):
    """One score a lumisection; see the module."""

    def __init__(self, reference: Reference, threshold: float = np.inf) -> None:
        self.reference = reference
        self.threshold = threshold

    def score(self, one: Kept) -> float:
        """Return how odd a lumisection is; minus infinity when it says nothing."""
        if unfit(self.reference, one.summary, one.conditions) is not None:
            return -np.inf
        found = self.odd(one)
        if np.isnan(found):  # it compares as smaller than any threshold: a detector that never alarms
            raise ValueError(f"{type(self).__name__} gives no number for lumisection {one.index}")
        return found

    def alarms(self, one: Kept) -> bool:
        """Whether its score reaches the threshold; a lumisection that says nothing never alarms."""
        score = self.score(one)
        return score > -np.inf and score >= self.threshold

    @abstractmethod
    def odd(self, one: Kept) -> float:
        """Return how odd a lumisection is that the reference may speak of."""


class Always(Peer):
    """Alarms on everything."""

    def odd(self, one: Kept) -> float:
        """Return infinity."""
        del one
        return np.inf


class Never(Peer):
    """Alarms on nothing."""

    def odd(self, one: Kept) -> float:
        """Return minus infinity."""
        del one
        return -np.inf


class Random(Peer):
    """Alarms at a stated rate, whatever it is shown."""

    def __init__(self, reference: Reference, rng: np.random.Generator, rate: float) -> None:
        super().__init__(reference, 1.0 - rate)
        self._rng = rng

    def odd(self, one: Kept) -> float:
        """Return a uniform number."""
        del one
        return float(self._rng.random())


class Shewhart(Peer):
    """The largest residual stream of one lumisection, by size (W. Shewhart, 1931): our streams without memory."""

    def odd(self, one: Kept) -> float:
        """Return the largest absolute standardised residual."""
        return float(np.abs(self.reference.streams.standard(one.summary, one.pileup)).max())


def _powers(pileup: float, centre: float) -> Floats:
    return np.asarray(((pileup - centre) / 10.0) ** np.arange(DEGREE + 1))


class KolmogorovSmirnov(Peer):
    """Kolmogorov-Smirnov of every histogram, at full resolution, against the reference.

    With pileup, the expected distribution is a quadratic of pileup in every bin, by least squares; without, it is that
    of all reference events together, as `scipy.stats.ks_2samp` would have it.  The p-value is the asymptotic one of two
    samples of these sizes.
    """

    def __init__(
        self, reference: Reference, certified: Iterable[Kept], *, pileup: bool, threshold: float = np.inf
    ) -> None:
        super().__init__(reference, threshold)
        self._layout = layout_of(reference.schema)
        self._centre = (reference.pileup_low + reference.pileup_high) / 2
        terms = DEGREE + 1 if pileup else 1
        square, target, events = np.zeros((terms, terms)), np.zeros((terms, self._layout.size)), 0
        for one in certified:
            events += one.summary.events
            powers = _powers(one.pileup, self._centre)[:terms]
            square += one.summary.events * np.outer(powers, powers)
            target += np.outer(powers, one.summary.counts)
        self._shares = np.linalg.solve(square, target)
        self._events = float(events)

    def odd(self, one: Kept) -> float:
        """Return the largest -log10 p of all histograms."""
        expected = _powers(one.pileup, self._centre)[: len(self._shares)] @ self._shares
        root = np.sqrt(one.summary.events * self._events / (one.summary.events + self._events))
        far = 0.0
        for histogram in self._layout.histograms:
            seen = np.cumsum(one.summary.counts[histogram.bins]) / max(one.summary.events, 1)
            far = max(far, float(np.abs(seen - np.cumsum(expected[histogram.bins])).max()) * root)
        return float((2 * far**2 - np.log(2)) / np.log(10)) if far > SATURATED else float(-np.log10(kolmogorov(far)))


class BetaBinomial(Peer):
    """AutoDQM's test with the expectation at each pileup: pulls of bins under a beta-binomial (arXiv:2501.13789).

    The expectation of each merged bin is the reference's template; its over-dispersion is fitted to certified
    lumisections by moments.  The pull is the signed root of twice the log ratio to the likeliest count.
    """

    def __init__(
        self, reference: Reference, certified: Iterable[Kept], *, chi2: bool = False, threshold: float = np.inf
    ) -> None:
        super().__init__(reference, threshold)
        self._chi2 = chi2
        excess = scale = np.zeros(reference.streams.owner.size)
        for one in certified:
            n, seen, share = self._seen(one)
            spread = share * (1 - share)
            excess = excess + (seen - n * share) ** 2 - n * spread
            scale = scale + n * (n - 1) * spread
        self.dispersion = np.clip(excess / np.maximum(scale, 1e-9), *DISPERSIONS)

    def _seen(self, one: Kept) -> tuple[Floats, Floats, Floats]:
        """Return the entries of each bin's histogram, of each bin, and its expected share of them.

        A histogram of all jets has several entries an event.
        """
        streams = self.reference.streams
        seen = merged_counts(one.summary.counts, streams.merged, streams.owner.size)
        share = streams.shares.at(one.pileup)
        share = share / np.bincount(streams.owner, weights=share)[streams.owner]
        entries: Floats = np.bincount(streams.owner, weights=seen)[streams.owner].astype(np.float64)
        return entries, seen, np.clip(share, 1e-9, 1 - 1e-9)

    def pulls(self, one: Kept) -> Floats:
        """Return the pull of every merged bin."""
        n, seen, share = self._seen(one)
        size = 1 / self.dispersion - 1
        likeliest = np.rint(n * share)
        far = [betabinom.logpmf(count, n, share * size, (1 - share) * size) for count in (likeliest, seen)]
        return np.asarray(np.sign(seen - n * share) * np.sqrt(2 * np.maximum(far[0] - far[1], 0.0)))

    def odd(self, one: Kept) -> float:
        """Return the largest absolute pull, or the largest mean square of a histogram's pulls."""
        pulls = self.pulls(one)
        if not self._chi2:
            return float(np.abs(pulls).max())
        owner = self.reference.streams.owner
        return float((np.bincount(owner, weights=pulls**2)[owner] / np.bincount(owner)[owner]).max())


class RandomFeatureMmd(Peer):
    """Maximum mean discrepancy of the events of a lumisection from what is expected, by random Fourier features.

    With pileup, each feature's mean is a quadratic of pileup, by least squares over certified lumisections; without, it
    is their mean.  The score is the squared distance times the events, per feature (A. Gretton et al., JMLR 13 (2012)
    723).
    """

    def __init__(
        self, reference: Reference, certified: Iterable[Kept], *, pileup: bool, threshold: float = np.inf
    ) -> None:
        super().__init__(reference, threshold)
        self._centre = (reference.pileup_low + reference.pileup_high) / 2
        self._terms = DEGREE + 1 if pileup else 1
        small = [(one.pileup, one.summary.events, one.means) for one in certified]  # counts would fill the memory
        powers = np.stack([_powers(pileup, self._centre)[: self._terms] for pileup, _, _ in small])
        means = np.stack([means for _, _, means in small]).astype(np.float64)
        root = np.sqrt([events for _, events, _ in small])[:, None]
        self._expected = np.linalg.lstsq(powers * root, means * root, rcond=None)[0]

    def odd(self, one: Kept) -> float:
        """Return the squared distance times the events, per feature."""
        away = one.means - _powers(one.pileup, self._centre)[: self._terms] @ self._expected
        return float(one.summary.events * (away**2).mean())
