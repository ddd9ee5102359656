"""What the watch said and saw of each lumisection, one file beside each run file, until its fill has its report.

Written before the transaction that takes the run file, under its SHA-256, whole or not at all: a kill in between leaves
a file that the next attempt writes again, byte for byte.  The record names the run files, so a trail that no record
names is never read.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.lifecycle.codec import canonical
from daemon.output import writing
from drift.profile import LumisectionSummary

SUFFIX = ".trail"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Step:
    """One lumisection as the watch took it.

    Attributes:
        run: Its run.
        lumisection: Its number.
        state: What the watch decided.
        log_evidence: Natural log of the evidence after it.
        summary: Its counts.
    """

    run: int
    lumisection: int
    state: str
    log_evidence: float
    summary: LumisectionSummary


def place(folder: Path, file_sha256: str) -> Path:
    """Return where the trail of a run file lies."""
    return folder / f"{file_sha256[:32]}{SUFFIX}"


def keep(folder: Path, file_sha256: str, steps: Sequence[Step]) -> None:
    """Write the trail of a run file; writing the same again changes nothing.

    Raises:
        SetupError: The system refused.
    """
    blobs = [one.summary.to_bytes() for one in steps]
    rows = [
        {
            "run": one.run,
            "lumisection": one.lumisection,
            "state": one.state,
            "log_evidence": round(float(one.log_evidence), 3),
            "bytes": len(blob),
        }
        for one, blob in zip(steps, blobs, strict=True)
    ]
    with writing(place(folder, file_sha256), "the trail of a run file") as sink:
        sink.write(canonical({"version": VERSION, "steps": rows}) + b"\n")
        for blob in blobs:
            sink.write(blob)


def read(folder: Path, file_sha256: str) -> Iterator[Step]:
    """Yield the steps of one run file; nothing where no trail is left.

    Raises:
        ValueError: It is damaged, or another version wrote it.
        SummaryError: A summary in it is damaged.
    """
    path = place(folder, file_sha256)
    if not path.exists():
        return
    with path.open("rb") as source:
        head = json.loads(source.readline())
        if head.get("version") != VERSION:
            raise ValueError(f"{path} has version {head.get('version')}, this program reads {VERSION}; it is passed by")
        for row in head["steps"]:
            summary = LumisectionSummary.from_bytes(source.read(int(row["bytes"])))
            yield Step(row["run"], row["lumisection"], row["state"], row["log_evidence"], summary)


def drop(folder: Path, files: Iterable[str]) -> None:
    """Forget the trails of these run files; those that are gone already are fine."""
    for sha256 in files:
        place(folder, sha256).unlink(missing_ok=True)
