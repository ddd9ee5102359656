"""Where the explanation of each alarm is kept, and that it is still the one that was made.

One JSON file an alarm, named by the alarm and by the SHA-256 of its bytes, written before the transaction that raises
the alarm: under a temporary name, flushed, renamed.  The fact of the alarm carries the digest, so the hash chain covers
the file.  A kill in between leaves a file that the next attempt writes again, byte for byte.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.errors import ExplanationError, RefusedError
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import canonical, parse
from daemon.output import flush_folder, kept, writing
from drift.watch import Alarm

Told = Mapping[str, Any]
"""An explanation as it is kept."""
LARGEST = 200_000
"""Bytes; beyond it the maps are left out, the largest part."""
READS = 1
KEY = "explanation_sha256"
"""Of an alarm in its fact: the digest of its explanation."""


def document(alarm: Alarm) -> dict[str, Any] | None:
    """Return an alarm and its explanation as one JSON object; None when it has none."""
    if alarm.explanation is None:
        return None
    return {**alarm.explanation.to_json(), "alarm": alarm.to_json()}


def encoded(told: Mapping[str, Any]) -> bytes:
    """Return the one encoding of an explanation, at most `LARGEST` bytes."""
    content = canonical(told)
    return content if len(content) <= LARGEST else canonical({**told, "maps": []})


def keep(folder: Path, alarm_id: str, told: Mapping[str, Any]) -> str:
    """Write an explanation and return its digest; writing the same again changes nothing."""
    content = encoded(told)
    sha256 = hashlib.sha256(content).hexdigest()
    path = place(folder, alarm_id, sha256)
    if path.exists() and path.read_bytes() == content:
        return sha256
    with writing(path, "an explanation") as sink:
        sink.write(content)
    flush_folder(path.parent)
    return sha256


def place(folder: Path, alarm_id: str, sha256: str) -> Path:
    """Return where an explanation lies."""
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', alarm_id)}-{sha256[:12]}.json"


def raised(ledger: Ledger, stream: str, alarm_id: str) -> f.AlarmRaised:
    """Return the fact of an alarm.

    Raises:
        RefusedError: There is none of that name.
    """
    for stored in ledger.facts(subject=stream, kind="alarm_raised"):
        if isinstance(stored.fact, f.AlarmRaised) and stored.fact.alarm_id == alarm_id:
            return stored.fact
    raise RefusedError(f"there is no alarm {alarm_id!r} on {stream}; `retrigger alarms` lists them all")


def read(folder: Path | None, alarm_id: str, alarm: Mapping[str, Any]) -> dict[str, Any]:
    """Return the explanation that the fact of an alarm names.

    Raises:
        ExplanationError: None was kept, it is gone, it was altered, or a newer retrigger wrote it.
    """
    sha256 = alarm.get(KEY)
    if folder is None or not isinstance(sha256, str):
        raise ExplanationError(
            f"no explanation was kept with alarm {alarm_id}; `retrigger scan --explain DIR` on its files makes one anew"
        )
    path = place(folder, alarm_id, sha256)
    told: dict[str, Any] = parse(kept(path, sha256, f"the explanation of {alarm_id}", ExplanationError))
    if told.get("version") != READS:
        raise ExplanationError(
            f"{path} has version {told.get('version')}, this program reads {READS}; use the retrigger that wrote it"
        )
    return told
