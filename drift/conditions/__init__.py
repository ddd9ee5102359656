"""Fill, pileup, bunches, prescale column, beam mode, dead time, detector control and certification, by lumisection."""

from drift.conditions.beam import BeamModeFeed
from drift.conditions.declared import DeclaredChange, Region
from drift.conditions.record import STABLE_BEAMS, BeamMode, Conditions, Counts
from drift.conditions.table import ConditionsTable

__all__ = [
    "STABLE_BEAMS",
    "BeamMode",
    "BeamModeFeed",
    "Conditions",
    "ConditionsTable",
    "Counts",
    "DeclaredChange",
    "Region",
]
