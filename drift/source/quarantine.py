"""Sets a refused file aside with its reason, so that nothing is lost whatever happens meanwhile.

The record is written first, then the file is moved; a crash between leaves the file where it was with a record that
says where it is going, and doing it again finishes the same move.
"""

import contextlib
import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from drift.errors import QuarantineError
from drift.source.checksum import digests_of, sidecar_of
from drift.source.naming import SIDECARS
from drift.source.outcome import Quarantined

RECORD = ".reason.json"
COPYING = ".copying"
NAMES = 10_000


def quarantine(path: Path, reason: Quarantined, *, folder: Path, now: datetime, origin: str | None = None) -> Path:
    """Move a file and its checksum sidecar into the quarantine folder and return the path of its record.

    The record ``<name>.reason.json`` says code, reason, sha256, size, when and whence.  A name that is taken by another
    file gets a number.  Quarantining the same file again finishes or finds what was begun.

    Args:
        path: The file on this machine.
        reason: Why.
        folder: The quarantine; it may be on another filesystem.
        now: When it was decided.
        origin: Where the file came from if not from `path`; a file from elsewhere (``root://``) is recorded, not moved.

    Raises:
        QuarantineError: The record or the move failed; the file is still where it was.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        finished = None if path.exists() else _finished(folder, path)
        if finished is not None:
            return finished
        found = digests_of(path)
        moved = origin is None or origin == str(path)
        record = {
            "code": reason.code,
            "reason": reason.reason,
            "file": path.name,
            "sha256": found.sha256,
            "bytes": found.bytes,
            "when": now.isoformat(),
            "source": origin if origin is not None else str(path),
            "moved": moved,
            "kept_as": path.name,
        }
        target = _reserve(folder, path.name, record)
        if moved:
            sidecar = sidecar_of(path)
            if sidecar is not None:
                _move(sidecar, target.with_name(target.name + _suffix(sidecar)))
            _move(path, target)
    except OSError as error:
        raise QuarantineError(
            f"{path} could not be set aside in {folder} ({error}); it is still where it was: make room or rights there"
        ) from error
    return target.with_name(target.name + RECORD)


def records(folder: Path) -> list[dict[str, Any]]:
    """Return every record of a quarantine folder, by name; unfinished ones are passed over."""
    found = []
    for path in sorted(folder.glob(f"*{RECORD}")):
        with contextlib.suppress(OSError, ValueError):
            entry = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(entry, dict):
                found.append(entry)
    return found


def _finished(folder: Path, path: Path) -> Path | None:
    """Return the newest record of a file that was moved here from this path before."""
    moved = [
        (one["when"], one["kept_as"]) for one in records(folder) if one.get("source") == str(path) and one.get("moved")
    ]
    return folder / (max(moved)[1] + RECORD) if moved else None


def _suffix(sidecar: Path) -> str:
    return next(suffix for suffix in SIDECARS if sidecar.name.endswith(suffix))


def _reserve(folder: Path, name: str, record: dict[str, Any]) -> Path:
    """Write the record under the first name that is free, or that this very file took before."""
    for number in range(NAMES):
        target = folder / (name if number == 0 else f"{name}.{number}")
        path = target.with_name(target.name + RECORD)
        if path.exists():
            if _same(path, record):
                return target
            continue
        if target.exists():
            continue
        record["kept_as"] = target.name
        part = folder / f".{target.name}{RECORD}.{os.getpid()}"
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        _sync(part)
        try:
            os.link(part, path)
        except FileExistsError:
            continue
        finally:
            part.unlink()
        _sync(folder)
        return target
    raise FileExistsError(f"{NAMES} files called {name} are in {folder}")


def _same(path: Path, record: dict[str, Any]) -> bool:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(known, dict) and (known.get("sha256"), known.get("source")) == (
        record["sha256"],
        record["source"],
    )


def _move(path: Path, target: Path) -> None:
    """Move a file, over another filesystem too; afterwards it is at exactly one of both places or, whole, at both."""
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != 18:  # EXDEV
            raise
        part = target.with_name(f".{target.name}{COPYING}")
        shutil.copy2(path, part)
        _sync(part)
        part.rename(target)
        _sync(target.parent)
        path.unlink()
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
