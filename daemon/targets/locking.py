"""A folder that one writer holds at a time, and that remembers the newest lead which wrote to it.

Nothing here knows what is in the folder.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.deploy import fence, speaking
from daemon.output import flush_folder


@contextmanager
def locked(folder: Path, name: str, token: int) -> Iterator[None]:
    """Hold a folder, refuse an old token, and remember a newer one before anything is written.

    Raises:
        FencedError: A newer lead has written here.
        DeployError: The lock or the token cannot be read or written.
    """
    with speaking(name, "lock"):
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with speaking(name, "read its fencing token"):
            kept = folder / "token"
            newest = int(kept.read_text()) if kept.exists() else 0
        fence(name, token, newest)
        if token > newest:
            write_text(kept, str(token))
        yield
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Replace a file by one rename, and push it to the disk first."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, body: bytes) -> None:
    """Replace a file by one rename, and push it to the disk first."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)
    flush_folder(path.parent)
