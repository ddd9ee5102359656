"""What can have happened to a candidate between the first write of the board and the day it is proven in place.

Shadow, probation and what ends them; waivers and second confirmations; breaking the glass and its review; and the
rehearsals of the way back.  Subject: the candidate's id, unless a fact says otherwise.
"""

from dataclasses import dataclass
from datetime import datetime

from daemon.lifecycle.fact import Fact, Signature


@dataclass(frozen=True, kw_only=True)
class Waived(Fact):
    """A person lets one inconclusive gate of this very evidence count as passed, until a time; it takes two people.

    Attributes:
        gate: Name of the gate, which must be inconclusive: a gate that failed cannot be waived.
        evidence_root: The evidence that the person looked at.
        expires_at: From then on the waiver is void, and so is every request that rests on it.
    """

    gate: str
    evidence_root: str
    person: str
    role: str
    reason: str
    expires_at: datetime
    signature: Signature | None = None


@dataclass(frozen=True, kw_only=True)
class ShadowStarted(Fact):
    """The target was read back and holds the approved digest, which does not trigger yet; from this lumisection on.

    Until `Deployed` the champion of the record is the one before.
    """

    slot: str
    request_id: str
    digest: str
    read_back: str
    effective_run: int
    effective_lumisection: int
    lumisections: int  # of agreement that the policy asked for


@dataclass(frozen=True, kw_only=True)
class Confirmed(Fact):
    """A person saw the bits in shadow and says for the second time that they may go live (tier T2 and above)."""

    request_id: str
    person: str
    role: str
    reason: str
    signature: Signature | None = None


@dataclass(frozen=True, kw_only=True)
class GuardTripped(Fact):
    """Something that was watched went wrong, so that the daemon goes back to the digest before, by itself.

    Attributes:
        guard: ``mismatch``, ``rate``, ``latency``, ``drift``, ``changed``, ``doubt`` (no answer in time),
            ``break_glass`` (its fill is over) or ``cut_off`` (a write failed and left a board that cannot be read).
        reason: What was seen and what was allowed.
    """

    request_id: str
    guard: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ProbationPassed(Fact):
    """The new bits were watched in place for as long as the policy asks, and every guard held."""

    slot: str
    digest: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class GlassBroken(Fact):
    """A person wants this request on the board now, without its quorum and in mid fill; it takes two people."""

    request_id: str
    person: str
    role: str
    reason: str
    signature: Signature | None = None


@dataclass(frozen=True, kw_only=True)
class ReviewOverdue(Fact):
    """The breaking of the glass was not reviewed in time: nothing goes forward in this slot before it is."""

    request_id: str
    due: datetime


@dataclass(frozen=True, kw_only=True)
class GlassReviewed(Fact):
    """A person who did not break the glass looked into why it was broken."""

    request_id: str
    person: str
    role: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RollbackRehearsed(Fact):
    """The way back to a digest was walked, from another that stood in for a candidate.  Subject: the slot.

    It says nothing of the way back to the digest that stood in.

    Attributes:
        from_digest: What was put on for it, in place of a candidate that fails.
        to_digest: What came back, as read back, and ran before: the way back to it is rehearsed.
        seconds: From the order to the digest read back.
        target: Where it was rehearsed.
    """

    slot: str
    from_digest: str
    to_digest: str
    seconds: float
    target: str


@dataclass(frozen=True, kw_only=True)
class BoardOutputDiffers(Fact):
    """A board did not give what the emulator of its digest gives; told once a run.  Subject: the slot."""

    slot: str
    digest: str
    run: int
    lumisection: int
    events: int  # compared in that lumisection
    mismatches: int
