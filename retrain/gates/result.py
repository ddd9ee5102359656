"""What a gate says, what a gate is, and what a list of verdicts comes to.

Pure.  "Inconclusive" is an answer of its own; it never opens a gate.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Verdict = Literal["pass", "fail", "inconclusive"]
VERDICTS: tuple[Verdict, ...] = ("pass", "fail", "inconclusive")

Evidence = Mapping[str, Any]
Answer = tuple[Verdict, str, dict[str, Any]]


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


@dataclass(frozen=True)
class Gate:
    """One numbered check.

    Attributes:
        number: Its place in the list, from 1.
        name: Snake case, stable: it is written into ledgers and policies.
        needs: Names of the evidence it judges, in the order in which its rule takes them.
        rule: From that evidence to verdict, sentence and numbers.
        of_the_network: Whether it speaks of the network alone, so that it rests on the parent where one was kept.
    """

    number: int
    name: str
    needs: tuple[str, ...]
    rule: Callable[..., Answer]
    of_the_network: bool = False

    def judged(self, evidence: Mapping[str, Evidence], parent: str = "") -> GateResult:
        """Return its verdict; it fails where its evidence is missing, for unknown is not good."""
        missing = [need for need in self.needs if not evidence.get(need)]
        if missing:
            return GateResult(self.number, self.name, "fail", f"no evidence of {' and '.join(missing)}")
        verdict, summary, numbers = self.rule(*(evidence[need] for need in self.needs))
        if parent and self.of_the_network:
            summary, numbers = f"{summary}; rests on parent {parent[:12]}", {**numbers, "parent": parent}
        return GateResult(self.number, self.name, verdict, summary, numbers)


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
