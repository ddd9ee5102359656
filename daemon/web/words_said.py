"""What a person says, from a form or from the API alike.

It is shown to be theirs first, then handed to `daemon.decisions`, which asks the rules.
"""

from daemon import decisions, rarer_decisions
from daemon.lifecycle import Candidate
from daemon.lifecycle import facts as f
from daemon.lifecycle.fact import Signature
from daemon.web.doors import Visit
from daemon.web.pages import read_candidate
from daemon.web.proof import SIGNED, Proof, Word, one_form, prove


def role_in(visitor: Visit, says: str, candidate_id: str, role: str) -> str:
    """Return the role in which this person says it: the one they name, or the one that the rules would take.

    Raises:
        RefusedError: There is no such candidate.
    """
    if role or says not in SIGNED:
        return role
    candidate, _ = read_candidate(visitor.office, candidate_id)
    held, policy = visitor.person.roles, visitor.office.policy
    if says == "approve":
        return decisions.role_for(candidate, held)
    tier = policy.tiers.get(candidate.request.tier) if candidate.request else None
    confirming = tier.confirm_roles if tier else ()
    return next((one for one in (confirming if says == "confirm" else policy.glass_roles) if one in held), "")


def approve(
    visitor: Visit, proof: Proof, candidate_id: str, request: str, role: str, code: str, reason: str
) -> Candidate:
    """Say yes; a passkey's assertion becomes its signature."""
    role = role_in(visitor, "approve", candidate_id, role)
    signature = prove(visitor, proof, Word("approve", candidate_id, request, role, reason))
    office = visitor.office
    return decisions.approve(
        office.ledger,
        office.looks,
        office.policy,
        candidate_id=candidate_id,
        request_id=request,
        person=visitor.person.name,
        role=role,
        code=code,
        reason=one_form(reason),
        now=visitor.now,
        sign=_signer(signature),
    )


def reject(
    visitor: Visit, proof: Proof, candidate_id: str, request: str, role: str, klass: str, reason: str
) -> Candidate:
    """Say no, with a class."""
    prove(visitor, proof, Word("reject", candidate_id, request, role, reason))
    office = visitor.office
    return decisions.reject(
        office.ledger,
        office.looks,
        office.policy,
        candidate_id=candidate_id,
        request_id=request,
        person=visitor.person.name,
        role=role,
        klass=klass,
        reason=one_form(reason),
        now=visitor.now,
    )


def revoke(visitor: Visit, proof: Proof, candidate_id: str, request: str, reason: str) -> Candidate:
    """Take one's own yes back."""
    prove(visitor, proof, Word("revoke", candidate_id, request, "", reason))
    office = visitor.office
    return decisions.revoke(
        office.ledger,
        office.looks,
        candidate_id=candidate_id,
        request_id=request,
        person=visitor.person.name,
        reason=one_form(reason),
        now=visitor.now,
    )


def roll_back(visitor: Visit, proof: Proof, candidate_id: str, reason: str) -> Candidate:
    """Ask for the model that ran before."""
    prove(visitor, proof, Word("rollback", candidate_id, "", "", reason))
    office = visitor.office
    return decisions.roll_back(
        office.ledger,
        office.looks,
        office.policy,
        candidate_id=candidate_id,
        person=visitor.person.name,
        reason=one_form(reason),
        now=visitor.now,
    )


def confirm(visitor: Visit, proof: Proof, candidate_id: str, request: str, reason: str) -> Candidate:
    """Say a second time that what is in shadow may go live."""
    role = role_in(visitor, "confirm", candidate_id, "")
    signature = prove(visitor, proof, Word("confirm", candidate_id, request, role, reason))
    office = visitor.office
    return rarer_decisions.confirm(
        office.ledger,
        office.looks,
        office.policy,
        candidate_id=candidate_id,
        request_id=request,
        person=visitor.person.name,
        reason=one_form(reason),
        now=visitor.now,
        sign=_signer(signature),
    )


def break_glass(visitor: Visit, proof: Proof, candidate_id: str, request: str, reason: str) -> Candidate:
    """Say that this request must be written now; it takes two people, and is reviewed."""
    role = role_in(visitor, "break-glass", candidate_id, "")
    signature = prove(visitor, proof, Word("break-glass", candidate_id, request, role, reason))
    office = visitor.office
    return rarer_decisions.break_glass(
        office.ledger,
        office.looks,
        office.policy,
        candidate_id=candidate_id,
        request_id=request,
        person=visitor.person.name,
        reason=one_form(reason),
        now=visitor.now,
        sign=_signer(signature),
    )


def waive(
    visitor: Visit, proof: Proof, candidate_id: str, evidence: str, gate: str, hours: float, reason: str
) -> Candidate:
    """Let one inconclusive gate of this very evidence count as passed for so many hours; it takes two people.

    The time at which a waiver ends is not known before it is recorded, so that a passkey shows who is there and signs
    no waiver: where the policy wants it signed, the command line does that.
    """
    prove(visitor, proof, Word("waive", candidate_id, evidence, "", reason))
    office = visitor.office
    return rarer_decisions.waive(
        office.ledger,
        office.looks,
        office.policy,
        candidate_id=candidate_id,
        gate=gate,
        evidence_root=evidence,
        person=visitor.person.name,
        reason=one_form(reason),
        hours=hours,
        now=visitor.now,
    )


def review(visitor: Visit, proof: Proof, candidate_id: str, reason: str) -> Candidate:
    """Say what was found on why the glass was broken."""
    prove(visitor, proof, Word("review", candidate_id, "", "", reason))
    office = visitor.office
    return rarer_decisions.review(
        office.ledger,
        office.looks,
        office.policy,
        candidate_id=candidate_id,
        person=visitor.person.name,
        reason=one_form(reason),
        now=visitor.now,
    )


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


def _signer(signature: Signature | None) -> decisions.Signer | None:
    """What hands the rule the signature that the person gave; the rule itself looks whether it is of its bytes."""
    return None if signature is None else lambda _message: signature
