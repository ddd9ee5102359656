"""What people do about an alarm besides closing it: they take it on, or ask for quiet; subject: the stream."""

from dataclasses import dataclass
from datetime import datetime

from daemon.lifecycle.facts import Fact


@dataclass(frozen=True, kw_only=True)
class AlarmAcknowledged(Fact):
    """A person has seen an alarm and looks after it: Alertmanager need not repeat it for a shift."""

    stream: str
    alarm_id: str
    person: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class AlarmSilenced(Fact):
    """A person wants no message about an alarm's cause until a time; the watch goes on."""

    stream: str
    alarm_id: str
    person: str
    reason: str
    until: datetime
