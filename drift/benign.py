"""What a healthy detector does to the residual streams: slow wander within a fill, a new offset every fill.

Each standardised stream is modelled as measurement noise, plus an AR(1) wander that starts anew with each fill, plus an
offset drawn once a fill.  Treating lumisections as independent instead costs thousands of false alarms (drift.md
section 0).  The spreads are estimated from residuals of fills that had no part in their own expectation, pooled over
streams that are alike by symmetry, and widened when there are few fills.  Nothing here knows what a stream means.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RHO = 0.9
"""Correlation of the wander between neighbouring lumisections."""
LAGS = (1, 2, 3, 4, 6, 8)
SHIFTS = (0.7, 1.4, 2.8, 5.0)
"""Alternatives: a step, in units of the measurement noise of one lumisection."""
KAPPAS = (1.1, 1.25, 1.5, 2.0)
CLIP = 8.0


@dataclass(frozen=True, eq=False)
class Benign:
    """Spreads of every stream at the reference's events per lumisection.

    Attributes:
        noise: Variance of the measurement, shape ``(n_streams,)``.
        wander: Variance of the AR(1) part.
        offset: Variance of the fill offset.
        kappa: Widening of every stream's predicted spread, from what held-out fills showed.
    """

    noise: Floats
    wander: Floats
    offset: Floats
    kappa: Floats


def fit_benign(streams: Floats, fill: Ints, groups: Sequence[str]) -> Benign:
    """Estimate the benign spreads from held-out residuals.

    Args:
        streams: Standardised residuals, shape ``(n_lumisections, n_streams)``, in time order within each fill.
        fill: Fill of every lumisection.
        groups: Family of every stream; members are pooled.
    """
    fills = np.unique(fill)
    means, sizes, residual = [], [], np.empty_like(streams)
    for one in fills:
        inside = fill == one
        mean = streams[inside].mean(axis=0)
        means.append(mean)
        sizes.append(int(inside.sum()))
        residual[inside] = streams[inside] - mean
    lost = float(np.mean(1 / np.array(sizes)))
    variance = residual.var(axis=0) / max(1 - lost, 0.5)
    chance = lost * variance
    offset = np.maximum((np.array(means) ** 2).mean(axis=0) - chance, 0) + chance * np.sqrt(2 / len(fills))
    wander = np.zeros(streams.shape[1])
    for lag in LAGS:
        pairs = [residual[fill == one] for one in fills if (fill == one).sum() > lag]
        product = sum((part[:-lag] * part[lag:]).sum(axis=0) for part in pairs)
        wander += (product / max(sum(len(part) - lag for part in pairs), 1) + chance) / RHO**lag / len(LAGS)
    wander = np.clip(wander, 0, 0.7 * variance) + 0.5 * variance / np.sqrt(len(streams))
    for group in set(groups):
        member = np.array([one == group for one in groups])
        offset[member] = np.maximum(offset[member], offset[member].mean())
        wander[member] = np.maximum(wander[member], wander[member].mean())
    offset = offset * (1.5 + 8 / len(fills)) + 2e-3
    wander = wander * 1.2 + 1e-3
    noise = np.maximum(variance - wander, 0.3 * variance)
    flat = Benign(noise, wander, offset, np.full(streams.shape[1], KAPPAS[0]))
    return Benign(noise, wander, offset, _calibrated(flat, streams, fill))


def _calibrated(benign: Benign, streams: Floats, fill: Ints) -> Floats:
    """Return the smallest widening at which held-out lumisections give a mean e-value of at most one."""
    scores = innovations(benign, streams, fill)
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


def innovations(benign: Benign, streams: Floats, fill: Ints) -> Floats:
    """Return what each lumisection adds to what the fill's earlier ones predicted, in predicted spreads."""
    out = np.empty_like(streams)
    for one in np.unique(fill):
        state = FillFilter.fresh(benign)
        for place in np.flatnonzero(fill == one):
            score, _, _ = state.step(benign, streams[place], 1.0)
            out[place] = score
    return out


@dataclass(eq=False)
class FillFilter:
    """The Kalman filter of every stream within one fill: wander and offset from noisy residuals.

    Attributes:
        state: Estimated wander and offset, shape ``(2, n_streams)``.
        covariance: Of wander, of both, of offset, shape ``(3, n_streams)``.
    """

    state: Floats
    covariance: Floats

    @classmethod
    def fresh(cls, benign: Benign) -> "FillFilter":
        """Return the filter as it is before a fill's first lumisection."""
        zero = np.zeros_like(benign.noise)
        return cls(np.stack([zero, zero]), np.stack([benign.wander, zero, benign.offset]))

    def step(self, benign: Benign, value: Floats, noise_factor: float) -> tuple[Floats, Floats, Floats]:
        """Take one lumisection in.

        Args:
            benign: Spreads.
            value: Residual of every stream.
            noise_factor: How much larger the measurement variance is than the reference's, by fewer events.

        Returns:
            The innovation in predicted spreads, the predicted spread, and the two gains, shape ``(2, n_streams)``.
        """
        spread = np.sqrt(self.covariance[0] + 2 * self.covariance[1] + self.covariance[2] + benign.noise * noise_factor)
        away = value - self.state[0] - self.state[1]
        gain = np.stack([self.covariance[0] + self.covariance[1], self.covariance[1] + self.covariance[2]]) / spread**2
        self.state = self.state + gain * away
        wander, both, offset = self.covariance
        innovation_variance = spread**2
        wander = wander - gain[0] ** 2 * innovation_variance
        both = both - gain[0] * gain[1] * innovation_variance
        offset = offset - gain[1] ** 2 * innovation_variance
        self.state = np.stack([self.state[0] * RHO, self.state[1]])
        self.covariance = np.stack([wander * RHO**2 + benign.wander * (1 - RHO**2), both * RHO, offset])
        return away / spread, spread, gain
