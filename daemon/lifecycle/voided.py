"""Whose word about a candidate no longer counts, and why: a role lost, a key revoked, a signature that does not hold.

Every word is checked again before every step, its signature from the bytes; what the record says of it is not believed.
"""

from collections.abc import Iterator

from daemon.lifecycle import signing
from daemon.lifecycle.candidate import Candidate
from daemon.lifecycle.fact import Signature
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.world import World


def void_words(c: Candidate, world: World, policy: Policy) -> Iterator[str]:
    """Yield, as sentences, every word that the open request rests on and that does not count now."""
    for one in c.approvals:
        message = signing.approval(c.id, one.request_id, one.person, one.role, one.reason)
        yield from _void("the approvers", one.person, one.role, one.signature, message, world, policy)
    for vote in c.glass:
        message = signing.glass(c.id, vote.request_id, vote.person, vote.role, vote.reason)
        yield from _void("break-glass", vote.person, vote.role, vote.signature, message, world, policy)
        if vote.role not in policy.glass_roles:
            yield f"break-glass: {vote.role} may not break the glass"
    for said in c.confirmations:
        message = signing.confirmation(c.id, said.request_id, said.person, said.role, said.reason)
        yield from _void("the confirmation", said.person, said.role, said.signature, message, world, policy)


def void_waivers(c: Candidate, world: World, policy: Policy) -> Iterator[str]:
    """Yield, as sentences, every waiver that the candidate rests on and that does not count now, but for its expiry."""
    for one in c.waivers:
        about = f"the waiver of {one.gate}"
        message = signing.waiver(c.id, one.evidence_root, one.gate, one.person, one.role, one.reason, one.expires_at)
        yield from _void(about, one.person, one.role, one.signature, message, world, policy)
        if one.role not in policy.waiver_roles:
            yield f"{about}: {one.role} may not waive a gate"


def _void(
    about: str, person: str, role: str, signature: Signature | None, message: bytes, world: World, policy: Policy
) -> Iterator[str]:
    if role not in world.people.get(person, frozenset()):
        yield f"{about}: {person} no longer holds the role {role}"
    if signature is None and not policy.unsigned_approvals:
        yield f"{about}: the word of {person} is not signed, and the policy lets none count that is not"
    if trouble := signing.trouble(signature, person, message, world.keys):
        yield f"{about}: {trouble}"
