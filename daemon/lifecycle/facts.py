"""What can have happened: every kind of fact, in the past tense.

A fact is never edited.  Its subject (a candidate id such as ``c-0042``, a slot, a stream, or ``daemon``) is where the
ledger files it; the fact itself says what happened, when, and who did it.  Nothing here knows what follows from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from daemon.lifecycle.fact import KINDS as KINDS  # noqa: PLC0414  # who speaks of facts finds all of it here
from daemon.lifecycle.fact import Fact as Fact  # noqa: PLC0414  # likewise
from daemon.lifecycle.fact import Signature as Signature  # noqa: PLC0414  # likewise
from daemon.lifecycle.fact import from_json as from_json  # noqa: PLC0414  # likewise
from daemon.lifecycle.fact import to_json as to_json  # noqa: PLC0414  # likewise

Verdict = Literal["pass", "fail", "inconclusive"]
Trigger = Literal["drift", "cron", "manual", "fill", "online"]

# --- a candidate's way; subject: the candidate id -----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CandidateRequested(Fact):
    """Somebody or something asked for a new model of a slot."""

    candidate: str
    number: int
    slot: str
    trigger: Trigger
    initiator: str
    recipe_digest: str
    recipe: Mapping[str, Any]
    reason: str
    drill: bool = False  # made to be caught: it can be approved, and is never armed


@dataclass(frozen=True, kw_only=True)
class TrainingFinished(Fact):
    """A bundle was built.  `certification_digest` says how its lumisections were certified when they were read."""

    recipe_digest: str
    bundle_digest: str
    bundle_path: str
    certification_digest: str


@dataclass(frozen=True, kw_only=True)
class TrainingFailed(Fact):
    """The machinery of training or verifying failed; this says nothing about the model."""

    reason: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class GivenUp(Fact):
    """The machinery failed too often; a person has to look."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class GateOutcome:
    """One numbered check of a bundle and how it ended."""

    number: int
    name: str
    verdict: Verdict
    summary: str


@dataclass(frozen=True, kw_only=True)
class GatesEvaluated(Fact):
    """The gates ran on this very bundle, against this champion, under this certification."""

    bundle_digest: str
    gates: tuple[GateOutcome, ...]
    evidence_root: str
    tier: str
    running_digest: str
    certification_digest: str


@dataclass(frozen=True, kw_only=True)
class Proposed(Fact):
    """A request for approval was opened; `request_id` binds everything it rests on."""

    request_id: str
    tier: str
    required_roles: tuple[str, ...]
    bundle_digest: str
    evidence_root: str
    policy_id: str
    target: str
    running_digest: str
    certification_digest: str
    expires_at: datetime
    ordinal: int = 1  # of this candidate's requests: a request made again is another one
    waivers: str = ""  # digest of the waivers it rests on; empty if every gate passed


@dataclass(frozen=True, kw_only=True)
class Approved(Fact):
    """A person said yes to one request, in one role; unsigned, it rests on the person's session alone."""

    request_id: str
    person: str
    role: str
    reason: str
    signature: Signature | None = None


@dataclass(frozen=True, kw_only=True)
class Rejected(Fact):
    """A person said no to one request.  `klass` is one of the policy's classes of rejection."""

    request_id: str
    person: str
    role: str
    klass: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Revoked(Fact):
    """An approver took the approval back before the board was written."""

    request_id: str
    person: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Expired(Fact):
    """Time ran out; silence means no.  `request_id` is empty when no request was open."""

    request_id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Staled(Fact):
    """Something the request rests on changed; its approvals are void."""

    request_id: str
    what_changed: str


@dataclass(frozen=True, kw_only=True)
class Superseded(Fact):
    """A newer candidate took this one's place."""

    by: str


@dataclass(frozen=True, kw_only=True)
class Armed(Fact):
    """Everything was checked once more and the window is open."""

    request_id: str


@dataclass(frozen=True, kw_only=True)
class DeploymentStarted(Fact):
    """The intent to write the target, recorded before the write.  `transition` makes the write idempotent."""

    request_id: str
    digest: str
    transition: str


@dataclass(frozen=True, kw_only=True)
class DeploymentFailed(Fact):
    """One attempt to write the target failed; the target keeps what it had."""

    request_id: str
    digest: str
    reason: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Deployed(Fact):
    """The target was read back and runs the approved digest, from this lumisection on.

    `probation_lumisections` is how many are watched before it counts as proven in place; 0: none, it is live at once.
    `last_fill` is the last fill that break-glass may run in; None for what a whole quorum approved, or if unknown.
    """

    slot: str
    request_id: str
    digest: str
    read_back: str
    effective_run: int
    effective_lumisection: int
    probation_lumisections: int = 0
    last_fill: int | None = None


@dataclass(frozen=True, kw_only=True)
class RollbackRequested(Fact):
    """A person asked for the digest that ran before; always allowed."""

    person: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RolledBack(Fact):
    """The target runs `to_digest` again (or still), as read back."""

    slot: str
    from_digest: str
    to_digest: str
    by: str
    reason: str
    effective_run: int
    effective_lumisection: int


@dataclass(frozen=True, kw_only=True)
class Restored(Fact):
    """A superseded candidate is the champion again, because its successor was rolled back."""

    slot: str
    digest: str
    read_back: str


@dataclass(frozen=True, kw_only=True)
class BoardDiffers(Fact):
    """The target runs something else than the record says.  `found` is empty when the target cannot be read."""

    slot: str
    expected: str
    found: str


@dataclass(frozen=True, kw_only=True)
class BoardAgrees(Fact):
    """The target runs again what the record says."""

    slot: str
    digest: str


# --- a slot; subject: the slot ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ChampionImported(Fact):
    """The model that ran before retrigger came, so that a slot always has a champion."""

    slot: str
    digest: str
    bundle_path: str


# --- a stream; subject: the stream --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AlarmRaised(Fact):
    """The watch raised an alarm; `alarm` is its public JSON form."""

    stream: str
    alarm_id: str
    alarm: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FaultOpened(Fact):
    """The detector is held to be broken since the onset: nothing is retrained on this stream."""

    stream: str
    alarm_id: str
    alarm: Mapping[str, Any]
    onset_run: int
    onset_lumisection: int


@dataclass(frozen=True, kw_only=True)
class FaultClosed(Fact):
    """A person says the fault is mended, or was none.  Data up to `until` stay out of training; (0, 0) when unknown."""

    stream: str
    alarm_id: str
    person: str
    reason: str
    until_run: int = 0
    until_lumisection: int = 0


@dataclass(frozen=True, kw_only=True)
class FileRecorded(Fact):
    """A file and its lumisections entered the ledger; the digest is over their rows.  Subject: ``files``."""

    stream: str
    sha256: str
    outcome: str
    lumisections: int
    outcomes_digest: str


# --- the daemon; subject: "daemon" --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Paused(Fact):
    """A person stopped every forward step."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Resumed(Fact):
    """A person let the daemon go on."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class FreezeStarted(Fact):
    """A person forbade deployments; watching and training go on."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class FreezeEnded(Fact):
    """A person allowed deployments again."""

    reason: str


# --- people; subject: "people" ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PersonAdded(Fact):
    """An account was opened."""

    person: str
    roles: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RolesChanged(Fact):
    """A person's roles are now these."""

    person: str
    roles: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PasswordChanged(Fact):
    """A person's password was set anew."""

    person: str


@dataclass(frozen=True, kw_only=True)
class KeyRevoked(Fact):
    """A person's account was closed; approvals that rest on it no longer count."""

    person: str
    reason: str
