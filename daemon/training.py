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
from collections.abc import Mapping, Sequence
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
    losses: int = 0  # how often whatever ran it was lost under it before this state was reached


class JobRunner(Protocol):
    """Runs jobs by their folder.  Every verb may be repeated: a running or finished job is left as it is."""

    def start(self, folder: Path) -> None:
        """Begin the job, or take it up where a killed process left it; running or finished: do nothing."""

    def look(self, folder: Path, now: datetime) -> JobState:
        """Say where the job stands, from what is on disk and which processes live."""

    def stop(self) -> None:
        """End every process that this runner started; their finished stages stay."""

    @property
    def busy(self) -> bool:
        """Whether any job that this runner started goes on."""


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


def running(folder: Path) -> JobState:
    """Return what a job that runs says of itself."""
    try:
        tree = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        tree = None
    told = tree if isinstance(tree, dict) else {}
    stage, fraction = str(told.get("stage", "starting")), float(told.get("fraction", 0.0))
    return JobState("running", stage=stage, fraction=fraction, text=str(told.get("text", "")))


def finished(folder: Path) -> JobState | None:
    """Return the end of a job, None when it left none."""
    try:
        return JobState("finished", result=json.loads((folder / "result.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


class SubprocessRunner:
    """Jobs as child processes of the loop, in process groups of their own, ending with it."""

    def __init__(self, *, stalled_s: float, gpus: Sequence[str] = ()) -> None:
        """Make a runner.

        Args:
            stalled_s: A job without a sign of life for so long is killed.
            gpus: Devices as CUDA_VISIBLE_DEVICES names them; each job gets the one with fewest living jobs.  Empty:
                the environment decides.
        """
        self._stalled_s = stalled_s
        self._gpus = tuple(gpus)
        self._children: dict[Path, subprocess.Popen[bytes]] = {}
        self._placed: dict[Path, str] = {}

    def start(self, folder: Path) -> None:
        """See `JobRunner.start`."""
        child = self._children.get(folder)
        if (child is not None and child.poll() is None) or (folder / "result.json").exists():
            return
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **self._place(folder)}
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
        if (end := finished(folder)) is not None:
            return end
        if child is None:
            return JobState("absent")
        if (
            ended and child.returncode == BUSY
        ):  # a process of a daemon that was killed is still ending; begin again next turn
            del self._children[folder]
            return JobState("absent")
        if ended:
            return JobState("dead", text=self._last_line(folder))
        sign = max(
            (folder / name).stat().st_mtime for name in ("job.json", "progress.json") if (folder / name).exists()
        )
        if now.timestamp() - sign > self._stalled_s:
            self._kill(child)
            return JobState("dead", text=f"no sign of life for {self._stalled_s:.0f} s; killed")
        return running(folder)

    def _place(self, folder: Path) -> dict[str, str]:
        if not self._gpus:
            return {}
        living = [self._placed[one] for one, child in self._children.items() if child.poll() is None]
        self._placed[folder] = min(self._gpus, key=living.count)
        return {"CUDA_VISIBLE_DEVICES": self._placed[folder]}

    @property
    def busy(self) -> bool:
        """See `JobRunner.busy`."""
        return any(child.poll() is None for child in self._children.values())

    def stop(self) -> None:
        """See `JobRunner.stop`."""
        for child in self._children.values():
            if child.poll() is None:
                self._kill(child)

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
