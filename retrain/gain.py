"""Whether a candidate is better than its champion on the data it was made for, told at any time.

Without labels a trigger is better when its rate, at a threshold that other data gave, is nearer to what was asked for,
and when it keeps more of a named signal at one rate.  Both are games of `retrain.betting`: lumisections in the order in
which they came, signal events, which have no time, in any order that does not look at them.  Which outcome suffices is
for `retrain.verify`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.betting import Bet, bet

EXPECTED = 10.0
"""Events that should pass in one block of lumisections: fewer are mostly chance, more leave too few blocks."""
FARTHEST = 0.5
"""Distance from the target, as a share of it, beyond which a rate is as bad as it can be."""
CALIBRATING = 3
"""Every third block, the first among them, only says where the candidate is cut.

A first third in time would be another pileup than the rest, by which a rate moves more than by what is compared here.
"""
CUT_FROM = "every third block, between those that are played for and not before them"

Mask = NDArray[np.bool_]
Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Played:
    """One measure of both models, and the games played with it.

    Attributes:
        name: ``rate``, or the name of a signal.
        candidate: Mean distance of its rate from the target, as a share of it and at most `FARTHEST`; of a signal,
            its efficiency.
        champion: The same of the champion.
        gain: The game whose winning shows that the candidate is better.
        harm: That which shows that it is worse by more than the margin.
    """

    name: str
    candidate: float
    champion: float
    gain: Bet
    harm: Bet

    @property
    def verdict(self) -> str:
        """``harm``, ``gain``, or ``open`` when neither is known."""
        if self.harm.shown_after is not None:
            return "harm"
        return "open" if self.gain.shown_after is None else "gain"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "candidate": self.candidate,
            "champion": self.champion,
            "steps": self.gain.steps,
            "gain_log10_e": self.gain.log10_e,
            "gain_after": self.gain.shown_after,
            "harm_log10_e": self.harm.log10_e,
            "harm_after": self.harm.shown_after,
        }


def blocks(counts: Sequence[int], fraction: float) -> NDArray[np.int64]:
    """Return to which block each lumisection belongs, shape ``(n_lumisections,)``; -1 for what is left over.

    A block is closed by how many events were read, never by how many passed, so that no model chooses its own end.

    Args:
        counts: Events of each lumisection, in order of time.
        fraction: Share of events that should pass.
    """
    out, number, gathered, begin = np.full(len(counts), -1, np.int64), 0, 0, 0
    for place, count in enumerate(counts):
        gathered += count
        if gathered * fraction >= EXPECTED:
            out[begin : place + 1] = number
            number, gathered, begin = number + 1, 0, place + 1
    return out


def calibrates(block: NDArray[np.int64]) -> Mask:
    """Return which blocks, by their number, say where the candidate is cut, and are not played for."""
    return np.asarray((block >= 0) & (block % CALIBRATING == 0), np.bool_)


def off_target(passed: Mask, weights: Weights | None, block: NDArray[np.int64], fraction: float) -> Weights:
    """Return how far the rate of each played block is from the target, as a share of it, at most `FARTHEST`.

    Args:
        passed: Which events pass, shape ``(n_events,)``.
        weights: Of the events for a pure rate; None when each counts one.
        block: Of each event.
        fraction: Share of events that should pass.
    """
    taken = passed.astype(np.float64) if weights is None else passed * weights
    inside = block >= 0
    size = np.bincount(block[inside])
    found = np.bincount(block[inside], taken[inside]) / np.maximum(size, 1)
    played = np.arange(len(size)) % CALIBRATING != 0
    return np.asarray(np.minimum(np.abs(found[played] / fraction - 1.0), FARTHEST), np.float64)


def rate(candidate: Weights, champion: Weights, margin: float, error: float) -> Played:
    """Return the games of nearness to the target rate, from what `off_target` says of both.

    Args:
        candidate: Of each played block.
        champion: On the same blocks.
        margin: By how much of the target the candidate may be farther off without harm.
        error: Of each game.
    """
    nearer, allowed = (champion - candidate) / FARTHEST, margin / FARTHEST
    return Played(
        "rate",
        float(candidate.mean()) if len(candidate) else 0.0,
        float(champion.mean()) if len(champion) else 0.0,
        bet(nearer, error),
        bet((-nearer - allowed) / (1.0 + allowed), error),
    )


def efficiency(name: str, candidate: Mask, champion: Mask, margin: float, error: float) -> Played:
    """Return the games of a signal, event by event, both cut where they make one rate.

    Args:
        name: Of the signal.
        candidate: Which events it passes, shape ``(n_events,)``, in an order drawn at random.
        champion: Which the champion passes.
        margin: Share of the champion's efficiency that may be lost without harm.
        error: Of each game.
    """
    ours, theirs = candidate.astype(np.float64), champion.astype(np.float64)
    gain, harm = bet(ours - theirs, error), bet((1.0 - margin) * theirs - ours, error)
    return Played(name, float(ours.mean()), float(theirs.mean()), gain, harm)
