"""Whether a lumisection says anything at all: one answer for every detector, so that all are judged on the same data.

A reference may speak only inside the pileup it has seen, of lumisections that were taken in good order and hold enough
events.  What remains is for the detectors; nothing here remembers anything.
"""

from dataclasses import dataclass

from drift.conditions import Conditions
from drift.errors import ReferenceUnfitError
from drift.profile import LumisectionSummary
from drift.reference import Reference

LEAST_EVENTS = 50
LEAST_SHARE = 0.1
"""Events a lumisection needs, as a number and as a share of the reference's mean."""


@dataclass(frozen=True)
class Unfit:
    """Why a lumisection is not listened to.

    Attributes:
        state: ``excluded``, ``data_gap`` or ``out_of_support``.
        reason: In words.
    """

    state: str
    reason: str


def unfit(reference: Reference, summary: LumisectionSummary, conditions: Conditions) -> Unfit | None:
    """Return why this reference says nothing of a lumisection; None when it does.

    Raises:
        ReferenceUnfitError: The summary was counted under another schema than the reference.
    """
    if summary.schema_digest != reference.schema.digest:
        raise ReferenceUnfitError(
            f"run {summary.run} lumisection {summary.lumisection} was counted under another schema than the "
            f"reference ({reference.schema.name}); use the schema of the reference"
        )
    if not conditions.usable or conditions.pileup is None:
        return Unfit("excluded", conditions.obstacle)
    if summary.events < max(LEAST_EVENTS, LEAST_SHARE * reference.events):
        return Unfit("data_gap", f"{summary.events} events, the reference has {reference.events:.0f} a lumisection")
    if not reference.pileup_low <= conditions.pileup <= reference.pileup_high:
        return Unfit(
            "out_of_support",
            f"pileup {conditions.pileup:.1f} is outside the reference's {reference.pileup_low:.1f} to "
            f"{reference.pileup_high:.1f}",
        )
    missing = reference.strata.lacks(conditions)
    return Unfit("out_of_support", missing) if missing else None
