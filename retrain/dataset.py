"""Exactly the listed lumisections, whole and unaltered, in memory.

A lumisection is an ``.npy`` of hardware integers with a digest.  One that is missing, altered or not named by the
recipe stops everything; nothing is skipped in silence.  The split is by lumisection, never by event, so that what
measures a model has not taught it.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Features
from retrain.digest import digest_of, digest_of_bytes
from retrain.errors import DatasetError
from retrain.pure_rate import pure_weights
from retrain.recipe import Recipe, ranges

MAXIMUM_EVENTS = 50_000_000  # 5.7 GB of int16; beyond this the job would not fit its memory limit


@dataclass(frozen=True)
class SeedDecisions:
    """Which other seeds fired in each event of a lumisection, for a pure rate.

    Attributes:
        path: An ``.npy`` of zeros and ones (bool or uint8), shape ``(n_seeds, n_events)``: decisions before prescales.
        sha256: Of the file's bytes.
        prescales: Name and prescale of each row; 0 is off.  All 1 when the decisions are those after prescales.
    """

    path: Path
    sha256: str
    prescales: tuple[tuple[str, int], ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read ``{"path", "sha256", "prescales": [[name, prescale], ...]}``."""
        rows = tuple((str(name), int(prescale)) for name, prescale in value["prescales"])
        return cls(Path(value["path"]), str(value["sha256"]), rows)

    def weights(self, where: str, events: int) -> NDArray[np.float64]:
        """Return with which probability no other seed keeps each event, shape ``(n_events,)``.

        Raises:
            DatasetError: The file is missing, altered or of another form.
        """
        fired = read_array(where, self.path, self.sha256)
        if fired.shape != (len(self.prescales), events) or not np.isin(fired, (0, 1)).all():
            raise DatasetError(
                f"{where} holds {fired.dtype} {fired.shape}; expected zeros and ones ({len(self.prescales)}, {events})"
            )
        names, prescales = [name for name, _ in self.prescales], [prescale for _, prescale in self.prescales]
        return pure_weights(fired.astype(np.bool_), prescales, names)


@dataclass(frozen=True)
class ListedLumisection:
    """One lumisection as the job description names it.

    Attributes:
        run: Run number.
        lumisection: Lumisection number.
        path: An ``.npy`` of int16, shape ``(n_inputs, n_events)``, hardware integers.
        sha256: Of the file's bytes.
        fill: LHC fill; None when unknown.
        pileup: Mean interactions a crossing; None when unknown.
        certified: What certification says; None when it has not spoken.
        seeds: What other seeds decided; None when nobody says, and then there is no pure rate.
        era: Of the detector or its calibration, by a name that sorts in time; the memory keeps some of each.
    """

    run: int
    lumisection: int
    path: Path
    sha256: str
    fill: int | None = None
    pileup: float | None = None
    certified: bool | None = None
    seeds: SeedDecisions | None = None
    era: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read one entry of a job description.

        Raises:
            DatasetError: A key is missing or of the wrong type.
        """
        try:
            fill, pileup, certified = value.get("fill"), value.get("pileup"), value.get("certified")
            return cls(
                run=int(value["run"]),
                lumisection=int(value["lumisection"]),
                path=Path(value["path"]),
                sha256=str(value["sha256"]),
                fill=None if fill is None else int(fill),
                pileup=None if pileup is None else float(pileup),
                certified=None if certified is None else bool(certified),
                seeds=None if value.get("seeds") is None else SeedDecisions.from_json(value["seeds"]),
                era=str(value.get("era") or ""),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"job.json lumisection {dict(value)}: {error!r}; expected run, lumisection, fill, pileup, path, sha256"
            ) from error


@dataclass(frozen=True)
class Dataset:
    """All events of a recipe.

    Attributes:
        features: Hardware integers, shape ``(n_inputs, n_events)``.
        lumisections: In the order in which their events stand.
        counts: Events of each lumisection.
        held_out: For each lumisection, whether it is kept from training.
        pure: With which probability no other seed keeps each event; None unless the recipe asks for a pure rate.
    """

    features: Features
    lumisections: tuple[ListedLumisection, ...]
    counts: tuple[int, ...]
    held_out: tuple[bool, ...]
    pure: NDArray[np.float64] | None = None

    def mask(self, *, held_out: bool) -> NDArray[np.bool_]:
        """Return which events are held out (or are not), shape ``(n_events,)``."""
        return np.repeat(np.array(self.held_out, np.bool_) == held_out, self.counts)

    def per_event(self, values: Sequence[float | None]) -> NDArray[np.float64]:
        """Spread one value per lumisection over its events; None becomes NaN."""
        plain = np.array([np.nan if value is None else value for value in values], np.float64)
        return np.repeat(plain, self.counts)

    def name_of(self, place: int) -> tuple[int, int, int]:
        """Return run, lumisection and place in it of an event."""
        ends = np.cumsum(self.counts)
        which = int(np.searchsorted(ends, place, side="right"))
        one = self.lumisections[which]
        return one.run, one.lumisection, place - int(ends[which] - self.counts[which])

    def without(self, gone: Collection[tuple[int, int]]) -> Self:
        """Return the events of all lumisections but these (run, lumisection)."""
        kept = [(one.run, one.lumisection) not in gone for one in self.lumisections]
        events = np.repeat(np.array(kept, np.bool_), self.counts)
        return replace(
            self,
            features=np.ascontiguousarray(self.features[:, events]),
            lumisections=tuple(one for one, stays in zip(self.lumisections, kept, strict=True) if stays),
            counts=tuple(one for one, stays in zip(self.counts, kept, strict=True) if stays),
            held_out=tuple(one for one, stays in zip(self.held_out, kept, strict=True) if stays),
            pure=None if self.pure is None else self.pure[events],
        )

    def evidence(self) -> dict[str, Any]:
        """Return what was read: ranges, digests, counts, the split, certification."""
        rows = list(zip(self.lumisections, self.counts, self.held_out, strict=True))

        def spans(wanted: bool) -> list[str]:
            return [str(span) for span in ranges((one.run, one.lumisection) for one, _, out in rows if out == wanted)]

        listed = [[one.run, one.lumisection, one.sha256, count] for one, count, _ in rows]
        seeds = [[one.run, one.lumisection, one.seeds.sha256, one.seeds.prescales] for one, _, _ in rows if one.seeds]
        return {
            **({} if self.pure is None else {"seeds": seeds}),
            "lumisections": len(rows),
            "events": int(sum(self.counts)),
            "runs": sorted({one.run for one, _, _ in rows}),
            "fills": sorted({one.fill for one, _, _ in rows if one.fill is not None}),
            "training": {"ranges": spans(False), "events": sum(count for _, count, out in rows if not out)},
            "held_out": {"ranges": spans(True), "events": sum(count for _, count, out in rows if out)},
            "files": listed,
            "digest": digest_of(listed),
            "certified": sum(one.certified is True for one, _, _ in rows),
            "rejected": [f"{one.run}:{one.lumisection}" for one, _, _ in rows if one.certified is False],
            "unspoken": [f"{one.run}:{one.lumisection}" for one, _, _ in rows if one.certified is None],
        }


def split(listed: Sequence[ListedLumisection], fraction: float, seed: int) -> tuple[bool, ...]:
    """Return which lumisections are held out: those whose hash ranks lowest, at least one on each side.

    The rank of a lumisection depends on its name and the seed alone, not on the order in which files came.
    """

    def rank(one: ListedLumisection) -> str:
        return hashlib.sha256(f"{seed}:{one.run}:{one.lumisection}".encode()).hexdigest()

    count = min(max(round(fraction * len(listed)), 1), len(listed) - 1)
    chosen = {rank(one) for one in sorted(listed, key=rank)[:count]}
    return tuple(rank(one) in chosen for one in listed)


def kept_for_measuring(run: int, lumisection: int, fraction: float, seed: int) -> bool:
    """Whether an online learner never learns from a lumisection: a share of them, by name and seed alone.

    Unlike `split` this does not ask what else there is, since a learner does not know what will come.
    """
    rank = hashlib.sha256(f"{seed}:{run}:{lumisection}".encode()).digest()
    return int.from_bytes(rank[:8], "big") < fraction * 2.0**64


def _held_out(ordered: Sequence[ListedLumisection], recipe: Recipe) -> tuple[bool, ...]:
    fraction, seed = recipe.held_out_fraction, recipe.seed
    if recipe.policy.name != "online":
        return split(ordered, fraction, seed)
    held_out = tuple(kept_for_measuring(one.run, one.lumisection, fraction, seed) for one in ordered)
    if len(set(held_out)) == 1:
        which = "all" if held_out[0] else "none"
        raise DatasetError(f"{which} of {len(ordered)} lumisections are kept for measuring; list more for a snapshot")
    return held_out


def load(
    listed: Sequence[ListedLumisection],
    recipe: Recipe,
    n_inputs: int,
    beat: Callable[[float, str], None] = lambda _fraction, _text: None,
) -> Dataset:
    """Read every listed lumisection and nothing else.

    Raises:
        DatasetError: The list is not the recipe's, a file is missing, its digest is another, or it does not hold
            int16 of the right shape.
    """
    ordered = sorted(listed, key=lambda one: (one.run, one.lumisection))
    if ranges((one.run, one.lumisection) for one in ordered) != recipe.lumisections:
        found = ", ".join(map(str, ranges((one.run, one.lumisection) for one in ordered))) or "none"
        wanted = ", ".join(map(str, recipe.lumisections))
        raise DatasetError(f"job lists lumisections {found}; the recipe names {wanted}; write them from one selection")
    if len({(one.run, one.lumisection) for one in ordered}) != len(ordered):
        raise DatasetError("job lists a lumisection twice; each may be learned from once")
    if len(ordered) < 2:
        raise DatasetError("job lists one lumisection; expected at least two, to train on and to measure on")
    parts: list[Features] = []
    for index, one in enumerate(ordered):
        parts.append(read_lumisection(one, n_inputs))
        beat(index / len(ordered), f"read {index + 1} of {len(ordered)} lumisections")
        if sum(part.shape[1] for part in parts) > MAXIMUM_EVENTS:
            raise DatasetError(f"the listed lumisections hold more than {MAXIMUM_EVENTS} events; list fewer")
    held_out = _held_out(ordered, recipe)
    counts = tuple(int(part.shape[1]) for part in parts)
    features = np.ascontiguousarray(np.concatenate(parts, axis=1))
    pure = _pure(ordered, counts) if recipe.rate == "pure" else None
    return Dataset(features, tuple(ordered), counts, held_out, pure)


def _pure(listed: Sequence[ListedLumisection], counts: Sequence[int]) -> NDArray[np.float64]:
    parts: list[NDArray[np.float64]] = []
    for one, events in zip(listed, counts, strict=True):
        if one.seeds is None:
            raise DatasetError(
                f"the recipe asks for a pure rate and lumisection {one.run}:{one.lumisection} lists no decisions of "
                "other seeds; give `seeds` with path, sha256 and prescales, or ask for a total rate"
            )
        where = f"other seeds of lumisection {one.run}:{one.lumisection} ({one.seeds.path})"
        parts.append(one.seeds.weights(where, events))
    return np.concatenate(parts)


def read_lumisection(one: ListedLumisection, n_inputs: int) -> Features:
    """Return one lumisection's hardware integers, shape ``(n_inputs, n_events)``.

    Raises:
        DatasetError: The file is missing, its digest is another, or it does not hold int16 of the right shape.
    """
    where = f"lumisection {one.run}:{one.lumisection} ({one.path})"
    return read_features(where, one.path, one.sha256, n_inputs)


def read_array(where: str, path: Path, sha256: str) -> NDArray[Any]:
    """Return the array in a file after comparing its digest.

    Raises:
        DatasetError: The file is missing, altered, or no array file; the message begins with ``where``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{where} cannot be read: {error}; write it again from its ROOT file") from error
    found = digest_of_bytes(content)
    if found != sha256:
        raise DatasetError(f"{where} has sha256 {found[:16]}; the job lists {sha256[:16]}; the file was altered")
    try:
        array: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
    except ValueError as error:
        raise DatasetError(f"{where} is not an array file: {error}") from error
    return array


def read_features(where: str, path: Path, sha256: str, n_inputs: int) -> Features:
    """Return hardware integers, shape ``(n_inputs, n_events)``, from a file with this digest.

    Raises:
        DatasetError: It is missing, altered or holds something else.
    """
    array = read_array(where, path, sha256)
    if array.dtype != np.int16 or array.ndim != 2 or array.shape[0] != n_inputs:
        raise DatasetError(f"{where} holds {array.dtype} {array.shape}; expected int16 ({n_inputs}, n_events)")
    features: Features = array
    return features
