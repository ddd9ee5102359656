"""What the machine and the detector did in each lumisection, joined from the files that others publish.

Golden and DCS JSON, brilcalc by-lumisection CSV and OMS JSON come at different times, overlap, contradict each other,
and have holes.  Here they become one frozen `Conditions` a lumisection; what was missing, doubled, contradicting or
late is counted, never guessed.
"""

from drift.conditions.beam import BeamMode, BeamModeFeed
from drift.conditions.table import Conditions, ConditionsCounts, ConditionsFolder, ConditionsTable

__all__ = ["BeamMode", "BeamModeFeed", "Conditions", "ConditionsCounts", "ConditionsFolder", "ConditionsTable"]
