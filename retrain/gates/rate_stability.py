"""Gate 8: whether the rate follows pileup and nothing else."""

from retrain.gates.result import Answer, Evidence, Gate

UNSTABLE_P = 1e-3
WORST_PILEUP_RATIO = 100.0


def rate_stability(point: Evidence) -> Answer:
    """Rate follows pileup alone, is the same on events learned from and kept back, and explodes in no stratum."""
    smooth, learned = point["stability"], point["training"]
    counted = [one for one in point["strata"] if one["passing"] > 0 and one["pileup_from"] is not None]
    surely_high = max((one["low_hz"] for one in counted), default=0.0)
    ratio = surely_high / min((one["high_hz"] for one in counted), default=1.0)
    numbers = {"stability": smooth, "training": learned, "strata": point["strata"], "pileup_ratio": ratio}
    if learned["p_value"] < UNSTABLE_P:
        text = f"training events pass {learned['fraction']:.4f}, held-out {learned['held_out_fraction']:.4f}"
        return "fail", f"{text}: it learned by heart", numbers
    if smooth["tested"] and smooth["p_value"] < UNSTABLE_P:
        return "fail", f"rate differs between fills at one pileup (p = {smooth['p_value']:.1e})", numbers
    if ratio > WORST_PILEUP_RATIO:
        return "fail", f"rate surely grows {ratio:.0f} times across pileup strata", numbers
    if point["passing"] < point["minimum_passing"]:
        return "inconclusive", f"{point['passing']} passing events say nothing about stability", numbers
    tested = (
        f"p = {smooth['p_value']:.2g} in {smooth['cells']} cells" if smooth["tested"] else "too few cells for fills"
    )
    return "pass", f"rate follows pileup ({tested}) over {len(counted)} strata", numbers


GATE = Gate(8, "rate_stability", ("working_point",), rate_stability)
