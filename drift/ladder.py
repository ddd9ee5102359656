"""What to do about a cause, from the cheapest step to the dearest, and which step is the first that can suffice.

A threshold changed between two fills costs minutes and can be taken back; weights cost a training, thirteen gates and
two people; another architecture costs months.  So a verdict names the lowest rung that can suffice, and says so.
Nothing here measures anything.
"""

from enum import IntEnum

BROKEN = "broken_detector"
AGEING = "ageing_or_calibration"
CONDITIONS = "new_conditions"
TRANSIENT = "transient"
CONTRACT = "contract"
EXPECTED = "expected_change"
CAUSES = (BROKEN, AGEING, CONDITIONS, TRANSIENT, CONTRACT, EXPECTED)

RETRAIN_SCALE = 0.02
"""A pt scale that moved by more changes what the network learnt as usual; below it a threshold holds the rate."""


class Rung(IntEnum):
    """The steps of the ladder, cheapest first."""

    NOTHING = 0
    MASK_OR_CALL = 1
    PRESCALE_COLUMN = 2
    THRESHOLD = 3
    WEIGHTS = 4
    ARCHITECTURE = 5

    @property
    def word(self) -> str:
        """As the public form says it, e.g. ``mask_or_call``."""
        return self.name.lower()


ACTIONS = {
    BROKEN: "call the detector expert; do not retrain",
    TRANSIENT: "keep these lumisections out of training; call nobody",
    EXPECTED: (
        "no retraining and no call: re-baseline the declared interval (retrigger reference rebaseline) once its "
        "lumisections are certified, or declare which objects it touches"
    ),
    CONTRACT: "stop trusting this stream's scores; mend the input, do not retrain",
}
CLIMB = {
    Rung.PRESCALE_COLUMN: (
        "take the prescale column of the luminosity that is seen; if the rate stays off, set the threshold; if that "
        "does not suffice, retrain candidate: weights"
    ),
    Rung.THRESHOLD: "set the threshold to hold the rate; if that does not suffice, retrain candidate: weights",
    Rung.WEIGHTS: "retrain candidate: weights",
}


def rung_of(cause: str, largest_scale: float, *, luminosity: bool = False) -> Rung:
    """Return the first rung that can suffice.

    Args:
        cause: One of `CAUSES`.
        largest_scale: Largest relative change of a pt scale that was measured.
        luminosity: Whether it is only the luminosity that is other than said.
    """
    if cause in {TRANSIENT, EXPECTED}:
        return Rung.NOTHING
    if cause in {BROKEN, CONTRACT}:
        return Rung.MASK_OR_CALL
    if luminosity:
        return Rung.PRESCALE_COLUMN
    return Rung.WEIGHTS if abs(largest_scale) > RETRAIN_SCALE else Rung.THRESHOLD


def action_of(cause: str, rung: Rung) -> str:
    """Return what to do, in one sentence."""
    return ACTIONS[cause] if cause in ACTIONS else CLIMB[rung]
