"""What is said about a candidate, in one form for people and machines."""

from collections.abc import Iterator, Sequence
from typing import Any

from daemon.assemble import Parts, utc_now
from daemon.decisions import code_of, missing_roles
from daemon.lifecycle import Act, Candidate, Wait, decide


def candidate_rows(found: Sequence[Candidate]) -> Iterator[tuple[str, ...]]:
    """Yield one row a candidate: id, phase, why, bundle, what is open."""
    for one in found:
        missing = ", ".join(missing_roles(one))
        still = f"needs {missing}" if missing else one.closing
        yield one.id, str(one.phase), f"{one.trigger}: {one.reason}"[:100], one.bundle_digest[:16], still


def candidate_story(ready: Parts, one: Candidate) -> dict[str, Any]:
    """Return everything that is said about a candidate, ready for JSON."""
    world = ready.sight.world(one, ready.sight.candidates(), utc_now())
    decision = decide(one, world, ready.policy, utc_now())
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
        "running": world.running or "",
        "request": one.request.request_id if one.request else "",
        "expires_at": one.request.expires_at.isoformat() if one.request else "",
        "code": code_of(one),
        "missing_roles": list(missing_roles(one)),
        "approvals": [{"person": a.person, "role": a.role, "reason": a.reason} for a in one.approvals],
        "closing": one.closing,
    }
