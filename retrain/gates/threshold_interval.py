"""Gate 7: whether the rate at the threshold is known."""

from retrain.gates.result import Answer, Evidence, Gate

TOLERATED_STEP = 1.25
"""Rate one integer below the threshold, over the target: coarser scores cannot hit a rate."""


def threshold_interval(point: Evidence) -> Answer:
    """The rate at the threshold is known from enough events, and the target lies within its interval."""
    names = ("threshold", "passing", "events", "rate_hz", "low_hz", "high_hz", "target_rate_hz", "one_below_hz")
    numbers = {name: point[name] for name in (*names, "confidence", "minimum_passing")}
    text = (
        f"threshold {point['threshold']}: {point['rate_hz'] / 1e3:.1f} kHz "
        f"({point['low_hz'] / 1e3:.1f} to {point['high_hz'] / 1e3:.1f}) for {point['target_rate_hz'] / 1e3:.1f} kHz "
        f"from {point['passing']} of {point['events']} events"
    )
    if point["passing"] < point["minimum_passing"]:
        return "inconclusive", f"{text}; at least {point['minimum_passing']} are needed", numbers
    if not point["low_hz"] <= point["target_rate_hz"] <= point["high_hz"]:
        return "fail", f"{text}; the target is outside", numbers
    if point["one_below_hz"] > TOLERATED_STEP * point["target_rate_hz"] and point["rate_hz"] < point["target_rate_hz"]:
        return "fail", f"{text}; one integer lower gives {point['one_below_hz'] / 1e3:.1f} kHz, too coarse", numbers
    return "pass", text, numbers


GATE = Gate(7, "threshold_interval", ("working_point",), threshold_interval)
