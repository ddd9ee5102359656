"""Compilers and other tools as children: a few at once, with a time limit and a heartbeat."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from retrain.errors import BuildError, TooSlowError

LIMIT_SECONDS = 1200
AT_ONCE = max(1, min(os.cpu_count() or 1, 4))
_POLL_SECONDS = 0.1

Command = Sequence[str]


def need_compiler() -> None:
    """See that there is a C++ compiler before a stage begins that needs one.

    Raises:
        BuildError: There is none; the message says how to get it.
    """
    if shutil.which("g++") is None:
        raise BuildError("g++ is not on PATH; install it (Debian: apt install g++), the proof needs a compiler")


def run_all(
    commands: Sequence[Command],
    folder: Path,
    beat: Callable[[float, str], None] = lambda _fraction, _text: None,
    *,
    at_once: int = AT_ONCE,
    environment: Mapping[str, str] | None = None,
    limit_seconds: float = LIMIT_SECONDS,
) -> str:
    """Run commands in a folder, a few at a time in their order, and return what they wrote to both outputs.

    Args:
        commands: Argument vectors.
        folder: In which they run.
        beat: Called a few times a second with the share of commands that are done.
        at_once: How many may run together; as many as there are cores, four at most.
        environment: Set on top of this process's own.
        limit_seconds: For all together.

    Raises:
        BuildError: A command is not there or failed; the others are killed.
        TooSlowError: The time is over; all are killed.
    """
    waiting, running, done, said = list(commands), list[_Child](), 0, []
    started = time.monotonic()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                log = folder / f".output-{len(commands) - len(waiting)}"
                running.append(_Child(waiting.pop(0), folder, log, {**os.environ, **(environment or {})}))
            time.sleep(_POLL_SECONDS)
            for one in [child for child in running if child.process.poll() is not None]:
                running.remove(one)
                said.append(one.output())
                done += 1
            seconds = time.monotonic() - started
            beat(done / len(commands), f"{commands[0][0].rsplit('/', 1)[-1]} for {seconds:.0f} s")
            if seconds > limit_seconds:
                raise TooSlowError(f"{commands[0][0]} took longer than {limit_seconds:.0f} s in {folder}")
    finally:
        for one in running:
            one.process.kill()
            one.process.wait()
            one.log.unlink(missing_ok=True)
    return "".join(said)


class _Child:
    def __init__(self, command: Command, folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        self.command, self.log = list(command), log
        try:
            with self.log.open("wb") as sink:
                self.process = subprocess.Popen(
                    self.command, cwd=folder, stdout=sink, stderr=subprocess.STDOUT, env=dict(environment)
                )
        except OSError as error:
            self.log.unlink(missing_ok=True)
            raise BuildError(f"{self.command[0]} cannot be started: {error}") from error

    def output(self) -> str:
        """Return what it wrote; the file that took it is gone afterwards."""
        text = self.log.read_text(errors="replace")
        self.log.unlink()
        if self.process.returncode:
            raise BuildError(f"{' '.join(self.command)} ended with {self.process.returncode}: {text[-2000:]}")
        return text
