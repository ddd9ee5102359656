"""Whether the evidence of a candidate suffices, gate by gate.

Pure: evidence in, numbered verdicts out.  "Inconclusive" is an answer of its own; it never opens a gate.
Nothing here knows how the evidence was measured, or who will read the verdict.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Verdict = Literal["pass", "fail", "inconclusive"]
VERDICTS: tuple[Verdict, ...] = ("pass", "fail", "inconclusive")


@dataclass(frozen=True)
class GateResult:
    """What one gate said, and on what grounds.

    Attributes:
        number: Its place in the list, from 1; the order is that in which a person would ask.
        name: Snake case, stable: it is written into ledgers.
        verdict: ``pass``, ``fail`` or ``inconclusive``.
        summary: One sentence with the numbers that decided it.
        evidence: The numbers themselves, plain JSON values.
    """

    number: int
    name: str
    verdict: Verdict
    summary: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "number": self.number,
            "name": self.name,
            "verdict": self.verdict,
            "summary": self.summary,
            "evidence": dict(self.evidence),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; a verdict that is none of the three becomes ``inconclusive``."""
        verdict: Verdict = next((known for known in VERDICTS if known == value.get("verdict")), "inconclusive")
        return cls(
            int(value["number"]), str(value["name"]), verdict, str(value["summary"]), dict(value.get("evidence", {}))
        )


def overall(gates: Iterable[GateResult]) -> Verdict:
    """Return the verdict of a whole list: one failure fails it, one doubt leaves it open, and nothing never passes."""
    verdicts = [gate.verdict for gate in gates]
    if "fail" in verdicts:
        return "fail"
    if not verdicts or "inconclusive" in verdicts:
        return "inconclusive"
    return "pass"


def reason(gates: Sequence[GateResult]) -> str:
    """Return one line that says which gates did not pass, or that all did."""
    if not gates:
        return "no gate was run, and an empty list never passes"
    open_gates = [f"gate {gate.number} {gate.name}: {gate.summary}" for gate in gates if gate.verdict != "pass"]
    return "; ".join(open_gates) if open_gates else f"all {len(gates)} gates pass"
