"""How much room the disks have on which the daemon's folders lie."""

import shutil
from pathlib import Path

from daemon.config import Settings


def room_of(settings: Settings) -> dict[str, tuple[int, int]]:
    """Return bytes free and in all by what a folder is for; one that cannot be asked is left out."""
    folders = {"state": settings.state, "quarantine": settings.source.quarantine, "board": settings.deploy.folder}
    if "://" not in settings.source.url:
        folders["incoming"] = Path(settings.source.url)
    found = {}
    for what, folder in folders.items():
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            continue
        found[what] = (usage.free, usage.total)
    return found
