"""What a candidate is while it goes from a request to the board: a frozen value, and the phases it can be in.

`daemon.lifecycle.fold` makes it from facts; nothing here says how.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f


class Phase(StrEnum):
    """The states of docs/approvals.md."""

    BUILDING = "building"
    FAILED = "failed"
    VERIFYING = "verifying"
    AUTO_REJECTED = "auto_rejected"
    NEEDS_EXPERT = "needs_expert"
    READY = "ready"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    ARMED = "armed"
    DEPLOYING = "deploying"
    SHADOW = "shadow"
    LIVE_PROBATION = "live_probation"
    LIVE = "live"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    EXPIRED = "expired"
    STALE = "stale"
    REVOKED = "revoked"
    ROLLED_BACK = "rolled_back"


TERMINAL = frozenset(
    {
        Phase.FAILED,
        Phase.AUTO_REJECTED,
        Phase.SUPERSEDED,
        Phase.REJECTED,
        Phase.EXPIRED,
        Phase.REVOKED,
        Phase.ROLLED_BACK,
    }
)
WAIVER_PEOPLE = 2  # for one inconclusive gate
GLASS_PEOPLE = 2

WATCHED = frozenset({Phase.SHADOW, Phase.LIVE_PROBATION})
ON_BOARD = WATCHED | {Phase.LIVE}
IN_FLIGHT = WATCHED | {Phase.ARMED, Phase.DEPLOYING}
OPEN_REQUEST = IN_FLIGHT | {Phase.PENDING_APPROVAL, Phase.APPROVED}
ASKED = frozenset({Phase.PENDING_APPROVAL, Phase.APPROVED, Phase.ARMED})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One candidate as its facts tell it.  Empty text means: not yet."""

    id: str
    number: int
    slot: str
    phase: Phase
    trigger: str
    initiator: str
    reason: str
    recipe_digest: str
    recipe: Mapping[str, Any]
    requested_at: datetime
    latest_at: datetime
    phase_since: datetime
    failures: int = 0
    last_failure: str = ""
    last_failure_at: datetime | None = None
    build: f.TrainingFinished | None = None
    gates: f.GatesEvaluated | None = None
    request: f.Proposed | None = None
    requests: int = 0
    stales: int = 0
    approvals: tuple[f.Approved, ...] = ()
    started: f.DeploymentStarted | None = None
    deployment_failures: int = 0
    deployed: f.Deployed | None = None
    shadow: b.ShadowStarted | None = None
    confirmations: tuple[b.Confirmed, ...] = ()
    waivers: tuple[b.Waived, ...] = ()
    glass: tuple[b.GlassBroken, ...] = ()
    glass_at: datetime | None = None  # when the second person broke it
    review_overdue: bool = False
    reviewed: b.GlassReviewed | None = None
    drill: bool = False
    rollback: f.RollbackRequested | b.GuardTripped | None = None
    board_seen: f.BoardDiffers | None = None
    closing: str = ""
    oddities: tuple[str, ...] = field(default=(), repr=False)

    @property
    def bundle_digest(self) -> str:
        """Digest of the latest build, empty before there is one."""
        return self.build.bundle_digest if self.build else ""

    @property
    def bundle_path(self) -> str:
        """Folder of the latest build, empty before there is one."""
        return self.build.bundle_path if self.build else ""

    @property
    def terminal(self) -> bool:
        """Whether no step forward is left."""
        return self.phase in TERMINAL

    @property
    def speakers(self) -> frozenset[str]:
        """Who said yes to the open request, or broke the glass for it."""
        return frozenset([one.person for one in self.approvals] + [one.person for one in self.glass])

    @property
    def glass_broken(self) -> bool:
        """Whether two people broke the glass for the open request, in place of its quorum."""
        return len(self.glass) >= GLASS_PEOPLE

    @property
    def review_owed(self) -> bool:
        """Whether the board was ordered written by break-glass and nobody has looked into it yet."""
        return self.glass_broken and self.started is not None and self.reviewed is None
