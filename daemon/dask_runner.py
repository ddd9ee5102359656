"""Jobs through Dask: the second way to run a job folder, on workers here or on other machines.

A worker does what the loop would do: it starts ``python -m retrain.job`` as its child and looks after it.  The child
dies with its worker; Dask hands the folder to another one, where the job goes on from its last whole stage and ends
in the same bits.  Every beginning is written into the folder first, so that a job which takes its workers down with it
is given up after a stated number of them.  Folders must lie where every worker sees them.

A scheduler that cannot be reached holds up the start of jobs and nothing else: it is asked for when a job starts, again
after growing pauses, and a job that was under way when it was lost goes on from its last whole stage.
"""

import asyncio
import contextlib
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.clusters import needed
from daemon.errors import JobError
from daemon.training import JobState, SubprocessRunner, finished, running

STARTS = "starts.jsonl"
LOOK_S = 0.2
CONNECT_S = 5.0
"""The loop stands still while a scheduler is asked for, so it is given up soon and asked again later."""
PAUSE_S, LONGEST_PAUSE_S = 15.0, 600.0


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
    with (folder / STARTS).open("a+b") as sink:
        end = sink.seek(0, os.SEEK_END)
        sink.seek(max(end - 1, 0))
        torn = sink.read(1) not in {b"", b"\n"}  # by a worker killed while it wrote; its line must not take ours along
        sink.write(b"\n" * torn + json.dumps(line).encode() + b"\n")
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


async def _knock(address: str, timeout_s: float) -> None:
    """Connect to a scheduler, with the certificates of Dask's configuration, and hang up."""
    distributed = needed("distributed")
    security = distributed.Security().get_connection_args("client")
    comm = await needed("distributed.comm").connect(address, timeout=timeout_s, **security)
    await comm.close()


class DaskRunner:
    """Jobs on the workers of a Dask cluster; see `daemon.training.JobRunner`."""

    def __init__(
        self,
        cluster: Any,
        *,
        stalled_s: float,
        starts: int,
        gpus: Sequence[str] = (),
        address: str = "",
        clock: Callable[[], float] = time.monotonic,
        connect_s: float = CONNECT_S,
    ) -> None:
        """Make a runner that owns a cluster; nothing is connected to before a job starts.

        Args:
            cluster: A cluster of Dask, closed by `stop`; None when ``address`` names one that others own.
            stalled_s: A job without a sign of life for so long is killed by its worker.
            starts: How many workers, or connections to the scheduler, may be lost under one job before it is called
                dead.
            gpus: Devices of this machine, of which each worker takes one.
            address: Of a Dask scheduler that runs already.
            clock: Seconds that never go back; pauses between two tries to reach a scheduler are told by it.
            connect_s: How long one try to reach a scheduler may take.

        Raises:
            SetupError: Dask is not installed.
        """
        distributed = needed("distributed")
        self._errors = (
            OSError,  # refused, timed out, closed; a certificate that is not trusted
            ImportError,  # versions that do not understand each other
            RuntimeError,
            TypeError,  # a tls:// address without certificates in Dask's configuration
            ValueError,  # an address that is none
            distributed.CancelledError,
            distributed.client.ClosedClientError,
        )
        self._cluster = cluster
        self._address = address
        self._client: Any = None
        self._stalled_s = stalled_s
        self._starts = starts
        self._gpus = tuple(gpus)
        self._clock = clock
        self._connect_s = connect_s
        self._refusals = 0
        self._refused_until = 0.0
        self._why = ""
        self._futures: dict[Path, Any] = {}
        self._ends: dict[Path, JobState] = {}
        self._lost: Counter[Path] = Counter()

    def start(self, folder: Path) -> None:
        """See `JobRunner.start`.

        Raises:
            JobError: The scheduler cannot be reached, or could not a short while ago; start the job again later.
        """
        if folder in self._futures or (folder / "result.json").exists():
            return
        token = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        told = (str(folder), token, self._stalled_s, self._starts, self._gpus)
        if self._clock() < self._refused_until:
            raise JobError(self._why)
        try:
            self._futures[folder] = self._connected().submit(work_on, *told, key=f"{folder.name}-{token}", pure=False)
        except self._errors as error:
            self._refusals += 1
            pause = min(PAUSE_S * 2.0 ** min(self._refusals - 1, 10), LONGEST_PAUSE_S)
            self._refused_until = self._clock() + pause
            self._why = self._unreachable(error)
            raise JobError(self._why) from error
        self._refusals = 0
        self._ends.pop(folder, None)

    def _connected(self) -> Any:
        """Return a client that is not closed; Dask closes one for good that could not reconnect."""
        if self._client is None or self._client.status not in {"running", "connecting"}:
            self._client = None
            if self._address:
                asyncio.run(_knock(self._address, self._connect_s))  # a client that fails would leave its thread behind
            self._client = needed("distributed").Client(
                self._address or self._cluster, timeout=self._connect_s, set_as_default=False
            )
        return self._client

    def _unreachable(self, error: BaseException) -> str:
        said = str(error) or type(error).__name__
        if self._cluster is not None:
            return f"the Dask cluster of executor.kind takes no job: {said}; start the daemon anew when this stays"
        return (
            f"executor.scheduler {self._address} takes no job: {said}; start that scheduler, or mend the address and "
            "the certificates in Dask's configuration (docs/retrain.md); it is tried again by itself"
        )

    def look(self, folder: Path, now: datetime) -> JobState:  # noqa: ARG002 its worker looks at the clock for it
        """See `JobRunner.look`; a silent job is killed by its worker, lost workers are counted."""
        future = self._futures.get(folder)
        if future is None:
            return self._ends.get(folder) or finished(folder) or JobState("absent")
        if future.done():  # let go of it, or Dask would run it again when the worker that has its result dies
            del self._futures[folder]
            end = self._end(future) or finished(folder) or self._without_scheduler(folder)
            if end.phase != "absent":
                self._ends[folder] = end
                del self._lost[folder]
            return end
        if (folder / "progress.json").exists():
            return running(folder)
        return JobState("running", stage="waiting", text="for a worker")

    def _end(self, future: Any) -> JobState | None:
        """Return what Dask says of the end; None when the job's word, or the scheduler, was lost."""
        if future.status == "error":
            return JobState("dead", text=str(future.exception()))
        if future.status != "finished":
            return None
        try:
            end: dict[str, Any] = future.result(timeout=self._connect_s)
        except self._errors:
            return None
        if "result" in end:
            return JobState("finished", result=end["result"], losses=end["losses"])
        return JobState("dead", text=end["text"], losses=end["losses"])

    def _without_scheduler(self, folder: Path) -> JobState:
        """Say that a job is to be started again, or dead when the connection was lost too often under it."""
        self._lost[folder] += 1
        if self._lost[folder] > self._starts:
            return JobState(
                "dead", text=f"the connection to the scheduler was lost {self._lost[folder]} times under it"
            )
        return JobState("absent")

    def stop(self) -> None:
        """See `JobRunner.stop`: workers that are ours end, and their children with them."""
        if self._client is not None:
            with contextlib.suppress(*self._errors):  # what cannot be told to a scheduler that is gone
                for future in self._futures.values():
                    if not future.done():
                        future.cancel()
            with contextlib.suppress(*self._errors):
                self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    @property
    def busy(self) -> bool:
        """See `JobRunner.busy`."""
        return any(not future.done() for future in self._futures.values())
