"""Which facts people are told of, and in which words: one message per onset.

A message says what happened, since when, what is asked of whom, and where to look.  Which way it goes is decided in the
configuration and done by `daemon.relay`; nothing here sends.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

from daemon.errors import FactError
from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle.alarm_facts import AlarmAcknowledged, AlarmSilenced
from daemon.lifecycle.codec import digest

Severity = Literal["page", "warn", "info"]

ALERTS: Mapping[str, str] = {
    "broken_detector": "RetriggerDetectorBroken",
    "contract": "RetriggerContractBroken",
    "real_shift": "RetriggerRealShift",
}
"""The alert rule that speaks of the same cause as an alarm of this verdict; other verdicts have none."""
OTHER_ALARM = "RetriggerAlarm"
ACKNOWLEDGED_FOR = timedelta(hours=8)
"""Who acknowledges has a shift's time; after that an alert that still holds is told again."""

TOLD: tuple[type[f.Fact], ...] = (
    f.AlarmRaised,
    f.FaultClosed,
    AlarmAcknowledged,
    AlarmSilenced,
    f.GivenUp,
    f.Proposed,
    f.Expired,
    f.Deployed,
    f.DeploymentFailed,
    f.RolledBack,
    f.BoardDiffers,
    f.BoardAgrees,
    b.GlassBroken,
    b.ReviewOverdue,
    b.GuardTripped,
    b.BoardOutputDiffers,
)
"""`FaultOpened` comes with the alarm that opened it, so it is not told again."""


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """One message.

    Attributes:
        key: Names the onset; whoever gets it twice may drop the second.
        severity: ``page`` wakes somebody, ``warn`` asks somebody, ``info`` tells.
        title: What happened, in a line.
        since: Since when, in words.
        asked: What is asked of whom; or that nothing is.
        link: Where to look.
        at: When the fact came into the record.
        labels: What Alertmanager groups, inhibits and silences by; the same as of the alert rule of that cause.
        ends: When an alert made of it ends by itself; None when it is no alert.
        quiet_until: Until when Alertmanager is to be silent about its labels; None when it is no silence.
        closes: Whether it ends the alert that has these labels.
        by: Who did it, for a silence.
    """

    key: str
    severity: Severity
    title: str
    since: str
    asked: str
    link: str
    at: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    ends: datetime | None = None
    quiet_until: datetime | None = None
    closes: bool = False
    by: str = ""

    @property
    def text(self) -> str:
        """The message as people read it."""
        return f"{self.title}\nSince: {self.since}\nAsked: {self.asked}\nLook:  {self.link}"


def told(fact: f.Fact) -> bool:
    """Return whether people are told of it; of a deployment that fails again and again they are told once."""
    if isinstance(fact, f.DeploymentFailed):
        return fact.attempt == 1
    return isinstance(fact, TOLD)


def announcement(sequence: int, subject: str, fact: f.Fact, url: str) -> Announcement:
    """Return the message of one fact.

    Args:
        sequence: Its place in the record, which makes the key.
        subject: Where it is filed.
        fact: One that `told` says yes to.
        url: Of the approval page, for the link.
    """
    common: dict[str, Any] = {"key": digest({"announced": sequence, "subject": subject})[:32], "at": fact.at}
    stamp = f"{fact.at:%Y-%m-%d %H:%M} UTC"
    match fact:
        case f.AlarmRaised():
            return _alarm(fact, common, url)
        case f.FaultClosed(stream=stream, alarm_id=name, person=person, reason=reason):
            return Announcement(
                **common,
                severity="info",
                title=f"{stream}: the fault is closed by {person}: {reason}",
                since=stamp,
                asked="nothing; retraining may go on",
                link=f"{url}/alarms/{quote(name)}",
                labels=labels_of(stream, name),
                closes=True,
            )
        case AlarmAcknowledged() | AlarmSilenced():
            return _silence(fact, common, url, stamp)
        case f.BoardDiffers(slot=slot, expected=expected, found=found):
            seen = f"runs {found[:12]}" if found else "cannot be read"
            return Announcement(
                **common,
                severity="page",
                title=f"{slot}: the board {seen}, the record says {expected[:12]}",
                since=stamp,
                asked="trigger on-call: find out who wrote the board, before anybody approves anything",
                link=f"{url}/candidates/{quote(subject)}",
                labels={"alertname": "RetriggerBoardDiffers", "slot": slot, "severity": "page"},
                ends=fact.at + timedelta(days=7),
            )
        case f.BoardAgrees(slot=slot, digest=found):
            return Announcement(
                **common,
                severity="info",
                title=f"{slot}: the board runs {found[:12]} again, as the record says",
                since=stamp,
                asked="nothing",
                link=f"{url}/candidates/{quote(subject)}",
                labels={"alertname": "RetriggerBoardDiffers", "slot": slot, "severity": "page"},
                closes=True,
            )
    link = f"{url}/" if isinstance(fact, b.BoardOutputDiffers) else f"{url}/candidates/{quote(subject)}"
    severity, title, asked = _of_glass_and_guards(fact, subject) or _of_candidate(fact, subject)
    return Announcement(**common, severity=severity, title=title, since=stamp, asked=asked, link=link)


def labels_of(stream: str, alarm_id: str) -> dict[str, str]:
    """Return the labels of the alert that an alarm is told by; its verdict is the end of its id."""
    verdict = alarm_id.rpartition(":")[2]
    severity = {"broken_detector": "page", "contract": "page"}.get(verdict, "info")
    return {"alertname": ALERTS.get(verdict, OTHER_ALARM), "stream": stream, "severity": severity}


def _alarm(fact: f.AlarmRaised, common: Mapping[str, Any], url: str) -> Announcement:
    alarm, onset = fact.alarm, fact.alarm.get("onset") or {}
    verdict = str(alarm.get("verdict", ""))
    severity: Severity = "page" if verdict in {"broken_detector", "contract"} else "info"
    whom = "shift leader" if severity == "page" else "ML expert"
    labels = {"alertname": ALERTS.get(verdict, OTHER_ALARM), "stream": fact.stream, "severity": severity}
    return Announcement(
        **common,
        severity=severity,
        title=f"{fact.stream}: {alarm.get('text') or verdict.replace('_', ' ')}",
        since=f"run {onset.get('run', '?')}, lumisection {onset.get('lumisection', '?')}",
        asked=f"{whom}: {alarm.get('action') or 'look at it'}",
        link=f"{url}/alarms/{quote(fact.alarm_id)}",
        labels=labels,
        ends=fact.at + (timedelta(days=7) if severity == "page" else timedelta(hours=1)),
    )


def _silence(fact: AlarmAcknowledged | AlarmSilenced, common: Mapping[str, Any], url: str, stamp: str) -> Announcement:
    until = fact.until if isinstance(fact, AlarmSilenced) else fact.at + ACKNOWLEDGED_FOR
    did = "silenced" if isinstance(fact, AlarmSilenced) else "acknowledged"
    return Announcement(
        **common,
        severity="info",
        title=f"{fact.stream}: {fact.person} {did} {fact.alarm_id}: {fact.reason}",
        since=stamp,
        asked=f"nothing; Alertmanager is silent about it until {until:%Y-%m-%d %H:%M} UTC",
        link=f"{url}/alarms/{quote(fact.alarm_id)}",
        labels=labels_of(fact.stream, fact.alarm_id),
        quiet_until=until,
        by=fact.person,
    )


def _of_glass_and_guards(fact: f.Fact, subject: str) -> tuple[Severity, str, str] | None:
    match fact:
        case b.GlassBroken(person=person, role=role, reason=reason):
            return (
                "page",
                f"{person} ({role.replace('_', ' ')}) breaks the glass for {subject}: {reason}",
                "everybody on call: see what is written in mid fill; a third person reviews why within a day",
            )
        case b.ReviewOverdue(due=due):
            return (
                "page",
                f"nobody reviewed by {due:%Y-%m-%d %H:%M} UTC why the glass was broken for {subject}",
                "coordinator: review it; until then nothing goes forward in this slot",
            )
        case b.GuardTripped(guard=guard, reason=reason):
            return (
                "page",
                f"{subject} is taken off the board ({guard.replace('_', ' ')}): {reason}",
                "trigger on-call: see that the board runs the digest before",
            )
        case b.BoardOutputDiffers(slot=slot, digest=bits, run=run, lumisection=first, events=n, mismatches=wrong):
            return (
                "page",
                f"{slot}: {wrong} of {n} events in {run}:{first} differ from the emulator of {bits[:12]}",
                "firmware expert: look at the events that were kept; trigger on-call: consider going back",
            )
    return None


def _of_candidate(fact: f.Fact, subject: str) -> tuple[Severity, str, str]:
    match fact:
        case f.Proposed(required_roles=roles, expires_at=expires):
            who = " and ".join(role.replace("_", " ") for role in roles)
            return (
                "warn",
                f"{subject} has passed its gates and asks for approval",
                f"{who}: say yes or no before {expires:%Y-%m-%d %H:%M} UTC; silence means no",
            )
        case f.GivenUp(reason=reason):
            return "warn", f"{subject} was given up: {reason}", "ML expert: look at its job folder, then ask again"
        case f.Expired(reason=reason):
            return "info", f"{subject} has expired: {reason}", "nothing; the model that runs stays"
        case f.Deployed(slot=slot, digest=bits, effective_run=run, effective_lumisection=first):
            return (
                "info",
                f"{slot} runs {bits[:12]} ({subject}) from run {run}, lumisection {first} on, read back",
                "trigger on-call: watch the rates of the first lumisections",
            )
        case f.RolledBack(slot=slot, to_digest=bits, by=by, reason=reason):
            return "warn", f"{slot} runs {bits[:12]} again, rolled back by {by}: {reason}", "ML expert: find out why"
        case f.DeploymentFailed(reason=reason):
            return (
                "warn",
                f"the deployment of {subject} failed: {reason}",
                "trigger on-call: see whether the board can be reached; it keeps what it had, and it is tried again",
            )
    raise FactError(f"nobody is told of a {fact.kind}; ask `told` first")
