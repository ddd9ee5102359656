"""Evidence for what changes slowly: alternatives that grow by the lumisection, where a step would be taken for wander.

A gain that falls by two per cent in a thousand lumisections moves so little from one to the next that the filter of
`drift.benign` follows it; no step describes what is left.  Against a straight line that began at a stated lumisection
the same innovations are a fair likelihood ratio, so these add to the Shiryaev-Roberts sum of `drift.detect` like any
other alternative.  Only scales and rates are asked: what ages slowly ages everywhere.  Pure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.benign import FORGETS, Benign
from drift.streams import StreamLabel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLOPES = (0.006, 0.012, 0.024, 0.05)
"""Growth a lumisection, in units of the measurement noise of one."""
EVERY, SLOTS = 16, 32
"""A line begins at every sixteenth lumisection and is followed for 512."""
FAMILIES = ("scale", "rate")
NEVER = -700.0
LOG_CAP = 80.0


def ramp_places(labels: tuple[StreamLabel, ...]) -> Ints:
    """Return which streams are asked for slow change."""
    return np.array([place for place, one in enumerate(labels) if one.family in FAMILIES], dtype=np.int64)


@dataclass(eq=False)
class Ramps:
    """The running likelihood ratios of all lines; `update` once a lumisection.

    Attributes:
        places: Streams that are asked, among those in use, shape ``(n,)``.
        ratio: Log likelihood ratio by start, slope, sign and stream, shape ``(SLOTS, n_slopes, 2, n)``.
        height: What a line of slope one has reached, by start, shape ``(SLOTS,)``.
        response: What the filter has absorbed of it, by start and state, shape ``(SLOTS, 3, n)``.
        start: The clock at which each line began.
    """

    places: Ints
    ratio: Floats
    height: Floats
    response: Floats
    start: Ints

    @classmethod
    def fresh(cls, places: Ints) -> "Ramps":
        """Return the state before the first lumisection."""
        n = places.size
        return cls(
            places,
            np.full((SLOTS, len(SLOPES), 2, n), NEVER),
            np.zeros(SLOTS),
            np.zeros((SLOTS, 3, n)),
            np.zeros(SLOTS, dtype=np.int64),
        )

    @classmethod
    def nothing(cls) -> "Ramps":
        """Return the state of a detector that looks for no slow change."""
        return cls.fresh(np.zeros(0, dtype=np.int64))

    def forget(self) -> None:
        """Drop all evidence."""
        self.ratio[:] = NEVER

    def drop(self, streams: NDArray[np.bool_]) -> None:
        """Drop all evidence of some streams, of which the filter starts anew."""
        chosen = streams[self.places]
        self.ratio[..., chosen] = NEVER
        self.response[..., chosen] = 0.0

    def new_fill(self) -> None:
        """Start a fill: the filter is fresh and knows nothing of what has grown so far."""
        self.response[:] = 0.0

    def wait(self, lost: int) -> None:
        """Let lumisections pass that nobody measured: lines go on, and what the filter has absorbed of them fades."""
        self.height += lost
        self.response *= (FORGETS**lost)[:, None]

    def update(self, clock: int, benign: Benign, score: Floats, spread: Floats, gain: Floats) -> None:
        """Take one lumisection in.

        Args:
            clock: Lumisections taken in before it.
            benign: Spreads of all streams in use.
            score: Innovations in widened predicted spreads, of all streams in use.
            spread: Predicted spreads before widening.
            gain: The filter's gains, shape ``(3, n_streams)``.
        """
        at = self.places
        if clock % EVERY == 0:
            slot = clock // EVERY % SLOTS
            self.ratio[slot] = 0.0
            self.height[slot] = 0.0
            self.response[slot] = 0.0
            self.start[slot] = clock
        self.height += 1.0
        shows = self.height[:, None] - self.response.sum(axis=1)
        unit = shows * (np.sqrt(benign.noise[at]) / (spread[at] * benign.kappa[at]))
        for place, slope in enumerate(SLOPES):
            step = slope * unit
            half = step**2 / 2
            self.ratio[:, place, 0] += step * score[at] - half
            self.ratio[:, place, 1] -= step * score[at] + half
        np.maximum(self.ratio, NEVER, out=self.ratio)
        self.response = (self.response + gain[:, at] * shows[:, None]) * FORGETS[:, None]

    def by_stream(self, weights: Floats) -> Floats:
        """Return each asked stream's part of the mixture, shape ``(n,)``.

        Args:
            weights: Of all slopes and both signs of each asked stream together, shape ``(n,)``.
        """
        summed = np.exp(np.minimum(self.ratio, LOG_CAP)).sum(axis=(0, 1, 2))
        return np.asarray(summed / (2 * len(SLOPES)) * weights)

    def strongest(self, which: int) -> tuple[float, int, int]:
        """Return log likelihood ratio, sign and start of the strongest line of one asked stream."""
        one = self.ratio[..., which]
        slot, _, sign = np.unravel_index(int(one.argmax()), one.shape)
        return float(one.max()), 1 - 2 * int(sign), int(self.start[slot])
