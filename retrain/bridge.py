"""Scores of an emulator library that nobody here has proven, asked in a process of its own.

The child may crash, hang, print or eat memory; the caller gets scores or one error.  It is a guard against accidents,
not against malice: the library runs with the rights of this user.  Nothing here knows what a score means.
"""

import subprocess
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np

from retrain.contract import Features
from retrain.errors import EmulatorFailedError
from retrain.fixed_point import Integers

START_SECONDS = 30.0
SLOWEST_PER_SECOND = 200.0  # events; hls4ml's own emulators do 5 000 and more
_MOST_SAID = 1 << 20  # bytes of standard error
_SAID = {2: "cannot be loaded", 3: "refused an event"}


def ask(bridge: Path, library: Path, features: Features, *, start_seconds: float = START_SECONDS) -> Integers:
    """Return the raw integer score of every event, shape ``(n_events,)``.

    Args:
        bridge: The compiled program of `retrain.firmware.adopt`.
        library: The emulator library, a file ``NAME.so``.
        features: Hardware integers, shape ``(n_inputs, n_events)``.
        start_seconds: Time allowed beside that for the events themselves.

    Raises:
        EmulatorFailedError: It crashed, took too long, could not be loaded, or refused an event.
    """
    return ask_by([str(bridge), str(library.resolve()).removesuffix(".so")], library, features, start_seconds)


def ask_by(command: list[str], library: Path, features: Features, start_seconds: float = START_SECONDS) -> Integers:
    """Return the raw integer score of every event from a program that runs the library; see `ask`.

    Args:
        command: The program and its words; the seconds it may take are added as its last.
        library: Whose scores they are, for messages.
        features: Hardware integers, shape ``(n_inputs, n_events)``.
        start_seconds: Time allowed beside that for the events themselves.

    Raises:
        EmulatorFailedError: As `ask`.
    """
    events = features.shape[1]
    seconds = start_seconds + events / SLOWEST_PER_SECOND
    command = [*command, str(max(int(seconds), 1))]
    given = np.ascontiguousarray(features.T, dtype=np.int16).tobytes()
    with TemporaryFile() as said:
        done = _run(command, given, said, seconds, f"emulator {library}: {events} events")
        said.seek(0)
        last = _tail(said.read(_MOST_SAID))
    if done.returncode != 0:
        raise EmulatorFailedError(f"emulator {library} {_fate(done.returncode)}: {last}")
    if len(done.stdout) != 4 * events:
        raise EmulatorFailedError(f"emulator {library} gave {len(done.stdout) // 4} scores for {events} events")
    return np.frombuffer(done.stdout, np.int32).astype(np.int64)


def _run(
    command: list[str], given: bytes, said: IO[bytes], seconds: float, what: str
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=said, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise EmulatorFailedError(f"{what} took longer than {seconds:.0f} s; it hangs or is far too slow") from error
    except OSError as error:
        raise EmulatorFailedError(f"{what}: the bridge {command[0]} cannot be started: {error}") from error


def _fate(code: int) -> str:
    return _SAID.get(code, f"was ended by signal {-code}" if code < 0 else f"ended with {code}")


def _tail(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
