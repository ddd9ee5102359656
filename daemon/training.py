"""Where a training job stands, and how one is started beside the loop.

A job is a folder with a `job.json`; `python -m retrain.job FOLDER` does the work in a process of its own and leaves
`progress.json` while it runs and `result.json` when it is done.  Nothing here knows what a network is, and nothing here
decides whether to train.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from daemon.errors import JobError

BUSY = 4
"""Exit status of `retrain.job` when another process works on the same folder."""


@dataclass(frozen=True)
class JobState:
    """What is seen of one job: `absent` (never started by this daemon), `running`, `dead` or `finished`."""

    phase: str
    stage: str = ""
    fraction: float = 0.0
    text: str = ""
    result: Mapping[str, Any] | None = None


class JobRunner(Protocol):
    """Runs jobs by their folder.  Every verb may be repeated: a running or finished job is left as it is."""

    def start(self, folder: Path) -> None:
        """Begin the job, or take it up where a killed process left it; running or finished: do nothing."""

    def look(self, folder: Path, now: datetime) -> JobState:
        """Say where the job stands, from what is on disk and which processes live."""

    def stop(self) -> None:
        """End every process that this runner started; their finished stages stay."""


def write_job(folder: Path, job: Mapping[str, Any]) -> None:
    """Write `job.json` once; a job that is already there must say the same.

    Raises:
        JobError: Another job stands in that folder.
    """
    text = json.dumps(job, indent=1, sort_keys=True)
    path = folder / "job.json"
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise JobError(f"{path}: another job already stands here; give the new recipe a folder of its own")
        return
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / "job.json.part"
    with half.open("w", encoding="utf-8") as sink:
        sink.write(text)
        sink.flush()
        os.fsync(sink.fileno())
    half.replace(path)


class SubprocessRunner:
    """Jobs as child processes of the loop, in process groups of their own, ending with it."""

    def __init__(self, *, stalled_s: float) -> None:
        self._stalled_s = stalled_s
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    def start(self, folder: Path) -> None:
        """See `JobRunner.start`."""
        child = self._children.get(folder)
        if (child is not None and child.poll() is None) or (folder / "result.json").exists():
            return
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with (folder / "log.txt").open("ab") as log:
            self._children[folder] = subprocess.Popen(
                [sys.executable, "-m", "retrain.job", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def look(self, folder: Path, now: datetime) -> JobState:
        """See `JobRunner.look`; a job without a sign of life for `stalled_s` is killed and reported dead."""
        child = self._children.get(folder)
        ended = child is not None and child.poll() is not None  # asked first: a result may come between two looks
        if (folder / "result.json").exists():
            return JobState("finished", result=json.loads((folder / "result.json").read_text(encoding="utf-8")))
        if child is None:
            return JobState("absent")
        if (
            ended and child.returncode == BUSY
        ):  # a process of a daemon that was killed is still ending; begin again next turn
            del self._children[folder]
            return JobState("absent")
        if ended:
            return JobState("dead", text=self._last_line(folder))
        progress = self._progress(folder)
        sign = max(
            (folder / name).stat().st_mtime for name in ("job.json", "progress.json") if (folder / name).exists()
        )
        if now.timestamp() - sign > self._stalled_s:
            self._kill(child)
            return JobState("dead", text=f"no sign of life for {self._stalled_s:.0f} s; killed")
        return JobState(
            "running",
            stage=str(progress.get("stage", "starting")),
            fraction=float(progress.get("fraction", 0.0)),
            text=str(progress.get("text", "")),
        )

    @property
    def busy(self) -> bool:
        """Whether any child of this runner lives."""
        return any(child.poll() is None for child in self._children.values())

    def stop(self) -> None:
        """See `JobRunner.stop`."""
        for child in self._children.values():
            if child.poll() is None:
                self._kill(child)

    @staticmethod
    def _progress(folder: Path) -> dict[str, Any]:
        try:
            tree = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return tree if isinstance(tree, dict) else {}

    @staticmethod
    def _last_line(folder: Path) -> str:
        try:
            lines = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return "it left no log"
        return lines[-1] if lines else "it said nothing"

    @staticmethod
    def _kill(child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
