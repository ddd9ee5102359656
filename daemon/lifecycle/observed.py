"""What a board was seen to do since the new bits run on it, and what that says about leaving them there.

Shadow compares the board with the bundle's own emulator; probation also holds the trigger rate against the forecast.
Who measures fills these values in; here they are only judged, three-valued: a doubt is no pass and no fail, it is
waited for, and the wait ends.  Nothing here knows ROOT, a board, or how an interval was computed.
"""

from dataclasses import dataclass

from daemon.lifecycle.facts import Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The board's output against the bundle's emulator, bit by bit, since the candidate's present state began.

    Attributes:
        lumisections: Whole lumisections compared.
        events: Events (input vectors) compared.
        mismatches: Events whose score or decision differed in any bit.
        mismatch_rate_low: The mismatch rate is surely not below, 0 to 1 (Clopper and Pearson).
        mismatch_rate_high: The mismatch rate is surely not above, 0 to 1.
        unreadable: Events that were there and could not be compared; they never count as agreement.
    """

    lumisections: int
    events: int
    mismatches: int
    mismatch_rate_low: float
    mismatch_rate_high: float
    unreadable: int = 0


@dataclass(frozen=True, kw_only=True)
class RateWatch:
    """The trigger rate seen against the rate that the candidate's evidence forecast, over the same lumisections.

    Attributes:
        lumisections: Lumisections watched since the candidate's present state began.
        expected_hz: Mean rate forecast for the pileup of these lumisections.
        observed_hz: Mean rate seen.
        low: The rate that runs is surely not below, in Hz; the forecast's own uncertainty included.
        high: The rate that runs is surely not above, in Hz; likewise.
    """

    lumisections: int
    expected_hz: float
    observed_hz: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class LatencyWatch:
    """The longest time from input to decision that the board reported, against the budget, in ticks of its clock."""

    worst_ticks: int
    allowed_ticks: int


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Everything seen of one candidate on the board since its present state began; None: nobody could look.

    Attributes:
        comparison: Board against emulator.
        rate: Rate against forecast.
        latency: Longest latency; None where a board does not report it.
        alarm: A drift alarm on the new scores, in words; empty if there is none.
    """

    comparison: Comparison | None = None
    rate: RateWatch | None = None
    latency: LatencyWatch | None = None
    alarm: str = ""


@dataclass(frozen=True)
class Judged:
    """A verdict and the sentence that says why, with its numbers."""

    verdict: Verdict
    why: str


def agreement_of(seen: Comparison | None, *, lumisections: int, tolerated: float, certainty: float) -> Judged:
    """Return whether the board does what the emulator does.

    Args:
        seen: What was compared; None if nothing could be.
        lumisections: That many must have been compared for a pass.
        tolerated: Mismatch rate up to which the two are held to agree, 0 to 1; at 0 one mismatch is a failure.
        certainty: Share of events up to which a mismatch must be excluded for a pass; what could not be read counts
            against it.
    """
    if seen is None:
        return Judged("inconclusive", "board and emulator could not be compared")
    told = f"{seen.mismatches} of {seen.events} events differ in {seen.lumisections} lumisections"
    if seen.mismatches > 0 and seen.mismatch_rate_low > tolerated:
        return Judged("fail", f"{told}; at least {seen.mismatch_rate_low:.2g} do, tolerated are {tolerated:.2g}")
    if seen.lumisections < lumisections:
        return Judged("inconclusive", f"{told}; {lumisections} lumisections are required")
    unread = seen.unreadable / (seen.events + seen.unreadable) if seen.unreadable else 0.0
    doubt = seen.mismatch_rate_high + unread
    if seen.events == 0 or doubt > certainty:
        return Judged("inconclusive", f"{told}, {seen.unreadable} unreadable; {doubt:.2g} may differ")
    return Judged("pass", f"{told}; at most {doubt:.2g} do")


def rate_verdict(seen: RateWatch | None, *, lumisections: int, tolerance: float) -> Judged:
    """Return whether the rate is the one that was forecast.

    A failure needs the whole interval outside the tolerated band, a pass needs the whole interval inside it.

    Args:
        seen: What was watched; None if nothing could be.
        lumisections: That many must have been watched for a pass.
        tolerance: Share of the forecast by which the rate may differ, above 0.
    """
    if seen is None:
        return Judged("inconclusive", "the rate could not be watched")
    least, most = seen.expected_hz * (1.0 - tolerance), seen.expected_hz * (1.0 + tolerance)
    told = f"{seen.observed_hz:.4g} Hz seen ({seen.low:.4g} to {seen.high:.4g}), {seen.expected_hz:.4g} Hz forecast"
    if seen.lumisections > 0 and (seen.low > most or seen.high < least):
        return Judged("fail", f"{told}; {tolerance:.0%} more or less are tolerated")
    if seen.lumisections < lumisections:
        return Judged("inconclusive", f"{told}; {seen.lumisections} of {lumisections} lumisections")
    if seen.low < least or seen.high > most:
        return Judged("inconclusive", f"{told}; it may be off by more than {tolerance:.0%}")
    return Judged("pass", told)


def latency_verdict(seen: LatencyWatch | None) -> Judged:
    """Return whether the board decides in time; a board that does not report its latency passes by its gate alone."""
    if seen is None:
        return Judged("pass", "the board reports no latency; its gate measured it")
    told = f"{seen.worst_ticks} ticks from input to decision, {seen.allowed_ticks} are allowed"
    return Judged("fail" if seen.worst_ticks > seen.allowed_ticks else "pass", told)
