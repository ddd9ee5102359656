"""What every detector that watches one stream can be asked, so that a scan or a benchmark takes any of them.

Nothing here decides anything.
"""

from typing import Protocol

from drift.conditions import Conditions
from drift.profile import LumisectionSummary


class Told(Protocol):
    """An alarm of any detector."""

    def to_json(self) -> dict[str, object]:
        """Return its public form."""


class Taken(Protocol):
    """What any detector makes of one lumisection."""

    @property
    def state(self) -> str:
        """As listed in docs/drift.md."""

    @property
    def reason(self) -> str:
        """Why, in words."""

    @property
    def alarm(self) -> Told | None:
        """The alarm, at the one lumisection at which it is told."""


class SequentialDetector(Protocol):
    """What takes lumisections in order and alarms once for one cause; `drift.watch.Watch` is another."""

    def take(self, summary: LumisectionSummary, conditions: Conditions) -> Taken:
        """Take one lumisection in; one that says nothing leaves everything as it was."""

    def conclude(self) -> Told | None:
        """Tell what still waits; None when nothing does, and when asked again."""

    def acknowledge(self) -> None:
        """Listen anew; without an alarm it forgets what was gathered."""

    def save(self) -> bytes:
        """Return everything; a detector restored from it decides bit for bit alike."""
