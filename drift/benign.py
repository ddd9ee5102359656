"""What a healthy detector does to the residual streams: a fast and a slow wander within a fill, anew every fill.

Each standardised stream is modelled as measurement noise plus two AR(1) wanders, one over minutes and one over most of
an hour; the slow one is also what a fill starts with, its offset.  Treating lumisections as independent instead costs
thousands of false alarms (drift.md section 0), and a constant offset one false alarm a week of full-length fills: a
calorimeter that breathes over an hour looks like a step to whoever expects it to stand still.  The spreads are
estimated from residuals of fills that had no part in their own expectation, pooled over streams that are alike by
symmetry, and widened when there are few fills.  Nothing here knows what a stream means.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RHO = 0.9
"""Correlation of the fast wander between neighbouring lumisections."""
SLOW_RHO = 0.99
"""Correlation of the slow wander: forty minutes.  A fill's own offset is its value at the start of the fill."""
LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
SHIFTS = (0.7, 1.4, 2.8, 5.0)
"""Alternatives: a step, in units of the measurement noise of one lumisection."""
LEAST_PAIRS = 40
UPPER = 1.64
"""Standard errors added to the slow variance: its 95 % upper limit is what counts as benign."""
FAR = 2.5
"""The farthest fill of a group may lie so many standard deviations out: offsets have heavier tails than a Gaussian."""
BLOCK = 16
LEAST_APART = 0.3
MOST_TILT = 1.5
FACTOR = (0.5, 8.0)
TELLING = 100.0
"""Length of a fill, in lumisections, in which the two wanders can be told apart."""
KAPPAS = (1.2, 1.35, 1.6, 2.0)
CLIP = 8.0
SIGMA = (0.9, 1.1)
MOST_E_VALUE = 1.1


@dataclass(frozen=True, eq=False)
class Swell:
    """How benign wander depends on pileup.

    Two things make it grow: the same change of a gain moves a stream more at one pileup than at another, and where few
    fills have been the expectation itself carries what was those fills' own.

    Attributes:
        centre: Pileup in the middle of the reference.
        half: Half the width of its range.
        tilt: Slope of the logarithm of the wander's variance over half the range, shape ``(n_streams,)``.
        mean: Mean of exp(tilt z) over the reference, by which variances are divided.
        doubt: Covariance of a template's coefficients per unit variance of fill offsets, shape ``(degree + 1,) * 2``.
        strata: The same with one more coefficient a stratum, ``(degree + 1 + n_strata,) * 2``; empty without strata.
    """

    centre: float
    half: float
    tilt: Floats
    mean: Floats
    doubt: Floats
    strata: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def stratified(self, fill: Ints, pileup: Floats, members: Floats) -> "Swell":
        """Return it with what is known of the constants of strata.

        Args:
            fill: Of every lumisection of the reference.
            pileup: Of each.
            members: One where a lumisection is of a stratum, shape ``(n_lumisections, n_strata)``.
        """
        z = (pileup - self.centre) / self.half
        powers = np.stack([z**power for power in range(len(self.doubt))], axis=1)
        return replace(self, strata=fill_doubt(np.concatenate([powers, members], axis=1), fill))

    def shifted(self, row: int) -> "Swell":
        """Return it for one stratum: the doubt of constant and stratum together."""
        degree = len(self.doubt)
        both = np.zeros((len(self.strata), degree))
        both[:degree] = np.eye(degree)
        both[degree + row, 0] = 1.0
        return replace(self, doubt=both.T @ self.strata @ both)

    def apart(self, one: int, other: int) -> float:
        """Return the variance of the difference of two strata's constants, per unit variance of fill offsets."""
        change = np.zeros(len(self.strata))
        change[len(self.doubt) + one] += 1.0
        change[len(self.doubt) + other] -= 1.0
        return float(change @ self.strata @ change)

    @classmethod
    def none(cls, streams: int) -> "Swell":
        """Return a wander alike at every pileup under a perfectly known expectation."""
        return cls(0.0, 1.0, np.zeros(streams), np.ones(streams), np.zeros((1, 1)))

    def at(self, pileup: float | None) -> Floats:
        """Return the factors of the fast and the slow variance at one pileup, shape ``(2, n_streams)``."""
        if pileup is None:
            return np.ones((2, self.tilt.size))
        z = float(np.clip((pileup - self.centre) / self.half, -1.1, 1.1))
        factor = np.clip(np.exp(self.tilt * z) / self.mean, *FACTOR)
        powers = z ** np.arange(len(self.doubt))
        return np.stack([factor, factor * (1.0 + float(powers @ self.doubt @ powers))])


@dataclass(frozen=True, eq=False)
class Benign:
    """Spreads of every stream at the reference's events per lumisection.

    Attributes:
        noise: Variance of the measurement, shape ``(n_streams,)``.
        wander: Variance of the fast wander, correlation `RHO`.
        offset: Variance of what a fill begins with: the slow wander, correlation `SLOW_RHO`, and what stays all fill.
        kappa: Widening of every stream's predicted spread, from what held-out fills showed.
        swell: How both wanders depend on pileup.
        still: Share of `offset` that stays all fill; 0 where fills are too short to know.
    """

    noise: Floats
    wander: Floats
    offset: Floats
    kappa: Floats
    swell: Swell
    still: Floats

    def starts(self, pileup: float | None) -> Floats:
        """Return the variances of fast wander, slow wander and what stays, at a pileup, shape ``(3, n_streams)``."""
        fast, slow = self.swell.at(pileup)
        return np.stack([self.wander * fast, self.offset * (1 - self.still) * slow, self.offset * self.still * slow])


def fit_benign(streams: Floats, fill: Ints, pileup: Floats, groups: Sequence[str], degree: int) -> Benign:
    """Estimate the benign spreads from held-out residuals.

    The autocovariance within fills, about zero, is matched by a fast wander, a slow one and what stays all fill.  In
    fills too short to tell one from the other, whatever varies may do so slowly too: the variances of the other two
    then count for the slow one as well.

    Args:
        streams: Standardised residuals, shape ``(n_lumisections, n_streams)``, in time order within each fill.
        fill: Fill of every lumisection.
        pileup: Of every lumisection.
        groups: Family of every stream; members are pooled.
        degree: Of the pileup polynomial in the template the residuals are of.
    """
    fills = np.unique(fill)
    parts = [streams[fill == one] for one in fills]
    within = sum((((part - part.mean(axis=0)) ** 2).sum(axis=0) for part in parts), np.zeros(streams.shape[1]))
    variance = within / max(len(streams) - len(fills), 1)
    wander, slow, still = _three_scales(parts)
    wander = np.minimum(wander, 0.7 * variance)
    length = float(np.median([len(part) for part in parts]))
    slow += wander * min(1.0, TELLING / length)
    lent = min(1.0, (TELLING / length) ** 2)
    slow, still = slow + lent * still, (1 - lent) * still
    once = variance / length + wander * (2 / (1 - RHO)) / length
    slow += UPPER * (slow + once) * np.sqrt(2 / len(fills))
    still += UPPER * still * np.sqrt(2 / len(fills))
    farthest = np.max([part.mean(axis=0) ** 2 - variance / len(part) for part in parts], axis=0)
    for group in set(groups):
        member = np.array([one == group for one in groups])
        wander[member] = np.maximum(wander[member], wander[member].mean())
        slow[member] = np.maximum(slow[member], slow[member].mean())
        still[member] = np.maximum(still[member], still[member].mean())
        missing = np.maximum(float(farthest[member].max()) / FAR**2 - slow[member] - still[member], 0.0)
        slow[member] += lent * missing
        still[member] += (1 - lent) * missing
    wide = 1.3 + 6 / len(fills)
    slow, still = slow * wide + 2e-3, still * wide
    offset, share = slow + still, still / (slow + still)
    noise = np.maximum(variance - wander, 0.3 * variance)
    wander = wander * 1.5 + 0.5 * variance / np.sqrt(len(streams)) + 1e-3
    swell = _swell(streams, fill, pileup, groups, degree)
    flat = Benign(noise, wander, offset, np.full(streams.shape[1], KAPPAS[0]), swell, share)
    return replace(flat, kappa=_calibrated(flat, streams, fill, pileup))


def _swell(streams: Floats, fill: Ints, pileup: Floats, groups: Sequence[str], degree: int) -> Swell:
    low, high = float(pileup.min()), float(pileup.max())
    centre, half = (low + high) / 2, max((high - low) / 2, 0.02 * max(high, 1.0))
    z = (pileup - centre) / half
    powers = np.stack([z**power for power in range(degree + 1)], axis=1)
    tilt = _tilt(streams, fill, z, groups)
    mean = np.exp(np.outer(z, tilt)).mean(axis=0)
    return Swell(centre, half, tilt, mean, fill_doubt(powers, fill))


def _tilt(streams: Floats, fill: Ints, z: Floats, groups: Sequence[str]) -> Floats:
    """Return how fast the wander's variance grows with pileup, from means of short blocks at low and at high pileup."""
    means, places = [], []
    for one in np.unique(fill):
        inside = np.flatnonzero(fill == one)
        for block in np.array_split(inside, max(1, len(inside) // BLOCK)):
            means.append(streams[block].mean(axis=0) * np.sqrt(len(block)))
            places.append(float(z[block].mean()))
    square, place = np.array(means) ** 2, np.array(places)
    order = np.argsort(place)
    third = max(1, len(order) // 3)
    below, above = order[:third], order[-third:]
    apart = float(place[above].mean() - place[below].mean())
    tilt = np.zeros(streams.shape[1])
    if apart < LEAST_APART:
        return tilt
    for group in set(groups):
        member = np.array([one == group for one in groups])
        floor = np.sqrt(2 / (third * int(member.sum())))
        excess = [max(float(square[part][:, member].mean()) - 1.0, 0.0) + floor for part in (below, above)]
        tilt[member] = np.log(excess[1] / excess[0]) / apart * third / (third + 10)
    return np.clip(tilt, -MOST_TILT, MOST_TILT)


def fill_doubt(powers: Floats, fill: Ints) -> Floats:
    """Return the covariance of a template's coefficients per unit variance of what every fill adds of its own.

    The clustered ("sandwich") covariance of least squares: (PᵀP)⁻¹ (Σ_fills sum(P_f)ᵀ sum(P_f)) (PᵀP)⁻¹.

    Args:
        powers: Polynomial terms of every lumisection it was fitted to, P, shape ``(n_lumisections, degree + 1)``.
        fill: Of every lumisection.

    References:
        K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986) 13, eq. 7.
    """
    bread = np.linalg.pinv(powers.T @ powers)
    sums = np.stack([powers[fill == one].sum(axis=0) for one in np.unique(fill)])
    return np.asarray(bread @ (sums.T @ sums) @ bread)


def _three_scales(parts: list[Floats]) -> tuple[Floats, Floats, Floats]:
    """Return the variances of the fast wander, the slow one, and what stays all fill, by autocovariance."""
    lags = [lag for lag in LAGS if sum(max(len(part) - lag, 0) for part in parts) >= LEAST_PAIRS] or [1]
    seen, weight = [], []
    for lag in lags:
        used = [part for part in parts if len(part) > lag]
        pairs = max(sum(len(part) - lag for part in used), 1)
        total = sum(((part[:-lag] * part[lag:]).sum(axis=0) for part in used), np.zeros(parts[0].shape[1]))
        seen.append(total / pairs)
        weight.append(np.sqrt(pairs))
    shape = np.array([[RHO**lag, SLOW_RHO**lag, 1.0] for lag in lags]) * np.array(weight)[:, None]
    target = np.array(seen) * np.array(weight)[:, None]
    found = np.array([nnls(shape, column)[0] for column in target.T])
    return found[:, 0], found[:, 1], found[:, 2]


def _calibrated(benign: Benign, streams: Floats, fill: Ints, pileup: Floats) -> Floats:
    """Return the smallest widening at which held-out lumisections give a mean e-value of at most one."""
    scores = innovations(benign, streams, fill, pileup)
    kappa = np.full(streams.shape[1], KAPPAS[-1] * 1.25)
    settled = np.zeros(streams.shape[1], dtype=bool)
    for candidate in KAPPAS:
        z = np.clip(scores / candidate, -CLIP, CLIP)
        good = np.ones_like(settled)
        for shift in SHIFTS:
            step = shift / candidate
            for sign in (1.0, -1.0):
                factor = np.exp(sign * step * z - step**2 / 2)
                error = factor.std(axis=0) / np.sqrt(len(z))
                good &= factor.mean(axis=0) <= 1.05 + np.minimum(error, 0.1)
        fresh = good & ~settled
        kappa[fresh] = candidate
        settled |= good
    return kappa


@dataclass(frozen=True, eq=False)
class Check:
    """How each stream did on held-out lumisections; a stream that fails takes no part in the evidence.

    Attributes:
        lumisections: How many were held out.
        sigma: Standard deviation of the innovations in predicted spreads, before widening; 0.9 to 1.1 is asked for.
        lag: Correlation of neighbouring innovations.
        e_value: Largest mean e-value over the alternatives; at most 1.1 is asked for.
    """

    lumisections: int
    sigma: Floats
    lag: Floats
    e_value: Floats

    @property
    def sound(self) -> NDArray[np.bool_]:
        """Which streams pass, with two standard errors for what few lumisections cannot tell."""
        slack = 2 / np.sqrt(2 * self.lumisections)
        fits = (self.sigma > SIGMA[0] - slack) & (self.sigma < SIGMA[1] + slack)
        return np.asarray(fits & (self.e_value <= MOST_E_VALUE + slack))


def check_streams(benign: Benign, streams: Floats, fill: Ints, pileup: Floats) -> Check:
    """Return how each stream did on held-out lumisections under a benign model.

    Args:
        benign: Spreads.
        streams: Standardised residuals, shape ``(n_lumisections, n_streams)``, in time order within each fill.
        fill: Fill of every lumisection.
        pileup: Of every lumisection.
    """
    scores = innovations(benign, streams, fill, pileup)
    centred = scores - scores.mean(axis=0)
    same = (fill[1:] == fill[:-1])[:, None]
    lag = (centred[1:] * centred[:-1] * same).sum(axis=0) / np.maximum((centred**2).sum(axis=0), 1e-12)
    z = np.clip(scores / benign.kappa, -CLIP, CLIP)
    means = [
        np.exp(sign * shift / benign.kappa * z - (shift / benign.kappa) ** 2 / 2).mean(axis=0)
        for shift in SHIFTS
        for sign in (1.0, -1.0)
    ]
    return Check(len(streams), scores.std(axis=0), lag, np.max(means, axis=0))


def innovations(benign: Benign, streams: Floats, fill: Ints, pileup: Floats) -> Floats:
    """Return what each lumisection adds to what the fill's earlier ones predicted, in predicted spreads."""
    out = np.empty_like(streams)
    for one in np.unique(fill):
        places = np.flatnonzero(fill == one)
        state = FillFilter.fresh(benign, float(pileup[places[0]]))
        for place in places:
            score, _, _ = state.step(benign, streams[place], 1.0, float(pileup[place]))
            out[place] = score
    return out


FORGETS = np.array([RHO, SLOW_RHO, 1.0])
"""Correlation from one lumisection to the next of the filter's three states."""


@dataclass(eq=False)
class FillFilter:
    """The Kalman filter of every stream within one fill: two wanders and what stays, from noisy residuals.

    Attributes:
        state: Estimated fast wander, slow wander and what stays, shape ``(3, n_streams)``.
        covariance: Of the three, shape ``(3, 3, n_streams)``.
    """

    state: Floats
    covariance: Floats

    @classmethod
    def fresh(cls, benign: Benign, pileup: float | None = None) -> "FillFilter":
        """Return the filter as it is before a fill's first lumisection, which has this pileup."""
        covariance = np.zeros((3, 3, benign.noise.size))
        covariance[[0, 1, 2], [0, 1, 2]] = benign.starts(pileup)
        return cls(np.zeros((3, benign.noise.size)), covariance)

    @property
    def variance(self) -> Floats:
        """Return the variance of the three together, shape ``(n_streams,)``."""
        return np.asarray(self.covariance.sum(axis=(0, 1)))

    def loosen(self, variance: Floats) -> None:
        """Allow what stays all fill to have stepped by so much since the lumisection before."""
        self.covariance[2, 2] += variance

    def wait(self, benign: Benign, lost: int, pileup: float | None = None) -> None:
        """Let lumisections pass that nobody measured: the wanders go on, and what is known of them fades."""
        fades = FORGETS**lost
        self.state = self.state * fades[:, None]
        self.covariance = self.covariance * np.outer(fades, fades)[:, :, None]
        self.covariance[[0, 1, 2], [0, 1, 2]] += benign.starts(pileup) * (1 - fades**2)[:, None]

    def step(
        self, benign: Benign, value: Floats, noise_factor: float | Floats, pileup: float | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Take one lumisection in.

        Args:
            benign: Spreads.
            value: Residual of every stream.
            noise_factor: How much larger the measurement variance is than the reference's, by fewer events.
            pileup: Mean collisions per crossing, for `Swell`; None for the mean over the reference.

        Returns:
            The innovation in predicted spreads, the predicted spread, and the three gains, shape ``(3, n_streams)``.
        """
        shared = self.covariance.sum(axis=1)
        variance = shared.sum(axis=0) + benign.noise * noise_factor
        spread = np.sqrt(variance)
        away = value - self.state.sum(axis=0)
        gain = shared / variance
        self.state = (self.state + gain * away) * FORGETS[:, None]
        self.covariance = (self.covariance - gain[:, None] * shared[None]) * np.outer(FORGETS, FORGETS)[:, :, None]
        self.covariance[[0, 1, 2], [0, 1, 2]] += benign.starts(pileup) * (1 - FORGETS**2)[:, None]
        return away / spread, spread, gain
