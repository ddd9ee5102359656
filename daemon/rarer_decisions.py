"""What a person does to a candidate in the rarer cases: waive a doubt, confirm what is in shadow, break the glass.

As in `daemon.decisions`: read the facts, look at the world, ask the rules, append one fact with the sequence read.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from daemon.decisions import Voice, fits
from daemon.errors import RefusedError
from daemon.lifecycle import Candidate, Fact, Policy, World, signing
from daemon.lifecycle import break_glass as may_break_glass
from daemon.lifecycle import confirm as may_confirm
from daemon.lifecycle import review as may_review
from daemon.lifecycle import waive as may_waive

SKEW = timedelta(minutes=5)
LONGEST_H = 24.0 * 366
"""More than any policy allows (`waiver_days`), and little enough to be a time."""


def waive(
    voice: Voice, *, gate: str, evidence_root: str, code: str, hours: float, until: datetime | None = None
) -> Candidate:
    """Record one person's waiver of one inconclusive gate, for so many hours; it takes two people.

    Args:
        voice: Who says it.
        gate: Which one.
        evidence_root: Of the evidence that was read; it is part of what is signed.
        code: As the person saw it, `daemon.decisions.code_of`.
        hours: How long it stands.
        until: When it ends, from somebody who signed that elsewhere; must be `hours` from now, within `SKEW`.

    Raises:
        StalePageError: The code is of other evidence.
        RefusedError: See `daemon.lifecycle.waive`; or the clock of whoever signed is off.
    """
    require_hours(hours)
    if until is not None and abs(until - voice.now - timedelta(hours=hours)) > SKEW:
        raise RefusedError(
            f"the signed waiver ends at {until:%Y-%m-%d %H:%M} UTC, but {hours:g} h from now is "
            f"{voice.now + timedelta(hours=hours):%Y-%m-%d %H:%M} UTC; set the clock of the machine that signed"
        )

    def say(candidate: Candidate, world: World) -> Fact:
        role = _role(world, voice.person, voice.policy.waiver_roles)
        expires_at = until or max(voice.now, world.clock) + timedelta(hours=hours)
        reason = voice.reason.strip()
        message = signing.waiver(candidate.id, evidence_root, gate, voice.person, role, reason, expires_at)
        fact = may_waive(
            candidate,
            world,
            voice.policy,
            gate=gate,
            evidence_root=evidence_root,
            person=voice.person,
            role=role,
            reason=voice.reason,
            expires_at=expires_at,
            now=voice.now,
            signature=voice.signature(message),
        )
        fits(candidate, code)
        return fact

    return voice.says(say)


def require_hours(hours: float) -> None:
    """Refuse (RefusedError) hours that are no time for which a waiver could stand, before they are reckoned with."""
    if not 0 < hours <= LONGEST_H:
        raise RefusedError(f"a waiver for {hours:g} hours cannot be; say how many hours it stands, such as --hours 24")


def confirm(voice: Voice, *, request_id: str, code: str) -> Candidate:
    """Record one person's second confirmation of what is in shadow; the code is that of its shadow.

    Raises:
        StalePageError: It is not what is in shadow, or the code was read before it was.
        RefusedError: See `daemon.lifecycle.confirm`.
    """
    return _of_request(voice, request_id, code, signing.confirmation, may_confirm, confirming)


def break_glass(voice: Voice, *, request_id: str, code: str) -> Candidate:
    """Record one person's wish to write the open request now, without its quorum and in mid fill; it takes two.

    Raises:
        StalePageError: The open request is another one, or none, or the code is.
        RefusedError: See `daemon.lifecycle.break_glass`.
    """
    return _of_request(voice, request_id, code, signing.glass, may_break_glass, lambda _, policy: policy.glass_roles)


def review(voice: Voice) -> Candidate:
    """Record that a person looked into why the glass was broken.

    Raises:
        RefusedError: See `daemon.lifecycle.review`.
    """
    policy, person, reason = voice.policy, voice.person, voice.reason

    def say(candidate: Candidate, world: World) -> Fact:
        role = _role(world, person, policy.review_roles)
        return may_review(candidate, world, policy, person=person, role=role, reason=reason, now=voice.now)

    return voice.says(say)


def confirming(candidate: Candidate, policy: Policy) -> tuple[str, ...]:
    """Return the roles that a second confirmation of this candidate takes; none when its tier asks for none."""
    tier = policy.tiers.get(candidate.request.tier) if candidate.request else None
    return tier.confirm_roles if tier else ()


def _of_request(
    voice: Voice,
    request_id: str,
    code: str,
    message: Callable[[str, str, str, str, str], bytes],
    rule: Callable[..., Fact],
    allowed: Callable[[Candidate, Policy], tuple[str, ...]],
) -> Candidate:
    """Record a signed word about one request, in the first of the allowed roles that its speaker holds."""

    def say(candidate: Candidate, world: World) -> Fact:
        role = _role(world, voice.person, allowed(candidate, voice.policy))
        signed = voice.signature(message(candidate.id, request_id, voice.person, role, voice.reason.strip()))
        fact = rule(
            candidate,
            world,
            voice.policy,
            request_id=request_id,
            person=voice.person,
            role=role,
            reason=voice.reason,
            now=voice.now,
            signature=signed,
        )
        fits(candidate, code)
        return fact

    return voice.says(say)


def _role(world: World, person: str, allowed: tuple[str, ...]) -> str:
    """The role in which somebody speaks: the first of those allowed that they hold."""
    held = world.people.get(person, frozenset())
    if role := next((one for one in allowed if one in held), ""):
        return role
    raise RefusedError(f"{person} may not do this; it takes one of {', '.join(allowed) or 'no role at all'}")
