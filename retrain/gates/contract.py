"""Gate 2: whether the data are what the firmware contract was made for."""

from retrain.gates.result import Answer, Evidence, Gate


def contract_holds(preflight: Evidence) -> Answer:
    """Offsets, shifts, units and types fit the data the model was made from."""
    findings = list(preflight["findings"])
    if findings:
        return "fail", f"{len(findings)} findings, first {findings[0]}", dict(preflight)
    return (
        "pass",
        f"contract {str(preflight['contract_digest'])[:12]} fits {preflight['events']} events",
        dict(preflight),
    )


GATE = Gate(2, "contract", ("preflight",), contract_holds)
