"""Where the events of accepted lumisections lie, so that a training job can read exactly what was watched.

One `.npy` file a lumisection, int16, shape (features, events), in raw hardware integers; written under a temporary
name, flushed, renamed.  The digest that goes into the ledger is of the file's bytes.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daemon.output import writing
from drift.events import LumisectionEvents


@dataclass(frozen=True)
class StoredEvents:
    """One lumisection on disk: where, and the SHA-256 of its bytes."""

    path: Path
    sha256: str


def store(folder: Path, stream: str, events: LumisectionEvents) -> StoredEvents:
    """Write the events of one lumisection; writing the same again changes nothing."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(events.features, dtype=np.int16), allow_pickle=False)
    content = buffer.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / stream / f"run{events.run}" / f"ls{events.lumisection:04d}-{sha256[:12]}.npy"
    if not path.exists():
        with writing(path, "the events of a lumisection") as sink:
            sink.write(content)
    return StoredEvents(path, sha256)
