"""The figures of one instant that the metrics show: frozen values, nothing else.

`daemon.snapshot_of` takes them from the ledger; `daemon.metrics` gives them names.  What only the running loop knows
(its last turn, the beam mode it sees, files it waits for) comes as a `LoopView`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

OUTCOMES = ("processed", "warned", "alarmed", "excluded", "out_of_support", "gap")
"""How a lumisection may end, in the words of the metrics; the ledger's own words are added as they come."""


@dataclass(frozen=True)
class LoopView:
    """What the loop has in memory and the ledger does not.

    Attributes:
        last_turn: When the loop last ended a turn; None before the first.
        started: When this process started.
        waiting_files: Files that are there but not yet whole, by stream.
        stable_beams: Whether collisions are declared; None when the beam mode is unknown or stale.
        fill: LHC fill number, when known.
        pileup: Mean pileup of the last lumisection with conditions, by stream.
        evidence: Log-evidence now and the value at which an alarm is raised, by stream; natural logarithms.
    """

    started: datetime
    last_turn: datetime | None = None
    waiting_files: Mapping[str, int] = field(default_factory=dict)
    stable_beams: bool | None = None
    fill: int | None = None
    pileup: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class StreamFigures:
    """One stream, since the ledger began.

    Attributes:
        lumisections: How many ended in each outcome.
        delivered: How many the data said exist.
        watched: How many of those were compared with the reference.
        files: How many ended in each outcome.
        alarms: How many were raised, by verdict.
        fault_open: Whether the detector is held to be broken, so that nothing is retrained.
        lag_s: Age of the newest data that were taken in, in seconds; None before the first.
        lag_lumisections: Lumisections delivered whose outcome is still owed.
    """

    lumisections: Mapping[str, int]
    delivered: int
    watched: int
    files: Mapping[str, int]
    alarms: Mapping[str, int]
    fault_open: bool
    lag_s: float | None
    lag_lumisections: int


@dataclass(frozen=True)
class SlotFigures:
    """One slot of the trigger.

    Attributes:
        candidates: How many candidates stand in each phase.
        phase: Phase of the newest candidate; empty when there is none.
        retrain_seconds: How long each ended training took, by result; seconds.
        vectors: Vectors compared and vectors mismatching for the newest candidate that was verified.
        pending_age_s: Age of the open request for approval, in seconds; None when there is none.
        pending_left_s: Time until it expires, in seconds.
        missing_roles: How many signatures it still needs.
        running_digest: Digest of the champion as it was last read back; empty when there is none.
        running_since: When it was deployed or imported.
        board_agrees: Whether the target was last seen to run what the record says.
    """

    candidates: Mapping[str, int]
    phase: str
    retrain_seconds: Mapping[str, tuple[float, ...]]
    vectors: tuple[int, int] | None
    pending_age_s: float | None
    pending_left_s: float | None
    missing_roles: int
    running_digest: str
    running_since: datetime | None
    board_agrees: bool


@dataclass(frozen=True)
class Snapshot:
    """Everything that one scrape shows, taken at one instant."""

    at: datetime
    version: str
    loop: LoopView
    streams: Mapping[str, StreamFigures]
    slots: Mapping[str, SlotFigures]
    audit_head: int
    paused: bool
    frozen: bool
