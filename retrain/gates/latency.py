"""Gate 6: whether the answer comes in time."""

from retrain.gates.result import Answer, Evidence, Gate


def latency(estimate: Evidence, budget: Evidence) -> Answer:
    """The answer comes within the ticks of the slot, by clocks counted in simulation."""
    used, limit = int(estimate["latency_ticks"]), int(budget["latency_ticks"])
    text = f"{estimate['stages']} clocks of {budget['clock_mhz']:g} MHz in simulated RTL, {used} of {limit} ticks"
    if str(estimate.get("status", "estimate")).startswith("estimate"):
        text += " (ESTIMATE: the clock is not proven)"
    return ("pass" if used <= limit else "fail"), text, {"estimate": dict(estimate), "budget": dict(budget)}


GATE = Gate(6, "latency", ("resources", "budget"), latency, of_the_network=True)
