"""The reading process: `python -m drift.source.child SPOOL`, JSON lines on stdin and stdout.

It imports uproot once and opens no file itself.  Every file is read in a fork of it with limits of its own, so that
a damaged file leaves nothing behind: no leaked memory, no model made from a damaged description.  It ends with its
parent.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
from pathlib import Path
from typing import Any

from drift.schema import schema_named
from drift.source import spool
from drift.source.parse import parse
from drift.source.refusal import NotReadyError, RefusedFileError

PR_SET_PDEATHSIG = 1
MIB = 1 << 20
ANSWER = "answer.json"
MESSAGE_CHARACTERS = 240
SPOOL_FACTOR = 4


def main(folder: Path) -> int:
    """Serve requests until stdin ends."""
    if not __debug__:
        sys.stderr.write("retrigger: the reading child must run with assertions on; unset PYTHONOPTIMIZE\n")
        return 2
    _die_with(os.getppid())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    answers.write(json.dumps({"ready": os.getpid()}) + "\n")
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps({"id": request["id"], **_serve(request, folder)}) + "\n")
    return 0


def _die_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _serve(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Read one file in a fork and return its answer, or how the fork ended."""
    (folder / ANSWER).unlink(missing_ok=True)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    me = os.getpid()
    child = os.fork()
    if child == 0:
        _die_with(me)
        _read_in_fork(request, folder)
    ended = _ends_within(child, float(request["wall_s"]))
    if not ended:
        os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, os.WNOHANG)
        return {"outcome": "quarantined", "code": "wall_limit", "found": f"was not read within {request['wall_s']:g} s"}
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return _killed_by(os.WTERMSIG(status), request)
    try:
        answer: dict[str, Any] = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {
            "outcome": "quarantined",
            "code": "reader_crashed",
            "found": f"ended the reader (status {os.WEXITSTATUS(status)})",
        }
    return answer


def _ends_within(child: int, wall_s: float) -> bool:
    handle = os.pidfd_open(child)
    try:
        return bool(select.select([handle], [], [], wall_s)[0])
    finally:
        os.close(handle)


def _killed_by(number: int, request: dict[str, Any]) -> dict[str, Any]:
    if number in {signal.SIGXCPU, signal.SIGALRM}:
        return {
            "outcome": "quarantined",
            "code": "cpu_limit",
            "found": f"took more than {request['cpu_s']:g} CPU-s to read",
        }
    return {
        "outcome": "quarantined",
        "code": "reader_crashed",
        "found": f"ended the reader by {signal.Signals(number).name}",
    }


def _read_in_fork(request: dict[str, Any], folder: Path) -> None:
    """Read one file under its limits, write the answer and end the process."""
    status = 1
    try:
        path = Path(request["path"])
        _limit(request, path)
        text = json.dumps(_answer(request, path, folder))
        (folder / ANSWER).write_text(text, encoding="utf-8")
        status = 0
    finally:
        os._exit(status)


def _limit(request: dict[str, Any], path: Path) -> None:
    size = path.stat().st_size if path.exists() else 0
    memory = int(request["memory_mib"]) * MIB
    cpu = int(request["cpu_s"]) + 1
    resource.setrlimit(resource.RLIMIT_AS, (memory + size, memory + size))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    resource.setrlimit(resource.RLIMIT_FSIZE, (SPOOL_FACTOR * memory, SPOOL_FACTOR * memory))


def _answer(request: dict[str, Any], path: Path, folder: Path) -> dict[str, Any]:
    schema = schema_named(request["schema"])
    try:
        asked = {"most_events": request["events"], "require_sidecar": request["require_sidecar"]}
        content = parse(path, schema, **asked, board=request.get("board", ""))
    except BaseException as error:  # noqa: BLE001 a damaged file raises any class at all; this is the sandbox's border
        return _refused(error, path, request)
    try:
        return {"outcome": "accepted", **spool.write(content, folder)}
    except OSError as error:
        return {"outcome": "broken", "found": f"cannot write what was read to {folder}: {error}"}


def _refused(error: BaseException, path: Path, request: dict[str, Any]) -> dict[str, Any]:
    if isinstance(error, NotReadyError | FileNotFoundError):
        gone = f"{path.name} is gone; it was moved or removed after it was listed"
        return {"outcome": "waiting", "reason": gone if isinstance(error, FileNotFoundError) else str(error)}
    if isinstance(error, RefusedFileError):
        return {"outcome": "quarantined", "code": error.code, "reason": str(error)}
    if isinstance(error, MemoryError):
        found = f"asked for more than {request['memory_mib']} MiB to read"
        return {"outcome": "quarantined", "code": "memory_limit", "found": found}
    said = " ".join(str(error).split())[:MESSAGE_CHARACTERS]
    return {
        "outcome": "quarantined",
        "code": "unreadable",
        "found": f"made the reader say {type(error).__name__}: {said}",
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
