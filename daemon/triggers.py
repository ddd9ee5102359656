"""When a candidate is asked for: on schedule, by a person, or because of a real shift; and what it may learn from.

A trigger is a row in the work queue or an alarm in the ledger, so it survives a restart and is answered once.  Whether
the answer is allowed (cool-down, open faults, a candidate in the making) is a rule of `daemon.lifecycle`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from daemon import fault_samples, shelf, signal_list
from daemon.config import Settings
from daemon.errors import RefusedError
from daemon.ledger import Ledger, Outcome
from daemon.lessons import Lessons, last_fill, row_of, spans_of, unlearned, within
from daemon.lifecycle import Candidate, Phase, Policy, fold_daemon, open_faults, request_candidate
from daemon.lifecycle import facts as f
from daemon.lifecycle.facts import Trigger
from daemon.lifecycle.worth import Interval, Worth, WorthError
from daemon.online import Following
from daemon.recipes import placed, recipe_of, successor_of
from daemon.sight import Sight
from daemon.staleness import judge
from drift.schema import schema_named
from retrain.bundle import Bundle
from retrain.champion import Champion
from retrain.recipe import Recipe, ranges

log = logging.getLogger("retrigger.triggers")
TRAIN = "train"
WEIGHTS, THRESHOLD = "weights", "threshold"
ACTIONS = (WEIGHTS, THRESHOLD)
"""What a candidate renews: the network, or only where its score is cut.  Which suffices an alarm says by its rung."""
THRESHOLD_OF = "to derive a threshold for"
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
        self.lessons = Lessons(settings, ledger)
        self.following = None if settings.retrain.online_every is None else Following(settings, policy)
        self.waiting_for = ""
        self.refused = ""
        self._judged = ("", datetime.min.replace(tzinfo=UTC), Worth("wait", "", Interval(0.0, 0.0)))

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
        for asked in [*self._unanswered_shifts(), *self._unanswered_fills(now)]:
            try:
                self._ask(asked, now)
            except RefusedError as refusal:
                self.waiting_for = str(refusal)
        if self.following is not None:
            try:
                self._follow(self.following, now)
            except RefusedError as refusal:
                self.waiting_for = str(refusal)

    def _follow(self, following: Following, now: datetime) -> None:
        """Feed the online learner of what runs now, and ask for its last snapshot once."""
        running = self._sight.running()
        if not following.due((self._ledger.latest(self._settings.stream.name), self._ledger.head(), running), now):
            return
        champion = self._parent(self._champion(), "to learn online from")
        forget = self.lessons.turned_bad(champion)
        learner = following.learner_of(champion, forget)
        lessons = unlearned(self.lessons.every(), champion)
        candidates = self._sight.candidates()
        asked = {str(one.recipe.get("snapshot")) for one in candidates}
        following.forget(str(one.recipe.get("snapshot")) for one in candidates if one.phase is Phase.BUILDING)
        snapshot = following.step(learner, lessons, now)
        if snapshot is None or snapshot.digest in asked:
            return
        spans = learner.measured_on(snapshot, lessons, self._settings.retrain.maximum_lumisections)
        if not spans:
            raise RefusedError(f"{learner.recipe.slot}: no lumisection yet that the online learner keeps to measure on")
        more = {"policy": learner.recipe.policy, "snapshot": snapshot.digest, "forget": forget}
        more |= self._conditions("online", champion)
        reason = f"the online learner after {snapshot.number} lumisections"
        recipe = successor_of(self._settings, spans, champion, **more)
        self._request(Asked("online", "daemon", reason), recipe, now)

    def _conditions(self, trigger: Trigger, champion: Champion | None) -> dict[str, Any]:
        """Return what a candidate that this trigger asks for must show beside what every candidate must."""
        needs_gain = trigger in self._policy.gain_required and champion is not None
        return {"faults": fault_samples.names(self._settings.retrain.faults), "needs_gain": needs_gain}

    def _unanswered_shifts(self) -> list[Asked]:
        """Real shifts that no candidate was asked for yet; the latest one speaks for those before it."""
        stream = self._settings.stream.name
        asked_for = [one for one in self._sight.candidates() if one.trigger == "drift" and not one.drill]
        answered = [candidate.reason for candidate in asked_for]
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
        return asked[-1:] if asked and not any(one.startswith(asked[-1].reason) for one in answered) else []

    def _unanswered_fills(self, now: datetime) -> list[Asked]:
        """The last fill that is over, when enough came since the last candidate and none was asked for it yet."""
        needed = self._settings.retrain.per_fill
        if needed is None:
            return []
        slot = self._settings.stream.slot
        candidates = [one for one in self._sight.candidates() if one.slot == slot and not one.drill]
        beam = self._sight.beam(now)
        between = beam is not None and beam.mode in self._policy.deploy_beam_modes
        lessons = self.lessons.since(None)
        ended = last_fill(lessons, None if beam is None else beam.fill, between_fills=between)
        if ended is None:
            return []
        reason = f"fill {ended} is over"
        if any(one.trigger == "fill" and one.reason.partition(":")[0] == reason for one in candidates):
            return []
        learned = [span for one in candidates for span in spans_of(one.recipe)]
        taken = [one for one in lessons if one.fill is not None and one.fill <= ended]
        new = [one for one in taken if not within(one, learned)]
        if len(new) < needed:
            return []
        return [Asked("fill", "daemon", f"{reason}: {len(new)} new certified lumisections")]

    def _ask(self, asked: Asked, now: datetime) -> None:
        champion = self._champion()
        lessons = self.lessons.since(asked.since)
        if asked.action == THRESHOLD or (asked.trigger == "fill" and self._settings.retrain.way.from_champion):
            lessons = unlearned(
                lessons, self._parent(champion, THRESHOLD_OF if asked.action == THRESHOLD else "to go on from")
            )
        minimum = self._settings.retrain.minimum_lumisections
        if len(lessons) < minimum and not self._faults():
            raise RefusedError(
                f"{self._settings.stream.slot}: {len(lessons)} certified lumisections to learn from, "
                f"{minimum} are needed; wait for more data or lower retrain.minimum_lumisections"
            )
        if lessons and asked.trigger == "drift" and asked.action == WEIGHTS and self._settings.worth.cost is not None:
            asked = replace(asked, reason=f"{asked.reason}; {self._pays(asked, champion, lessons, now)}")
        self._request(asked, self._recipe(lessons, champion, asked) if lessons else None, now)

    def _pays(self, asked: Asked, champion: Champion | None, lessons: list[Outcome], now: datetime) -> str:
        """Return why a retrain for this shift pays; asked anew only when an answer has had its time.

        Raises:
            RefusedError: It does not, or that is not known yet.
        """
        reason, again, told = self._judged
        if reason != asked.reason or now >= again:
            try:
                told = judge(self._settings, self._ledger, champion, lessons, now)
            except WorthError as error:  # what else is due in this step goes on
                raise RefusedError(
                    f"{self._settings.stream.slot}: whether a retrain for {asked.reason} pays cannot be told: {error}; "
                    "mend [worth], or ask for one with `retrigger train`"
                ) from error
            again = now + timedelta(hours=told.look_again_hours or self._settings.worth.look_again_hours)
            self._judged = asked.reason, again, told
            log.info("worth of a retrain for %s: %s, %s", asked.reason, told.answer, told.reason)
        if told.answer == "act":
            return told.reason
        verb = "is not known to pay" if told.answer == "wait" else "does not pay"
        raise RefusedError(
            f"{self._settings.stream.slot}: a retrain for {asked.reason} {verb}: {told.reason}; looked at again "
            f"{again:%Y-%m-%d %H:%M} UTC, or ask for one with `retrigger train`"
        )

    def _request(self, asked: Asked, recipe: Recipe | None, now: datetime) -> None:
        """Append the fact that a candidate is asked for, where the rules allow it."""
        daemon = fold_daemon(one.fact for one in self._ledger.facts(subject="daemon"))
        candidates = self._sight.candidates()
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
            open_faults=[fault.alarm_id for fault in self._faults()],
            paused=daemon.paused,
            now=now,
        )
        self._ledger.append(fact.candidate, (fact,), expect_sequence=0)
        log.info("asked for %s: %s", fact.candidate, asked.reason)

    def _faults(self) -> tuple[f.FaultOpened, ...]:
        return open_faults(one.fact for one in self._ledger.facts(subject=self._settings.stream.name))

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

    def _parent(self, champion: Champion | None, purpose: str) -> Bundle:
        if not isinstance(champion, Bundle):
            weights = ", or ask for weights" if purpose == THRESHOLD_OF else ""
            raise RefusedError(
                f"{self._settings.stream.slot}: no whole bundle of what runs now, so there is no network {purpose}; "
                f"import it with `retrigger import-champion`{weights}"
            )
        return champion

    def _recipe(self, lessons: list[Outcome], champion: Champion | None, asked: Asked) -> Recipe:
        settings = self._settings.retrain
        spans = ranges((one.run, one.lumisection) for one in lessons)
        if asked.action == THRESHOLD:
            parent = self._parent(champion, THRESHOLD_OF)
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
                needs_gain=self._conditions(asked.trigger, champion)["needs_gain"],
            )
        more = self._conditions(asked.trigger, champion)
        if champion is None:
            return recipe_of(self._settings, spans, **more)
        if settings.way.rehearses and isinstance(champion, Bundle):
            more["forget"] = self.lessons.turned_bad(champion)
        return successor_of(self._settings, spans, champion, **more)


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
            lumisections.append(row_of(one, settings.retrain))
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
        **({} if recipe.snapshot is None else {"snapshot": str(settings.state / "online/snapshots" / recipe.snapshot)}),
    }
