"""Which signal samples candidates are judged on, and where their events lie.

A folder of ``.npy`` files and one ``signals.json`` that names each with its digest, in the form that a job lists them.
Nothing here reads events; `daemon.signal_samples` writes them.
"""

import json
from pathlib import Path
from typing import Any

from daemon.errors import SetupError

LIST = "signals.json"
KEYS = ("name", "path", "sha256", "pileup")


def listed(folder: Path | None) -> list[dict[str, Any]]:
    """Return the samples of a folder as a job lists them, paths absolute; empty when there is no folder.

    Raises:
        SetupError: The list is damaged: nobody must believe that no signal was asked for.
    """
    if folder is None or not (folder / LIST).exists():
        return []
    try:
        rows = json.loads((folder / LIST).read_bytes())["signals"]
        return [{**{key: one[key] for key in KEYS}, "path": str(folder / one["path"])} for one in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"{folder / LIST} cannot be read ({error!r}); keep the samples again with `retrigger signal`"
        ) from error


def names(folder: Path | None) -> tuple[str, ...]:
    """Return the names of the samples of a folder, in order, each once."""
    return tuple(sorted({str(one["name"]) for one in listed(folder)}))
