"""What can have happened around drills."""

from dataclasses import dataclass

from daemon.lifecycle.fact import Fact


@dataclass(frozen=True, kw_only=True)
class DrillSeeded(Fact):
    """A person made a bad candidate, to see whether it is caught.  Subject: ``drills``.

    Attributes:
        candidate: Its id; that it is a drill stands in its own first fact too.
        made_bad: Which of the kinds of `daemon.drills` was seeded.
        person: Who seeded it; their own answer to it counts for nothing.
    """

    candidate: str
    made_bad: str
    person: str
