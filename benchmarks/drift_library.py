"""Certified events for a campaign's failure-mode library: healthy crossings along the reference's pileup.

Stored streams keep counts, not events, so these are drawn beside them, with the same benign wander.
"""

import numpy as np

from benchmarks.drift_draw import Wander, pool
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.specimens import EVENTS, Specimens

LUMISECTIONS = 120


def with_library(reference: Reference, seed: int) -> Reference:
    """Return a reference with the shipped failure modes, replayed on 500 events of each of 120 healthy lumisections."""
    rng = np.random.default_rng([seed, 14])
    specimens = Specimens(AXOL1TL_57, rng)
    for number in range(LUMISECTIONS):
        pileup = float(rng.uniform(reference.pileup_low, reference.pileup_high))
        recorded = pool().draw(pileup, EVENTS, rng, Wander.of(seed, 50_000 + number).next())
        specimens.add(recorded.as_events(AXOL1TL_57, 1, number + 1), pileup)
    return reference.with_library(specimens.groups(reference.pileup_low, reference.pileup_high), rng)
