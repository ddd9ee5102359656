"""When a candidate is asked for: on schedule, by a person, or because of a real shift; and what it may learn from.

A trigger is a row in the work queue or an alarm in the ledger, so it survives a restart and is answered once.  Whether
the answer is allowed (cool-down, open faults, a candidate in the making) is a rule of `daemon.lifecycle`.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from daemon import fault_samples, shelf, signal_list
from daemon.config import Settings
from daemon.errors import RefusedError
from daemon.ledger import Ledger, Outcome
from daemon.lifecycle import Candidate, Policy, fold_daemon, open_faults, request_candidate
from daemon.lifecycle import facts as f
from daemon.lifecycle.facts import Trigger
from daemon.recipes import placed, recipe_of
from daemon.sight import Sight
from drift.schema import schema_named
from retrain.bundle import Bundle
from retrain.champion import Champion
from retrain.recipe import Recipe, ranges

log = logging.getLogger("retrigger.triggers")
TRAIN = "train"
WEIGHTS, THRESHOLD = "weights", "threshold"
ACTIONS = (WEIGHTS, THRESHOLD)
"""What a candidate renews: the network, or only where its score is cut.  Which suffices an alarm says by its rung."""
LEASE_S = 60.0


@dataclass(frozen=True)
class Asked:
    """One wish for a candidate."""

    trigger: Trigger
    initiator: str
    reason: str
    since: tuple[int, int] | None = None
    action: str = WEIGHTS


class Triggers:
    """Turns schedule, wishes and alarms into candidate requests."""

    def __init__(self, settings: Settings, ledger: Ledger, sight: Sight, policy: Policy, *, owner: str) -> None:
        self._settings = settings
        self._ledger = ledger
        self._sight = sight
        self._policy = policy
        self._owner = owner
        self.waiting_for = ""
        self.refused = ""

    def clockwork(self) -> BackgroundScheduler | None:
        """Return a running scheduler that queues one work row a tick, or None without a cron expression."""
        cron = self._settings.retrain.cron
        if cron is None:
            return None
        scheduler = BackgroundScheduler(timezone="UTC")
        trigger = CronTrigger.from_crontab(cron, timezone="UTC")
        scheduler.add_job(self.tick, trigger, args=[trigger], coalesce=True, misfire_grace_time=3600)
        scheduler.start()
        return scheduler

    def tick(self, trigger: CronTrigger, now: datetime | None = None) -> bool:
        """Queue the work of the tick that is due now; the same tick queued twice is one piece of work."""
        at = (now or datetime.now(tz=trigger.timezone)).replace(second=0, microsecond=0)
        return self._ledger.add_work(TRAIN, at, {"trigger": "cron", "initiator": "daemon", "reason": "schedule"})

    def step(self, now: datetime) -> None:
        """Answer every wish that is due."""
        self.waiting_for = ""
        while (work := self._ledger.claim_work(now, LEASE_S, self._owner, kinds=[TRAIN])) is not None:
            told = work.payload
            asked = Asked(told["trigger"], told["initiator"], told["reason"], action=told.get("action", WEIGHTS))
            try:
                self._ask(asked, now)
            except RefusedError as refusal:
                log.warning("no candidate for %s: %s", asked.reason, refusal)
                self.refused = f"no candidate for {asked.initiator} ({asked.reason}): {refusal}"
                self._ledger.fail_work(work, str(refusal), now)
                continue
            self._ledger.finish_work(work, now)
        for asked in self._unanswered_shifts():
            try:
                self._ask(asked, now)
            except RefusedError as refusal:
                self.waiting_for = str(refusal)

    def _unanswered_shifts(self) -> list[Asked]:
        """Real shifts that no candidate was asked for yet; the latest one speaks for those before it."""
        stream = self._settings.stream.name
        answered = {candidate.reason for candidate in self._sight.candidates() if candidate.trigger == "drift"}
        facts = [one.fact for one in self._ledger.facts(subject=stream)]
        raised = [fact for fact in facts if isinstance(fact, f.AlarmRaised)]
        closed = {fact.alarm_id for fact in facts if isinstance(fact, f.FaultClosed)}
        asked = []
        for fact in raised:
            if fact.alarm.get("verdict") != "real_shift" or fact.alarm_id in closed:
                continue
            onset: Mapping[str, Any] = fact.alarm["onset"]
            reason = f"{fact.alarm_id}: {fact.alarm.get('text', 'real shift')}"
            first = self._settings.retrain.threshold_first and fact.alarm.get("rung") == THRESHOLD
            place = (int(onset["run"]), int(onset["lumisection"]))
            asked.append(Asked("drift", "daemon", reason, place, THRESHOLD if first else WEIGHTS))
        return asked[-1:] if asked and asked[-1].reason not in answered else []

    def _ask(self, asked: Asked, now: datetime) -> None:
        champion = self._champion()
        lessons = self.lessons(asked.since)
        if asked.action == THRESHOLD:
            lessons = _unlearned(lessons, self._parent(champion))
        minimum = self._settings.retrain.minimum_lumisections
        faults = [fault.alarm_id for fault in self._faults()]
        daemon = fold_daemon(one.fact for one in self._ledger.facts(subject="daemon"))
        candidates = self._sight.candidates()
        if len(lessons) < minimum and not faults:
            raise RefusedError(
                f"{self._settings.stream.slot}: {len(lessons)} certified lumisections to learn from, "
                f"{minimum} are needed; wait for more data or lower retrain.minimum_lumisections"
            )
        recipe = self._recipe(lessons, champion, asked) if lessons else None
        fact = request_candidate(
            candidates,
            self._policy,
            slot=self._settings.stream.slot,
            trigger=asked.trigger,
            initiator=asked.initiator,
            recipe_digest=recipe.digest if recipe else "",
            recipe=recipe.to_json() if recipe else {},
            reason=asked.reason,
            number=max((one.number for one in candidates), default=0) + 1,
            open_faults=faults,
            paused=daemon.paused,
            now=now,
        )
        self._ledger.append(fact.candidate, (fact,), expect_sequence=0)
        log.info("asked for %s: %s", fact.candidate, asked.reason)

    def _faults(self) -> tuple[f.FaultOpened, ...]:
        return open_faults(one.fact for one in self._ledger.facts(subject=self._settings.stream.name))

    def lessons(self, since: tuple[int, int] | None) -> list[Outcome]:
        """Return the lumisections a candidate may learn from: watched, certified, and outside every quarantine.

        Since an onset they count in whole portions of ``retrain.minimum_lumisections``, the earliest first: what a
        candidate learns then does not depend on which turn of the daemon, or which start of it, asked for it.
        """
        outcomes = self._ledger.outcomes(self._settings.stream.name, results=["watched"], certified=True)
        margin = self._settings.drift.quarantine_margin_lumisections
        spans = quarantined((one.fact for one in self._ledger.facts(subject=self._settings.stream.name)), margin)
        good = [
            one
            for one in outcomes
            if (since is None or (one.run, one.lumisection) >= since)
            and not any(first <= (one.run, one.lumisection) <= last for first, last in spans)
        ]
        minimum = self._settings.retrain.minimum_lumisections
        if since is not None and len(good) > minimum:
            good = good[: len(good) // minimum * minimum]
        return good[-self._settings.retrain.maximum_lumisections :]

    def _champion(self) -> Champion | None:
        """Return what the board runs, else what the record says it runs; None when neither names anything."""
        slot, running = self._settings.stream.slot, self._sight.running()
        digest = running or shelf.champion_digest(self._ledger, slot)
        if digest:
            return shelf.needed_champion(self._ledger, digest)
        if running is None:
            raise RefusedError(
                f"{slot}: the board cannot be read and the record names no champion, so it is not known whose contract "
                "a candidate has to keep; see `retrigger status`, mend the board and ask again"
            )
        return None

    def _parent(self, champion: Champion | None) -> Bundle:
        if not isinstance(champion, Bundle):
            raise RefusedError(
                f"{self._settings.stream.slot}: no whole bundle of what runs now, so there is no network to derive a "
                "threshold for; import it with `retrigger import-champion`, or ask for weights"
            )
        return champion

    def _recipe(self, lessons: list[Outcome], champion: Champion | None, asked: Asked) -> Recipe:
        settings = self._settings.retrain
        spans = ranges((one.run, one.lumisection) for one in lessons)
        needs_gain = asked.trigger in self._policy.gain_required and champion is not None
        if asked.action == THRESHOLD:
            parent = self._parent(champion)
            if parent.recipe.rate != "total":
                raise RefusedError(
                    f"{self._settings.stream.slot}: {parent.digest[:16]} was cut for a {parent.recipe.rate} rate, and "
                    "the daemon keeps no decisions of other seeds; write the job by hand (docs/retrain.md)"
                )
            return replace(
                parent.recipe,
                lumisections=spans,
                contract=parent.contract.digest,
                champion=parent.digest,
                target_rate_hz=settings.target_rate_hz,
                bunches=settings.bunches,
                signals=signal_list.names(settings.signals),
                margin=settings.margin,
                action=THRESHOLD,
                faults=(),  # the same network sees the same
                needs_gain=needs_gain,
            )
        return recipe_of(
            self._settings,
            spans,
            contract=champion.contract.digest if champion else None,
            champion=champion.digest if champion else None,
            faults=fault_samples.names(settings.faults),
            needs_gain=needs_gain,
        )


def _unlearned(lessons: list[Outcome], parent: Bundle) -> list[Outcome]:
    """Return the lumisections that a network has not learned from: a threshold is measured on those alone."""
    from retrain.inheriting import learned_by  # noqa: PLC0415 - the loop starts without what training needs

    spans = learned_by(parent)
    return [one for one in lessons if not any(s.run == one.run and s.first <= one.lumisection <= s.last for s in spans)]


FOREVER = (2**62, 2**62)


def quarantined(facts: Iterable[f.Fact], margin: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return closed spans of (run, lumisection) that no model may learn from.

    A fault quarantines from its onset, less a margin, to where it was closed (or without end while it is open); a
    transient from its onset to its alarm.
    """
    spans: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {}
    for fact in facts:
        match fact:
            case f.FaultOpened(alarm_id=alarm_id, onset_run=run, onset_lumisection=lumisection):
                spans[alarm_id] = ((run, lumisection - margin), FOREVER)
            case f.FaultClosed(alarm_id=alarm_id, until_run=run, until_lumisection=lumisection) if alarm_id in spans:
                spans[alarm_id] = (spans[alarm_id][0], (run, lumisection))
            case f.AlarmRaised(alarm_id=alarm_id, alarm=alarm) if alarm.get("verdict") == "transient":
                onset: Mapping[str, Any] = alarm["onset"]
                first = (int(onset["run"]), int(onset["lumisection"]) - margin)
                spans[alarm_id] = (first, (int(alarm["run"]), int(alarm["lumisection"])))
    return list(spans.values())


def job_of(
    candidate: Candidate, settings: Settings, ledger: Ledger, champion: Path | None, folder: Path
) -> dict[str, Any]:
    """Return the job of a candidate: its recipe, and where each of its lumisections lies, as the ledger recorded it.

    Args:
        candidate: Its recipe is followed.
        settings: Say where bundles, signals and events are.
        ledger: Says where each lumisection's events are.
        champion: Folder of the bundle to compare with; None when there is none.
        folder: Of the job; events with faults are written below it, everything else only read.

    Raises:
        RefusedError: The ledger does not hold a lumisection that the recipe names, or a fault cannot be replayed.
    """
    recipe = Recipe.from_json(candidate.recipe)
    lumisections = []
    for span in recipe.lumisections:
        found = ledger.outcomes(settings.stream.name, between=((span.run, span.first), (span.run, span.last)))
        by_number = {one.lumisection: one for one in found}
        for number in range(span.first, span.last + 1):
            one = by_number.get(number)
            if one is None or not one.events_path:
                raise RefusedError(
                    f"{candidate.id}: the ledger holds no events of {span.run}:{number}; renew the recipe"
                )
            lumisections.append(
                {
                    "run": one.run,
                    "lumisection": one.lumisection,
                    "fill": one.fill,
                    "pileup": one.pileup,
                    "certified": one.certified,
                    "path": one.events_path,
                    "sha256": one.events_sha256,
                }
            )
    return {
        "recipe": recipe.to_json(),
        "lumisections": lumisections,
        "champion": None if champion is None else str(champion),
        "out": str(settings.state / "bundles"),
        "exclude_reasons": {},
        "signals": [one for one in signal_list.listed(settings.retrain.signals) if one["name"] in recipe.signals],
        "faults": fault_samples.written(
            folder / "faults", recipe, lumisections, schema_named(settings.stream.schema_name)
        ),
        **placed(settings),
    }
