"""From a folder or URL to whole, checked lumisections in hardware integers; what is not waits or is quarantined.

Importing this pays for no uproot: files are opened in a child process alone.
"""

from drift.source.outcome import (
    Accepted,
    Delivered,
    FileContents,
    Limits,
    Outcome,
    Quarantined,
    RunSource,
    Waiting,
)
from drift.source.reader import Reader, read_file

__all__ = [
    "Accepted",
    "Delivered",
    "FileContents",
    "Limits",
    "Outcome",
    "Quarantined",
    "Reader",
    "RunSource",
    "Waiting",
    "read_file",
]
