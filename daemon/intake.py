"""From delivered files to outcomes in the ledger: read, join conditions, watch, record, in the order of the data.

One file is one transaction (docs/adr/0002).  A file is held while earlier lumisections or its own conditions may still
come, and never longer than its grace, counted from its first sight.  Nothing here decides what an alarm leads to.
"""

import contextlib
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from daemon import event_store, explanations, fill_trail
from daemon.config import Settings
from daemon.file_names import IN_NAME, place_named
from daemon.first_seen import FirstSeen
from daemon.in_force import in_force
from daemon.input_faults import InputFaults
from daemon.ledger import FileTaken, Ledger, Outcome
from daemon.lifecycle import Fact
from daemon.lifecycle import facts as f
from daemon.observing import Observing
from daemon.scorer import ChampionSummariser, Counts
from daemon.seed_counts import SeedCounts
from drift.conditions import Conditions, ConditionsTable
from drift.events import LumisectionEvents
from drift.glance import RECENT, Glance, glance
from drift.profile import LumisectionSummary
from drift.source import Accepted, Delivered, FileContents, Quarantined, RunSource, Waiting
from drift.watch import Alarm, Decision, Watch

log = logging.getLogger("retrigger.intake")
ACTOR = "daemon"
FILES_PER_TURN = 1
"""What people said, candidates and the heartbeat wait for one file at most."""


@dataclass
class IntakeView:
    """What the loop last saw on the way in, for metrics and status; lost with the process, nothing depends on it."""

    waiting: dict[str, str] = field(default_factory=dict)
    pileup: float | None = None
    fill: int | None = None
    log_evidence: float | None = None
    rates: tuple[float, float, float] | None = None
    lumisection: tuple[int, int] | None = None
    owed: dict[str, int] = field(default_factory=dict)
    newest: datetime | None = None
    silent_scores: str | None = None
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    declared: tuple[dict[str, Any], ...] = ()
    glance: Glance | None = None
    missing_seeds: tuple[str, ...] = ()


class Intake:
    """Takes files from one source into the ledger."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        source: RunSource,
        read: Callable[[Delivered], Accepted | Waiting | Quarantined],
        summarise: ChampionSummariser,
        restore: Callable[[bytes | None], Watch],
        counters: SeedCounts | None = None,
        observing: Observing | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._source = source
        self._read = read
        self._summarise = summarise
        self._restore = restore
        self._counters = counters
        self._observing = observing
        self._stream = settings.stream.name
        self._watch = restore(ledger.watch_state(self._stream))
        self._first_seen = FirstSeen(ledger, self._stream)
        self._faults = {"conditions": InputFaults("conditions")}
        if counters is not None:
            self._faults["counters"] = counters.faults
        self._recent: deque[LumisectionSummary] = deque(maxlen=RECENT)
        self._contents: tuple[Delivered, FileContents] | None = None
        self._trail: list[fill_trail.Step] = []
        self.view = IntakeView()

    def step(self, table: ConditionsTable, now: datetime) -> int:
        """Take the files that are due; return how many were taken."""
        taken = 0
        self.view.waiting.clear()
        due = sorted(self._source.poll(now), key=lambda one: place_named(one.name))
        self.view.owed = {delivered.name: _lumisections_named(delivered.name) for delivered in due}
        self._first_seen.note([delivered.name for delivered in due], now)
        if self._counters is not None:
            self._counters.look()
        self._faults["conditions"].hear(table.faults)
        self.view.faults = {what: (found.count, found.newest) for what, found in self._faults.items() if found.count}
        for delivered in due:
            if taken >= FILES_PER_TURN:
                break
            if reason := self._must_wait_for_earlier(delivered, table, now):
                self.view.waiting[delivered.name] = reason
                break
            reason = self._take(delivered, table, now)
            if reason:
                self.view.waiting[delivered.name] = reason
                if IN_NAME.search(delivered.name):
                    break  # later files of the stream stay behind this one until it is read or given up
                continue
            self.view.owed.pop(delivered.name, None)
            taken += 1
        newest = self._ledger.latest(self._stream)
        self.view.declared = () if newest is None else in_force(table.declared, newest, self._watch.reference)
        return taken

    # --- waiting --------------------------------------------------------------------------------------------------

    def _must_wait_for_earlier(self, delivered: Delivered, table: ConditionsTable, now: datetime) -> str:
        """Say which earlier lumisections may still come; empty when none, or when the grace is over."""
        place = IN_NAME.search(delivered.name)
        latest = self._ledger.latest(self._stream)
        if place is None or latest is None:
            return ""
        first = (int(place[1]), int(place[2]))
        missing = [pair for pair in _between(table, latest, first) if (at := table.at(*pair)) is not None and at.usable]
        if not missing:
            return ""
        if self._first_seen.waited_s(delivered.name, now) >= self._settings.source.gap_grace_s:
            return ""
        run, lumisection = missing[0]
        return f"{len(missing)} earlier lumisections have not arrived, first {run}:{lumisection}"

    def _conditions(
        self, name: str, contents: FileContents, table: ConditionsTable, now: datetime
    ) -> tuple[list[Conditions | None], str]:
        found = [table.at(one.run, one.lumisection) for one in contents.lumisections]
        lacking = [
            f"{one.run}:{one.lumisection}"
            for one, at in zip(contents.lumisections, found, strict=True)
            if at is None or at.pileup is None
        ]
        if not lacking or self._first_seen.waited_s(name, now) >= self._settings.conditions.grace_s:
            return found, ""
        said = self._faults["conditions"].clause("of the conditions files")
        return found, f"no conditions yet for {len(lacking)} lumisections, first {lacking[0]}{said}"

    def _lacks_counters(self, name: str, conditions: Sequence[Conditions | None], now: datetime) -> str:
        """Say which seed counters may still come; empty when none, or when the grace of conditions is over."""
        lacking = [] if self._counters is None else self._counters.lacking(conditions)
        if not lacking or self._first_seen.waited_s(name, now) >= self._settings.conditions.grace_s:
            return ""
        said = "" if self._counters is None else self._counters.faults.clause("of the counter files")
        return f"no seed counters yet for {len(lacking)} lumisections, first {lacking[0]}{said}"

    # --- one file -------------------------------------------------------------------------------------------------

    def _take(self, delivered: Delivered, table: ConditionsTable, now: datetime) -> str:
        """Take one file; return why it has to wait, or nothing when it is recorded."""
        if self._contents is not None and self._contents[0] == delivered:
            contents = self._contents[1]
        elif self._taken_before(delivered, now):
            return ""
        else:
            answer = self._read(delivered)
            if isinstance(answer, Waiting):
                answer = self._source.defer(delivered, answer, now)
            if isinstance(answer, Waiting):
                return answer.reason
            if isinstance(answer, Quarantined):
                return self._quarantine(delivered, answer, now)
            contents = answer.contents
            self._contents = (delivered, contents)
        conditions, reason = self._conditions(delivered.name, contents, table, now)
        reason = reason or self._lacks_counters(delivered.name, conditions, now)
        if reason:
            return reason
        self._record(delivered, contents, conditions, now)
        self._contents = None
        self._first_seen.forget(delivered.name)
        self._source.settle(delivered)
        return ""

    def _taken_before(self, delivered: Delivered, now: datetime) -> bool:
        """Whether these very bytes have their outcome; then they are not read again, under whatever name they come."""
        try:
            with delivered.path.open("rb") as source:
                sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        except OSError:
            return False
        before = self._ledger.file_taken(sha256)
        if before is None or before.outcome == "quarantined":  # put back by a person: it gets another chance
            return False
        if before.path != delivered.origin:
            log.info("%s is %s again", delivered.name, before.path)
            twin = replace(
                before,
                path=delivered.origin,
                outcome="duplicate",
                at=now,
                code="duplicate",
                reason=f"the bytes of {before.path}",
            )
            self._ledger.take_file(twin, (), None, ())
        self._first_seen.forget(delivered.name)
        self._source.settle(delivered)
        return True

    def _quarantine(self, delivered: Delivered, why: Quarantined, now: datetime) -> str:
        try:
            sha256 = hashlib.sha256(delivered.path.read_bytes()).hexdigest()
        except OSError:  # it vanished or cannot be read: its place and stamp stand for it
            sha256 = hashlib.sha256(f"{delivered.origin}:{delivered.bytes}:{delivered.stamp}".encode()).hexdigest()
        log.warning("quarantined %s: %s", delivered.name, why.reason)
        self._ledger.take_file(
            FileTaken(
                path=delivered.origin,
                sha256=sha256,
                bytes=delivered.bytes,
                stream=self._stream,
                outcome="quarantined",
                at=now,
                code=why.code,
                reason=why.reason,
            ),
            (),
            None,
            (),
        )
        self._source.quarantine(delivered, why, now)
        self._first_seen.forget(delivered.name)
        return ""

    def _record(
        self, delivered: Delivered, contents: FileContents, conditions: Sequence[Conditions | None], now: datetime
    ) -> None:
        self._watch = self._restore(self._ledger.watch_state(self._stream))  # whatever a failed attempt left in it
        self._listen_anew()
        self._trail.clear()
        summariser = self._summarise.now()
        self.view.silent_scores = self._summarise.silent
        latest = self._ledger.latest(self._stream) or (0, 0)
        known = self._ledger.recorded(self._stream, [(one.run, one.lumisection) for one in contents.lumisections])
        outcomes: list[Outcome] = []
        facts: list[tuple[str, Fact]] = []
        for events, at in zip(contents.lumisections, conditions, strict=True):
            pair = (events.run, events.lumisection)
            if pair in known:
                outcomes.append(self._outcome(events, at, contents, "duplicate", "delivered again", keep=False))
                continue
            if pair < latest:
                outcomes.append(self._outcome(events, at, contents, "late", f"came after {latest[0]}:{latest[1]}"))
                continue
            decision = self._watch_one(events, at, summariser)
            outcomes.append(self._outcome(events, at, contents, decision.state, decision.reason))
            if decision.alarm is not None:
                facts += self._alarm_facts(decision.alarm, now)
            if self._observing is not None:
                differs = self._observing.take(events, at, now, [fact for _, fact in facts])
                facts += [] if differs is None else [(differs.slot, differs)]
        self.view.silent_scores = self._summarise.silent  # what scores events may have failed meanwhile
        file = FileTaken(
            path=delivered.origin,
            sha256=contents.sha256,
            bytes=contents.bytes,
            stream=self._stream,
            outcome="accepted",
            at=now,
        )
        fill_trail.keep(self._settings.state / "trail", contents.sha256, self._trail)
        if not self._ledger.take_file(file, outcomes, self._watch.save(), facts):
            log.info("%s was taken before", delivered.name)
            self._watch = self._restore(self._ledger.watch_state(self._stream))
            return
        with contextlib.suppress(OSError):  # it may be gone by now; then its age is unknown
            self.view.newest = datetime.fromtimestamp(delivered.path.stat().st_mtime, tz=now.tzinfo)
        log.info(
            "took %s: %d lumisections, %d events", delivered.name, len(outcomes), sum(one.events for one in outcomes)
        )

    def _listen_anew(self) -> None:
        """Acknowledge the alarm that holds the watch, once a person closed it; the ledger remembers, we obey."""
        told = self._watch.told
        if told is None:
            return
        closed = {
            one.fact.alarm_id
            for one in self._ledger.facts(subject=self._stream, kind="fault_closed")
            if isinstance(one.fact, f.FaultClosed)
        }
        if alarm_id(self._stream, *told) in closed:
            log.info("alarm %s is closed; listening anew", alarm_id(self._stream, *told))
            self._watch.acknowledge()

    def _watch_one(self, events: LumisectionEvents, at: Conditions | None, summariser: Counts) -> Decision:
        if at is None:
            at = Conditions(events.run, events.lumisection)
        counts = None if self._counters is None else self._counters.at(at.run, at.lumisection)
        summary = summariser.fill(events)
        decision = self._watch.take(summary, at, counts)
        self._trail.append(fill_trail.Step(at.run, at.lumisection, decision.state, decision.log_evidence, summary))
        if decision.note:
            log.warning("run %d lumisection %d: %s", events.run, events.lumisection, decision.note)
        if self._watch.rates is not None and (now := self._watch.rates.now) is not None:
            self.view.rates = (self._watch.rates.log, *now)
            self.view.missing_seeds = self._watch.rates.missing
        if decision.state in {"quiet", "warn", "alarm"} and at.pileup is not None:
            self._recent.append(summary)
            heard = None if self._watch.rates is None else self._watch.rates.reference
            self.view.glance = glance(
                self._watch.reference, self._recent, at, heard, counts, self._settings.stream.slot
            )
        self.view.pileup, self.view.fill = at.pileup, at.fill
        self.view.lumisection, self.view.log_evidence = (events.run, events.lumisection), decision.log_evidence
        return decision

    def _outcome(
        self,
        events: LumisectionEvents,
        at: Conditions | None,
        contents: FileContents,
        result: str,
        reason: str,
        *,
        keep: bool = True,
    ) -> Outcome:
        kept = event_store.store(self._settings.state / "events", self._stream, events) if keep else None
        word = "watched" if result in {"quiet", "warn", "alarm"} else result
        return Outcome(
            stream=self._stream,
            run=events.run,
            lumisection=events.lumisection,
            result=word,
            reason=reason,
            events=int(events.features.shape[1]),
            fill=at.fill if at else None,
            pileup=at.pileup if at else None,
            certified=at.certified if at else None,
            events_path=str(kept.path) if kept else "",
            events_sha256=kept.sha256 if kept else "",
            file_sha256=contents.sha256,
        )

    def _alarm_facts(self, alarm: Alarm, now: datetime) -> list[tuple[str, Fact]]:
        body: dict[str, Any] = alarm.to_json()
        name = alarm_id(self._stream, alarm.run, alarm.lumisection, alarm.verdict)
        told = explanations.document(alarm)
        if told is None:
            log.warning("alarm %s has no picture: it could not be made from what is remembered", name)
        else:
            body[explanations.KEY] = explanations.keep(self._settings.explanations, name, told)
        log.warning("alarm %s: %s", name, alarm.text)
        common: dict[str, Any] = {"at": now, "actor": ACTOR, "stream": self._stream, "alarm_id": name, "alarm": body}
        facts: list[tuple[str, Fact]] = [(self._stream, f.AlarmRaised(**common))]
        if alarm.verdict in {"broken_detector", "contract"}:
            onset_run, onset_lumisection = alarm.onset
            opened = f.FaultOpened(**common, onset_run=onset_run, onset_lumisection=onset_lumisection)
            facts.append((self._stream, opened))
        return facts


def alarm_id(stream: str, run: int, lumisection: int, verdict: str) -> str:
    """Return the name of an alarm: where it was told, and what it says."""
    return f"{stream}:{run}:{lumisection}:{verdict}"


def _lumisections_named(name: str) -> int:
    """How many lumisections a file says it holds, 1 when its name does not say."""
    place = IN_NAME.search(name)
    return int(place[3]) - int(place[2]) + 1 if place else 1


def _between(table: ConditionsTable, after: tuple[int, int], before: tuple[int, int]) -> list[tuple[int, int]]:
    """The (run, lumisection) with conditions strictly between two places, in order."""
    runs = [run for run in table.runs() if after[0] <= run <= before[0]]
    return [(run, ls) for run in runs for ls in table.lumisections(run) if after < (run, ls) < before]
