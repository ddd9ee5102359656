"""Scores of a champion's own emulator library, which is what its board must give bit for bit.

The library that came with the bundle is asked in a process of its own (``python -m retrain.emulated LIBRARY INPUTS
SECONDS``): a crash of it is an answer, not the end of the daemon.  `Bundle.program` gives the same integers by proof;
here the library itself speaks.  Nothing here knows what a board sent.
"""

import ctypes
import os
import resource
import sys
from pathlib import Path

import numpy as np

from retrain import adopted
from retrain.bridge import ask_by
from retrain.bundle import EMULATOR
from retrain.champion import Champion
from retrain.contract import Features
from retrain.fixed_point import Integers

MEMORY_BYTES = 4 << 30


def emulated(champion: Champion, features: Features) -> Integers:
    """Return the emulator's integer score of every event, shape ``(n_events,)``.

    Args:
        champion: A whole bundle, or an adopted library.
        features: Hardware integers, shape ``(n_inputs, n_events)``.

    Raises:
        EmulatorFailedError: The library crashed, took too long, cannot be loaded, or is for other inputs.
    """
    if features.shape[1] == 0:
        return np.zeros(0, np.int64)
    if isinstance(champion, adopted.Adopted):
        return champion.scores(features)
    library = champion.path / EMULATOR
    command = [sys.executable, "-m", "retrain.emulated", str(library.resolve()), str(features.shape[0])]
    return ask_by(command, library, features)


def main(words: list[str]) -> int:
    """Read int16 events from standard input, write int32 scores to standard output; return the exit status."""
    library, inputs, seconds = Path(words[0]), int(words[1]), int(words[2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    answers = os.dup(1)
    os.dup2(2, 1)  # what the library prints goes where errors go
    try:
        loaded = ctypes.CDLL(str(library), mode=ctypes.RTLD_LOCAL)
        takes, latents = int(loaded.emulator_inputs()), int(loaded.emulator_latent())
    except (OSError, AttributeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if takes != inputs:
        sys.stderr.write(f"it takes {takes} inputs, {inputs} were given\n")
        return 3
    events = np.frombuffer(sys.stdin.buffer.read(), np.int16).reshape(-1, inputs)
    latent, score = np.zeros((len(events), latents), np.int32), np.zeros(len(events), np.int32)
    loaded.emulator_batch(
        ctypes.c_void_p(events.ctypes.data),
        ctypes.c_size_t(len(events)),
        ctypes.c_void_p(latent.ctypes.data),
        ctypes.c_void_p(score.ctypes.data),
    )
    with os.fdopen(answers, "wb") as out:
        out.write(score.tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
