"""Gate 4: whether no sum can leave its accumulator."""

from retrain.gates.result import Answer, Evidence, Gate


def accumulator_bound(proof: Evidence) -> Answer:
    """No input can make a sum inexact in float32 or overflow an accumulator in C++."""
    bound = proof["accumulators"]
    if not bound["exact_in_float32"]:
        text = f"worst case {bound['worst_case']} reaches 2**24; PyTorch and QONNX are not exact there"
        return "fail", text, dict(bound)
    if bound["too_narrow"]:
        return "fail", str(bound["too_narrow"][0]), dict(bound)
    return "pass", f"worst case {bound['worst_case']} below 2**24, every accumulator holds its own", dict(bound)


GATE = Gate(4, "accumulator_bound", ("proof",), accumulator_bound, of_the_network=True)
