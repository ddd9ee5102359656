"""What an open synthesiser makes of the Verilog: cells, counted beside da4ml's own estimate.

Yosys maps to the cells of UltraScale+ in a child process of its own, because it keeps gigabytes and may take minutes.
Its figures are an estimate too: no placement, no routing, two-output tables not packed.  Vivado's own figures take
precedence where the tool is there (`vendor`).  Nothing here knows a budget.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from retrain.child import die_with_parent
from retrain.errors import BuildError
from retrain.firmware.commands import run_all
from retrain.firmware.hls import TOP
from retrain.firmware.rtl import sources

LIMIT_SECONDS = 1800
STATUS = "estimate: synthesised by Yosys, not placed, not routed, timing not closed"
_CELLS = {
    "lut": ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6"),
    "ff": ("FDRE", "FDSE", "FDCE", "FDPE"),
    "dsp": ("DSP48E2", "DSP48E1"),
    "bram": ("RAMB18E2", "RAMB36E2", "RAMB18E1", "RAMB36E1"),
    "carry": ("CARRY4", "CARRY8"),
}


@dataclass(frozen=True)
class Cells:
    """Cells after mapping.

    Attributes:
        lut: Look-up tables, each with one output.
        ff: Flip-flops.
        dsp: Digital signal processors.
        bram: Block memories.
        carry: Carry blocks.
        tool: The synthesiser's release.
        status: Always that this is an estimate.
    """

    lut: int
    ff: int
    dsp: int
    bram: int
    carry: int
    tool: str
    status: str = STATUS


def synthesise(
    folder: Path,
    work: Path,
    beat: Callable[[float, str], None] = lambda _fraction, _text: None,
    *,
    limit_seconds: float = LIMIT_SECONDS,
) -> Cells:
    """Synthesise the Verilog under ``folder`` for UltraScale+, multipliers in logic, and count its cells.

    Args:
        folder: Written by `retrain.firmware.rtl.write`.
        work: For the report; made when it is not there.
        beat: Called a few times a second.
        limit_seconds: After which the synthesiser is killed.

    Raises:
        BuildError: Yosys is missing, failed or took too long.
    """
    work.mkdir(parents=True, exist_ok=True)
    report = (work / "yosys.json").resolve()
    command = [sys.executable, "-m", "retrain.firmware.synthesis", str(folder.resolve()), str(report)]
    run_all([command], work, lambda _, text: beat(0.0, text), limit_seconds=limit_seconds)
    return cells(json.loads(report.read_bytes()))


def cells(report: dict[str, Any]) -> Cells:
    """Return the counts in a report of Yosys' ``stat -json``.

    Raises:
        BuildError: The report has no design, or holds a cell of logic that was not mapped.
    """
    try:
        counts: dict[str, int] = report["design"]["num_cells_by_type"]
    except (KeyError, TypeError) as error:
        raise BuildError(f"Yosys' report has no cell counts: {error!r}; found keys {sorted(report)}") from error
    unmapped = sorted(name for name in counts if name.startswith("$") and name != "$scopeinfo")
    if unmapped:
        raise BuildError(f"Yosys left cells unmapped: {unmapped[:5]}; the counts would be too small")
    summed = {kind: sum(int(counts.get(name, 0)) for name in names) for kind, names in _CELLS.items()}
    tool = f"yosys {version('pyosys')} (pyosys wheel)"
    return Cells(summed["lut"], summed["ff"], summed["dsp"], summed["bram"], summed["carry"], tool)


def main(arguments: list[str]) -> int:
    """Run Yosys in this process: a folder of RTL, and the file for the report."""
    from pyosys import libyosys  # noqa: PLC0415 - hundreds of megabytes, for this child alone

    die_with_parent()
    folder, report = Path(arguments[0]), Path(arguments[1])
    os.chdir(report.parent)
    half = Path(f"{report.stem}.part")
    design = libyosys.Design()
    quoted = " ".join(f'"{path}"' for path in sources(folder))  # Yosys splits its commands at blanks
    for command in (
        f"read_verilog -defer {quoted}",
        f"synth_xilinx -family xcup -top {TOP} -flatten -nodsp",
        f"tee -q -o {half} stat -json -tech xilinx",
    ):
        libyosys.run_pass(command, design)
    shutil.move(half, report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
