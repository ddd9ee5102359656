"""Vivado, where a site has it: the RTL placed and routed, and what the reports say.

Not part of the open chain and not needed by it.  Without the tool the answer is None, and everything that rests on it
says "estimate".
"""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import BuildError
from retrain.firmware.commands import run_all
from retrain.firmware.hls import TOP

TOOL = "vivado"
LIMIT_SECONDS = 6 * 3600.0
_USED = r"\|\s*{}\*?\s*\|\s*(\d+)\s*\|"
_ROWS = {"lut": ("CLB LUTs", "Slice LUTs"), "ff": ("CLB Registers", "Slice Registers"), "dsp": ("DSPs",)}
_VERSION = re.compile(r"v(\d{4}\.\d+)")
_SLACK = re.compile(r"WNS\(ns\).*\n[\s|-]*\n\s*(-?\d+\.\d+)")


@dataclass(frozen=True)
class Routed:
    """A placed and routed module, out of context.

    Attributes:
        lut: Look-up tables.
        ff: Flip-flops.
        dsp: Digital signal processors.
        slack_ns: Worst slack against the contract's clock; negative when the clock cannot be met.
        tool: Vivado's release.
    """

    lut: int
    ff: int
    dsp: int
    slack_ns: float
    tool: str

    @property
    def status(self) -> str:
        """Say whether timing is closed."""
        closed = "timing closed" if self.slack_ns >= 0 else "TIMING NOT CLOSED"
        return f"placed and routed by {self.tool}, out of context, {closed} with {self.slack_ns:+.3f} ns"


def route(
    folder: Path, work: Path, beat: Callable[[float, str], None] = lambda _fraction, _text: None
) -> Routed | None:
    """Place and route the RTL in a copy of its folder; None when Vivado is not on PATH.

    Raises:
        BuildError: Vivado failed or left no report.
    """
    if shutil.which(TOOL) is None:
        return None
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(folder, work)
    run_all(
        [[TOOL, "-mode", "batch", "-notrace", "-source", "build_vivado_prj.tcl"]],
        work,
        lambda _, text: beat(0.0, text),
        limit_seconds=LIMIT_SECONDS,
    )
    reports = work / f"output_{TOP}" / "reports"
    return read(
        *((reports / f"{TOP}_post_route_{kind}.rpt").read_text(errors="replace") for kind in ("util", "timing"))
    )


def read(utilisation: str, timing: str) -> Routed:
    """Return the figures in Vivado's two reports.

    Args:
        utilisation: Text of ``report_utilization``.
        timing: Text of ``report_timing_summary``.

    Raises:
        BuildError: A figure is not there.
    """
    found = {}
    for name, titles in _ROWS.items():
        hits = [hit for title in titles if (hit := re.search(_USED.format(title), utilisation))]
        if not hits:
            raise BuildError(f"Vivado's utilisation report names none of {list(titles)}; is it of another release?")
        found[name] = int(hits[0].group(1))
    slack, release = _SLACK.search(timing), _VERSION.search(timing)
    if slack is None:
        raise BuildError("Vivado's timing report has no WNS; expected a Design Timing Summary")
    return Routed(**found, slack_ns=float(slack.group(1)), tool=f"Vivado {release.group(1) if release else 'unknown'}")
