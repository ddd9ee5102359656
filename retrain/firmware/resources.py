"""What the network costs on the board, counted from its own RTL: an estimate until a vendor tool has routed it.

Two independent counts, da4ml's of its adders and Yosys' of mapped cells, stand beside each other and the larger is
held against the budget; they have agreed to 15 %.  Latency is not estimated: it is counted in clocks of the
simulated RTL; that the clock can be met is what only place-and-route can say.  Nothing here knows a budget.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from retrain.contract import Budget
from retrain.firmware.rtl import Cost
from retrain.firmware.synthesis import Cells
from retrain.firmware.vendor import Routed

STATUS = "estimate: not placed, not routed, timing not closed"
CROSSING_NS = 25.0


@dataclass(frozen=True)
class Estimate:
    """Cost of the whole module: normalisation, network and score.

    Attributes:
        lut: Look-up tables; the larger of the counts.
        ff: Flip-flops; likewise.
        dsp: Digital signal processors.
        stages: Clocks from the edge that takes an event in to the one after which its score stands, as simulated.
        latency_ticks: The same in bunch crossings of 25 ns at the contract's clock, rounded up.
        status: What may be believed of it.
        tools: What each tool counted, or why it did not.
    """

    lut: int
    ff: int
    dsp: int
    stages: int
    latency_ticks: int
    status: str = STATUS
    tools: dict[str, Any] = field(default_factory=dict)


def estimate(budget: Budget, cost: Cost, cycles: int, cells: Cells | str, routed: Routed | None) -> Estimate:
    """Return one estimate from what the tools said; a routed design speaks for itself.

    Args:
        budget: For its clock alone.
        cost: da4ml's own count.
        cycles: Latency as simulated.
        cells: Yosys' count, or why there is none.
        routed: Vivado's figures; None when the tool is not there.
    """
    tools: dict[str, Any] = {
        "da4ml": asdict(cost),
        "yosys": cells if isinstance(cells, str) else asdict(cells),
        "vivado": "not run: the tool is not on PATH" if routed is None else asdict(routed),
    }
    ticks = ticks_of(cycles, budget.clock_mhz)
    if routed is not None:
        return Estimate(routed.lut, routed.ff, routed.dsp, cycles, ticks, routed.status, tools)
    lut, ff = (max(getattr(cost, name), getattr(cells, name, 0)) for name in ("lut", "ff"))
    return Estimate(lut, ff, 0 if isinstance(cells, str) else cells.dsp, cycles, ticks, STATUS, tools)


def ticks_of(cycles: int, clock_mhz: float) -> int:
    """Return how many bunch crossings so many clocks take, rounded up."""
    return math.ceil(cycles * 1000.0 / clock_mhz / CROSSING_NS - 1e-9)
