"""Take an alarm on, or ask for quiet about it: what a person may say, and the fact it becomes.

The outbox carries it to Alertmanager; the watch, the fault and the record go on as they were.
"""

from datetime import datetime, timedelta

from daemon.decisions import standing_alarms
from daemon.errors import RefusedError
from daemon.ledger import Ledger
from daemon.lifecycle import AlarmAcknowledged, AlarmSilenced, Policy
from daemon.people import Person

LONGEST = timedelta(hours=72)
"""A weekend; what is to be quiet for longer is closed, or its rule is changed."""


def acknowledge(
    ledger: Ledger, policy: Policy, *, stream: str, alarm_id: str, person: Person, reason: str, now: datetime
) -> AlarmAcknowledged:
    """Record that a person looks after an alarm; Alertmanager is quiet about it for a shift.

    Raises:
        RefusedError: There is no such open alarm, the person may not, or the reason is missing.
    """
    _check(ledger, policy, stream, alarm_id, person, reason)
    at = max(now, ledger.clock() or now)
    common = {"stream": stream, "alarm_id": alarm_id, "person": person.name, "reason": reason.strip()}
    fact = AlarmAcknowledged(at=at, actor=person.name, **common)
    ledger.append(stream, (fact,))
    return fact


def silence(
    ledger: Ledger,
    policy: Policy,
    *,
    stream: str,
    alarm_id: str,
    person: Person,
    reason: str,
    hours: float,
    now: datetime,
) -> AlarmSilenced:
    """Record that nobody wants messages about an alarm for some hours.

    Raises:
        RefusedError: As for `acknowledge`, or the time is none, or longer than a weekend.
    """
    _check(ledger, policy, stream, alarm_id, person, reason)
    require_hours(hours)
    at = max(now, ledger.clock() or now)
    common = {"stream": stream, "alarm_id": alarm_id, "person": person.name, "reason": reason.strip()}
    fact = AlarmSilenced(at=at, actor=person.name, until=at + timedelta(hours=hours), **common)
    ledger.append(stream, (fact,))
    return fact


def require_hours(hours: float) -> None:
    """Refuse (RefusedError) a time for which nobody can ask for quiet."""
    if not 0 < hours <= LONGEST.total_seconds() / 3600:
        raise RefusedError(f"quiet for {hours:g} hours cannot be asked for; say more than 0 and at most 72")


def _check(ledger: Ledger, policy: Policy, stream: str, alarm_id: str, person: Person, reason: str) -> None:
    if alarm_id not in standing_alarms(one.fact for one in ledger.facts(subject=stream)):
        raise RefusedError(
            f"{stream}: there is no open alarm {alarm_id!r}; the overview and `retrigger alarms` list them"
        )
    if not person.roles & set(policy.reject_roles):
        raise RefusedError(f"{person.name} cannot do this; it takes one of {', '.join(policy.reject_roles)}")
    if not reason.strip():
        raise RefusedError("say in one sentence why; it goes into the record and to Alertmanager")
