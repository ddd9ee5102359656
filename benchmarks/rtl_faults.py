"""A module whose wires can be broken one bit at a time, without compiling it anew for each fault.

Every chosen wire is cut in two, and between the halves stands one gate for each of its bits, asleep until the number of
its fault is given.  The gate inverts the bit, or holds it at zero or at one.  Registers between stages are wires too:
the first wires of every stage.
"""

import ctypes
import re
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Contract, Features
from retrain.firmware import rtl
from retrain.firmware.rtl_driver import driver
from retrain.program import IntegerProgram

MODES = ("inverted", "stuck at 0", "stuck at 1")
_WIRE = re.compile(r"^    wire \[(\d+):0\] v(\d+); (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Wire:
    """One wire of one stage.

    Attributes:
        stage: Number of the pipeline stage.
        name: As in the Verilog, e.g. ``v17``.
        width: Bits.
    """

    stage: int
    name: str
    width: int


@dataclass(frozen=True)
class WireFault:
    """One bit of one chosen wire, broken in one way.

    Attributes:
        wire: Its place among the chosen wires.
        bit: Of the wire, the lowest is 0.
        mode: Place in `MODES`.
    """

    wire: int
    bit: int
    mode: int

    @property
    def code(self) -> int:
        """The number that wakes its gate."""
        return (self.wire + 1) | self.bit << 16 | self.mode << 22


def wires(folder: Path) -> list[Wire]:
    """Return every wire of every stage of the RTL in a folder, constants left out."""
    out = []
    for path in sorted((folder / "src").glob("network_stage*.v"), key=_stage):
        for high, number, rest in _WIRE.findall(path.read_text(encoding="utf-8")):
            if "= 'b" not in rest:
                out.append(Wire(_stage(path), f"v{number}", int(high) + 1))
    return out


def choose(found: list[Wire], count: int, rng: np.random.Generator) -> tuple[list[Wire], list[WireFault]]:
    """Return up to ``count`` wires and as many faults, a random bit and mode for each."""
    picked = sorted(rng.choice(len(found), min(count, len(found)), replace=False).tolist())
    chosen = [found[index] for index in picked]
    faults = [
        WireFault(index, int(rng.integers(wire.width)), int(rng.integers(len(MODES))))
        for index, wire in enumerate(chosen)
    ]
    return chosen, faults


class BreakableModule(rtl.Simulation):
    """The RTL in a folder, compiled with gates in the chosen wires.

    Raises:
        BuildError: Verilator or g++ failed.
    """

    def __init__(
        self, folder: Path, chosen: list[Wire], work: Path, contract: Contract, program: IntegerProgram
    ) -> None:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(folder / "src", work / "src")
        _cut(work / "src", chosen)
        ports = rtl.ports_of(folder)
        source = driver(ports)
        for before, after in (
            ("int rtl_inputs()", "uint32_t rtl_fault = 0;\nint rtl_inputs()"),
            ("    Vnetwork dut(&context);\n", "    Vnetwork dut(&context);\n    dut.fault = rtl_fault;\n"),
        ):
            assert before in source
            source = source.replace(before, after)
        library = rtl.compiled(work / "src", source, work)
        super().__init__(library, contract, program, ports)
        self._fault = ctypes.c_uint32.in_dll(ctypes.CDLL(str(library.resolve())), "rtl_fault")

    def answers(self, features: Features, fault: WireFault | None = None) -> NDArray[np.int64]:
        """Return latent integers and, last, the score, shape ``(n_events, n_latent + 1)``, under a fault or none."""
        self._fault.value = 0 if fault is None else fault.code
        latent, score = self.run(features)
        return np.concatenate([latent, score[:, None]], axis=1)


def _cut(verilog: Path, chosen: list[Wire]) -> None:
    for path in verilog.glob("network*.v"):
        text = path.read_text(encoding="utf-8")
        if path.name == "network.v":
            text = text.replace("    input clk,\n", "    input clk,\n    input [31:0] fault,\n", 1)
            text = text.replace("(.model_inp(", "(.fault(fault), .model_inp(")
        else:
            text = re.sub(r"(module \w+ \(\n)", r"\1    input [31:0] fault,\n", text, count=1)
            here = {wire.name: index for index, wire in enumerate(chosen) if wire.stage == _stage(path)}
            text = _WIRE.sub(partial(_gated, here), text)
        path.write_text(text, encoding="utf-8")


def _gated(here: dict[str, int], match: re.Match[str]) -> str:
    high, name, rest = int(match[1]), f"v{match[2]}", match[3]
    if name not in here:
        return match[0]
    whole = re.sub(rf"\b{name}\b", f"{name}_whole", rest)
    awake = f"(fault[15:0] == 16'd{here[name] + 1}) ? ({high + 1}'d1 << fault[21:16]) : {high + 1}'d0"
    return (
        f"    wire [{high}:0] {name}_whole; {whole}\n"
        f"    wire [{high}:0] {name}_mask; assign {name}_mask = {awake};\n"
        f"    wire [{high}:0] {name}; assign {name} = fault[23:22] == 2'd0 ? {name}_whole ^ {name}_mask : "
        f"fault[23:22] == 2'd1 ? {name}_whole & ~{name}_mask : {name}_whole | {name}_mask;"
    )


def _stage(path: Path) -> int:
    return int(path.stem.removeprefix("network_stage"))
