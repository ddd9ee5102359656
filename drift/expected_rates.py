"""Whether seed rates moved because somebody declared a change: menu, firmware, calibration or mask.

Inputs come from zero bias, which no menu touches; rates are what a menu is made for.  A prediction that was fitted
before the change does not hold after it.  Pure.
"""

from collections.abc import Iterable
from dataclasses import replace

from drift.conditions import DeclaredChange
from drift.expected import explained
from drift.ladder import EXPECTED
from drift.rate_evidence import RateEvidence
from drift.rate_rule import Ruling

TO_REFIT = "no retraining and no call: fit the rates anew from after the change (retrigger reference rates)"


def foreseen(ruling: Ruling, rates: RateEvidence, changes: Iterable[DeclaredChange]) -> Ruling:
    """Return a ruling on rates, as an expected change where one was declared that began when they moved.

    Args:
        ruling: What was found.
        rates: The evidence of all seeds.
        changes: Declared changes of any kind that were in force lately.
    """
    began = rates.clock_of(ruling.onset)
    found = explained(replace(ruling.found, onset=began), rates.trail, changes)
    if found.verdict != EXPECTED:
        return ruling
    return replace(ruling, found=replace(found, onset=ruling.found.onset, action=TO_REFIT), action=TO_REFIT)
