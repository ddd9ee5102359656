"""What a person says, from a form or from the API alike.

It is shown to be theirs first, then handed to `daemon.decisions`, which asks the rules.
"""

from datetime import datetime

from daemon import decisions, rarer_decisions
from daemon.lifecycle import Candidate
from daemon.lifecycle import facts as f
from daemon.lifecycle.signing import one_form
from daemon.web.doors import Visit
from daemon.web.pages import read_candidate
from daemon.web.proof import SIGNED, Proof, Word, prove


def role_in(visitor: Visit, says: str, candidate_id: str, role: str) -> str:
    """Return the role in which this person says it: the one they name, or the one that the rules would take.

    Raises:
        RefusedError: There is no such candidate.
    """
    if role or says not in SIGNED:
        return role
    candidate, _ = read_candidate(visitor.office, candidate_id)
    return roles_in(visitor, candidate)[says]


def roles_in(visitor: Visit, candidate: Candidate) -> dict[str, str]:
    """Return the role in which this person would say each word that can be signed; empty where they hold none."""
    held, policy = visitor.person.roles, visitor.office.policy
    allowed = {
        "confirm": rarer_decisions.confirming(candidate, policy),
        "break-glass": policy.glass_roles,
        "waive": policy.waiver_roles,
    }
    first = {says: next((one for one in roles if one in held), "") for says, roles in allowed.items()}
    return {"approve": decisions.role_for(candidate, held), **first}


def approve(
    visitor: Visit, proof: Proof, candidate_id: str, request: str, role: str, code: str, reason: str
) -> Candidate:
    """Say yes; a passkey's assertion becomes its signature."""
    role = role_in(visitor, "approve", candidate_id, role)
    voice = _voice(visitor, proof, Word("approve", candidate_id, request, role, reason))
    return decisions.approve(voice, request_id=request, role=role, code=code)


def reject(
    visitor: Visit, proof: Proof, candidate_id: str, request: str, role: str, klass: str, code: str, reason: str
) -> Candidate:
    """Say no, with a class."""
    voice = _voice(visitor, proof, Word("reject", candidate_id, request, role, reason))
    return decisions.reject(voice, request_id=request, role=role, klass=klass, code=code)


def revoke(visitor: Visit, proof: Proof, candidate_id: str, request: str, reason: str) -> Candidate:
    """Take one's own yes back."""
    return decisions.revoke(
        _voice(visitor, proof, Word("revoke", candidate_id, request, "", reason)), request_id=request
    )


def roll_back(visitor: Visit, proof: Proof, candidate_id: str, reason: str) -> Candidate:
    """Ask for the model that ran before."""
    return decisions.roll_back(_voice(visitor, proof, Word("rollback", candidate_id, "", "", reason)))


def confirm(visitor: Visit, proof: Proof, candidate_id: str, request: str, code: str, reason: str) -> Candidate:
    """Say a second time that what is in shadow may go live."""
    role = role_in(visitor, "confirm", candidate_id, "")
    voice = _voice(visitor, proof, Word("confirm", candidate_id, request, role, reason))
    return rarer_decisions.confirm(voice, request_id=request, code=code)


def break_glass(visitor: Visit, proof: Proof, candidate_id: str, request: str, code: str, reason: str) -> Candidate:
    """Say that this request must be written now; it takes two people, and is reviewed."""
    role = role_in(visitor, "break-glass", candidate_id, "")
    voice = _voice(visitor, proof, Word("break-glass", candidate_id, request, role, reason))
    return rarer_decisions.break_glass(voice, request_id=request, code=code)


def waive(
    visitor: Visit,
    proof: Proof,
    candidate_id: str,
    evidence: str,
    gate: str,
    code: str,
    hours: float,
    reason: str,
    until: datetime | None = None,
) -> Candidate:
    """Let one inconclusive gate of this very evidence count as passed for so many hours; it takes two people.

    What is signed says when the waiver ends: a key of the person's own signs that beforehand (`until`).  A passkey,
    which is asked before that is known, shows who is there and signs no waiver.
    """
    voice = _voice(visitor, proof, Word("waive", candidate_id, evidence, "", reason))
    return rarer_decisions.waive(voice, gate=gate, evidence_root=evidence, code=code, hours=hours, until=until)


def review(visitor: Visit, proof: Proof, candidate_id: str, reason: str) -> Candidate:
    """Say what was found on why the glass was broken."""
    return rarer_decisions.review(_voice(visitor, proof, Word("review", candidate_id, "", "", reason)))


def close_fault(visitor: Visit, proof: Proof, alarm_id: str, reason: str) -> f.FaultClosed:
    """Say that an alarm is dealt with."""
    prove(visitor, proof, Word("close", alarm_id, "", "", reason))
    office = visitor.office
    return decisions.close_fault(
        office.ledger,
        office.policy,
        stream=office.stream,
        alarm_id=alarm_id,
        person=visitor.person.name,
        roles=visitor.person.roles,
        reason=one_form(reason),
        now=visitor.now,
    )


def _voice(visitor: Visit, proof: Proof, word: Word) -> decisions.Voice:
    """Return the voice of a visitor who has shown to be there; only words that are recorded as signed carry one.

    What the person gave is handed on for whatever bytes the rule has signed; the rule looks whether it is of its bytes.
    """
    signature = prove(visitor, proof, word)
    office = visitor.office
    return decisions.Voice(
        ledger=office.ledger,
        looks=office.looks,
        policy=office.policy,
        candidate_id=word.subject,
        person=visitor.person.name,
        reason=one_form(word.reason),
        now=visitor.now,
        sign=None if signature is None else lambda _message: signature,
    )
