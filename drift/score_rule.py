"""Whether the score moved by itself: then the model in the trigger is broken, and neither detector nor physics.

A network answers to its inputs alone.  When its score leaves what it is at this pileup while no input stream speaks,
what was built is not what was trained, or the inputs moved together in a way that none shows by itself.  Pure.
"""

from collections.abc import Sequence

from drift.detect import Contributor
from drift.score_streams import SCORE
from drift.streams import StreamLabel

ACTION = "compare firmware with emulator; do not retrain"
AGAINST = (
    "inputs that moved together without any of them moving would look alike; where the score was computed from "
    "recorded inputs and not read from the board, firmware cannot show in it"
)
INPUTS_EVIDENCE = 3.0
"""Natural log of the evidence below which an input has not spoken."""
INPUTS_QUIET = 3.0
"""Benign spreads below which the mean of an input's scale, rate, noise or mixing since the onset is nothing."""
_INPUTS = ("scale", "rate", "noise", "mix")


def score_alone(
    labels: Sequence[StreamLabel], significance: Sequence[float], contributors: Sequence[Contributor]
) -> str:
    """Say that the score moved while its inputs did not; empty when it did not, or they did.

    Args:
        labels: Of the streams.
        significance: Mean of each since the onset, in the spreads that such a mean may have.
        contributors: The strongest parts of the evidence, the first of all first.
    """
    if contributors[0].object != SCORE:
        return ""
    if any(one.object != SCORE and one.log_evidence > INPUTS_EVIDENCE for one in contributors):
        return ""
    inputs = [abs(score) for one, score in zip(labels, significance, strict=True) if one.family in _INPUTS]
    if max(inputs, default=0.0) > INPUTS_QUIET:
        return ""
    toward = {1: " up", -1: " down"}.get(contributors[0].sign, "")
    return f"the score moved while its inputs did not ({contributors[0].name}{toward})"
