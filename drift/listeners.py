"""River's detectors, one for each residual stream, and the parameters that a false-alarm budget gives them.

Nothing here knows what a stream means, or what a detection leads to.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from river.base import DriftDetector
from river.drift import ADWIN, KSWIN, PageHinkley
from scipy.optimize import brentq

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NAMES = ("adwin", "page_hinkley", "kswin")
MEMORY = {"adwin": 512, "page_hinkley": 512, "kswin": 100}
"""Lumisections a detector remembers at least; beyond twice as many it starts again from the last ones."""
SLACK = 0.25
"""Page-Hinkley's delta: drifts below this many spreads a lumisection do not add up."""


class Listeners(Protocol):
    """One detector for each stream."""

    def rebuild(self, kept: list[Floats]) -> None:
        """Start afresh and take these lumisections in."""

    def take(self, kept: list[Floats], clock: int) -> Mask:
        """Take in the last of the kept lumisections; return which streams changed."""


def listeners_for(detector: str, parameters: Mapping[str, Any], streams: int) -> Listeners:
    """Return fresh listeners of one kind."""
    if detector == "kswin":
        return _Windowed(parameters)
    kind = ADWIN if detector == "adwin" else PageHinkley
    return _Replayed(lambda: kind(**parameters), streams)


def parameters_for(detector: str, false_alarms_per_lumisection: float, streams: int) -> dict[str, float]:
    """Return river parameters that keep a budget if lumisections were independent and normal.

    The budget is shared evenly among the streams.  ADWIN's `delta` and KSWIN's `alpha` are then false-alarm
    probabilities of one stream at one lumisection; Page-Hinkley's threshold h solves Siegmund's approximation
    (exp(2kb) - 2kb - 1) / 2k² = twice the mean time of one stream, b = h + 1.166, for each of its two sides.

    Raises:
        ValueError: The detector is not known, or the budget is not a rate.

    References:
        D. Siegmund, Sequential Analysis (1985), equation 2.57.
    """
    if not 0 < false_alarms_per_lumisection < 1:
        raise ValueError(f"false alarms per lumisection is {false_alarms_per_lumisection}; give a rate, e.g. 9e-6")
    share = false_alarms_per_lumisection / streams
    if detector == "adwin":
        return {"delta": share, "clock": 1}
    if detector == "kswin":
        return {"alpha": share, "window_size": 100, "stat_size": 30}
    if detector == "page_hinkley":
        two = 2 * SLACK
        reach = brentq(lambda b: math.expm1(two * b) - two * b - two * SLACK * 2 / share, 0.0, 700 / two)
        # river forgets with alpha; below 1 that cancels delta after 1 / (1 - alpha) values, and the chart wanders
        return {"threshold": reach - 1.166, "delta": SLACK, "min_instances": 30, "alpha": 1.0}
    raise ValueError(f"detector {detector!r} is not known; known are {', '.join(NAMES)}")


class _Replayed:
    """Detectors whose state cannot be taken out: it is what their last values, put in again, leave them in."""

    def __init__(self, make: Callable[[], DriftDetector], streams: int) -> None:
        self._make = make
        self._detectors = [make() for _ in range(streams)]

    def rebuild(self, kept: list[Floats]) -> None:
        self._detectors = [self._make() for _ in self._detectors]
        for row in kept:
            self.step(row)

    def step(self, row: Floats) -> Mask:
        for one, value in zip(self._detectors, row.tolist(), strict=True):
            one.update(value)
        return np.array([one.drift_detected for one in self._detectors])

    def take(self, kept: list[Floats], clock: int) -> Mask:
        del clock
        return self.step(kept[-1])


class _Windowed:
    """KSWIN, made anew from its window at every lumisection with a seed of that lumisection, so it has no state."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters

    def rebuild(self, kept: list[Floats]) -> None:
        """Nothing is remembered beside the values."""

    def take(self, kept: list[Floats], clock: int) -> Mask:
        size = int(self._parameters["window_size"])
        found = np.zeros(len(kept[-1]), dtype=bool)
        if len(kept) < size:
            return found
        for place, values in enumerate(np.stack(kept[-size:]).T.tolist()):
            one: DriftDetector = KSWIN(**self._parameters, seed=clock * len(found) + place, window=values[:-1])
            one.update(values[-1])
            found[place] = one.drift_detected
        return found
