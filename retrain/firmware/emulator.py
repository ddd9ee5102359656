"""The bundle's emulator: hls4ml's C++ with normalisation and score around it, as one shared object.

Hardware integers in, latent integers and an integer score out, computed with the types of the contract by the
vendor's own fixed-point headers, through the interface by which CMSSW loads a network.  The build is reproducible:
relative paths, fixed seeds, no build id.  Nothing here decides whether what comes out is right.
"""

import ctypes
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Features
from retrain.errors import BuildError
from retrain.firmware.commands import need_compiler, run_all
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


def build(folder: Path, text: str, told: Callable[[float, str], None] = lambda _fraction, _text: None) -> Path:
    """Compile ``folder/emulator/emulator.cpp`` with ``folder/hls`` to ``folder/emulator/emulator.so``.

    Args:
        folder: Holds ``hls/firmware``; everything is addressed relative to it, so its own name leaves no trace.
        text: The C++ from `emulator_source.source`.
        told: Called a few times a second while the compiler works.

    Raises:
        BuildError: There is no g++, it failed, or it took longer than ten minutes.
    """
    home = folder / "emulator"
    home.mkdir(parents=True, exist_ok=True)
    (home / "emulator.cpp").write_text(text, encoding="utf-8")
    (home / HEADER).write_text(header(), encoding="utf-8")
    (home / "build.json").write_text(json.dumps(commands(), indent=1), encoding="utf-8")
    *compiles, link = commands()
    need_compiler()
    run_all(compiles, folder, lambda part, said: told(0.9 * part, said), limit_seconds=BUILD_LIMIT_SECONDS)
    run_all([link], folder, lambda part, said: told(0.9 + 0.1 * part, said), limit_seconds=BUILD_LIMIT_SECONDS)
    for name in ("emulator.o", "network.o"):
        (folder / name).unlink()
    return home / "emulator.so"


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
