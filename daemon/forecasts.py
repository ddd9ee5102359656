"""How many events a bundle's own evidence says its seed fires for, at the pileup of a lumisection.

The evidence has the share of held-out events that pass in steps of pileup, with how many there were: the forecast and
how well it is known.  Nothing here measures or judges.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drift.conditions import Conditions
from drift.events import LumisectionEvents
from retrain.bundle import Bundle
from retrain.champion import Champion
from retrain.errors import BundleAlteredError
from retrain.working_point import REVOLUTION_HZ, STRATUM_WIDTH

UNKNOWN = (-1.0, 0.0, -1.0)


@dataclass(frozen=True)
class Forecast:
    """Pass fractions by step of pileup: held-out events, and those that pass; and the bunches a rate is quoted for."""

    steps: Mapping[float, tuple[int, int]]
    bunches: int

    def of(self, at: Conditions | None, events: LumisectionEvents) -> tuple[float, float, float]:
        """Return how many events at their own crossing pass, that forecast's standard deviation, and the rate in Hz.

        All three are `UNKNOWN` where the lumisection cannot be compared with a reference, or its pileup is one at which
        the evidence has no passing event.
        """
        own = events.board.get(0)
        if at is None or at.pileup is None or not at.usable or own is None:
            return UNKNOWN
        held, passing = self.steps.get(math.floor(at.pileup / STRATUM_WIDTH) * STRATUM_WIDTH, (0, 0))
        if passing == 0:
            return UNKNOWN
        share, number = passing / held, len(own.event)
        return (
            number * share,
            number * math.sqrt(share * (1.0 - share) / held),
            share * (at.bunches or self.bunches) * REVOLUTION_HZ,
        )


def forecast_of(champion: Champion) -> Forecast:
    """Return the forecast that a bundle brings; one without steps for an adopted library, which brings none."""
    if not isinstance(champion, Bundle):
        return Forecast({}, 0)
    try:
        evidence: Mapping[str, Any] = champion.evidence("working_point")
        steps = {
            float(row["pileup_from"]): (int(row["events"]), int(row["passing"]))
            for row in evidence["strata"]
            if row["pileup_from"] is not None
        }
        return Forecast(steps, int(evidence["bunches"]))
    except (BundleAlteredError, KeyError, TypeError, ValueError):
        return Forecast({}, 0)
