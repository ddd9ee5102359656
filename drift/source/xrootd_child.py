"""The process that speaks XRootD: `python -m drift.source.xrootd_child`, JSON lines on stdin and stdout.

The XRootD client can hang for ever in a call; its parent kills this process when it is silent for too long.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import fsspec


def main() -> int:
    """Serve requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    answers.write(json.dumps({"ready": os.getpid()}) + "\n")
    for line in sys.stdin:
        try:
            answer = _serve(json.loads(line))
        except Exception as error:  # noqa: BLE001 the client library raises any class; the parent decides what it means
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"}
        answers.write(json.dumps(answer) + "\n")
    return 0


def _serve(request: dict[str, Any]) -> dict[str, Any]:
    filesystem, path = fsspec.core.url_to_fs(request["url"])
    if request["verb"] == "list":
        filesystem.invalidate_cache()
        entries = filesystem.ls(path, detail=True)
        return {"entries": [_entry(entry) for entry in entries if entry["type"] == "file"]}
    part = Path(request["to"] + ".part")
    filesystem.get_file(path, str(part))
    size = part.stat().st_size
    part.rename(request["to"])
    return {"bytes": size}


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": str(entry["name"]).rstrip("/").rpartition("/")[2],
        "bytes": int(entry["size"]),
        "modified": str(entry.get("mtime", "")),
    }


if __name__ == "__main__":
    sys.exit(main())
