"""Signal samples that a candidate is judged on; a classifier learns from one half of some and is judged on the other.

A sample is an ``.npy`` of hardware integers with a digest, listed in the job by name; several files may share one, at
several pileups.  One that is missing, altered, unasked for or not listed stops everything.  In which half an event is,
its own content says: one that stands in two files is on one side, and what a recipe learns no other is judged on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Features
from retrain.dataset import read_features
from retrain.errors import DatasetError

_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class ListedSignal:
    """One file of a signal sample, as the job description names it.

    Attributes:
        name: Of the sample, e.g. ``TTbar``.
        path: An ``.npy`` of int16, shape ``(n_inputs, n_events)``, hardware integers.
        sha256: Of the file's bytes.
        pileup: Mean interactions a crossing; None when unknown.
    """

    name: str
    path: Path
    sha256: str
    pileup: float | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read one entry of a job description.

        Raises:
            DatasetError: A key is missing or of the wrong type.
        """
        try:
            pileup = value.get("pileup")
            return cls(
                name=str(value["name"]),
                path=Path(value["path"]),
                sha256=str(value["sha256"]),
                pileup=None if pileup is None else float(pileup),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"job.json signal {dict(value)}: {error!r}; expected name, path, sha256") from error


@dataclass(frozen=True)
class Signal:
    """All events of one sample.

    Attributes:
        name: Of the sample.
        features: Hardware integers, shape ``(n_inputs, n_events)``.
        pileup: Of each event; NaN when unknown.
        files: Digest and number of events of each file, in the order in which they stand.
    """

    name: str
    features: Features
    pileup: NDArray[np.float64]
    files: tuple[tuple[str, int], ...]

    def half(self, *, learned: bool) -> "Signal":
        """Return the events that may be learned from, or the others; their files are named with what is left of each.

        Raises:
            DatasetError: No event is in that half.
        """
        inside = taught(self.features) == learned
        if not inside.any():
            raise DatasetError(
                f"signal {self.name} has no event {'to learn from' if learned else 'to be judged on'}; list more events"
            )
        ends = np.cumsum([0, *(count for _, count in self.files)])
        counts = [int(inside[start:stop].sum()) for start, stop in pairwise(ends.tolist())]
        files = tuple((name, count) for (name, _), count in zip(self.files, counts, strict=True))
        return Signal(self.name, np.ascontiguousarray(self.features[:, inside]), self.pileup[inside], files)


def taught(features: Features) -> NDArray[np.bool_]:
    """Return which events are in the half that is learned from, shape ``(n_events,)``, by their content alone.

    A multiply-add hash of the integers of an event, mixed as in SplitMix64; its highest bit decides.
    """
    word = np.zeros(features.shape[1], np.uint64)
    for row in features:
        word = (word ^ row.astype(np.int64).view(np.uint64)) * _MULTIPLIER
        word ^= word >> np.uint64(29)
    word = (word ^ (word >> np.uint64(32))) * _MULTIPLIER
    return np.asarray(word >> np.uint64(63), np.bool_)


def learned_from(signals: Sequence[Signal], names: Sequence[str]) -> tuple[Signal, ...]:
    """Return the halves of the named samples that may be learned from, in the order of the names."""
    return tuple(one.half(learned=True) for name in names for one in signals if one.name == name)


def judged_on(signals: Sequence[Signal], names: Sequence[str]) -> tuple[Signal, ...]:
    """Return every sample, of the named ones only the half that is not learned from."""
    return tuple(one.half(learned=False) if one.name in names else one for one in signals)


def load_signals(
    listed: Sequence[ListedSignal], wanted: Sequence[str], n_inputs: int, kind: str = "signal"
) -> tuple[Signal, ...]:
    """Read every sample the recipe names, in its order.

    Args:
        listed: Files, as the job lists them.
        wanted: Names, as the recipe has them.
        n_inputs: Rows of each file.
        kind: What messages call a sample, e.g. ``fault``.

    Raises:
        DatasetError: The job lists others than the recipe names, a file is missing or altered, or a sample is empty.
    """
    names = {one.name for one in listed}
    if names != set(wanted):
        raise DatasetError(
            f"the job lists {kind}s {sorted(names)}, the recipe names {sorted(wanted)}; the recipe says what is judged"
        )
    of_each = {name: [one for one in listed if one.name == name] for name in wanted}
    return tuple(_sample(f"{kind} {name}", name, of_each[name], n_inputs) for name in wanted)


def _sample(where: str, name: str, listed: Sequence[ListedSignal], n_inputs: int) -> Signal:
    ordered = sorted(listed, key=lambda one: (one.pileup is None, one.pileup or 0.0, one.sha256))
    if len({one.sha256 for one in ordered}) != len(ordered):
        raise DatasetError(f"{where} lists a file twice; each event counts once")
    parts = [read_features(f"{where} ({one.path})", one.path, one.sha256, n_inputs) for one in ordered]
    counts = [int(part.shape[1]) for part in parts]
    if not sum(counts):
        raise DatasetError(f"{where} holds no event; list a file with events, or ask for others")
    pileup = np.repeat([np.nan if one.pileup is None else one.pileup for one in ordered], counts).astype(np.float64)
    files = tuple((one.sha256, count) for one, count in zip(ordered, counts, strict=True))
    return Signal(name, np.ascontiguousarray(np.concatenate(parts, axis=1)), pileup, files)
