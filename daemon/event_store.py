"""Where the events of accepted lumisections lie, so that a training job can read exactly what was watched.

One `.npy` file a lumisection, int16, shape (features, events), in raw hardware integers; written under a temporary
name, flushed, renamed.  The digest that goes into the ledger is of the file's bytes.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.output import writing
from drift.events import LumisectionEvents


@dataclass(frozen=True)
class StoredEvents:
    """One lumisection on disk: where, and the SHA-256 of its bytes."""

    path: Path
    sha256: str


def as_npy(features: NDArray[np.integer[Any]]) -> tuple[bytes, str]:
    """Return the bytes of an array file of int16, and their SHA-256: equal events are equal bytes.

    Args:
        features: Hardware integers, shape ``(n_inputs, n_events)``.
    """
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(features, dtype=np.int16), allow_pickle=False)
    content = buffer.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def store(folder: Path, stream: str, events: LumisectionEvents) -> StoredEvents:
    """Write the events of one lumisection; writing the same again changes nothing."""
    content, sha256 = as_npy(events.features)
    path = folder / stream / f"run{events.run}" / f"ls{events.lumisection:04d}-{sha256[:12]}.npy"
    if not path.exists():
        with writing(path, "the events of a lumisection") as sink:
            sink.write(content)
    return StoredEvents(path, sha256)
