"""Drawn streams on disk, so that every detector watches the same ones and none is drawn twice.

A stream is fixed by its plan and by the code that draws; both are in its file's path, under build/bench-drift/, so a
changed generator finds nothing and draws anew.  A file holds each lumisection's summary (packed), conditions, mean
random features, and for peers in environments of their own a sample of events.  numpy alone reads it.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.drift_draw import (
    BUILD,
    EVENTS,
    FILL,
    NULLS,
    POOL_SEED,
    RAMPS,
    RECURS,
    USUAL,
    digest_of_drawing,
    drawn,
    fault_at,
    healthy,
    pool,
)
from benchmarks.embedding import Embedding
from drift.conditions import Conditions
from drift.events import LumisectionEvents
from drift.profile import LumisectionSummary, Summariser
from drift.schema import AXOL1TL_57

FORMAT = 1
"""Goes up when a file holds something else for the same plan."""
NOTED = tuple(one.name for one in fields(Conditions) if one.name not in {"declared", "elsewhere"})
"""What is kept of conditions: none of the drawn streams has declared changes."""
Drawn = tuple[LumisectionEvents, Conditions, int]
LEAD, WATCHED = 120, 90
"""Healthy lumisections before a fault, and faulty ones in which it should be seen."""
ONSETS = (150, 300)
RAMPED = 800


@dataclass(frozen=True)
class StreamPlan:
    """What fixes every bit of a stream.

    Attributes:
        point: ``N3`` or another null, or a fault, e.g. ``dead:0.02``.
        seed: Fixes every choice.
        fills: How many.
        first_fill: Number of the first.
        onset: Index of the first faulty lumisection; -1 for none.
        kept: First index kept, and the one after the last.
        events: Mean events in a lumisection.
        length: Lumisections in a fill.
        sample: Events kept of each lumisection.
    """

    point: str
    seed: int
    fills: int
    first_fill: int
    onset: int = -1
    kept: tuple[int, int] = (0, 2**31)
    events: int = EVENTS
    length: int = FILL
    sample: int = 0

    @property
    def path(self) -> Path:
        """Where it is kept."""
        name = self.point.replace(":", "_")
        rest = f"{self.fills}x{self.length}x{self.events}" + (f"-s{self.sample}" if self.sample else "")
        part = f"-{self.kept[0]}to{self.kept[1]}" if self.onset >= 0 else ""
        folder = BUILD / f"{digest_of_drawing()}-v{FORMAT}"
        return folder / f"{name}-{self.seed}-{self.first_fill}-{rest}{part}.npz"


@dataclass(frozen=True, eq=False)
class Kept:
    """One lumisection of a stored stream: counts, conditions, index, mean random features."""

    summary: LumisectionSummary
    conditions: Conditions
    index: int
    means: NDArray[np.float32]

    @property
    def pileup(self) -> float:
        """Mean collisions per crossing, of a lumisection that has one."""
        assert self.conditions.pileup is not None
        return self.conditions.pileup


def null_plan(kind: str, seed: int, fills: int, sample: int = 0) -> StreamPlan:
    """Return a healthy stream of a kind of `NULLS`."""
    return StreamPlan(kind, seed, fills, 20_000 + 100 * (seed % 1000), sample=sample)


def reference_plan(seed: int, fills: int, sample: int = 0) -> StreamPlan:
    """Return the stream a reference is fitted from."""
    return StreamPlan("N3", seed, fills, 10_000, sample=sample)


def fault_plan(point: str, seed: int, sample: int = 0) -> StreamPlan:
    """Return the stream of a fault: `LEAD` healthy lumisections somewhere in a fill, then the fault.

    Ramps and faults that come back run over three fills.
    """
    onset = int(np.random.default_rng([seed, 14]).integers(*ONSETS))
    if point in RAMPS or point.startswith("ramp"):
        return StreamPlan(point, seed, 4, 30_000 + seed, onset, (onset - LEAD, onset + RAMPED), sample=sample)
    if point.startswith("recur"):
        onset = FILL + RECURS[0]
        return StreamPlan(point, seed, 4, 30_000 + seed, onset, (onset - LEAD, 4 * FILL), sample=sample)
    return StreamPlan(point, seed, 1, 30_000 + seed, onset, (onset - LEAD, onset + WATCHED), sample=sample)


@cache
def embedding() -> Embedding:
    """Return the random features of all streams."""
    rng = np.random.default_rng([POOL_SEED, 7])
    return Embedding.draw(AXOL1TL_57, pool().draw(50.0, EVENTS, rng).as_events(AXOL1TL_57, 1, 1).features, POOL_SEED)


def draw(plan: StreamPlan) -> Path:
    """Draw a stream unless it is there, and return where it is.  The file appears whole or not at all."""
    if plan.path.exists():
        return plan.path
    scenario, habits = NULLS.get(plan.point, ("none", USUAL))
    fault = healthy if plan.onset < 0 else fault_at(plan.point, plan.seed, plan.onset, plan.length)
    made = drawn(
        plan.seed, plan.fills, plan.first_fill, scenario, fault, plan.events, plan.length, habits, plan.kept
    )  # fmt: skip
    write(plan.path, asdict(plan), made, sample=plan.sample)
    return plan.path


def write(path: Path, head: dict[str, Any], made: Iterable[Drawn], *, sample: int = 0, embed: bool = True) -> None:
    """Write a stream; the file appears whole or not at all.

    Args:
        path: Where.
        head: What it is, kept beside it with the CPU time a lumisection took.
        made: Events, conditions and index of each lumisection.
        sample: Events kept of each.
        embed: Whether mean random features are kept.
    """
    summariser, blobs, notes, means, samples = Summariser(AXOL1TL_57), [], [], [], []
    begun = time.process_time()
    for events, conditions, index in made:
        blobs.append(summariser.fill(events).to_bytes())
        notes.append([index, *(getattr(conditions, name) for name in NOTED)])
        means.append(embedding().of(events.features) if embed else np.zeros(0, dtype=np.float32))
        samples.append(events.features[:, :sample].T)
    spent = (time.process_time() - begun) / max(len(blobs), 1) * 1e3
    known = [_conditions(note) for note in notes]
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f"{path.stem}.{os.getpid()}.partial")
    with writing.open("wb") as out:
        np.savez(
            out,
            plan=np.frombuffer(json.dumps(head | {"ms": round(spent, 2)}).encode(), dtype=np.uint8),
            blobs=np.frombuffer(b"".join(blobs), dtype=np.uint8),
            ends=np.cumsum([len(one) for one in blobs]),
            notes=np.frombuffer(json.dumps(notes).encode(), dtype=np.uint8),
            means=np.stack(means),
            features=np.concatenate(samples),
            feature_ends=np.cumsum([len(one) for one in samples]),
            index=np.array([note[0] for note in notes]),
            pileup=np.array([one.pileup for one in known], dtype=np.float64),
            usable=np.array([one.usable for one in known]),
        )
    writing.rename(path)


def _conditions(note: list[Any]) -> Conditions:
    """Return the conditions noted beside a lumisection; none of the drawn ones has declared changes."""
    return Conditions(**dict(zip(NOTED, note[1:], strict=False)))


def read(path: Path) -> Iterator[Kept]:
    """Yield the lumisections of a stored stream."""
    with np.load(path) as found:
        blobs, ends, means = found["blobs"].tobytes(), found["ends"].tolist(), found["means"]
        notes = json.loads(found["notes"].tobytes())
    for begin, end, note, mean in zip([0, *ends[:-1]], ends, notes, means, strict=True):
        yield Kept(LumisectionSummary.from_bytes(blobs[begin:end]), _conditions(note), note[0], mean)


def each(work: Callable[[Any], Any], given: Sequence[Any], workers: int) -> Iterator[Any]:
    """Yield what a function returns for each, in order, from forked processes that share the pool's pages."""
    if workers < 2:
        yield from map(work, given)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as executor:
        yield from executor.map(work, given)


def draw_all(plans: Sequence[StreamPlan], workers: int) -> None:
    """Draw what is not there yet."""
    lacking = [plan for plan in plans if not plan.path.exists()]
    if not lacking:
        return
    embedding()
    for done, path in enumerate(each(draw, lacking, workers), 1):
        print(f"drawn {done}/{len(lacking)} {path.name}", flush=True)
