"""Which old events are kept, so that what a champion knew can be rehearsed: a bounded sample by pileup, fill and era.

Each event has a priority that follows from its run, lumisection and place alone, and the lowest are kept: in each era
and band of pileup a few fills, in each of those a few hundred events.  What is kept of some lumisections therefore does
not depend on their order, on how often one was taken, or on how they were split and merged.  Nothing here trains.

References:
    G. Cormode, N. Duffield, VLDB tutorial 2014, "Sampling for big data" (bottom-k samples and their merging).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Features
from retrain.digest import digest_of_bytes
from retrain.errors import DatasetError

BAND = 5.0  # units of pileup
LAST_BAND = 20  # pileup 100 and above; a lumisection of unknown pileup has band -1
ERAS = 4  # the latest, by name
FILLS = 4  # kept of an era and band of pileup
EVENTS = 400  # kept of such a fill
MOST = ERAS * (LAST_BAND + 2) * FILLS * EVENTS
"""Events that a memory never exceeds: 140 800, or 16 MB."""

Keys = NDArray[np.int64]
Priorities = NDArray[np.uint64]
_COLUMNS = ("era", "band", "fill", "run", "lumisection", "place")
_FIRST, _SECOND, _STEP = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0x9E3779B97F4A7C15


@dataclass(frozen=True, eq=False)
class Memory:
    """Kept events with their strata; equal contents are equal arrays.

    Attributes:
        features: Hardware integers, shape ``(n_inputs, n_events)``.
        keys: Era's index, band, fill, run, lumisection and place in it, shape ``(6, n_events)``.
        eras: Names of the eras, sorted.
    """

    features: Features
    keys: Keys
    eras: tuple[str, ...]

    @classmethod
    def empty(cls, n_inputs: int) -> Self:
        """Return a memory of nothing."""
        return cls(np.zeros((n_inputs, 0), np.int16), np.zeros((len(_COLUMNS), 0), np.int64), ())

    @classmethod
    def of_lumisection(
        cls,
        features: Features,
        run: int,
        lumisection: int,
        *,
        fill: int | None,
        pileup: float | None,
        era: str = "",
    ) -> Self:
        """Return what is kept of one lumisection.

        Args:
            features: Hardware integers, shape ``(n_inputs, n_events)``.
            run: Run number.
            lumisection: Lumisection number.
            fill: LHC fill; the run stands for it when unknown.
            pileup: Mean interactions a crossing; None when unknown.
            era: Of the detector or its calibration, by a name that sorts in time.
        """
        count = features.shape[1]
        band = -1 if pileup is None else min(int(max(pileup, 0.0) // BAND), LAST_BAND)
        columns = (0, band, run if fill is None else fill, run, lumisection)
        keys = np.stack([*(np.full(count, one, np.int64) for one in columns), np.arange(count, dtype=np.int64)])
        return cls(features.astype(np.int16), keys, (era,)).trimmed()

    @property
    def events(self) -> int:
        """Events kept."""
        return int(self.keys.shape[1])

    @cached_property
    def lumisections(self) -> tuple[tuple[int, int], ...]:
        """The (run, lumisection) pairs that any kept event is of, sorted."""
        pairs = np.unique(self.keys[3:5], axis=1)
        return tuple((int(run), int(number)) for run, number in pairs.T)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of everything kept."""
        names = "\n".join(self.eras).encode()
        return digest_of_bytes(names + b"\0" + self.keys.tobytes() + self.features.tobytes())

    def merged(self, others: Iterable["Memory"]) -> "Memory":
        """Return what is kept of all of them together; an event that several hold counts once.

        Raises:
            DatasetError: They are of different inputs.
        """
        parts = [self, *others]
        if len({part.features.shape[0] for part in parts}) != 1:
            widths = [part.features.shape[0] for part in parts]
            raise DatasetError(f"memories of {widths} inputs cannot be merged; expected one number of inputs")
        eras = tuple(sorted({era for part in parts for era in part.eras}))
        keys = []
        for part in parts:
            moved = part.keys.copy()
            moved[0] = np.array([eras.index(era) for era in part.eras], np.int64)[part.keys[0]] if part.eras else 0
            keys.append(moved)
        features = np.concatenate([part.features for part in parts], axis=1)
        return Memory(features, np.concatenate(keys, axis=1), eras).trimmed()

    def without(self, gone: Callable[[int, int], bool]) -> "Memory":
        """Return the memory without the lumisections for which ``gone(run, lumisection)`` holds."""
        left = {pair for pair in self.lumisections if not gone(*pair)}
        keep = np.array([(int(run), int(number)) in left for run, number in self.keys[3:5].T], np.bool_)
        return Memory(self.features[:, keep], self.keys[:, keep], self.eras).trimmed()

    def strata(self) -> dict[str, int]:
        """Return how many events each era and band of pileup holds, by ``era/from-to``."""
        out: dict[str, int] = {}
        for (era, band), count in _counted(self.keys[:2]):
            at = "unknown" if band < 0 else f"{band * BAND:g}-" + (f"{(band + 1) * BAND:g}" if band < LAST_BAND else "")
            out[f"{self.eras[era]}/{at}"] = count
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays under stable names; equal memories give equal bytes."""
        names = np.frombuffer("\n".join(self.eras).encode(), np.uint8)
        return {"features": self.features, "keys": self.keys, "eras": names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` wrote.

        Raises:
            DatasetError: The arrays are not a memory.
        """
        if not {"features", "keys", "eras"} <= set(arrays):
            raise DatasetError(f"a memory holds features, keys and eras; found {sorted(arrays)}; train again with full")
        features, keys = arrays["features"], arrays["keys"]
        if keys.shape != (len(_COLUMNS), features.shape[1]) or features.dtype != np.int16:
            raise DatasetError(f"memory has keys {keys.shape} for {features.dtype} features {features.shape}")
        eras = tuple(arrays["eras"].tobytes().decode().split("\n")) if features.shape[1] else ()
        return cls(features, keys, eras)

    def trimmed(self) -> Self:
        """Keep the lowest priorities, sorted by stratum and priority, and only the eras that are left."""
        latest = max(len(self.eras) - ERAS, 0)
        order = self._order()
        keys = self.keys[:, order]
        keep = (keys[0] >= latest) & ~_repeated(keys)
        order, keys = order[keep], keys[:, keep]
        fills = _rank(keys[:2], _changes(keys[:3])) < FILLS
        order, keys = order[fills], keys[:, fills]
        few = _rank(keys[:3], np.ones(keys.shape[1], np.bool_)) < EVENTS
        order, keys = order[few], keys[:, few].copy()
        used = np.unique(keys[0])
        keys[0] = np.searchsorted(used, keys[0])
        eras = tuple(self.eras[int(one)] for one in used)
        return type(self)(np.ascontiguousarray(self.features[:, order]), np.ascontiguousarray(keys), eras)

    def _order(self) -> NDArray[np.int64]:
        """Return the order by era, band, priority of the fill, fill, priority of the event, name of the event."""
        era, band, fill, run, lumisection, place = self.keys
        of_fill, of_event = _priority(fill), _priority(run, lumisection, place)
        return np.lexsort((place, lumisection, run, of_event, fill, of_fill, band, era))


def _priority(*columns: NDArray[np.int64]) -> Priorities:
    """Return a hash of whole numbers, uniform over 64 bits (the mixing of splitmix64)."""
    value: Priorities = np.zeros(len(columns[0]), np.uint64)
    with np.errstate(over="ignore"):
        for column in columns:
            value = (value ^ column.astype(np.uint64)) + np.uint64(_STEP)
            value = (value ^ (value >> np.uint64(30))) * np.uint64(_FIRST)
            value = (value ^ (value >> np.uint64(27))) * np.uint64(_SECOND)
            value ^= value >> np.uint64(31)
    return value


def _changes(keys: Keys) -> NDArray[np.bool_]:
    """Return where a sorted table's columns differ from the one before; the first always does."""
    out = np.ones(keys.shape[1], np.bool_)
    out[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    return out


def _repeated(keys: Keys) -> NDArray[np.bool_]:
    """Return which events of a sorted table have the name of the one before."""
    return ~_changes(keys)


def _rank(groups: Keys, counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return, for each column of a sorted table, how many were counted before or at it in its group, less one."""
    running = np.cumsum(counted)
    starts = _changes(groups)
    first = np.where(starts, running, 0)
    return np.asarray(running - np.maximum.accumulate(first), np.int64)


def _counted(keys: Keys) -> list[tuple[tuple[int, int], int]]:
    pairs, counts = np.unique(keys, axis=1, return_counts=True)
    return [((int(a), int(b)), int(count)) for (a, b), count in zip(pairs.T, counts, strict=True)]
