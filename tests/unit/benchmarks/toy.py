"""Short fills of the detectors' stand-in as stored streams give them: counts, conditions, mean random features."""

import numpy as np

from benchmarks.drift_store import Kept
from benchmarks.embedding import Embedding
from drift.conditions import Conditions
from drift.profile import Summariser
from drift.schema import AXOL1TL_57
from tests.unit.drift.conftest import events

LENGTH = 60


def embedding() -> Embedding:
    """Random features that suit the stand-in."""
    return Embedding.draw(AXOL1TL_57, events(1, 1, 45.0, 2000, np.random.default_rng(1)).features, 1)


def stream(seed, fills, features, gain=1.0, first=1, n=300) -> list[Kept]:
    """Fills of decaying pileup with a gain of the whole calorimeter."""
    rng, summariser, made = np.random.default_rng(seed), Summariser(AXOL1TL_57), []
    for fill in range(first, first + fills):
        own = gain * (1 + 0.002 * rng.normal())
        for lumisection in range(1, LENGTH + 1):
            pileup = 58.0 * np.exp(-0.5 * lumisection / LENGTH) + rng.normal(0, 0.2)
            found = events(1000 + fill, lumisection, pileup, n, rng, gain=own)
            conditions = Conditions(
                1000 + fill, lumisection, fill, pileup, 2340, "2p0E34", "STABLE BEAMS", True, True, 0.02
            )
            made.append(Kept(summariser.fill(found), conditions, len(made), features.of(found.features)))
    return made
