"""What the gates of a candidate say together, and which of them people let pass."""

from collections.abc import Iterable
from dataclasses import replace

from daemon.lifecycle.candidate import WAIVER_PEOPLE, Candidate
from daemon.lifecycle.codec import digest
from daemon.lifecycle.facts import GateOutcome, Verdict


def verdict(gates: Iterable[GateOutcome]) -> Verdict:
    """Return the worst of the gates; no gates at all is inconclusive, never a pass."""
    verdicts = [gate.verdict for gate in gates]
    if "fail" in verdicts:
        return "fail"
    return "pass" if verdicts and all(each == "pass" for each in verdicts) else "inconclusive"


def waived(candidate: Candidate) -> frozenset[str]:
    """Return the names of the gates that enough distinct people waived."""
    people: dict[str, set[str]] = {}
    for one in candidate.waivers:
        people.setdefault(one.gate, set()).add(one.person)
    return frozenset(gate for gate, names in people.items() if len(names) >= WAIVER_PEOPLE)


def effective(candidate: Candidate) -> tuple[GateOutcome, ...]:
    """Return the gates with each waived inconclusive one counted as a pass; a failed one stays failed."""
    let_pass, gates = waived(candidate), candidate.gates.gates if candidate.gates else ()
    return tuple(
        replace(gate, verdict="pass") if gate.verdict == "inconclusive" and gate.name in let_pass else gate
        for gate in gates
    )


def passing(candidate: Candidate) -> frozenset[str]:
    """Return the names of the gates that passed or were waived."""
    return frozenset(gate.name for gate in effective(candidate) if gate.verdict == "pass")


def waivers_digest(candidate: Candidate) -> str:
    """Return the digest of the waivers that a request would rest on; empty without any."""
    return digest(candidate.waivers) if candidate.waivers else ""
