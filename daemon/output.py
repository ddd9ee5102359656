"""How a result reaches the disk: whole or not at all, and with words that name it where it cannot.

A file is written beside its place under the name ``PATH.part``, flushed, and renamed; where that fails the part goes
away again and what was there before stays.  Folders that are missing are made at the moment of writing, never before.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from daemon.errors import SetupError, VerdictError


def writable(path: Path, what: str, *, pipes: bool = False) -> None:
    """Make sure, before long work begins, that its result can be written to a file; leaves no trace.

    Args:
        path: Where the file goes.
        what: What is written there, for the message.
        pipes: Whether a pipe or a terminal will do as well, such as ``/dev/stdout``.

    Raises:
        SetupError: It cannot; the message says why.
    """
    with named(path, what):
        if path.is_dir():
            raise SetupError(f"{what} cannot be written to {path}, which is a folder; name a file")
        if path.exists() and not path.is_file():
            if pipes:
                return
            raise SetupError(f"{what} cannot be written to {path}, which is no plain file; name another")
    _probe(path.resolve().parent, path, what, b"\0")


def folder_writable(folder: Path, what: str) -> None:
    """Make sure, before long work begins, that its results can be written to a folder; leaves no trace.

    Room is not asked for: a scan on a full disk still tells its alarms.

    Raises:
        SetupError: They cannot; the message says why.
    """
    with named(folder, what):
        if folder.exists() and not folder.is_dir():
            raise SetupError(f"{what} cannot be written to {folder}, which is a file; name a folder")
    _probe(folder.resolve(), folder, what, b"")


def _probe(folder: Path, path: Path, what: str, content: bytes) -> None:
    """Write a little, in a file without a name, to the nearest folder that exists."""
    try:
        nearest = next(one for one in (folder, *folder.parents) if one.exists())
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(content)
    except OSError as cause:
        raise SetupError(
            f"{what} cannot be written to {path} ({cause.strerror or cause}); name a place of yours with room on it"
        ) from cause


@contextmanager
def writing(path: Path, what: str) -> Iterator[BinaryIO]:
    """Yield where to write the bytes of a file, which appears whole when the block ends well, and else not at all.

    A pipe or a terminal is written to as it stands.

    Raises:
        SetupError: The system refused; the message names what was being written, and where.
    """
    with named(path, what):
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb") as sink:
                yield sink
            return
        goal = path.resolve()
        goal.parent.mkdir(parents=True, exist_ok=True)
        half = goal.with_name(f"{goal.name}.part")
        try:
            with half.open("wb") as sink:
                yield sink
                sink.flush()
                os.fsync(sink.fileno())
            half.replace(goal)
        except BaseException:
            half.unlink(missing_ok=True)
            raise


def flush_folder(folder: Path) -> None:
    """Make a rename in a folder last through a loss of power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network filesystems cannot sync a folder
            raise
    finally:
        os.close(handle)


def kept(path: Path, sha256: str, what: str, failure: type[VerdictError]) -> bytes:
    """Return the bytes of a file whose digest is in the record.

    Raises:
        VerdictError: As ``failure``: it is gone, or was altered; the message names ``what``, the file, both digests.
    """
    remedy = "bring it back from a backup of the state folder"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise failure(f"{what} cannot be read ({error.strerror}): {path}; {remedy}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise failure(f"{path} was altered: the record names sha256 {sha256[:16]}, the file has {found[:16]}; {remedy}")
    return content


@contextmanager
def saving(path: Path, what: str) -> Iterator[None]:
    """Make the folder of a file that somebody else writes whole, and name the file where that is refused.

    Raises:
        SetupError: The system refused; the message names what was being written, and where.
    """
    with named(path, what):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield


@contextmanager
def named(path: Path, what: str) -> Iterator[None]:
    """Give what the system refuses inside the block the name of what was being written, and where.

    Raises:
        SetupError: The system refused.
    """
    try:
        yield
    except OSError as cause:
        raise SetupError(
            f"{what} could not be written: {path}: {cause.strerror or cause}; check the path, its permissions and the "
            "room on the disk"
        ) from cause
