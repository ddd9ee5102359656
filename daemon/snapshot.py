"""The figures of one instant that metrics, page and command line show.

`snapshot_from` takes them from the ledger; `daemon.metrics` gives them names.  What only the running loop knows (its
last turn, the beam mode it sees, files it waits for) comes as a `LoopView`, which the loop also leaves in the ledger's
status for the page.  Nothing here decides anything.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from daemon.candidate_figures import Evidence, evidence_of
from daemon.ledger import Figures, Ledger, StoredFact
from daemon.lifecycle import Candidate, Phase, champions, fold, fold_daemon, open_faults
from daemon.lifecycle import facts as f
from daemon.lifecycle.board_facts import RollbackRehearsed
from daemon.lifecycle.candidate import ON_BOARD
from daemon.lifecycle.observed import Comparison
from daemon.lifecycle.quorum import quorum
from daemon.people_figures import PeopleFigures, people_figures
from daemon.record_figures import RecordFigures, record_figures
from drift.glance import Glance

WATCHED = ("watched", "quiet", "warn", "alarm")
OUTCOMES = ("watched", "excluded", "out_of_support", "data_gap", "late")
FILE_OUTCOMES = ("accepted", "quarantined", "duplicate")
VERDICTS = ("broken_detector", "real_shift", "transient", "out_of_support", "data_gap", "contract", "expected_change")
FAULTS = ("broken_detector", "contract")
RESULTS = ("built", "failed")
VERDICTS_OF_GATES = ("pass", "fail", "inconclusive")


@dataclass(frozen=True, kw_only=True)
class LoopView:
    """What the loop has in memory and the record does not.

    Attributes:
        started: When the daemon started.
        last_turn: When the loop last ended a turn; None before the first.
        doing: What it does, in words.
        stable_beams: Whether collisions are declared; None when the beam mode is unknown or stale.
        beam_mode: The beam mode as published; empty when unknown or stale.
        fill: LHC fill number, when known.
        pileup: Mean pileup of the last lumisection with conditions, by stream.
        evidence: Log-evidence now and the value at which an alarm is raised, by stream; natural logarithms.
        rates: Log-evidence of seed rates in the newest lumisection with counters, and their median and farthest
            deviation in standard deviations, by stream.
        owed: Lumisections delivered whose outcome is still owed, by stream.
        waiting_files: Files that are there but not yet whole, by stream.
        newest: When the newest data taken in were written, by stream.
        silent_scores: Why scores are not watched, empty when they are, by stream whose reference has them.
        faults: How many faults each kind of input has (``conditions``, ``counters``), and the newest of them.
        declared: Declared changes in force at the newest lumisection: id, what each silences, and both in words.
        running: Digest last read back from the board, by slot; empty when it could not be read.
        board: How the board's output and the emulator of its digest agree since that digest is on it, by slot.
        places: Up to which fact each of the record's places holds it.
        exported: Up to which fact the farthest behind of the record's places holds it; None without a place.
        export_failures: How many exports of the record failed, to any place, ever.
        glances: What the newest lumisection that was compared shows, by stream.
        missing_seeds: How many watched seeds nobody counts any more, by stream with counters.
        disk: Bytes free and in all where each folder lies, by what the folder is for.
    """

    started: datetime
    last_turn: datetime | None = None
    doing: str = ""
    stable_beams: bool | None = None
    beam_mode: str = ""
    fill: int | None = None
    pileup: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rates: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    owed: Mapping[str, int] = field(default_factory=dict)
    waiting_files: Mapping[str, int] = field(default_factory=dict)
    newest: Mapping[str, datetime] = field(default_factory=dict)
    silent_scores: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    declared: Sequence[Mapping[str, Any]] = ()
    running: Mapping[str, str] = field(default_factory=dict)
    board: Mapping[str, Comparison] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    exported: int | None = None
    export_failures: int = 0
    glances: Mapping[str, Glance] = field(default_factory=dict)
    missing_seeds: Mapping[str, int] = field(default_factory=dict)
    disk: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the view as the loop leaves it in the ledger: ``ledger.put_status("loop", view.to_json(), now)``."""
        times = {"started": self.started.isoformat(), "last_turn": self.last_turn and self.last_turn.isoformat()}
        newest = {stream: at.isoformat() for stream, at in self.newest.items()}
        evidence = {stream: list(pair) for stream, pair in self.evidence.items()}
        rates = {stream: list(three) for stream, three in self.rates.items()}
        heard = {
            "faults": {what: list(pair) for what, pair in self.faults.items()},
            "declared": [dict(one) for one in self.declared],
            "glances": {stream: one.to_json() for stream, one in self.glances.items()},
            "disk": {what: list(pair) for what, pair in self.disk.items()},
            "board": {slot: asdict(one) for slot, one in self.board.items()},
        }
        return {**vars(self), **times, "newest": newest, "evidence": evidence, "rates": rates, **heard}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "LoopView":
        """Return the view that `to_json` took apart."""
        last = body["last_turn"]
        return cls(
            **{
                **body,
                "started": datetime.fromisoformat(body["started"]),
                "last_turn": None if last is None else datetime.fromisoformat(last),
                "newest": {stream: datetime.fromisoformat(at) for stream, at in body["newest"].items()},
                "evidence": {stream: (now, budget) for stream, (now, budget) in body["evidence"].items()},
                "rates": {stream: (log, middle, far) for stream, (log, middle, far) in body.get("rates", {}).items()},
                "faults": {what: (count, newest) for what, (count, newest) in body.get("faults", {}).items()},
                "declared": tuple(body.get("declared", ())),
                "glances": {stream: Glance.from_json(one) for stream, one in body.get("glances", {}).items()},
                "board": {slot: Comparison(**one) for slot, one in body.get("board", {}).items()},
                "disk": {what: (free, size) for what, (free, size) in body.get("disk", {}).items()},
            }
        )


@dataclass(frozen=True, kw_only=True)
class StreamFigures:
    """One stream, since the record began.

    Attributes:
        lumisections: How many ended in each outcome.
        delivered: How many the data said exist, gaps included.
        watched: How many of those were compared with the reference.
        files: How many ended in each outcome.
        alarms: How many were raised, by verdict.
        fault_open: Whether the detector is held to be broken, so that nothing is retrained.
        lag_s: Age of the newest data that were taken in, in seconds; None before the first.
        lag_lumisections: Lumisections delivered whose outcome is still owed.
        faults: Faults that nobody closed, by verdict.
        quarantined: Quarantined files, by why.
        newest_alarm: The newest alarm of each verdict.
    """

    lumisections: Mapping[str, int]
    delivered: int
    watched: int
    files: Mapping[str, int]
    alarms: Mapping[str, int]
    fault_open: bool
    lag_s: float | None
    lag_lumisections: int
    faults: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    newest_alarm: Mapping[str, f.AlarmRaised] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SlotFigures:
    """One slot of the trigger.

    Attributes:
        candidates: How many candidates stand in each phase.
        phase: Phase of the newest candidate; empty when there is none.
        retrain_seconds: How long each ended training took, by result; seconds.
        evidence: What the evidence of the newest candidate that was built says.
        gates: Gates of the newest candidate that was judged, by verdict.
        phase_since: When the newest candidate came into its phase; None without one.
        training_s: How long the training that goes on has taken; None when none does.
        deployments: How often a board was written, rolled back, or could not be written, by outcome.
        rolled_back_at: When the slot was last rolled back; None if never.
        pending_age_s: Age of the open request for approval, in seconds; None when there is none.
        pending_left_s: Time until it expires, in seconds, never negative.
        missing_roles: How many signatures it still needs.
        running_digest: Digest of the champion by the record; empty when there is none.
        running_since: When it was deployed or imported.
        board_agrees: Whether the board was last seen to run it.
        waivers: Waived gates on which a candidate that is still open rests.
        reviews_owed: Times the glass was broken that nobody looked into yet.
        rehearsal_s: How long the last rehearsal of the way back took; None before the first.
    """

    candidates: Mapping[str, int]
    phase: str
    retrain_seconds: Mapping[str, Sequence[float]]
    evidence: Evidence
    pending_age_s: float | None
    pending_left_s: float | None
    missing_roles: int
    running_digest: str
    running_since: datetime | None
    board_agrees: bool
    gates: Mapping[str, int] = field(default_factory=dict)
    phase_since: datetime | None = None
    training_s: float | None = None
    deployments: Mapping[str, int] = field(default_factory=dict)
    rolled_back_at: datetime | None = None
    waivers: int = 0
    reviews_owed: int = 0
    rehearsal_s: float | None = None


@dataclass(frozen=True, kw_only=True)
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
    record: RecordFigures = field(default_factory=RecordFigures)
    people: PeopleFigures = field(default_factory=PeopleFigures)


def snapshot_from(
    ledger: Ledger, now: datetime, *, loop: LoopView, streams: Iterable[str], slots: Iterable[str]
) -> Snapshot:
    """Return what the record and the loop say now; the cost grows with the candidates, not with the data."""
    figures = ledger.figures()
    state = fold_daemon(stored.fact for stored in ledger.facts(subject="daemon"))
    told = [ledger.facts(subject=subject) for subject in ledger.subjects("candidate_requested")]
    stories = [(story, fold(stored.fact for stored in story)) for story in told]
    return Snapshot(
        at=now,
        version=version("retrigger"),
        loop=loop,
        streams={stream: _stream(ledger, figures, loop, stream, now) for stream in streams},
        slots={slot: _slot(ledger, stories, loop, slot, now) for slot in slots},
        audit_head=figures.head_sequence,
        paused=bool(state.paused),
        frozen=bool(state.frozen),
        record=record_figures(ledger, figures, now),
        people=people_figures(ledger, ([stored.fact for stored in story] for story in told)),
    )


def snapshot_of(ledger: Ledger, now: datetime) -> Snapshot:
    """Return what the record says now of every stream and slot in it, with what its loop last said of itself."""
    loop = last_loop_view(ledger) or LoopView(started=now)
    streams = {stream for stream, _ in ledger.figures().outcomes} | set(loop.evidence)
    slots = {stored.fact.slot for stored in ledger.facts(kind="champion_imported") if hasattr(stored.fact, "slot")}
    return snapshot_from(ledger, now, loop=loop, streams=sorted(streams), slots=sorted(slots | set(loop.running)))


def last_loop_view(ledger: Ledger) -> LoopView | None:
    """Return what the loop last left in the ledger's status; None if it never ran here."""
    row = ledger.status().get("loop")
    return None if row is None else LoopView.from_json(row.body)


def _stream(ledger: Ledger, figures: Figures, loop: LoopView, stream: str, now: datetime) -> StreamFigures:
    lumisections = _of(figures.outcomes, stream, OUTCOMES)
    newest = loop.newest.get(stream)
    if newest is None:
        accepted = [file.at for file in ledger.files("accepted", limit=1) if file.stream == stream]
        newest = accepted[0] if accepted else None
    stored = [one.fact for one in ledger.facts(subject=stream)]
    standing = Counter(str(one.alarm.get("verdict")) for one in open_faults(stored))
    return StreamFigures(
        lumisections=lumisections,
        delivered=sum(lumisections.values()),
        watched=sum(lumisections.get(word, 0) for word in WATCHED),
        files=_of(figures.files, stream, FILE_OUTCOMES),
        alarms=_of(figures.alarms, stream, VERDICTS),
        fault_open=bool(standing),
        faults={verdict: standing[verdict] for verdict in FAULTS},
        lag_s=None if newest is None else max(0.0, (now - newest).total_seconds()),
        lag_lumisections=loop.owed.get(stream, 0),
        quarantined={code: n for (where, code), n in figures.quarantined.items() if where == stream},
        newest_alarm={str(one.alarm.get("verdict")): one for one in stored if isinstance(one, f.AlarmRaised)},
    )


def _of(counts: Mapping[tuple[str, str], int], stream: str, known: Iterable[str]) -> dict[str, int]:
    """Counts of one stream; known words are there from the start, so that a first increase is seen as one."""
    return dict.fromkeys(known, 0) | {word: n for (where, word), n in counts.items() if where == stream}


def _slot(
    ledger: Ledger,
    stories: Sequence[tuple[Sequence[StoredFact], Candidate]],
    loop: LoopView,
    slot: str,
    now: datetime,
) -> SlotFigures:
    mine = [(story, candidate) for story, candidate in stories if candidate.slot == slot]
    candidates = sorted((candidate for _, candidate in mine), key=lambda candidate: candidate.number)
    counts = Counter(str(candidate.phase) for candidate in candidates)
    digest, since = _champion(ledger, slot)
    asked = next((one for one in reversed(candidates) if one.request and one.phase is Phase.PENDING_APPROVAL), None)
    request = asked.request if asked else None
    built = [candidate for candidate in candidates if candidate.build is not None]
    differs = any(one.board_seen for one in candidates if one.phase in ON_BOARD | {Phase.DEPLOYING})
    return SlotFigures(
        candidates={str(phase): counts[str(phase)] for phase in Phase},
        phase=str(candidates[-1].phase) if candidates else "",
        retrain_seconds=_durations(story for story, _ in mine),
        evidence=evidence_of(Path(built[-1].bundle_path)) if built else Evidence(),
        pending_age_s=max(0.0, (now - request.at).total_seconds()) if request else None,
        pending_left_s=max(0.0, (request.expires_at - now).total_seconds()) if request else None,
        missing_roles=len(quorum(request.required_roles, asked.approvals, asked.initiator).missing)
        if asked and request
        else 0,
        running_digest=digest,
        running_since=since,
        board_agrees=loop.running[slot] == digest if slot in loop.running else not differs,
        **_newest(candidates, now),
        **_written([stored.fact for story, _ in mine for stored in story]),
        **_watched_over(ledger, slot, candidates, now),
    )


def _newest(candidates: Sequence[Candidate], now: datetime) -> dict[str, Any]:
    """Return how the newest candidate stands: since when, its gates, and how long it has been in training."""
    if not candidates:
        return {}
    last = candidates[-1]
    judged = next((one.gates for one in reversed(candidates) if one.gates is not None), None)
    counts = Counter(str(gate.verdict) for gate in judged.gates) if judged else Counter[str]()
    training = (now - last.phase_since).total_seconds() if last.phase is Phase.BUILDING else None
    return {
        "gates": {word: counts[word] for word in VERDICTS_OF_GATES} if judged else {},
        "phase_since": last.phase_since,
        "training_s": None if training is None else max(0.0, training),
    }


def _written(facts: Sequence[f.Fact]) -> dict[str, Any]:
    """Return how often the board was written, by outcome, and when it was last rolled back."""
    kinds = {"deployed": f.Deployed, "rolled_back": f.RolledBack, "failed": f.DeploymentFailed}
    back = [one.at for one in facts if isinstance(one, f.RolledBack)]
    return {
        "deployments": {word: sum(isinstance(one, kind) for one in facts) for word, kind in kinds.items()},
        "rolled_back_at": max(back, default=None),
    }


def _watched_over(ledger: Ledger, slot: str, candidates: Sequence[Candidate], now: datetime) -> dict[str, Any]:
    """Return what people let pass in a slot and still answer for, and how long its last rehearsal took."""
    held = [one for candidate in candidates if not candidate.terminal for one in candidate.waivers]
    walked = [one.fact for one in ledger.facts(subject=slot, kind=RollbackRehearsed.kind)]
    return {
        "waivers": len({(one.evidence_root, one.gate) for one in held if one.expires_at > now}),
        "reviews_owed": sum(candidate.review_owed for candidate in candidates),
        "rehearsal_s": next((one.seconds for one in reversed(walked) if isinstance(one, RollbackRehearsed)), None),
    }


def _champion(ledger: Ledger, slot: str) -> tuple[str, datetime | None]:
    kinds = (f.ChampionImported, f.Deployed, f.RolledBack)
    stored = sorted((one for kind in kinds for one in ledger.facts(kind=kind.kind)), key=lambda one: one.sequence)
    here = [one.fact for one in stored if getattr(one.fact, "slot", "") == slot]
    line = champions(here, slot)
    return (line[-1].digest, here[-1].at) if line else ("", None)


def _durations(stories: Iterable[Sequence[StoredFact]]) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {result: [] for result in RESULTS}
    for story in stories:
        begun = story[0].fact.at
        for stored in story:
            match stored.fact:
                case f.TrainingFinished(at=at):
                    seconds["built"].append((at - begun).total_seconds())
                case f.TrainingFailed(at=at):
                    seconds["failed"].append((at - begun).total_seconds())
                    begun = at
    return seconds
