"""The bundle's emulator: hls4ml's C++ with normalisation and score around it, as one shared object.

Hardware integers in, latent integers and an integer score out, computed with the types of the contract by the
vendor's own fixed-point headers, through the interface by which CMSSW loads a network.  The build is reproducible:
relative paths, fixed seeds, no build id.  Nothing here decides whether what comes out is right.
"""

import ctypes
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Features
from retrain.errors import BuildError
from retrain.firmware.emulator_source import HEADER, header
from retrain.firmware.hls import TOP

BUILD_LIMIT_SECONDS = 600
_CHUNK = 2048  # vectors a call: a heartbeat every fraction of a second
FLAGS = (
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-w",  # the vendor's headers warn
    "-fvisibility=hidden",  # two emulators loaded at once must not see each other's symbols
    "-fno-gnu-unique",  # nor share template statics
    "-frandom-seed=retrigger",
)
LINK_FLAGS = ("-shared", "-Wl,--build-id=none", "-Wl,-z,noexecstack")


def commands() -> list[list[str]]:
    """Return the compiler's command lines, relative to the folder that holds ``hls`` and ``emulator``."""
    include = ["-Ihls/firmware", "-Ihls/firmware/ap_types"]
    parts = [("emulator/emulator.cpp", "emulator.o"), (f"hls/firmware/{TOP}.cpp", "network.o")]
    compiled = [["g++", *FLAGS, *include, "-c", text, "-o", output] for text, output in parts]
    return [*compiled, ["g++", *LINK_FLAGS, *[output for _, output in parts], "-o", "emulator/emulator.so"]]


def build(folder: Path, text: str, beat: Callable[[float, str], None] | None = None) -> Path:
    """Compile ``folder/emulator/emulator.cpp`` with ``folder/hls`` to ``folder/emulator/emulator.so``.

    Args:
        folder: Holds ``hls/firmware``; everything is addressed relative to it, so its own name leaves no trace.
        text: The C++ from `emulator_source.source`.
        beat: Called every half second while the compiler works.

    Raises:
        BuildError: There is no g++, it failed, or it took longer than ten minutes.
    """
    home = folder / "emulator"
    home.mkdir(parents=True, exist_ok=True)
    (home / "emulator.cpp").write_text(text, encoding="utf-8")
    (home / HEADER).write_text(header(), encoding="utf-8")
    (home / "build.json").write_text(json.dumps(commands(), indent=1), encoding="utf-8")
    *compiles, link = commands()
    for step, command in enumerate([*compiles, link]):
        start = step / (len(compiles) + 1)

        def tell(seconds: float, start: float = start) -> None:
            if beat is not None:
                beat(start + min(seconds / 60, 0.3), f"g++ for {seconds:.0f} s")

        compile_in(folder, command, tell)
    for name in ("emulator.o", "network.o"):
        (folder / name).unlink()
    return home / "emulator.so"


def compile_in(folder: Path, command: list[str], beat: Callable[[float], Any]) -> None:
    """Run one command of the compiler in a folder.

    Args:
        folder: Where it runs.
        command: Starts with ``g++``; paths are relative, so that the folder's own name leaves no trace.
        beat: Called every half second with the seconds that have passed.

    Raises:
        BuildError: There is no g++, it failed, or it took longer than ten minutes.
    """
    if shutil.which(command[0]) is None:
        raise BuildError(f"{command[0]} is not on PATH; install it (Debian: apt install g++), C++ is compiled here")
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        started = time.monotonic()
        while True:
            try:
                output, _ = child.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                seconds = time.monotonic() - started
                beat(seconds)
                if seconds > BUILD_LIMIT_SECONDS:
                    child.kill()
                    raise BuildError(f"{command[0]} took longer than {BUILD_LIMIT_SECONDS} s: {command}") from None
    if child.returncode:
        tail = output.decode(errors="replace")[-2000:]
        raise BuildError(f"{' '.join(command)} ended with {child.returncode}: {tail}")


class Emulator:
    """A loaded emulator library, mapped until the process ends.

    Raises:
        BuildError: The library cannot be loaded, or is for another number of inputs.
    """

    def __init__(self, library: Path, n_inputs: int) -> None:
        try:
            self._library = ctypes.CDLL(str(library.resolve()), mode=ctypes.RTLD_LOCAL)
        except OSError as error:
            raise BuildError(f"emulator {library} cannot be loaded: {error}") from error
        self.n_inputs, self.n_latent = int(self._library.emulator_inputs()), int(self._library.emulator_latent())
        if self.n_inputs != n_inputs:
            raise BuildError(f"emulator {library} takes {self.n_inputs} inputs; the contract has {n_inputs}")

    def run(
        self, features: Features, beat: Callable[[float, str], None] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return latent integers ``(n_events, n_latent)`` and scores ``(n_events,)``.

        Args:
            features: Hardware integers, shape ``(n_inputs, n_events)``.
            beat: Called with the fraction done after every two thousand vectors.
        """
        events = np.ascontiguousarray(features.T, dtype=np.int16)
        latent = np.zeros((len(events), self.n_latent), np.int32)
        score = np.zeros(len(events), np.int32)  # of at most 31 bits, in two's complement when it is signed
        for start in range(0, len(events), _CHUNK):
            stop = min(start + _CHUNK, len(events))
            self._library.emulator_batch(
                ctypes.c_void_p(events[start:].ctypes.data),
                ctypes.c_size_t(stop - start),
                ctypes.c_void_p(latent[start:].ctypes.data),
                ctypes.c_void_p(score[start:].ctypes.data),
            )
            if beat is not None:
                beat(stop / len(events), f"C++ emulator, vector {stop}")
        return latent.astype(np.int64), score.astype(np.int64)

    def normalised(self, event: NDArray[np.int16]) -> NDArray[np.float64]:
        """Return the normalised inputs of one event, as the network is given them."""
        out = np.zeros(self.n_inputs)
        hardware = np.ascontiguousarray(event, dtype=np.int16)
        self._library.emulator_normalised(ctypes.c_void_p(hardware.ctypes.data), ctypes.c_void_p(out.ctypes.data))
        return out

    def layer(self, event: NDArray[np.int16], name: str, width: int) -> NDArray[np.float64]:
        """Return the output of one named layer for one event."""
        out = np.zeros(width)
        hardware = np.ascontiguousarray(event, dtype=np.int16)
        self._library.emulator_layer(
            ctypes.c_void_p(hardware.ctypes.data), ctypes.c_char_p(name.encode()), ctypes.c_void_p(out.ctypes.data)
        )
        return out
