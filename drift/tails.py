"""Whether a rare trigger's rate can be said at all, and with what interval.

A rate from a handful of events looks like a number and is none: 0.13 of the 3 500 zero-bias events of a lumisection
pass a 1 kHz selection.  Below a stated count the answer is therefore ``inconclusive`` and has bounds but no value.
Nothing here knows pileup or drift.
"""

from dataclasses import dataclass
from typing import Literal

from scipy.stats import beta, chi2

LEAST_COUNTS = 400
"""From 400 counts on, the 95 % interval is within about 10 % of the rate (Garwood: -9.6 % to +10.3 %), one standard
deviation is 5 %: what a threshold is set to.  A 20 % statement needs 100, a 5 % statement 1 550."""


@dataclass(frozen=True)
class TailRate:
    """A rate, or why there is none.

    Attributes:
        answer: ``estimate``; ``inconclusive`` below the least count; ``unmeasured`` when nothing was looked at.
        counts: What passed.
        rate_hz: The estimate; None unless the answer is ``estimate``.
        low_hz: Lower bound.
        high_hz: Upper bound, true of any answer but ``unmeasured``; infinite then.
        confidence: Of the interval.
        reason: One sentence, for the record.
    """

    answer: Literal["estimate", "inconclusive", "unmeasured"]
    counts: int
    rate_hz: float | None
    low_hz: float
    high_hz: float
    confidence: float
    reason: str


def garwood(counts: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the central interval of a Poisson mean.

    References:
        F. Garwood, Biometrika 28 (1936) 437.
    """
    outside = (1.0 - confidence) / 2
    low = float(chi2.ppf(outside, 2 * counts)) / 2 if counts else 0.0
    return low, float(chi2.ppf(1.0 - outside, 2 * counts + 2)) / 2


def clopper_pearson(passed: int, tried: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the central interval of a binomial probability.

    References:
        C. Clopper and E. Pearson, Biometrika 26 (1934) 404.
    """
    outside = (1.0 - confidence) / 2
    low = float(beta.ppf(outside, passed, tried - passed + 1)) if passed else 0.0
    high = float(beta.ppf(1.0 - outside, passed + 1, tried - passed)) if passed < tried else 1.0
    return low, high


def counted_rate(counts: int, live_s: float, *, least_counts: int = LEAST_COUNTS, confidence: float = 0.95) -> TailRate:
    """Return the rate of a hardware counter.

    Args:
        counts: Firings counted.
        live_s: Seconds it could count, divided by its prescale; 0 for a seed that is off.
        least_counts: Below it the answer is ``inconclusive``.
        confidence: Of the Garwood interval.
    """
    if live_s <= 0:
        return _nothing(confidence, "the seed was off or the trigger dead all the time")
    low, high = garwood(counts, confidence)
    return _answer(counts, counts / live_s, (low / live_s, high / live_s), least_counts, confidence)


def sampled_rate(
    passed: int, events: int, crossings_hz: float, *, least_counts: int = LEAST_COUNTS, confidence: float = 0.95
) -> TailRate:
    """Return the rate of a selection from a sample of unbiased events.

    Args:
        passed: Zero-bias events that pass.
        events: Zero-bias events in all.
        crossings_hz: Rate of the crossings they stand for: colliding bunches times 11 245.8 Hz.
        least_counts: Below it the answer is ``inconclusive``.
        confidence: Of the Clopper-Pearson interval.

    Raises:
        ValueError: More events pass than there are.
    """
    if not 0 <= passed <= events:
        raise ValueError(f"{passed} of {events} events pass; expected from 0 to all of them")
    if events == 0:
        return _nothing(confidence, "there are no events")
    low, high = clopper_pearson(passed, events, confidence)
    bounds = low * crossings_hz, high * crossings_hz
    return _answer(passed, passed / events * crossings_hz, bounds, least_counts, confidence)


def _nothing(confidence: float, reason: str) -> TailRate:
    return TailRate("unmeasured", 0, None, 0.0, float("inf"), confidence, reason)


def _answer(counts: int, rate_hz: float, bounds: tuple[float, float], least: int, confidence: float) -> TailRate:
    if counts < least:
        reason = (
            f"{counts} counts, {least} are needed; between {bounds[0]:.3g} and {bounds[1]:.3g} Hz at {confidence:.0%}"
        )
        return TailRate("inconclusive", counts, None, *bounds, confidence, reason)
    return TailRate("estimate", counts, rate_hz, *bounds, confidence, f"from {counts} counts")
