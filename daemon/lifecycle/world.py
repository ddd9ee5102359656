"""What was seen to be so, just before a decision.

The board is the truth and the ledger is intention: every field here was looked at, none is remembered.  ``None`` means
"could not be seen"; an unknown never permits a step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.lifecycle.candidate import Candidate
from daemon.lifecycle.observed import Observed
from daemon.lifecycle.signing import PersonKey


@dataclass(frozen=True, kw_only=True)
class World:
    """The world from the viewpoint of one candidate.

    Attributes:
        target: Name of the place this slot deploys to.
        running: Digest read back from that target now; None if it cannot be read.
        beam_mode: LHC beam mode now; None if unknown or stale, and then there is no window.
        bundle: Digest of the candidate's bundle, recomputed from its bytes now; None if it could not be read.
        bundle_problem: What was altered, when the bytes no longer give the digest in the record.
        evidence_root: Digest of the candidate's evidence, recomputed now.
        certification: Digest of how the training lumisections are certified now, or which quarantine they lie in.
        people: Roles held now, by person; closed accounts are absent.
        keys: Signing keys that speak for somebody now, by their id; revoked ones are absent.
        open_faults: Ids of the alarms whose fault is open on the slot's stream.
        paused: Whether a person paused the daemon.
        frozen: Why deployments are frozen by hand; empty if they are not.
        others: Every other candidate of this slot.
        fill: LHC fill number now; None if unknown or stale.
        observed: What was seen of this candidate on the board since its present phase began; None if nobody looks.
        rehearsed_at: When the way back to what runs now was last rehearsed on this target; None if it never was.
        next_lumisection: (run, lumisection) after the last one processed: where a change takes effect.
        clock: Latest time in the ledger; decisions never go back before it.
    """

    target: str
    running: str | None
    beam_mode: str | None
    bundle: str | None
    evidence_root: str | None
    certification: str | None
    clock: datetime
    bundle_problem: str = ""
    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    keys: Mapping[str, PersonKey] = field(default_factory=dict)
    open_faults: tuple[str, ...] = ()
    paused: bool = False
    frozen: str = ""
    others: tuple[Candidate, ...] = ()
    fill: int | None = None
    observed: Observed | None = None
    rehearsed_at: datetime | None = None
    next_lumisection: tuple[int, int] = (0, 0)
