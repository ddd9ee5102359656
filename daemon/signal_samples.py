"""Signal events from run files, kept as the hardware integers that a candidate is judged on.

They come through the same reader as data, so a unit or an order that is wrong there is wrong here alike.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from daemon import signal_list
from daemon.config import Settings
from daemon.errors import SetupError
from daemon.event_store import as_npy
from daemon.output import writing
from daemon.scan import reading, run_files


def keep(name: str, paths: list[Path], settings: Settings, *, pileup: float | None = None) -> dict[str, Any]:
    """Add the events of these files to the samples of ``retrain.signals``; adding the same again changes nothing.

    Args:
        name: Of the sample.
        paths: Run files of simulated signal, or folders of them.
        settings: Whose ``retrain.signals`` names the folder.
        pileup: Mean interactions a crossing of these events; None when it is not one.

    Raises:
        SetupError: No folder is configured, a file cannot be read, or there is no event.
    """
    folder = settings.retrain.signals
    if folder is None:
        raise SetupError('retrain.signals is not set; name a folder, e.g. signals = "signals", so that it is judged')
    with reading(settings) as files:
        contents = [files.contents(path) for path in run_files(paths)]
        if files.quarantined:
            first = files.quarantined[0]
            raise SetupError(f"{first['path']} cannot be read: {first['reason']}; take it out and try again")
    parts = [events.features for one in contents if one is not None for events in one.lumisections if events.events]
    if not parts:
        raise SetupError(f"the files of {name} hold no event; name files with events")
    features = np.concatenate(parts, axis=1)
    content, sha256 = as_npy(features)
    before = signal_list.listed(folder)
    said = {"name": name, "events": int(features.shape[1]), "sha256": sha256, "pileup": pileup}
    if any(one["sha256"] == sha256 for one in before):
        return {**said, "new": False}
    path = folder / f"{sha256[:16]}.npy"
    with writing(path, "the events of a signal") as sink:
        sink.write(content)
    rows = [{**one, "path": Path(one["path"]).name} for one in before]
    rows.append({"name": name, "path": path.name, "sha256": sha256, "pileup": pileup})
    with writing(folder / signal_list.LIST, "the list of signals") as sink:
        sink.write(json.dumps({"signals": rows}, indent=1).encode())
    return {**said, "new": True}
