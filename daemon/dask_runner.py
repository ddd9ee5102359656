"""Jobs through Dask: the second way to run a job folder, on workers here or on other machines.

A worker does what the loop would do: it starts ``python -m retrain.job`` as its child and looks after it.  The child
dies with its worker; Dask hands the folder to another one, where the job goes on from its last whole stage and ends
in the same bits.  Every beginning is written into the folder first, so that a job which takes its workers down with it
is given up after a stated number of them.  Folders must lie where every worker sees them.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.clusters import needed
from daemon.training import JobState, SubprocessRunner, finished, running

STARTS = "starts.jsonl"
LOOK_S = 0.2


def work_on(folder: str, token: str, stalled_s: float, starts: int, gpus: Sequence[str] = ()) -> dict[str, Any]:
    """Run one job to its end on a worker; return its result, or why there is none.

    Args:
        folder: Of the job.
        token: Of this submission; beginnings are counted by it.
        stalled_s: A job without a sign of life for so long is killed.
        starts: How often the submission may be begun.
        gpus: Devices of this machine, of which a worker takes one by its number.
    """
    path = Path(folder)
    begun = _begin(path, token)
    if begun > starts:
        return {"losses": starts, "text": f"{starts} workers were lost while they ran it; the job is not begun again"}
    runner = SubprocessRunner(stalled_s=stalled_s, gpus=_own(gpus))
    patience = time.monotonic() + stalled_s
    try:
        while True:
            runner.start(path)
            state = runner.look(path, datetime.now(tz=UTC))  # a worker has no clock but its own
            if state.phase == "finished":
                return {"losses": begun - 1, "result": dict(state.result or {})}
            if state.phase == "dead":
                return {"losses": begun - 1, "text": state.text}
            if state.phase == "running":
                patience = time.monotonic() + stalled_s
            elif time.monotonic() > patience:
                return {"losses": begun - 1, "text": f"another process held it for {stalled_s:.0f} s"}
            time.sleep(LOOK_S)
    finally:
        runner.stop()


def _own(gpus: Sequence[str]) -> tuple[str, ...]:
    if not gpus:
        return ()
    name = str(needed("distributed").get_worker().name)
    return (gpus[int(name) % len(gpus) if name.isdigit() else 0],)


def _begin(folder: Path, token: str) -> int:
    """Write down that a submission is begun, before anything else; return how often it was, this time included."""
    line = {"token": token, "host": socket.gethostname(), "pid": os.getpid(), "at": datetime.now(tz=UTC).isoformat()}
    with (folder / STARTS).open("ab") as sink:
        sink.write(json.dumps(line).encode() + b"\n")
        sink.flush()
        os.fsync(sink.fileno())
    return sum(one["token"] == token for one in beginnings(folder))


def beginnings(folder: Path) -> list[dict[str, Any]]:
    """Return every beginning of a job on a worker, oldest first: token, host, process id and time."""
    try:
        lines = (folder / STARTS).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found: list[dict[str, Any]] = []
    for line in lines:
        with contextlib.suppress(ValueError):  # a worker killed while it wrote began nothing
            found.append(json.loads(line))
    return found


class DaskRunner:
    """Jobs on the workers of a Dask cluster; see `daemon.training.JobRunner`."""

    def __init__(
        self, cluster: Any, *, stalled_s: float, starts: int, gpus: Sequence[str] = (), address: str = ""
    ) -> None:
        """Make a runner that owns a cluster.

        Args:
            cluster: A cluster of Dask, closed by `stop`; None when ``address`` names one that others own.
            stalled_s: A job without a sign of life for so long is killed by its worker.
            starts: How many workers may be lost under one job before it is called dead.
            gpus: Devices of this machine, of which each worker takes one.
            address: Of a Dask scheduler that runs already.
        """
        self._cluster = cluster
        self._client = needed("distributed").Client(address or cluster, set_as_default=False)
        self._stalled_s = stalled_s
        self._starts = starts
        self._gpus = tuple(gpus)
        self._futures: dict[Path, Any] = {}
        self._ends: dict[Path, JobState] = {}

    def start(self, folder: Path) -> None:
        """See `JobRunner.start`."""
        if folder in self._futures or (folder / "result.json").exists():
            return
        self._ends.pop(folder, None)
        token = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        told = (str(folder), token, self._stalled_s, self._starts, self._gpus)
        self._futures[folder] = self._client.submit(work_on, *told, key=f"{folder.name}-{token}", pure=False)

    def look(self, folder: Path, now: datetime) -> JobState:  # noqa: ARG002 its worker looks at the clock for it
        """See `JobRunner.look`; a silent job is killed by its worker, lost workers are counted."""
        future = self._futures.get(folder)
        if future is None:
            return self._ends.get(folder) or finished(folder) or JobState("absent")
        if future.done():  # let go of it, or Dask would run it again when the worker that has its result dies
            self._ends[folder] = _end(future) or finished(folder) or _lost(future)
            del self._futures[folder]
            return self._ends[folder]
        if (folder / "progress.json").exists():
            return running(folder)
        return JobState("running", stage="waiting", text="for a worker")

    def stop(self) -> None:
        """See `JobRunner.stop`: workers that are ours end, and their children with them."""
        for future in self._futures.values():
            if not future.done():
                future.cancel()
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    @property
    def busy(self) -> bool:
        """See `JobRunner.busy`."""
        return any(not future.done() for future in self._futures.values())


def _end(future: Any) -> JobState | None:
    if future.status != "finished":
        return None
    end: dict[str, Any] = future.result()
    if "result" in end:
        return JobState("finished", result=end["result"], losses=end["losses"])
    return JobState("dead", text=end["text"], losses=end["losses"])


def _lost(future: Any) -> JobState:
    why = future.exception() if future.status == "error" else f"Dask calls it {future.status}"
    return JobState("dead", text=str(why))
