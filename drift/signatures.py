"""What each failure mode does to every stream in one lumisection, learnt by replaying certified events through it.

The answer belongs to one reference: to its streams, in their units, at its number of events.  It is linear in the
size, which is good for small faults; for large ones the verdict is easy anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.faults import Recorded
from drift.library import FailureMode
from drift.profile import LumisectionSummary, Summariser
from drift.schema import FeatureSchema
from drift.specimens import Group
from drift.streams import ONE_SIDED, StreamModel

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Signatures:
    """The failure modes of one reference, by what they do to its streams.

    A mode that can have either sign has four rows.  At a trigger's own threshold more is not the opposite of less: what
    a larger gain lifts above it was never recorded.  So each sign is there as replayed, and as the mirror image of the
    other; whichever explains better counts.

    Attributes:
        names: Of the modes.
        words: What each is.
        families: Of each.
        objects: Object type that shows each.
        causes: Of each.
        pileups: At which events were replayed, rising.
        shift: Change of each stream by a fault of trial size, shape ``(n_modes, n_pileups, n_streams)``.
        range: Least and largest size in trial sizes, as effects grow, shape ``(n_modes, 2)``.
        trial: Trial size of each, below zero for the row of the other sign.
        power: How its effect grows with its size.
        events: Events replayed at each pileup.
    """

    names: tuple[str, ...]
    words: tuple[str, ...]
    families: tuple[str, ...]
    objects: tuple[str, ...]
    causes: tuple[str, ...]
    pileups: Floats
    shift: Floats
    range: Floats
    trial: Floats
    power: Floats
    events: Floats

    def at(self, pileup: float) -> Floats:
        """Return the shifts at a pileup, between neighbours linearly, shape ``(n_modes, n_streams)``."""
        place = float(np.interp(pileup, self.pileups, np.arange(len(self.pileups))))
        low = min(int(place), max(len(self.pileups) - 2, 0))
        high = min(low + 1, len(self.pileups) - 1)
        share = place - low
        return np.asarray((1 - share) * self.shift[:, low] + share * self.shift[:, high])

    def without(self, families: Sequence[str]) -> "Signatures":
        """Return them as if nobody had thought of some families."""
        kept = [place for place, one in enumerate(self.families) if one not in families]

        def some(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(values[place] for place in kept)

        return Signatures(
            some(self.names),
            some(self.words),
            some(self.families),
            some(self.objects),
            some(self.causes),
            self.pileups,
            self.shift[kept],
            self.range[kept],
            self.trial[kept],
            self.power[kept],
            self.events,
        )


def replayed(
    groups: Sequence[Group],
    schema: FeatureSchema,
    streams: StreamModel,
    events: float,
    modes: Sequence[FailureMode],
    rng: np.random.Generator,
) -> Signatures:
    """Replay events of several pileups through every mode that does not sit in one place.

    Args:
        groups: Events by pileup, at least one.
        schema: They were read under.
        streams: Of the reference.
        events: In a lumisection of the reference.
        modes: Failure modes.
        rng: Which events and objects a partial fault hits.
    """
    rows = [(one, size, mirror) for one in modes if not one.placed for size, mirror in _rows(one)]
    used = [one for one, _, _ in rows]
    trial = np.array([size * mirror for _, size, mirror in rows])
    ordered = sorted(groups, key=lambda one: one.pileup)
    summariser = Summariser(schema)
    shift = np.zeros((len(used), len(ordered), len(streams.labels)))
    directed = np.array([one.family not in ONE_SIDED for one in streams.labels])
    for column, group in enumerate(ordered):
        share = np.sqrt(events / group.recorded.events)
        before = streams.standard(_counted(summariser, group.recorded), group.pileup)
        for row, (mode, size, mirror) in enumerate(rows):
            if mirror < 0:
                opposite = rows.index((mode, size, 1))
                shift[row, column] = -shift[opposite, column]
                continue
            after, pileup = mode.replayed(group.recorded, group.pileup, rng, size)
            shift[row, column] = (streams.standard(_counted(summariser, after), pileup) - before) * share
    shift[:, :, ~directed] = 0.0
    power = np.array([one.power for one in used])
    most = [one.most if size > 0 else -one.least for one, size in zip(used, trial, strict=True)]
    sizes = np.array([(max(one.least, 0.0), end) for one, end in zip(used, most, strict=True)])
    return Signatures(
        tuple(one.name for one in used),
        tuple(one.words for one in used),
        tuple(one.family for one in used),
        tuple(one.object for one in used),
        tuple(one.cause for one in used),
        np.array([one.pileup for one in ordered]),
        shift,
        (sizes / np.abs(trial)[:, None]) ** power[:, None],
        trial,
        power,
        np.array([float(one.recorded.events) for one in ordered]),
    )


def _rows(mode: FailureMode) -> tuple[tuple[float, int], ...]:
    """Return the sizes a mode is replayed at, and whether the result is taken as it is (1) or mirrored (-1)."""
    if mode.least >= 0:
        return ((mode.trial, 1),)
    return (mode.trial, 1), (-mode.trial, 1), (mode.trial, -1), (-mode.trial, -1)


def _counted(summariser: Summariser, recorded: Recorded) -> LumisectionSummary:
    return summariser.fill(recorded.as_events(summariser.schema, 1, 1))


def correlation_of(values: Floats) -> Floats:
    """Return the correlation of held-out streams, shrunk so that it can be inverted, shape ``(n_streams,) * 2``.

    Toward none, by a tenth and more where there are few lumisections n for p streams: 0.1 + 0.9 p / (p + n).  What
    fills add of their own is in it, since a cause has to be told from that too.

    Args:
        values: Standardised residuals, shape ``(n_lumisections, n_streams)``.
    """
    n, p = values.shape
    spread = np.maximum(values.std(axis=0), 1e-9)
    z = (values - values.mean(axis=0)) / spread
    shrink = 0.1 + 0.9 * p / (p + n)
    return np.asarray((1 - shrink) * (z.T @ z) / n + shrink * np.eye(p))
