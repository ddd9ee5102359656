"""A bounded sample of recent and of older events, so that after an alarm there is something to compare with.

The reference keeps counts, not events.  Of the last lumisections each is kept; what is older goes to a stratum of its
pileup, which keeps a uniform sample of all it was ever given (J. Vitter, ACM TOMS 11 (1985) 37).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drift.events import LumisectionEvents

EVENTS = 200
RECENT = 64
STRATUM = 24
WIDTH = 1.5
"""Width of a stratum, in pileup."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Some events of one lumisection.

    Attributes:
        run: Run number.
        lumisection: Lumisection number.
        pileup: Mean collisions per crossing.
        features: Network inputs, shape ``(n_features, n_events)``.
    """

    run: int
    lumisection: int
    pileup: float
    features: NDArray[np.int16]

    @property
    def place(self) -> tuple[int, int]:
        """Run and lumisection."""
        return self.run, self.lumisection

    @property
    def stratum(self) -> int:
        """Stratum of its pileup."""
        return int(self.pileup // WIDTH)


@dataclass(eq=False)
class Reservoir:
    """Keeps up to 200 events of each of 64 recent lumisections, and of 24 older ones at each pileup.

    Attributes:
        rng: Chooses events and lumisections.
        recent: The last lumisections, in order.
        strata: Older ones by stratum.
        given: How many each stratum was ever given.
        ill: From where on nothing is healthy; None while all is.
    """

    rng: np.random.Generator
    recent: list[Kept] = field(default_factory=list)
    strata: dict[int, list[Kept]] = field(default_factory=dict)
    given: dict[int, int] = field(default_factory=dict)
    ill: tuple[int, int] | None = None

    def add(self, events: LumisectionEvents, pileup: float) -> None:
        """Take a lumisection in, later than all before it."""
        features = events.features
        if events.events > EVENTS:
            features = features[:, np.sort(self.rng.choice(events.events, EVENTS, replace=False))]
        self.recent.append(Kept(events.run, events.lumisection, pileup, np.ascontiguousarray(features)))
        if len(self.recent) > RECENT:
            self._retire(self.recent.pop(0))

    def _retire(self, one: Kept) -> None:
        if not self._healthy(one):
            return
        stratum = self.strata.setdefault(one.stratum, [])
        given = self.given[one.stratum] = self.given.get(one.stratum, 0) + 1
        if len(stratum) < STRATUM:
            stratum.append(one)
        elif (place := int(self.rng.integers(given))) < STRATUM:
            stratum[place] = one

    def split(self, onset: tuple[int, int]) -> tuple[list[Kept], list[Kept]]:
        """Return what is kept from before an onset and healthy, and all from it on."""
        kept = [one for key in sorted(self.strata) for one in self.strata[key]] + self.recent
        before = [one for one in kept if one.place < onset and self._healthy(one)]
        return before, [one for one in kept if one.place >= onset]

    def condemn(self, onset: tuple[int, int]) -> None:
        """Say that nothing is healthy from an onset on; it is kept while recent, and never compared with."""
        self.ill = onset if self.ill is None else min(onset, self.ill)
        self.strata = {key: [one for one in kept if one.place < onset] for key, kept in self.strata.items()}

    def forget_since(self, onset: tuple[int, int]) -> None:
        """Drop what is kept from an onset on: it was not healthy, and what comes next is."""
        self.recent = [one for one in self.recent if one.place < onset]
        self.strata = {key: [one for one in kept if one.place < onset] for key, kept in self.strata.items()}

    def _healthy(self, one: Kept) -> bool:
        return self.ill is None or one.place < self.ill
