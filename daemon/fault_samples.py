"""A job's healthy events once more, each time with one fault of the failure library, for candidate and champion to see.

They are drawn from what the job keeps from training, by the recipe's seed alone, so that the same job gets the same
events.  The event store keeps the network's inputs and no candidates beyond them: an object that a fault takes away is
not replaced by one that stood behind the last input.
"""

import difflib
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daemon.errors import RefusedError
from daemon.event_store import as_npy
from daemon.output import writing
from drift.events import LumisectionEvents
from drift.faults import FaultError, Recorded
from drift.library import FailureMode
from drift.plug_ins import installed
from drift.schema import FeatureSchema
from drift.wide_faults import OtherPileup
from retrain.contract import Features
from retrain.dataset import ListedLumisection, read_features, split
from retrain.recipe import Recipe
from retrain.replays import HEALTHY

EVENTS = 20_000
"""Drawn for one job, when its held-out lumisections have as many."""
LUMISECTIONS = 200
"""Files that are opened for it at the most, so that the loop is not held up for long."""
FORM = re.compile(r"(?P<mode>[^=]+)=(?P<size>[^=]+)")


def names(wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the faults of a recipe, each ``mode=size`` in one spelling, in order.

    Args:
        wanted: As the configuration has them; modes are those of ``drift.library`` and of installed packages.

    Raises:
        RefusedError: One is not of this form, names no known mode, or has a size that its mode does not have.
    """
    return tuple(sorted({f"{mode.name}={size:g}" for mode, size in map(_parsed, wanted)}))


def _parsed(text: str) -> tuple[FailureMode, float]:
    parts, known = FORM.fullmatch(text), {one.name: one for one in installed().modes}
    if parts is None or (mode := known.get(parts["mode"])) is None:
        named = text.partition("=")[0]
        near = difflib.get_close_matches(named, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`retrigger reference sensitivity` lists them"
        raise RefusedError(f"retrain.faults has {text!r}; expected MODE=SIZE with a known failure mode; {hint}")
    try:
        size = float(parts["size"])
    except ValueError:
        size = math.nan
    if not (mode.least <= size <= mode.most and size):
        raise RefusedError(
            f"retrain.faults has {text!r}; sizes of {mode.name} are {mode.least:g} to {mode.most:g} without 0"
        )
    if isinstance(mode.make(size), OtherPileup):
        raise RefusedError(
            f"retrain.faults has {text!r}, which changes no event, so that no model can see it; leave it out"
        )
    return mode, size


def written(
    folder: Path,
    recipe: Recipe,
    lumisections: Sequence[Mapping[str, Any]],
    schema: FeatureSchema,
    most: int = EVENTS,
) -> list[dict[str, Any]]:
    """Write the sample and its faulty copies, and return them as a job lists them, the healthy one first.

    Writing the same again changes nothing.

    Args:
        folder: Where the files go, beside the job.
        recipe: Names the faults and has the seed.
        lumisections: Rows of the job; only certified ones that are kept from training are drawn from.
        schema: Their events were read under.
        most: Events to draw.

    Raises:
        RefusedError: There is no event to draw, or a mode cannot be replayed on these events.
        DatasetError: A file of the event store is missing or altered.
    """
    if not recipe.faults:
        return []
    healthy = _recorded(_drawn(recipe, lumisections, len(schema.features), most), schema)
    rows = [_saved(folder, HEALTHY, healthy.as_events(schema, 1, 1).features)]
    for name in recipe.faults:
        mode, size = _parsed(name)
        rng = np.random.default_rng([recipe.seed, zlib.crc32(name.encode())])
        try:
            after = mode.replayed(healthy, 1.0, rng, size)[0].as_events(schema, 1, 1).features
        except Exception as cause:
            raise RefusedError(
                f"failure mode {mode.name!r} cannot be replayed: {type(cause).__name__}: {cause}; mend its package, or "
                "take it out of retrain.faults"
            ) from cause
        rows.append(_saved(folder, name, after))
    return rows


def _drawn(recipe: Recipe, lumisections: Sequence[Mapping[str, Any]], n_inputs: int, most: int) -> Features:
    listed = sorted(map(ListedLumisection.from_json, lumisections), key=lambda one: (one.run, one.lumisection))
    out = split(listed, recipe.held_out_fraction, recipe.seed)
    kept = [one for one, held in zip(listed, out, strict=True) if held and one.certified is True]
    rng = np.random.default_rng(recipe.seed)
    places = rng.permutation(len(kept))[:LUMISECTIONS]
    parts: list[Features] = []
    for left, place in zip(range(len(places), 0, -1), places, strict=True):
        one = kept[place]
        events = read_features(f"{one.run}:{one.lumisection} ({one.path})", one.path, one.sha256, n_inputs)
        share = -(-(most - sum(part.shape[1] for part in parts)) // left)  # what is missing, evenly over the rest
        chosen = np.sort(rng.permutation(events.shape[1])[:share])
        parts.append(np.ascontiguousarray(events[:, chosen]))
    if not sum(part.shape[1] for part in parts):
        raise RefusedError(
            f"none of {len(listed)} lumisections is certified, kept from training and holds an event to replay faults "
            "on; wait for the certification, or set retrain.faults = []"
        )
    return np.concatenate(parts, axis=1)


def _recorded(features: Features, schema: FeatureSchema) -> Recorded:
    try:
        return Recorded.of(LumisectionEvents(1, 1, features, {}), schema)
    except FaultError as error:
        raise RefusedError(f"{error}; set retrain.faults = []") from error


def _saved(folder: Path, name: str, features: Features) -> dict[str, Any]:
    content, sha256 = as_npy(features)
    path = folder / f"{sha256[:16]}.npy"
    if not path.exists():
        with writing(path, "events with a fault") as sink:
            sink.write(content)
    return {"name": name, "path": str(path), "sha256": sha256}
