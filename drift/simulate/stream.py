"""A stream of fills on disk, from a seed: files, conditions and truth of one timeline.

Files are made in parallel by spawned processes; the bits of a file depend on seed, scenario and lumisections alone, not
on who makes it or in what order.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from drift.simulate import columns, conditions, earlier, menu, scenarios, seed_counters, writer
from drift.simulate.kernels import Optics, cross, optics
from drift.simulate.pools import MINIMUM_BIAS, SLICES, load_pool
from drift.simulate.timeline import Fill, Lumisection, make_timeline
from drift.simulate.towers import BeamSpot, project

CountRow = tuple[int, int, str, int, int, int]
"""Run, lumisection, bit, events that fired it, its prescale, events."""
PROJECTION_SEED = 20_260
"""The projection of the pools is part of the apparatus, so it does not change with the seed of a stream."""


@dataclass(frozen=True)
class SimulatedStream:
    """Where a simulated stream lies.

    Attributes:
        files: Event files in order of time.
        conditions: Folder of the conditions.
        truth: File that says what was simulated.
    """

    files: tuple[Path, ...]
    conditions: Path
    truth: Path


@dataclass(frozen=True)
class Block:
    """The work of one file.

    Attributes:
        folder: Where the file appears.
        lumisections: Consecutive lumisections of one run.
        parameters: Parameters of each change, by name.
        seed: Seed of the stream.
        events: Events a lumisection.
        storage: TTree or RNTuple.
    """

    folder: Path
    lumisections: tuple[Lumisection, ...]
    parameters: Mapping[str, Mapping[str, float]]
    seed: int
    events: int
    storage: writer.Storage

    @property
    def name(self) -> str:
        """Name of the file."""
        first, last = self.lumisections[0], self.lumisections[-1]
        return writer.file_name(first.run, first.number, last.number)


def simulate(
    scenario: str,
    fills: int,
    seed: int,
    out: Path,
    *,
    lumisections_per_fill: int | None = None,
    events_per_lumisection: int = 300,
    lumisections_per_file: int = 10,
    storage: writer.Storage = "ttree",
    first_fill: int = 10_001,
    progress: Callable[[int, int, str], None] | None = None,
    workers: int = 1,
    overwrite: bool = False,
) -> SimulatedStream:
    """Write fills as a detector would deliver them, with conditions, seed counters and, apart, the truth.

    Args:
        scenario: ``name``, ``name:key=value`` or several by commas; see `scenarios.KINDS`.
        fills: How many fills.
        seed: Same seed and arguments, same events.
        out: Folder to hold ``incoming``, ``conditions``, ``counters`` and ``truth``.
        lumisections_per_fill: Plays each fill in so many steps; None for the natural length.
        events_per_lumisection: Zero-bias events in each.
        lumisections_per_file: Most lumisections in one file; a file never spans two runs.
        storage: ``ttree`` or ``rntuple``.
        first_fill: Number of the first fill; later streams of one detector go on from there.
        progress: Called with files done, files in all, name of the last.
        workers: Processes; 1 works in this one.
        overwrite: Takes an earlier simulation in the folder away first.

    Raises:
        ScenarioError: The scenario or a parameter of it is unknown.
        SimulationError: The folder holds run files already.
        ValueError: A count is below one.
        PoolError: The particle pools are absent or broken.
    """
    if min(events_per_lumisection, lumisections_per_file, workers) < 1:
        raise ValueError("simulate: events_per_lumisection, lumisections_per_file and workers must be at least 1")
    undisturbed = make_timeline(fills, seed, first_fill, lumisections_per_fill)
    changes = scenarios.place(scenario, undisturbed, seed)
    timeline = scenarios.apply(undisturbed, changes)
    earlier.make_room(out, overwrite=overwrite)
    incoming, said, truth = out / "incoming", out / "conditions", out / "truth" / "truth.json"
    for folder in (incoming, said, out / "counters", truth.parent):
        folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "fills": fills,
        "lumisections_per_fill": lumisections_per_fill,
        "events_per_lumisection": events_per_lumisection,
        "lumisections_per_file": lumisections_per_file,
        "storage": storage,
        "first_fill": first_fill,
    }
    conditions.write_conditions(said, timeline)
    conditions.write_truth(truth, scenario, seed, timeline, changes, settings)
    parameters = {change.name: dict(change.parameters) for change in changes}
    blocks = [
        Block(incoming, part, parameters, seed, events_per_lumisection, storage)
        for part in _parts(timeline, lumisections_per_file)
    ]
    seed_counters.write(out / "counters" / "seeds.csv", timeline, parameters, seed)
    conditions.write_counters(out / "counters" / "zero_bias.csv", _make_all(blocks, workers, progress))
    return SimulatedStream(tuple(incoming / block.name for block in blocks), said, truth)


def make_block(block: Block) -> tuple[str, list[CountRow]]:
    """Write the file of one block; return its name and what its events count, by lumisection and bit."""
    parts, counted = [], []
    for lumisection in block.lumisections:
        rng = np.random.default_rng([block.seed, lumisection.run, lumisection.number, 3])
        detector = scenarios.detector_of(lumisection, block.parameters)
        crossings = cross(tables(detector.beam_spot), detector, lumisection.pileup, block.events, rng)
        parts.append(columns.events_of(lumisection, crossings, rng))
        for bit in menu.MENUS[lumisection.menu]:
            fired, prescale = int(parts[-1][bit].sum()), menu.prescale_of(bit, lumisection.prescale_index)
            counted.append((lumisection.run, lumisection.number, bit, fired, prescale, block.events))
    writer.write_file(block.folder, block.name, columns.join(parts), block.storage, block.lumisections[-1].start)
    return block.name, counted


@cache
def tables(beam_spot: BeamSpot) -> Optics:
    """Return the projected minimum-bias pools for a collision point; kept in the process."""
    pools = [load_pool(name) for name in (MINIMUM_BIAS, *SLICES)]
    return optics(project(pools, beam_spot, PROJECTION_SEED), PROJECTION_SEED)


def _parts(timeline: Sequence[Fill], size: int) -> Iterator[tuple[Lumisection, ...]]:
    """Yield the lumisections of each file: one run, one menu, at most ``size``."""
    part: list[Lumisection] = []
    for lumisection in (ls for fill in timeline for ls in fill.lumisections):
        if part and (len(part) == size or part[0].run != lumisection.run or part[0].menu != lumisection.menu):
            yield tuple(part)
            part = []
        part.append(lumisection)
    if part:
        yield tuple(part)


def _make_all(
    blocks: Sequence[Block], workers: int, progress: Callable[[int, int, str], None] | None
) -> list[CountRow]:
    say: Callable[[int, int, str], Any] = progress or (lambda _done, _total, _name: None)
    counted: list[CountRow] = []

    def take(done: int, made: tuple[str, list[CountRow]]) -> None:
        counted.extend(made[1])
        say(done, len(blocks), made[0])

    if workers == 1 or len(blocks) == 1:
        for done, block in enumerate(blocks, start=1):
            take(done, make_block(block))
        return counted
    with ProcessPoolExecutor(min(workers, len(blocks)), mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: list[Future[tuple[str, list[CountRow]]]] = [pool.submit(make_block, block) for block in blocks]
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                take(done, future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return counted
