"""ROOT files as a data-taking system delivers them: written aside, closed, checksummed, then renamed into place.

One file holds a run's block of consecutive lumisections in the trees `Events`, `LuminosityBlocks` and `Runs`.  The
sidecar with the SHA-256 is there before the file has its final name.
"""

import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import awkward as ak
import numpy as np
import uproot

from drift.simulate.timestamps import restamp

Storage = Literal["ttree", "rntuple"]


def file_name(run: int, first: int, last: int) -> str:
    """Return the name of the file of lumisections ``first`` to ``last`` of a run."""
    return f"run{run}_ls{first:04d}-{last:04d}.root"


def write_file(folder: Path, name: str, events: Mapping[str, Any], storage: Storage, stamp: datetime) -> Path:
    """Write one file and its sidecar; return the path of the file.

    Args:
        folder: Where it appears; must exist.
        name: Final name.
        events: Columns as `columns.events_of` makes them.
        storage: TTree or RNTuple; field names read the same from both.
        stamp: When the file says it was written; the wall clock leaves no trace.
    """
    aside = folder / f".{name}.part"
    sidecar_aside = folder / f".{name}.sha256.part"
    try:
        content = _content(aside, name, events, storage, stamp)
        aside.write_bytes(content)
        sidecar_aside.write_text(f"{hashlib.sha256(content).hexdigest()}  {name}\n", encoding="utf-8")
        sidecar_aside.rename(folder / f"{name}.sha256")
        return aside.rename(folder / name)
    except BaseException:
        aside.unlink(missing_ok=True)
        sidecar_aside.unlink(missing_ok=True)
        raise


def _content(aside: Path, name: str, events: Mapping[str, Any], storage: Storage, stamp: datetime) -> bytes:
    """Write the trees aside and return the bytes of that file, with the wall clock taken out."""
    pairs = np.unique(np.stack([events["run"], events["luminosityBlock"]]), axis=1)
    blocks = {"run": pairs[0].astype(np.uint32), "luminosityBlock": pairs[1].astype(np.uint32)}
    runs = {"run": np.unique(pairs[0]).astype(np.uint32)}
    label = uuid.uuid5(uuid.NAMESPACE_URL, f"retrigger:{name}")
    begun = _local_time()
    with uproot.recreate(aside, compression=uproot.ZSTD(5), uuid_function=lambda: label) as file:
        for tree, columns in (("Events", events), ("LuminosityBlocks", blocks), ("Runs", runs)):
            if storage == "ttree":
                _write_tree(file, tree, columns)
            else:
                _write_ntuple(file, tree, columns)
    return restamp(aside.read_bytes(), begun, _local_time(), stamp)


def _local_time() -> datetime:
    """Return what uproot takes for now, only to find it again in the file."""
    return datetime.now()  # noqa: DTZ005 - ROOT stamps local time


def _write_tree(file: Any, tree: str, columns: Mapping[str, Any]) -> None:
    types = {
        name: values.dtype if isinstance(values, np.ndarray) else ak.type(values).content
        for name, values in columns.items()
    }
    file.mktree(tree, types).extend(dict(columns))


def _write_ntuple(file: Any, tree: str, columns: Mapping[str, Any]) -> None:
    """Write flat fields, so that a jagged column is called ``L1Jet_pt`` as in a TTree."""
    flat: dict[str, Any] = {}
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            flat[name] = values
            continue
        flat[f"n{name}"] = ak.to_numpy(ak.num(values)).astype(np.int32)
        flat.update({f"{name}_{field}": values[field] for field in ak.fields(values)})
    file.mkrntuple(tree, ak.zip(flat, depth_limit=1))
