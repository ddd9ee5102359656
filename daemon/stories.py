"""What is said of a candidate, in one form for the terminal and the API: what is next, what is against it, its code."""

from datetime import datetime
from typing import Any

from daemon.decisions import Looks, code_of, missing_roles
from daemon.lifecycle import Act, Candidate, Policy, Wait, decide


def story(looks: Looks, policy: Policy, one: Candidate, now: datetime) -> dict[str, Any]:
    """Return everything that is said about a candidate, ready for JSON."""
    world = looks.world(one, looks.candidates(), now)
    decision = decide(one, world, policy, now)
    if isinstance(decision, Wait):
        following = f"Waits for {decision.for_what}, until {decision.until:%Y-%m-%d %H:%M} UTC."
    elif isinstance(decision, Act):
        following = f"Next: {decision.step} ({decision.why})."
    else:
        following = decision.why
    gates = one.gates.gates if one.gates else ()
    against = [f"gate {gate.number} {gate.name}: {gate.summary}" for gate in gates if gate.verdict != "pass"]
    against += [world.bundle_problem] if world.bundle_problem else []
    against += [one.last_failure] if one.last_failure else []
    return {
        "type": "candidate",
        "id": one.id,
        "slot": one.slot,
        "phase": str(one.phase),
        "next": following,
        "trigger": one.trigger,
        "initiator": one.initiator,
        "reason": one.reason,
        "against": against,
        "gates": [vars(gate) for gate in gates],
        "recipe": one.recipe_digest,
        "bundle": one.bundle_digest,
        "bundle_path": one.bundle_path,
        "evidence": one.gates.evidence_root if one.gates else "",
        "running": world.running or "",
        "request": one.request.request_id if one.request else "",
        "expires_at": one.request.expires_at.isoformat() if one.request else "",
        "code": code_of(one),
        "missing_roles": list(missing_roles(one)),
        "approvals": [{"person": a.person, "role": a.role, "reason": a.reason} for a in one.approvals],
        "closing": one.closing,
    }
