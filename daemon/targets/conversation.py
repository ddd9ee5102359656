"""One question to a program of the site: argv without a shell, bytes in, bytes out, within time and size.

Whatever the program does (hangs, floods, forks, dies), the caller gets an answer or one error, and nothing of it is
left running.  Nothing here knows what is asked.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from tempfile import TemporaryFile

from daemon.errors import DeployError

MOST_SAID = 1 << 20


@dataclass(frozen=True)
class Answer:
    """How a program ended (its exit status, negative for a signal) and what it said."""

    status: int
    out: bytes
    err: str


def ask(argv: Sequence[str], given: bytes, *, seconds: float, most: int = MOST_SAID) -> Answer:
    """Start a program, give it bytes on its standard input, and return what it answers.

    Args:
        argv: The program and its words; no shell reads them.
        given: What it reads.
        seconds: How long it may take.
        most: How many bytes it may say.

    Raises:
        DeployError: It cannot be started, takes too long, or says more than it may.
    """
    pipe = subprocess.PIPE
    with TemporaryFile() as question:  # a program that never reads it holds nobody up
        question.write(given)
        question.seek(0)
        try:
            child = subprocess.Popen(argv, stdin=question, stdout=pipe, stderr=pipe, start_new_session=True)
        except (OSError, ValueError) as error:
            raise DeployError(f"{argv[0]} cannot be started: {error}; check its path and rights") from error
    with child:
        try:
            said = _listen(child, time.monotonic() + seconds, most, f"{argv[0]}: longer than {seconds:g} s")
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
    return Answer(child.returncode, said[0], said[1].decode(errors="replace").strip()[-500:])


def _listen(child: subprocess.Popen[bytes], until: float, most: int, late: str) -> tuple[bytes, bytes]:
    """Read both outputs to their ends, then wait for the program."""
    said = [bytearray(), bytearray()]
    with selectors.DefaultSelector() as open_ends:
        for number, end in enumerate((child.stdout, child.stderr)):
            assert end is not None
            open_ends.register(end, selectors.EVENT_READ, number)
        while open_ends.get_map():
            ready = open_ends.select(max(until - time.monotonic(), 0.0))
            if not ready:
                raise DeployError(f"{late}; it was stopped, see why it hangs")
            for key, _ in ready:
                block = os.read(key.fd, 1 << 16)
                said[key.data] += block
                if not block:
                    open_ends.unregister(key.fileobj)
            if sum(map(len, said)) > most:
                raise DeployError(f"{child.args!s:.100} said more than {most} B; it was stopped")
    try:
        child.wait(max(until - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired as error:
        raise DeployError(f"{late}; it was stopped, see why it hangs") from error
    return bytes(said[0]), bytes(said[1])
