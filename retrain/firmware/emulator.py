"""The bundle's emulator: hls4ml's C++ with normalisation and score around it, as one shared object.

Hardware integers in, latent integers and an integer score out, computed with the types of the contract by the
vendor's own fixed-point headers.  The build is reproducible: relative paths, fixed seeds, no build id.  Nothing
here decides whether what comes out is right.
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

from retrain.contract import Contract, Features
from retrain.errors import BuildError
from retrain.firmware.hls import NAMESPACE, TOP, Sources
from retrain.program import IntegerProgram

BUILD_LIMIT_SECONDS = 600
_CHUNK = 2048  # vectors a call: a heartbeat every fraction of a second
FLAGS = (
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-w",  # the vendor's headers warn
    "-fno-gnu-unique",  # two emulators loaded at once must not share template statics
    "-frandom-seed=retrigger",
)
LINK_FLAGS = ("-shared", "-Wl,--build-id=none", "-Wl,-z,noexecstack")

_SOURCE = """\
// Emulator of one trigger network: hardware integers in, integer score out.
// Written by retrain.firmware.emulator from the contract; do not edit, a changed byte changes the bundle.
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "{top}.h"
#include "nnet_utils/nnet_helpers.h"

namespace nnet {{
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = nullptr;
size_t trace_type_size = sizeof(double);
}} // namespace nnet

namespace {{

constexpr int n_inputs = {n_inputs};
constexpr int n_latent = {n_latent};

typedef {port} port_t;
typedef {offset_type} offset_t;
typedef {shift_type} shift_t;
typedef {score} score_t;
typedef {latent} latent_t;
typedef ap_fixed<{wide}, {wide_integer}> wide_t;
typedef ap_ufixed<{sum_width}, {sum_integer}> sum_t;

const offset_t offsets[n_inputs] = {{{offsets}}};
const shift_t shifts[n_inputs] = {{{shifts}}};
const bool halved[n_inputs] = {{{halved}}};

struct Model {{
    port_t inputs[n_inputs];
    {namespace}::result_t latent[n_latent];
    score_t score;
}};

void prepare(Model &model, const int16_t *hardware) {{
    for (int i = 0; i < n_inputs; i++) {{
        wide_t value = hardware[i];
        if (halved[i])
            value = value >> 1;
        port_t unscaled = value;
        port_t centred = unscaled - offsets[i];
        model.inputs[i] = centred >> shifts[i].to_int();
    }}
}}

void run(Model &model) {{
    {namespace}::{top}(model.inputs, model.latent);
    sum_t sum = 0;
    for (int i = 0; i < n_latent; i++) {{
        latent_t value = model.latent[i];
        sum += value * value;
    }}
    model.score = sum;
}}

void give(const Model &model, int32_t *latent, uint32_t *score) {{
    for (int i = 0; i < n_latent; i++) {{
        latent_t value = model.latent[i];
        latent[i] = value.range({latent_top}, 0).to_int();
        if ({latent_signed} && value < 0)
            latent[i] -= int32_t(1) << {latent_bits};
    }}
    *score = model.score.range({score_top}, 0).to_uint();
}}

}} // namespace

extern "C" {{

int emulator_inputs() {{ return n_inputs; }}
int emulator_latent() {{ return n_latent; }}
void *emulator_create() {{ return new Model(); }}
void emulator_destroy(void *model) {{ delete static_cast<Model *>(model); }}
void emulator_prepare_input(void *model, const int16_t *hardware) {{ prepare(*static_cast<Model *>(model), hardware); }}
void emulator_predict(void *model) {{ run(*static_cast<Model *>(model)); }}
void emulator_read_result(const void *model, int32_t *latent, uint32_t *score) {{
    give(*static_cast<const Model *>(model), latent, score);
}}

// hardware: events x inputs; latent: events x latent; score: events
void emulator_batch(const int16_t *hardware, size_t events, int32_t *latent, uint32_t *score) {{
    Model model;
    for (size_t i = 0; i < events; i++) {{
        prepare(model, hardware + i * n_inputs);
        run(model);
        give(model, latent + i * n_latent, score + i);
    }}
}}

// the normalised inputs of one event, and the output of one named layer of the network
void emulator_normalised(const int16_t *hardware, double *normalised) {{
    Model model;
    prepare(model, hardware);
    for (int i = 0; i < n_inputs; i++)
        normalised[i] = model.inputs[i].to_double();
}}

void emulator_layer(const int16_t *hardware, const char *layer, double *values) {{
    std::map<std::string, void *> outputs;
    std::vector<std::vector<double>> others;
    const char *names[] = {{{layer_names}}};
    const size_t widths[] = {{{layer_widths}}};
    others.reserve({n_layers});
    for (size_t i = 0; i < {n_layers}; i++) {{
        others.emplace_back(widths[i]);
        outputs[names[i]] = std::strcmp(names[i], layer) == 0 ? static_cast<void *>(values) : others.back().data();
    }}
    nnet::trace_outputs = &outputs;
    nnet::trace_enabled = true;
    Model model;
    prepare(model, hardware);
    run(model);
    nnet::trace_enabled = false;
    nnet::trace_outputs = nullptr;
}}

}} // extern "C"
"""


def source(contract: Contract, program: IntegerProgram, sources: Sources) -> str:
    """Return the C++ that surrounds the network: normalisation before it, score after it, and a C interface."""
    latent, port = program.latent, program.port
    n_latent = sources.links[-1].width
    grow = max(n_latent - 1, 1).bit_length()
    wide_fraction = max(port.fraction, 1)
    return _SOURCE.format(
        top=TOP,
        namespace=NAMESPACE,
        n_inputs=len(contract.inputs),
        n_latent=n_latent,
        port=contract.port,
        offset_type=contract.offset_type,
        shift_type=contract.shift_type,
        score=contract.score,
        latent=contract.latent,
        wide=17 + wide_fraction,
        wide_integer=17,
        sum_width=2 * latent.width + grow,
        sum_integer=2 * latent.integer + grow,
        offsets=", ".join(repr(one.offset) for one in contract.inputs),
        shifts=", ".join(str(one.shift) for one in contract.inputs),
        halved=", ".join(str(one.halved).lower() for one in contract.inputs),
        latent_top=latent.width - 1,
        latent_bits=latent.width,
        latent_signed=str(latent.signed).lower(),
        score_top=program.score.width - 1,
        layer_names=", ".join(f'"{link.name}"' for link in sources.links),
        layer_widths=", ".join(str(link.width) for link in sources.links),
        n_layers=len(sources.links),
    )


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
        text: The C++ from `source`.
        beat: Called every half second while the compiler works.

    Raises:
        BuildError: There is no g++, it failed, or it took longer than ten minutes.
    """
    home = folder / "emulator"
    home.mkdir(parents=True, exist_ok=True)
    (home / "emulator.cpp").write_text(text, encoding="utf-8")
    (home / "build.json").write_text(json.dumps(commands(), indent=1), encoding="utf-8")
    if shutil.which("g++") is None:
        raise BuildError("g++ is not on PATH; install it (Debian: apt install g++), the proof needs a compiler")
    *compiles, link = commands()
    for step, command in enumerate([*compiles, link]):
        start = step / (len(compiles) + 1)

        def tell(seconds: float, start: float = start) -> None:
            if beat is not None:
                beat(start + min(seconds / 60, 0.3), f"g++ for {seconds:.0f} s")

        _run(command, folder, tell)
    for name in ("emulator.o", "network.o"):
        (folder / name).unlink()
    return home / "emulator.so"


def _run(command: list[str], folder: Path, beat: Callable[[float], Any]) -> None:
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
        score = np.zeros(len(events), np.uint32)
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
