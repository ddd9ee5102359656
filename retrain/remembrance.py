"""What a job takes from the champion's memory, and what it hands on with its own bundle.

A memory travels inside a bundle, so a champion's digest covers what its successors rehearse.  Nothing here trains.
"""

from typing import Any

import numpy as np

from retrain.bundle import Bundle
from retrain.dataset import Dataset
from retrain.memory import Memory
from retrain.recipe import Recipe, ranges


def rehearsable(recipe: Recipe, dataset: Dataset, champion: Bundle | None) -> Memory | None:
    """Return the champion's memory as far as this recipe may learn from it; None when there is none.

    Left out are lumisections that the recipe forgets, and those that it keeps from training, so that what measures
    the candidate has not taught it.

    Args:
        recipe: Names what is to be forgotten.
        dataset: Says which lumisections are held out.
        champion: The bundle it starts from or is compared with.

    Raises:
        DatasetError: The champion's memory cannot be read.
    """
    arrays = None if champion is None else champion.memory
    if arrays is None:
        return None
    rows = zip(dataset.lumisections, dataset.held_out, strict=True)
    held = {(one.run, one.lumisection) for one, out in rows if out}

    def gone(run: int, lumisection: int) -> bool:
        return (run, lumisection) in held or any(
            span.run == run and span.first <= lumisection <= span.last for span in recipe.forget
        )

    return Memory.from_arrays(arrays).without(gone)


def after(dataset: Dataset, before: Memory | None) -> Memory:
    """Return the memory that the candidate hands on: what was kept before, and some of what it was taught."""
    width = int(dataset.features.shape[0])
    ends = np.cumsum(dataset.counts)
    parts = [
        Memory.of_lumisection(
            dataset.features[:, end - count : end],
            one.run,
            one.lumisection,
            fill=one.fill,
            pileup=one.pileup,
            era=one.era,
        )
        for one, count, end, out in zip(dataset.lumisections, dataset.counts, ends, dataset.held_out, strict=True)
        if not out
    ]
    return (before or Memory.empty(width)).merged(parts)


def evidence(memory: Memory) -> dict[str, Any]:
    """Return what a memory holds as plain JSON values."""
    return {
        "events": memory.events,
        "strata": memory.strata(),
        "ranges": [str(span) for span in ranges(memory.lumisections)],
        "digest": memory.digest,
    }
