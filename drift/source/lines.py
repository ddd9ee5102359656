"""A child process spoken to in JSON lines, that can be killed whenever it is silent for too long."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import drift
from drift.errors import SandboxError

ROOT = Path(drift.__file__).parents[1]
START_S = 120.0


class SilentChildError(Exception):
    """The child said nothing within the time it was given; it has been killed."""


class DeadChildError(Exception):
    """The child ended instead of answering.

    Attributes:
        status: Its exit status; negative for a signal.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class LineChild:
    """One such child.  `ask` starts it when needed; nothing about it survives `stop`."""

    def __init__(self, module: str, arguments: list[str], log: Path) -> None:
        self._argv = [sys.executable, "-m", module, *arguments]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Process id of the running child; None when there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the child unless it runs.

        Raises:
            SandboxError: It cannot be started; its last words are in the message.
        """
        if self.pid is not None:
            return
        self.stop()
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONOPTIMIZE"}
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self.starts += 1
        self._rest = b""
        try:
            self._line(START_S)
        except (SilentChildError, DeadChildError) as error:
            self.stop()
            said = self._log.read_text(encoding="utf-8", errors="replace")[-800:]
            raise SandboxError(f"{' '.join(self._argv)} did not start ({error}); it said: {said}") from error

    def ask(self, request: dict[str, Any], within_s: float) -> dict[str, Any]:
        """Send a request and return its answer.

        Raises:
            SilentChildError: No answer in time; the child is dead now.
            DeadChildError: The child ended; the next request starts another.
            SandboxError: No child can be started.
        """
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        return self._line(within_s)

    def _line(self, within_s: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        deadline = time.monotonic() + within_s
        stream = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                self.stop()
                raise SilentChildError(f"silent for {within_s:g} s")
            chunk = os.read(stream, 1 << 16)
            if not chunk:
                raise self._ended()
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> DeadChildError:
        assert self._process is not None
        status = self._process.wait()
        self.stop()
        return DeadChildError(status)

    def stop(self) -> None:
        """Kill the child and all it started; harmless when there is none."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        process.wait()
