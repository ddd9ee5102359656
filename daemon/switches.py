"""What a person sets going or stops for the whole daemon: pause, freeze, and a wish for a candidate."""

from datetime import datetime
from typing import Literal

from daemon.errors import RefusedError
from daemon.ledger import Ledger
from daemon.lifecycle import Fact, Policy
from daemon.lifecycle import facts as f
from daemon.people import Person

Switch = Literal["pause", "resume", "freeze", "unfreeze"]
FACTS = {"pause": f.Paused, "resume": f.Resumed, "freeze": f.FreezeStarted, "unfreeze": f.FreezeEnded}


def switch(ledger: Ledger, policy: Policy, what: Switch, *, person: Person, reason: str, now: datetime) -> Fact:
    """Record what a person switches on or off; each may be said again, and then only its reason is new.

    Raises:
        RefusedError: The person holds no role for it, or the reason is missing.
    """
    _may(policy, person, what, reason)
    fact = FACTS[what](at=max(now, ledger.clock() or now), actor=person.name, reason=reason.strip())
    ledger.append("daemon", (fact,))
    return fact


def ask_training(
    ledger: Ledger,
    policy: Policy,
    *,
    person: Person,
    reason: str,
    action: Literal["weights", "threshold"],
    now: datetime,
) -> None:
    """Ask for a candidate; the running daemon trains it in its next turn, or says why it does not.

    It takes hours of a machine and the time of those who must answer, so that watching alone is no right to ask.

    Raises:
        RefusedError: The person holds no role for it, or the reason is missing.
    """
    _may(policy, person, "ask for a candidate", reason)
    asked = {"trigger": "manual", "initiator": person.name, "reason": reason.strip(), "action": action}
    ledger.add_work("train", now, asked)


def _may(policy: Policy, person: Person, what: str, reason: str) -> None:
    if not person.roles & set(policy.reject_roles):
        raise RefusedError(f"{person.name} may not {what}; it takes one of {', '.join(policy.reject_roles)}")
    if not reason.strip():
        raise RefusedError(f"to {what}, say why in one sentence; it goes into the record")
