"""Whether the evidence of a candidate suffices, gate by gate.

Pure: evidence in, numbered verdicts out.  Each gate is a file of `retrain.gates`; here stands their order.  Nothing
here knows how the evidence was measured, or who will read the verdict.
"""

from collections.abc import Mapping

from retrain.gates import (
    accumulator_bound,
    bit_exact,
    contract,
    data_certified,
    fault_sensitivity,
    latency,
    new_data_gain,
    non_inferiority,
    rate_stability,
    reproducibility,
    resources,
    threshold_interval,
)
from retrain.gates.result import VERDICTS, Evidence, Gate, GateResult, Verdict, overall, reason

__all__ = ["AGAINST_CHAMPION", "GATES", "VERDICTS", "Gate", "GateResult", "Verdict", "judge", "overall", "reason"]

GATES: tuple[Gate, ...] = tuple(
    one.GATE
    for one in (
        data_certified,
        contract,
        bit_exact,
        accumulator_bound,
        resources,
        latency,
        threshold_interval,
        rate_stability,
        reproducibility,
        non_inferiority,
        fault_sensitivity,
        new_data_gain,
    )
)
"""Every gate, in the order in which a person would ask."""

AGAINST_CHAMPION = frozenset(one.GATE.name for one in (non_inferiority, fault_sensitivity, new_data_gain))
"""Gates whose verdict is about one champion, and about no other."""


def judge(evidence: Mapping[str, Evidence], parent: str = "") -> tuple[GateResult, ...]:
    """Return every gate's verdict, in order.

    Args:
        evidence: By name: ``dataset``, ``preflight``, ``proof``, ``resources``, ``budget``, ``working_point``,
            ``comparison``, ``training``, ``faults``, ``gain``.  A gate whose evidence is missing fails: unknown is not
            good.
        parent: Digest of the bundle whose network and proof were kept; the gates that rest on it say so.
    """
    return tuple(gate.judged(evidence, parent) for gate in GATES)
