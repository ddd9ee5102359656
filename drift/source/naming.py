"""What a file's name says: whether it is a run file yet, and which run and lumisections it claims."""

import re
from dataclasses import dataclass
from pathlib import PurePath

_BLOCK = re.compile(r"run(\d{1,7})_ls(\d{1,6})-(\d{1,6})\.root")
_UNFINISHED = (".part", ".tmp", ".inprogress", ".partial", ".filepart", ".crdownload", ".lock")
SIDECARS = (".sha256", ".adler32")


@dataclass(frozen=True)
class Block:
    """The run and the lumisections, both ends included, that a file name claims."""

    run: int
    first: int
    last: int


def block_of(name: str) -> Block | None:
    """Return what ``run{run}_ls{first}-{last}.root`` claims; None for any other name."""
    match = _BLOCK.fullmatch(name)
    return Block(*map(int, match.groups())) if match else None


def is_run_file(name: str) -> bool:
    """Return whether a file of this name is finished and meant for us: ``.root``, and no sign of a copy under way."""
    low = name.lower()
    return (
        low.endswith(".root") and not low.startswith((".", "~", "_")) and not any(sign in low for sign in _UNFINISHED)
    )


def sidecar_names(name: str) -> tuple[str, ...]:
    """Return the names a checksum beside this file may have, the preferred first."""
    stem = PurePath(name).stem
    return tuple(f"{base}{suffix}" for suffix in SIDECARS for base in (name, stem))
