"""What the first page says: what runs, who must act, what is broken, and what came in lately."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.decisions import missing_roles, role_for
from daemon.ledger import Outcome
from daemon.lifecycle import Candidate, Phase, fold_daemon, open_faults
from daemon.lifecycle import facts as f
from daemon.people import Person
from daemon.snapshot import LoopView, Snapshot, last_loop_view, snapshot_from
from daemon.web.office import Office

RECENT_LUMISECTIONS, RECENT_ALARMS, RECENT_CANDIDATES = 120, 8, 12
SILENT_S = 180.0


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Everything on the first page.

    Attributes:
        snapshot: The same figures as the metrics.
        loop: What the loop last said of itself; None if it never ran on this ledger.
        silent_s: How long the loop has said nothing, in seconds, if that is too long; else None.
        champion: The candidate that brought what runs; None for an imported model.
        asked: Candidates whose request is open, with the roles still missing and the role this person could take.
        faults: Open detector faults.
        alarms: The last alarms, newest first: when, under which name, what.
        candidates: The last candidates, newest first.
        lumisections: The last outcomes, oldest first.
        paused: Why forward steps are stopped; empty if they are not.
        frozen: Why deployments are frozen; empty if they are not.
    """

    snapshot: Snapshot
    loop: LoopView | None
    silent_s: float | None
    champion: Candidate | None
    asked: tuple[tuple[Candidate, tuple[str, ...], str], ...]
    faults: tuple[f.FaultOpened, ...]
    alarms: tuple[tuple[datetime, str, Mapping[str, Any]], ...]
    candidates: tuple[Candidate, ...]
    lumisections: tuple[Outcome, ...]
    paused: str
    frozen: str


def overview(office: Office, person: Person, now: datetime) -> Overview:
    """Return the first page's content for this person."""
    loop = last_loop_view(office.ledger)
    snapshot = snapshot_from(
        office.ledger, now, loop=loop or LoopView(started=now), streams=[office.stream], slots=[office.slot]
    )
    candidates = [one for one in office.looks.candidates() if one.slot == office.slot]
    about_stream = office.ledger.facts(subject=office.stream)
    state = fold_daemon(stored.fact for stored in office.ledger.facts(subject="daemon"))
    raised = [stored.fact for stored in about_stream if isinstance(stored.fact, f.AlarmRaised)]
    alarms = [(fact.at, fact.alarm_id, fact.alarm) for fact in raised]
    silent_s = None if loop is None or loop.last_turn is None else (now - loop.last_turn).total_seconds()
    return Overview(
        snapshot=snapshot,
        loop=loop,
        silent_s=silent_s if silent_s is not None and silent_s > SILENT_S else None,
        champion=next((one for one in candidates if one.phase is Phase.LIVE), None),
        asked=tuple(_asked(one, person) for one in candidates if one.phase is Phase.PENDING_APPROVAL),
        faults=open_faults(stored.fact for stored in about_stream),
        alarms=tuple(alarms[::-1][:RECENT_ALARMS]),
        candidates=tuple(candidates[::-1][:RECENT_CANDIDATES]),
        lumisections=tuple(office.ledger.outcomes(office.stream, limit=RECENT_LUMISECTIONS)),
        paused=state.paused,
        frozen=state.frozen,
    )


def _asked(candidate: Candidate, person: Person) -> tuple[Candidate, tuple[str, ...], str]:
    spoke = any(one.person == person.name for one in candidate.approvals) or person.name == candidate.initiator
    return candidate, missing_roles(candidate), "" if spoke else role_for(candidate, person.roles)
