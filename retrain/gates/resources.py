"""Gate 5: whether the network fits its slot."""

from retrain.gates.result import Answer, Evidence, Gate

SURE = 0.8
"""An estimate within this share of its budget passes; one beyond the inverse share fails."""


def resources(estimate: Evidence, budget: Evidence) -> Answer:
    """The cost keeps a margin to the budget for what an estimate can be wrong by; a routed design needs none."""
    numbers = {"estimate": dict(estimate), "budget": dict(budget)}
    parts, worst = [], 0.0
    for name in ("lut", "ff", "dsp"):
        used, limit = float(estimate[name]), float(budget[name])
        share = used / limit if limit else (0.0 if used == 0 else float("inf"))
        worst = max(worst, share)
        parts.append(f"{name.upper()} {used:.0f} of {limit:.0f}")
    status = str(estimate.get("status", "estimate"))
    if not status.startswith("estimate"):
        good = worst <= 1.0 and "timing closed" in status
        return ("pass" if good else "fail"), f"{', '.join(parts)} ({status})", numbers
    text = f"{', '.join(parts)} (ESTIMATE, not placed and routed)"
    if worst > 1 / SURE:
        return "fail", text, numbers
    second = estimate.get("tools", {}).get("yosys")
    if isinstance(second, str) and second != "not run":
        return "inconclusive", f"{text}; the second count is missing: {second}", numbers
    return ("pass" if worst <= SURE else "inconclusive"), text, numbers


GATE = Gate(5, "resources", ("resources", "budget"), resources, of_the_network=True)
