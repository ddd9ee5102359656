"""Who may use which route: one table, asked at every request before the route is run.

A route that is not in the table is refused, so that nobody adds one and forgets to say for whom it is.  What a person
may do beyond this, `daemon.lifecycle` says; it is asked again for every word.
"""

from enum import StrEnum

from fastapi import Request

from daemon.lifecycle import Policy
from daemon.web.doors import visit


class Who(StrEnum):
    """For whom a route is."""

    ANYBODY = "anybody"
    PERSON = "a person with an open account"
    APPROVER = "somebody who can approve"
    REJECTER = "somebody who can reject"
    ROLLER = "somebody who can roll back"
    WAIVER = "somebody who can waive"
    CONFIRMER = "somebody who can confirm"
    BREAKER = "somebody who can break the glass"
    REVIEWER = "somebody who can review"
    COORDINATOR = "a coordinator"


CANDIDATE, API = "/candidates/{candidate_id}", "/api/v1"
VERBS = {
    "approve": Who.APPROVER,
    "reject": Who.REJECTER,
    "revoke": Who.APPROVER,
    "rollback": Who.ROLLER,
    "waive": Who.WAIVER,
    "confirm": Who.CONFIRMER,
    "break-glass": Who.BREAKER,
    "review": Who.REVIEWER,
}
TABLE: dict[tuple[str, str], Who] = {
    ("GET", "/healthz"): Who.ANYBODY,
    ("GET", "/login"): Who.ANYBODY,
    ("POST", "/login"): Who.ANYBODY,
    ("GET", "/login/sso"): Who.ANYBODY,
    ("GET", "/login/sso/answer"): Who.ANYBODY,
    ("POST", "/logout"): Who.PERSON,
    ("GET", "/"): Who.PERSON,
    ("GET", "/account"): Who.PERSON,
    ("POST", "/account/passkeys/{key_id}/revoke"): Who.PERSON,
    ("GET", "/alarms/{alarm_id}"): Who.PERSON,
    ("POST", "/alarms/{alarm_id}/quiet"): Who.REJECTER,
    ("GET", CANDIDATE): Who.PERSON,
    ("GET", "/live"): Who.PERSON,
    ("GET", "/live/events"): Who.PERSON,
    ("GET", "/reports"): Who.PERSON,
    ("GET", "/reports/{fill}"): Who.PERSON,
    ("GET", "/fatigue"): Who.COORDINATOR,
    ("POST", "/faults/{alarm_id}/close"): Who.REJECTER,
    ("GET", f"{API}/openapi.json"): Who.PERSON,
    ("POST", f"{API}/session"): Who.ANYBODY,
    ("GET", f"{API}/session"): Who.PERSON,
    ("DELETE", f"{API}/session"): Who.PERSON,
    ("GET", f"{API}/overview"): Who.PERSON,
    ("GET", f"{API}/alarms"): Who.PERSON,
    ("GET", f"{API}/record"): Who.PERSON,
    ("GET", f"{API}/fatigue"): Who.COORDINATOR,
    ("GET", f"{API}/candidates"): Who.PERSON,
    ("GET", f"{API}{CANDIDATE}"): Who.PERSON,
    ("POST", f"{API}/challenges"): Who.PERSON,
    ("GET", f"{API}/passkeys"): Who.PERSON,
    ("POST", f"{API}/passkey-options"): Who.PERSON,
    ("POST", f"{API}/passkeys"): Who.PERSON,
    ("DELETE", f"{API}/passkeys/{{key_id}}"): Who.PERSON,
    ("GET", f"{API}/status"): Who.PERSON,
    ("GET", f"{API}/history"): Who.PERSON,
    ("POST", f"{API}/training"): Who.REJECTER,
    ("POST", f"{API}/daemon/{{switch}}"): Who.REJECTER,
    ("POST", f"{API}/alarms/{{alarm_id}}/acknowledge"): Who.REJECTER,
    ("POST", f"{API}/alarms/{{alarm_id}}/silence"): Who.REJECTER,
    ("POST", f"{API}/faults/{{alarm_id}}/close"): Who.REJECTER,
    **{("POST", f"{CANDIDATE}/{verb}"): who for verb, who in VERBS.items()},
    **{("POST", f"{API}{CANDIDATE}/{verb}"): who for verb, who in VERBS.items()},
}


class NotAllowedError(Exception):
    """The person holds no role for which this route is; carries those roles."""

    def __init__(self, person: str, roles: frozenset[str]) -> None:
        super().__init__(f"{person} holds none of the roles for which this is: {', '.join(sorted(roles)) or 'none'}")


def roles_of(who: Who, policy: Policy) -> frozenset[str] | None:
    """Return the roles of which one is needed under this policy; None when an open account is enough."""
    tiers = policy.tiers.values()
    needed = {
        Who.APPROVER: frozenset(role for tier in tiers for role in tier.roles),
        Who.REJECTER: frozenset(policy.reject_roles),
        Who.ROLLER: frozenset(policy.rollback_roles),
        Who.WAIVER: frozenset(policy.waiver_roles),
        Who.CONFIRMER: frozenset(role for tier in tiers for role in tier.confirm_roles),
        Who.BREAKER: frozenset(policy.glass_roles),
        Who.REVIEWER: frozenset(policy.review_roles),
        Who.COORDINATOR: frozenset({"coordinator", "root"}),
    }
    return needed.get(who)


def may_pass(request: Request) -> None:
    """Let a request through to its route, or stop it here.

    Raises:
        NotLoggedInError: The route is not for anybody, and nobody is logged in.
        NotAllowedError: The person holds none of its roles, or the table does not know the route.
    """
    path = str(getattr(request.scope.get("route"), "path", ""))
    who = TABLE.get((request.method, path))
    if who is Who.ANYBODY:
        return
    visitor = visit(request)
    needed = frozenset[str]() if who is None else roles_of(who, visitor.office.policy)
    if needed is not None and not needed & visitor.person.roles:
        raise NotAllowedError(visitor.person.name, needed)
