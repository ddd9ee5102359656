"""The loop: look, take files, answer triggers, move candidates, say how it stands; again until told to stop.

Every turn starts from what is on disk and in the ledger; nothing in memory matters, so a kill at any instant costs at
most one repeatable step.  An error of one part is logged, shown in the status, and retried in the next turn.
"""

import logging
import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType

from daemon.assemble import Parts, owner, provenance_of, shipping_of, utc_now
from daemon.candidates import Candidates
from daemon.config import Settings
from daemon.errors import LeadershipTakenError, RetriggerError, SetupError
from daemon.executors import runner_of
from daemon.intake import Intake
from daemon.ledger import Lead
from daemon.metrics import serve_metrics
from daemon.notify import notify, status
from daemon.policy_file import adopt
from daemon.record import short_name
from daemon.relay import RelayThread, relay_of
from daemon.reports import FillReports
from daemon.room import room_of
from daemon.scorer import ChampionSummariser
from daemon.seed_counts import SeedCounts
from daemon.self_check import SelfCheck
from daemon.shelf import bundle_path, whole_champion
from daemon.snapshot import LoopView, Snapshot, snapshot_from
from daemon.triggers import Triggers, job_of
from drift.conditions import ConditionsTable
from drift.errors import DriftError, StateError
from drift.rate_reference import RateReference
from drift.reference import Reference
from drift.schema import schema_named
from drift.source import Accepted, Delivered, Limits, Quarantined, Reader, RunSource, Waiting
from drift.source.folder import LocalFolder
from drift.source.watchlist import Rule
from drift.source.xrootd import XRootDFolder
from drift.watch import Watch
from retrain.errors import RetrainError

log = logging.getLogger("retrigger.loop")
TROUBLE = "in trouble: "


@dataclass(frozen=True)
class Ending:
    """How the last turn left things.

    Attributes:
        trouble: What failed in it and is still to be done; empty when nothing did.
        waiting: How many files are there and not taken.
        reason: What the first of them waits for.
    """

    trouble: str
    waiting: int
    reason: str


class Loop:
    """One turn after another."""

    def __init__(
        self,
        parts: Parts,
        lead: Lead,
        source: RunSource,
        reader: Reader,
        started: datetime,
        *,
        reports: bool = True,
    ) -> None:
        settings = parts.settings
        schema = schema_named(settings.stream.schema_name)
        reference = reference_of(settings)
        rates = rate_reference_of(settings)

        def restore(state: bytes | None) -> Watch:
            budget, stream = settings.drift.false_alarms_per_lumisection, settings.stream.name
            try:
                return Watch(reference, false_alarms_per_lumisection=budget, stream=stream, rates=rates, state=state)
            except StateError as error:
                log.warning("the watch starts anew under reference %s: %s", reference.digest[:12], error)
                return Watch(reference, false_alarms_per_lumisection=budget, stream=stream, rates=rates)

        def read(delivered: Delivered) -> Accepted | Waiting | Quarantined:
            return reader.read(delivered.path)

        self._parts = parts
        self._source = source
        summarise = ChampionSummariser(
            schema, reference.scorer, parts.sight.running, lambda digest: whole_champion(parts.ledger, digest)
        )
        counters = None if rates is None else SeedCounts(rates, [settings.conditions.counters])
        self._runner = runner_of(settings)
        self._intake = Intake(settings, parts.ledger, source, read, summarise, restore, counters, parts.observing)
        self.triggers = Triggers(settings, parts.ledger, parts.sight, parts.policy, owner=owner())
        self._candidates = Candidates(
            parts.ledger,
            parts.sight,
            parts.policy,
            parts.target,
            self._runner,
            jobs=settings.state / "jobs",
            job_of=lambda candidate, folder: job_of(
                candidate,
                settings,
                parts.ledger,
                bundle_path(parts.ledger, str(candidate.recipe.get("champion") or "")),
                folder,
            ),
            lead=lead,
            provenance=provenance_of(settings, parts.ledger),
        )
        self._shipping = shipping_of(settings, parts.ledger)
        self._reports = FillReports(settings, parts.ledger) if reports else None
        self._view = LoopView(started=started)
        self._certified_by: ConditionsTable | None = None
        self._troubles: dict[str, str] = {}
        self._budget = math.log(1.0 / settings.drift.false_alarms_per_lumisection)

    def turn(self, now: datetime) -> int:
        """Do everything that is due; return how many files were taken."""
        taken = 0
        try:
            table = ConditionsTable.load(self._parts.settings.conditions.folder)
            if table is not self._certified_by:
                self._parts.ledger.certify(_certifications(table), now)
                self._certified_by = table
            taken = self._intake.step(table, now)
            self._troubles.pop("intake", None)
        except LeadershipTakenError:
            raise
        except (RetriggerError, DriftError, OSError) as error:
            self._trouble("intake", error)
        steps = (
            ("triggers", self.triggers.step),
            ("candidates", self._candidates.step),
            ("record", self._shipping.step),
        )
        for name, part in steps:
            try:
                part(now)
                self._troubles.pop(name, None)
            except LeadershipTakenError:
                raise
            except (RetriggerError, RetrainError, DriftError, OSError) as error:
                self._trouble(name, error)
        self._report(now)
        self._say(now)
        return taken

    def _report(self, now: datetime) -> None:
        """Make reports of fills; a report is no trouble of the loop's, whatever happens to it."""
        if self._reports is None:
            return
        try:
            self._reports.step(now, waiting=len(self._intake.view.owed))
        except LeadershipTakenError:
            raise
        except (RetriggerError, DriftError, OSError, ValueError) as error:
            log.warning("reports of fills: %s", error)

    def _trouble(self, part: str, error: Exception) -> None:
        """Log an error once, show it in the status until it is over, and try again next turn."""
        if self._troubles.get(part) != str(error):
            log.warning("%s failed and is tried again each turn: %s", part, error)
        self._troubles[part] = str(error)

    @property
    def busy(self) -> bool:
        """Whether a training runs, a report is made, or the online learner learns."""
        following = self.triggers.following
        learning = following is not None and following.busy
        reporting = self._reports is not None and self._reports.busy
        return self._runner.busy or reporting or learning

    def _say(self, now: datetime) -> None:
        settings, seen = self._parts.settings, self._intake.view
        stream, beam = settings.stream.name, self._parts.beam.now(now)
        places, board = self._shipping.stands(), self._parts.observing.standing()
        exports = places.values()
        self._view = LoopView(
            started=self._view.started,
            last_turn=now,
            doing=self._sentence(),
            stable_beams=None if beam is None else beam.mode == "STABLE BEAMS",
            beam_mode=beam.mode if beam else "",
            fill=beam.fill if beam else seen.fill,
            pileup={} if seen.pileup is None else {stream: seen.pileup},
            evidence={stream: (seen.log_evidence if seen.log_evidence is not None else 0.0, self._budget)},
            rates={} if seen.rates is None else {stream: seen.rates},
            owed={stream: sum(seen.owed.values())},
            waiting_files={stream: len(seen.waiting)},
            newest={} if seen.newest is None else {stream: seen.newest},
            silent_scores={} if seen.silent_scores is None else {stream: seen.silent_scores},
            faults=dict(seen.faults),
            declared=seen.declared,
            running={settings.stream.slot: self._parts.sight.running() or ""},
            board={} if board is None else {settings.stream.slot: board},
            places={short_name(name): one.delivered for name, one in places.items()},
            exported=min((one.delivered for one in exports), default=None),
            export_failures=sum(one.failures for one in exports),
            glances={} if seen.glance is None else {stream: seen.glance},
            missing_seeds={} if seen.rates is None else {stream: len(seen.missing_seeds)},
            disk=room_of(settings),
        )
        self._parts.ledger.put_status("loop", self._view.to_json(), now)
        notify("WATCHDOG=1", status(self._view.doing))

    def ending(self) -> Ending:
        """Return how the last turn left things."""
        seen = self._intake.view
        failed = {**self._troubles, **self._candidates.troubles}
        trouble = "; ".join(f"{part}: {error}" for part, error in failed.items())
        return Ending(trouble, len(seen.owed), next((f"{name}: {why}" for name, why in seen.waiting.items()), ""))

    def _sentence(self) -> str:
        for part, error in {**self._troubles, **self._candidates.troubles}.items():
            return f"{TROUBLE}{part}: {error}"
        if self._parts.sight.unread:
            return f"{TROUBLE}board: {self._parts.sight.unread}"
        waiting = list(self._intake.view.waiting.items())
        if waiting:
            name, reason = waiting[0]
            return f"{name} waits: {reason}"
        silent = self._intake.view.silent_scores
        watching = f"watching {self._parts.settings.stream.name}" + (
            f", but not its scores: {silent}" if silent else ""
        )
        following = self.triggers.following
        learning = "" if following is None else following.trouble
        return learning or self.triggers.waiting_for or self.triggers.refused or watching

    def snapshot(self, now: datetime) -> Snapshot:
        """Return the figures of this instant, for a scrape."""
        stream = self._parts.settings.stream
        return snapshot_from(self._parts.ledger, now, loop=self._view, streams=[stream.name], slots=[stream.slot])

    def wait(self, seconds: float) -> None:
        """Wait for new files, at most so long."""
        self._source.wait(seconds)

    def close(self) -> None:
        """Stop the jobs and the report being made; finished stages stay."""
        self._runner.stop()
        if self.triggers.following is not None:
            self.triggers.following.stop()
        if self._reports is not None:
            self._reports.close()


def run(
    parts: Parts, *, until_idle: bool = False, reports: bool = True, clock: Callable[[], datetime] = utc_now
) -> Ending:
    """Lead, and turn until SIGTERM or SIGINT; return how the last turn left things.

    Args:
        parts: What to work with.
        until_idle: Return as soon as a turn found nothing to do (for scripts and tests).
        reports: Whether the report of each fill that is over is made.
        clock: Where the time comes from.

    Raises:
        LeadershipTakenError: Another daemon leads on this ledger.
        SetupError: There is no reference yet.
    """
    settings = parts.settings
    stop = threading.Event()
    started = clock()
    with _stopping_on_signals(stop), parts.ledger.lead(owner(), started) as lead:
        adopt(parts.ledger, parts.rules, started)
        source = _source(settings)
        with _reader(settings) as reader:
            loop = Loop(parts, lead, source, reader, started, reports=reports)
            server = None
            if settings.metrics.listen:
                server = serve_metrics(settings.metrics.listen, lambda: loop.snapshot(clock()))
            relay = RelayThread(relay_of(settings, parts.ledger), clock)
            relay.start()
            checks = SelfCheck(parts.ledger, clock)
            checks.start()
            clockwork = loop.triggers.clockwork()
            notify("READY=1")
            idle_since = clock()
            try:
                while not stop.is_set():
                    taken = loop.turn(clock())
                    idle = not (taken or loop.busy)
                    idle_since = idle_since if idle else clock()
                    if until_idle and idle and (clock() - idle_since).total_seconds() > settings.source.stable_s:
                        break  # long enough for any file that is there to have counted as closed
                    if not taken:
                        loop.wait(min(settings.source.poll_s, 1.0) if until_idle else settings.source.poll_s)
            finally:
                notify("STOPPING=1")
                relay.close()
                checks.close()
                if clockwork is not None:
                    clockwork.shutdown(wait=False)
                if server is not None:
                    server.shutdown()
                loop.close()
                source.close()
        return loop.ending()


@contextmanager
def _stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    def ask(number: int, _: FrameType | None) -> None:
        log.info("%s: stopping after this turn", signal.Signals(number).name)
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reference_of(settings: Settings) -> Reference:
    """Return the reference that the settings name.

    Raises:
        SetupError: There is none, or it was fitted for another schema.
        ReferenceUnfitError: The file cannot be read as one.
    """
    path, schema = settings.drift.reference, schema_named(settings.stream.schema_name)
    if not path.exists():
        raise SetupError(f"there is no reference at {path}; make one with: retrigger reference fit --output {path} …")
    found = Reference.load(path)
    if found.schema.digest != schema.digest:
        raise SetupError(
            f"{path} was fitted for another schema than {schema.name}; fit it anew with: retrigger reference fit"
        )
    return found


def rate_reference_of(settings: Settings) -> RateReference | None:
    """Return the rate reference that the settings name, None when they name none.

    Raises:
        SetupError: There is none at its place.
        RatesUnfitError: The file cannot be read as one.
    """
    path = settings.drift.rate_reference
    if path is not None and not path.exists():
        raise SetupError(
            f"there is no rate reference at {path}; make one with: retrigger reference rates --output {path}"
        )
    return None if path is None else RateReference.load(path)


def _certifications(table: ConditionsTable) -> Iterator[tuple[int, int, bool]]:
    """Yield (run, lumisection, certified) wherever certification has spoken."""
    for run in table.runs():
        for lumisection in table.lumisections(run):
            at = table.at(run, lumisection)
            if at is not None and at.certified is not None:
                yield run, lumisection, at.certified


def _reader(settings: Settings) -> Reader:
    source = settings.source
    limits = Limits(source.memory_mib, source.cpu_s, source.wall_s)
    schema = schema_named(settings.stream.schema_name)
    return Reader(schema, limits, require_sidecar=source.require_sidecar, board=settings.stream.board)


def _source(settings: Settings) -> LocalFolder | XRootDFolder:
    source = settings.source
    rule = Rule(source.stable_s, source.give_up_s, source.require_sidecar)
    if source.url.startswith("root://"):
        return XRootDFolder(source.url, source.quarantine, rule)
    return LocalFolder(Path(source.url), source.quarantine, rule)
