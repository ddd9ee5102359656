"""How small a fault the reference in force can still see, failure mode by failure mode.

Recorded events are replayed through a fault; what that does to streams and cells in one lumisection is then fed to the
evidence again and again, without noise, until it reaches its limit.  That is the size of a fault which is told about as
often before as after so many lumisections.  Nothing is drawn but which events a partial fault hits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drift.detect import Evidence, Weights
from drift.errors import ReferenceUnfitError
from drift.events import LumisectionEvents
from drift.faults import Recorded, joined
from drift.library import SHIPPED, FailureMode, examples
from drift.profile import Summariser
from drift.reference import Reference
from drift.specimens import with_owners
from drift.streams import ONE_SIDED, Floats

LUMISECTIONS = (1, 10, 100)
WARM_UP = 24
LEAST_EVENTS = 2000
HALVINGS = 14
RESOLUTION = 1.05
LARGEST = 64.0
"""A mode is called invisible when this many times its trial size would be needed."""


@dataclass(frozen=True)
class Sensitivity:
    """The least size of one failure mode that is seen.

    Attributes:
        mode: Its name.
        words: What it is and in which unit its size is; fractions unless said.
        least: Size that reaches the limit after so many lumisections, None where no size does.
        leads: What carries the evidence then.
    """

    mode: str
    words: str
    least: Mapping[int, float | None]
    leads: str

    def to_json(self) -> dict[str, object]:
        """Return it as one JSON object."""
        least = {str(n): None if size is None else float(f"{size:.3g}") for n, size in self.least.items()}
        return {"type": "sensitivity", "mode": self.mode, "words": self.words, "least": least, "leads": self.leads}


def sensitivities(
    reference: Reference,
    events: Sequence[LumisectionEvents],
    pileup: float,
    *,
    false_alarms_per_lumisection: float,
    rng: np.random.Generator,
    modes: Sequence[FailureMode] = SHIPPED,
) -> tuple[Sensitivity, ...]:
    """Return the least visible size of each failure mode after 1, 10 and 100 lumisections.

    The size scales what the trial size does, so it is a linear answer: good for small faults, generous for large ones.
    Of modes that differ only in place or bit one is asked about.

    Args:
        reference: In force, or its view in a stratum (`Reference.at`).
        events: Certified events of one stratum near one pileup, a few thousand or more.
        pileup: That pileup.
        false_alarms_per_lumisection: The budget, which sets the limit.
        rng: Which events a partial fault hits.
        modes: Failure modes.

    Raises:
        ReferenceUnfitError: Too few events, or a pileup outside the reference.
    """
    if not reference.pileup_low <= pileup <= reference.pileup_high:
        raise ReferenceUnfitError(
            f"events at pileup {pileup:.1f} are outside the reference's {reference.pileup_low:.1f} to "
            f"{reference.pileup_high:.1f}; give events from inside"
        )
    recorded = joined([with_owners(one, reference.schema, one.events) for one in events])
    if recorded.events < LEAST_EVENTS:
        raise ReferenceUnfitError(
            f"{recorded.events} certified events near pileup {pileup:.1f} are too few to replay faults on; give at "
            f"least {LEAST_EVENTS}"
        )
    limit = float(-np.log(false_alarms_per_lumisection))
    found = []
    for mode in examples(modes):
        effect = _Effect.of(reference, recorded, pileup, mode, rng)
        least, leads = _least(reference, pileup, effect, limit, (mode.most / mode.trial) ** mode.power)
        sizes = {
            n: None if factor is None else max(factor ** (1 / mode.power) * mode.trial, mode.least)
            for n, factor in least.items()
        }
        found.append(Sensitivity(mode.name, mode.words, sizes, leads))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Effect:
    """What a fault does in one lumisection of the reference's size: to streams, to maps; and the maps without it."""

    shift: Floats
    change: Mapping[str, Floats]
    usual: Mapping[str, Floats]

    @classmethod
    def of(
        cls, reference: Reference, recorded: Recorded, pileup: float, mode: FailureMode, rng: np.random.Generator
    ) -> "_Effect":
        summariser = Summariser(reference.schema)
        faulty, said = mode.replayed(recorded, pileup, rng)
        before, after = (summariser.fill(one.as_events(reference.schema, 1, 1)) for one in (recorded, faulty))
        share = reference.events / recorded.events
        values = [reference.residuals(before, pileup), reference.residuals(after, said)]
        directed = np.array([one.family not in ONE_SIDED for one in reference.streams.labels])
        return cls(
            np.where(directed, (values[1] - values[0]) * np.sqrt(share), 0.0),
            {name: np.asarray((after.maps[name] - one) * share, dtype=float) for name, one in before.maps.items()},
            {one.name: one.expected(float(before.maps[one.name].sum()) * share, pileup) for one in reference.cells},
        )


def _least(
    reference: Reference, pileup: float, effect: _Effect, limit: float, most: float
) -> tuple[dict[int, float | None], str]:
    found: dict[int, float | None] = {}
    leads, ceiling = "", min(most, LARGEST)
    for n in LUMISECTIONS:
        level, lead = _evidence(reference, pileup, effect, ceiling, n)
        if level < limit:
            found[n] = ceiling if leads else None  # what was told earlier stays told, though evidence fades
            continue
        low, high = 0.0, ceiling
        for _ in range(HALVINGS):
            middle = np.sqrt(low * high) if low else high / 4
            reached, named = _evidence(reference, pileup, effect, middle, n)
            low, high, lead = (low, middle, named) if reached >= limit else (middle, high, lead)
            if low and high / low < RESOLUTION:
                break
        found[n], ceiling, leads = float(high), float(high), lead
    return found, leads


def _evidence(
    reference: Reference, pileup: float, effect: _Effect, factor: float, lumisections: int
) -> tuple[float, str]:
    """Return the log evidence of a fault so many lumisections old, seen without noise, and what carries it."""
    evidence = Evidence.fresh(reference.benign, reference.cells, reference.streams.labels)
    weights = Weights.of(reference.streams.labels, reference.cells, reference.speaking)
    quiet = [one.log_factors(effect.usual[one.name], pileup) for one in reference.cells]
    faulty = [
        one.log_factors(np.maximum(effect.usual[one.name] + factor * effect.change[one.name], 0.0), pileup)
        for one in reference.cells
    ]
    for _ in range(WARM_UP):
        evidence.update(reference.benign, np.zeros_like(effect.shift), 1.0, quiet, pileup)
    for _ in range(lumisections):
        evidence.update(reference.benign, factor * effect.shift, 1.0, faulty, pileup)
    lead = evidence.contributors(weights, reference.streams.labels, reference.cells, most=1)[0]
    return evidence.log_total(weights), lead.name
