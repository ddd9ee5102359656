"""What a lumisection summary is: exact counts that add in any order, and travel as bytes or as histograms.

How they were counted is told in `drift.profile`; nothing here sees an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drift.errors import SummaryError
from drift.packing import seal, unseal
from drift.schema import FeatureSchema
from drift.score_bins import ScoreCounts, checked_thresholds
from drift.weights import Weighted

if TYPE_CHECKING:
    import boost_histogram as bh

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LumisectionSummary:
    """The counts of one lumisection, or of several added together.

    Attributes:
        schema_digest: The schema it was counted under.
        lumisections: (run, lumisection) pairs in it, sorted.
        events: Number of events.
        counts: Flat table, see `layout_of`.
        maps: Objects per eta-phi cell by object type.
        scores: Score histogram and pass counts, when scores were given.
        weighted: Σw and Σw² of all events and beside every count and score, when weights were given.  The maps count
            objects, which do not know their event, so they have none.
    """

    schema_digest: str
    lumisections: tuple[tuple[int, int], ...]
    events: int
    counts: Counts
    maps: Mapping[str, Counts]
    scores: ScoreCounts | None = None
    weighted: Weighted | None = None

    @property
    def run(self) -> int:
        """Run of the first lumisection in it."""
        return self.lumisections[0][0]

    @property
    def lumisection(self) -> int:
        """Number of the first lumisection in it."""
        return self.lumisections[0][1]

    @property
    def flat(self) -> Counts:
        """Events, counts, score bins and pass counts in one row: what `weighted.sums` lies beside."""
        scores = [] if self.scores is None else [self.scores.counts, self.scores.passed]
        return np.concatenate([[self.events], self.counts, *scores])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LumisectionSummary)
            and (self.schema_digest, self.lumisections, self.events, self.scores, self.weighted)
            == (other.schema_digest, other.lumisections, other.events, other.scores, other.weighted)
            and np.array_equal(self.counts, other.counts)
            and self.maps.keys() == other.maps.keys()
            and all(np.array_equal(self.maps[kind], other.maps[kind]) for kind in self.maps)
        )

    def __hash__(self) -> int:
        return hash((self.schema_digest, self.lumisections, self.events))

    def __add__(self, other: "LumisectionSummary") -> "LumisectionSummary":
        """Add two summaries exactly; the order of many additions does not matter, for weights neither.

        Raises:
            SummaryError: They were counted under different schemas or thresholds, or only one has scores or weights.
        """
        if self.schema_digest != other.schema_digest:
            raise SummaryError(
                f"summaries of schema {self.schema_digest[:12]} and {other.schema_digest[:12]} cannot be added; "
                "count both under one schema"
            )
        _alike(self, other, "scores", (self.scores is None, other.scores is None))
        _alike(self, other, "weights", (self.weighted is None, other.weighted is None))
        events = self.events + other.events
        return LumisectionSummary(
            self.schema_digest,
            tuple(sorted(set(self.lumisections) | set(other.lumisections))),
            events,
            self.counts + other.counts,
            {kind: self.maps[kind] + other.maps[kind] for kind in self.maps},
            self.scores + other.scores if self.scores is not None and other.scores is not None else None,
            (self.weighted + other.weighted).checked(events)
            if self.weighted is not None and other.weighted is not None
            else None,
        )

    def to_bytes(self) -> bytes:
        """Return a versioned, checksummed, compressed copy; below 100 kB for a lumisection of CMS size."""
        head = {"schema": self.schema_digest, "lumisections": self.lumisections, "events": self.events}
        tables = {"counts": self.counts, **{f"map:{kind}": one for kind, one in self.maps.items()}}
        if self.scores is not None:
            head |= {"thresholds": self.scores.thresholds, "scorer": self.scores.scorer}
            tables |= {"scores": self.scores.counts, "passed": self.scores.passed}
        if self.weighted is not None:
            notes, tables["weighted"] = self.weighted.squeeze(self.flat)
            head |= {"weight_scale": self.weighted.scale.hex(), "squeezed": notes}
        return seal(head, tables)

    @classmethod
    def from_bytes(cls, blob: bytes) -> "LumisectionSummary":
        """Restore a summary.

        Raises:
            SummaryError: The bytes are not a summary, of another version, or altered.
        """
        head, tables = unseal(blob)
        scores = None
        if "thresholds" in head:
            named = checked_thresholds(head["thresholds"]), head.get("scorer", "")
            scores = ScoreCounts(named[0], tables["scores"], tables["passed"], named[1])
        maps = {name.removeprefix("map:"): table for name, table in tables.items() if name.startswith("map:")}
        pairs = tuple((run, lumisection) for run, lumisection in head["lumisections"])
        plain = cls(head["schema"], pairs, head["events"], tables["counts"], maps, scores)
        if "weight_scale" not in head:
            return plain
        scale = float.fromhex(head["weight_scale"])
        return replace(plain, weighted=Weighted.expand(scale, plain.flat, head["squeezed"], tables["weighted"]))

    def to_boost(self, schema: FeatureSchema | None = None) -> "dict[str, bh.Histogram[Any]]":
        """Return every histogram and map as a boost-histogram, by name; `drift.interchange` says which.

        Raises:
            SummaryError: The schema is not a declared one and was not given.
        """
        from drift import interchange  # noqa: PLC0415 boost-histogram is paid for by those who plot

        return interchange.to_boost(self, schema)

    @classmethod
    def from_boost(
        cls, histograms: "Mapping[str, bh.Histogram[Any]]", schema: FeatureSchema | None = None
    ) -> "LumisectionSummary":
        """Restore a summary from what `to_boost` made of it, bit for bit.

        Raises:
            SummaryError: A histogram is missing, rebinned, scaled, or of an unknown schema.
        """
        from drift import interchange  # noqa: PLC0415 the same

        return cls(**interchange.parts_of(histograms, schema))


def _alike(one: LumisectionSummary, other: LumisectionSummary, what: str, without: tuple[bool, bool]) -> None:
    if without[0] == without[1]:
        return
    lacking, having = (one, other) if without[0] else (other, one)
    raise SummaryError(
        f"run {having.run} lumisection {having.lumisection} was counted with {what}, run {lacking.run} lumisection "
        f"{lacking.lumisection} without; they cannot be added, count both alike"
    )
