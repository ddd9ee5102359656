"""How what a child has read crosses back to the daemon: numbers in one .npz, everything else in the answer's JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drift.events import LumisectionEvents, ObjectColumns
from drift.source.board import output_of
from drift.source.outcome import FileContents

if TYPE_CHECKING:
    from drift.source.parse import Content

ARRAYS = "arrays.npz"
QUANTITIES = ("pt", "eta", "phi")


def write(content: "Content", folder: Path) -> dict[str, Any]:
    """Write the arrays of a file into a folder and return the rest as JSON values."""
    arrays: dict[str, NDArray[Any]] = {"keys": content.keys, "events": content.events, "features": content.features}
    for kind, (counts, *columns) in content.objects.items():
        arrays[f"{kind}_counts"] = counts
        arrays.update({f"{kind}_{name}": values for name, values in zip(QUANTITIES, columns, strict=True)})
    if content.board is not None:
        arrays.update({f"board_{name}": values for name, values in content.board.items()})
    np.savez(folder / ARRAYS, allow_pickle=False, **arrays)
    return {
        "sha256": content.sha256,
        "bytes": content.bytes,
        "storage": content.storage,
        "objects": sorted(content.objects),
        "bits": content.bits,
        "notes": list(content.notes),
    }


def read(answer: dict[str, Any], folder: Path, path: Path) -> FileContents:
    """Return the contents that a child wrote.

    Raises:
        OSError, ValueError, KeyError: The folder does not hold what the answer says.
    """
    with np.load(folder / ARRAYS, allow_pickle=False) as stored:
        arrays = dict(stored)
    keys = [(int(run), int(lumisection)) for run, lumisection in arrays["keys"]]
    edges = _edges(arrays["events"])
    splits = {kind: _edges(arrays[f"{kind}_counts"]) for kind in answer["objects"]}
    board = {name.removeprefix("board_"): arrays[name] for name in arrays if name.startswith("board_")}
    lumisections = []
    for place, (run, lumisection) in enumerate(keys):
        objects = {
            kind: ObjectColumns(*(arrays[f"{kind}_{name}"][split[place] : split[place + 1]] for name in QUANTITIES))
            for kind, split in splits.items()
        }
        features = np.ascontiguousarray(arrays["features"][:, edges[place] : edges[place + 1]])
        output = output_of(board, place) if board else {}
        spoiled = int(board["unreadable"][place]) if board else 0
        lumisections.append(LumisectionEvents(run, lumisection, features, objects, output, spoiled))
    return FileContents(
        path=path,
        sha256=answer["sha256"],
        bytes=answer["bytes"],
        storage=answer["storage"],
        lumisections=tuple(lumisections),
        delivered={key: int(events) for key, events in zip(keys, arrays["events"], strict=True)},
        menu_bits=answer["bits"],
        notes=tuple(answer["notes"]),
    )


def _edges(counts: Any) -> list[int]:
    return [0, *np.cumsum(counts).tolist()]
