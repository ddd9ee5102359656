"""One stream watched through a reference: a decision for every lumisection, and one alarm for one cause.

A watch takes lumisections in order, keeps their evidence, waits up to two more after the evidence passed its limit so
that a glitch can be told from a fault, and then raises one alarm.  After that the same cause stays silent until
somebody acknowledges it.  Saved and restored, a watch goes on bit for bit.  It refuses to speak where the reference
cannot: outside its pileup range, on too few events, on lumisections whose conditions say nothing.
"""

from dataclasses import dataclass, replace

import numpy as np

from drift.boundary import cross
from drift.boxes import Box
from drift.breach import Breach, Contract
from drift.conditions import Conditions
from drift.detect import UNMEASURED, Contributor, Evidence, Weights
from drift.diagnose import BROKEN, CONTRACT, SHIFT, TRANSIENT, Diagnosis, diagnose
from drift.expected import ACTION, EXPECTED, explained, remembered
from drift.explain import Explanation, Moment, explain
from drift.memory import Latched, Memory, Pending, load, save, seen_of, window_of
from drift.profile import LumisectionSummary, layout_of
from drift.reference import Reference
from drift.score_rule import ACTION as SCORE_ACTION
from drift.score_streams import SCORE, score_note
from drift.slow import SHARE, SlowEvidence
from drift.standing import Standing
from drift.streams import SILENT
from drift.support import unfit

ACTIONS = {
    BROKEN: "call the detector expert; do not retrain",
    SHIFT: "retrain candidate: weights",
    TRANSIENT: "keep these lumisections out of training; call nobody",
    EXPECTED: ACTION,
    CONTRACT: "stop trusting this stream's scores; mend the input, do not retrain",
}
WAIT = 2
PATIENCE = 12
"""Lumisections of any kind after which a pending alarm is told with what is known."""
WARN = 1000.0
RELOOK = 16
CONTRACT_EVIDENCE = 80.0


@dataclass(frozen=True)
class Alarm:
    """What the people on shift are told, once per cause.

    Attributes:
        stream: Name of the watched stream.
        run: Run of the lumisection at which it is told.
        lumisection: That lumisection.
        onset: Run and lumisection at which the cause is thought to have begun.
        verdict: ``broken_detector``, ``real_shift``, ``transient``, ``contract`` or ``expected_change``.
        log_evidence: Natural log of the evidence when it was told.
        contributors: The strongest parts of it.
        box: Region, when there is one.
        action: What to do.
        text: One sentence an expert would write.
        against: What speaks against the verdict.
        explanation: What was seen, to be drawn; no part of the public form.  None when it could not be made.
    """

    stream: str
    run: int
    lumisection: int
    onset: tuple[int, int]
    verdict: str
    log_evidence: float
    contributors: tuple[Contributor, ...]
    box: Box | None
    action: str
    text: str
    against: str
    explanation: Explanation | None = None

    def to_json(self) -> dict[str, object]:
        """Return the public form of an alarm, one object a line of ``retrigger scan --json``."""
        named = []
        for one in self.contributors:
            key = "region" if one.kind in {"cell", "phi", "eta"} else "feature"
            boxed = one.kind == "cell" and self.box is not None and self.box.object == one.object
            name = self.box.words() if boxed and self.box is not None else one.name
            named.append({key: name, "object": one.object, "log_evidence": round(one.log_evidence, 2)})
        return {
            "type": "alarm",
            "stream": self.stream,
            "run": self.run,
            "lumisection": self.lumisection,
            "onset": {"run": self.onset[0], "lumisection": self.onset[1]},
            "verdict": self.verdict,
            "log_evidence": round(self.log_evidence, 2),
            "contributors": named,
            "action": self.action,
            "box": self.box.to_json() if self.box is not None else None,
            "text": self.text,
            "against": self.against,
        }


@dataclass(frozen=True)
class Decision:
    """What one lumisection amounts to.

    Attributes:
        state: ``quiet``, ``warn``, ``alarm``, ``out_of_support``, ``data_gap``, ``excluded``, or ``contract`` when
            input columns break their promises behind an alarm that was told before.
        reason: Why, in words; empty when quiet.
        log_evidence: Natural log of the evidence after it.
        alarm: The alarm, at the one lumisection at which it is told.
        note: Why the score's streams fell silent, or that they speak again, at the one lumisection at which they do.
    """

    state: str
    reason: str
    log_evidence: float
    alarm: Alarm | None = None
    note: str = ""


class Watch:
    """Watches one stream; see the module."""

    def __init__(
        self,
        reference: Reference,
        *,
        false_alarms_per_lumisection: float,
        stream: str,
        state: bytes | None = None,
    ) -> None:
        """Start, or go on from a saved state.

        Args:
            reference: What is expected.
            false_alarms_per_lumisection: The budget; one in 30 days of lumisections of 23.3 s is 9e-6.
            stream: Name told in alarms.
            state: From `save`; must have been saved under the same reference.

        Raises:
            StateError: The state is damaged, or belongs to another reference or stream.
            ValueError: The budget is not a rate between 0 and 1.
        """
        if not 0 < false_alarms_per_lumisection < 1:
            raise ValueError(f"false alarms per lumisection is {false_alarms_per_lumisection}; give a rate, e.g. 9e-6")
        self.reference = reference
        self.stream = stream
        self._limit = float(-np.log(false_alarms_per_lumisection))
        self._kept = Contract(layout_of(reference.schema), reference.counts, reference.promises)
        self._weights = Weights.of(reference.streams.labels, reference.cells, reference.check.sound)
        self._evidence = Evidence.fresh(reference.benign, reference.cells, reference.streams.labels)
        self._memory = Memory.fresh()
        self._slow = SlowEvidence.fresh(reference.slow, reference.benign)
        if state is not None:
            load(state, reference, stream, self._evidence, self._memory, self._slow)

    def save(self) -> bytes:
        """Return the whole state; a watch restored from it decides bit for bit alike."""
        return save(self.reference, self.stream, self._evidence, self._memory, self._slow)

    @property
    def told(self) -> tuple[int, int, str] | None:
        """The alarm that holds the watch: run and lumisection at which it was told, and its verdict; None when none."""
        latched = self._memory.latched
        return None if latched is None else (latched.run, latched.lumisection, latched.verdict)

    def acknowledge(self) -> None:
        """Say that the cause of the last alarm is known: forget its evidence and listen anew.

        What was gathered of ageing before a broken detector stays; without an alarm that goes too.
        """
        if self._memory.latched is None:
            self._slow.forget(self.reference)
        self._memory.latched = None
        self._memory.pending = None
        self._memory.seen.clear()
        self._evidence.forget()

    def take(self, summary: LumisectionSummary, conditions: Conditions) -> Decision:
        """Take one lumisection in.

        Args:
            summary: Its counts.
            conditions: What is known of it.

        Raises:
            ReferenceUnfitError: The summary was counted under another schema than the reference.
        """
        why = unfit(self.reference, summary, conditions)
        if why is not None:
            self._age()
            alarm = self._tell(summary)
            told = ("alarm", alarm.text) if alarm is not None else (why.state, why.reason)
            return Decision(*told, self._log(), alarm)
        assert conditions.pileup is not None
        fill = conditions.fill if conditions.fill is not None else summary.run
        over = fill != self._memory.fill
        standing = self.reference.standing(conditions)
        view = self._stand(standing, fill, conditions.pileup)
        news = (one for one in conditions.declared if self.reference.puzzles(one))
        self._memory.changes = remembered(self._memory.changes, news)
        broken = self._kept.breaches(summary, conditions.pileup, view.promises)
        heard = view.quiet is None or SCORE not in view.quiet.objects
        before = [one.streams for one in self._memory.seen[-1:]]
        note = score_note(self.reference.streams, summary, before) if heard else ""
        self._gather(summary, conditions.pileup, fill, broken, view)
        self._age()
        decision = replace(self._decide(summary), note=note)
        alarm = self._tell_ageing(summary.run, summary.lumisection) if over else None
        if alarm is None:
            return decision
        return replace(decision, state="alarm", reason=alarm.text, alarm=alarm)

    def conclude(self) -> Alarm | None:
        """Tell a pending alarm without waiting further, or of ageing; call it when no more lumisections will come."""
        pending, seen = self._memory.pending, self._memory.seen
        self._close_fill(shut=True)
        if not seen:
            return None
        run, lumisection = seen[-1].run, seen[-1].lumisection
        return self._tell_ageing(run, lumisection) if pending is None else self._publish(run, lumisection)

    @property
    def _listens(self) -> bool:
        return self._memory.pending is None and self._memory.latched is None

    def _close_fill(self, *, shut: bool) -> None:
        """Count the fill that ends, unless an alarm waits that may be about it."""
        if self._listens:
            self._slow.close(self.reference.under(self._memory.standing), self._evidence.clock)
        else:
            self._slow.drop(self.reference.benign)
        self._slow.shut = shut

    def _tell_ageing(self, run: int, lumisection: int) -> Alarm | None:
        told = self._slow.told(self.reference, self._limit - np.log(SHARE)) if self._listens else None
        if told is None:
            return None
        return self._raise(run, lumisection, told.found, told.log_evidence, told.parts, told.onset)

    def _stand(self, standing: Standing, fill: int, pileup: float) -> Reference:
        """Return what is expected under a standing, having started anew what a new fill or standing makes new."""
        memory, view = self._memory, self.reference.under(standing)
        if fill != memory.fill:
            self._close_fill(shut=False)
        cross(self.reference, self._evidence, self._slow, (memory.standing, standing), pileup)
        if fill != memory.fill:
            self._evidence.new_fill(view.benign, pileup)
        memory.fill, memory.standing = fill, standing
        return view

    def _gather(
        self, summary: LumisectionSummary, pileup: float, fill: int, broken: tuple[Breach, ...], view: Reference
    ) -> None:
        factor = self.reference.events / summary.events
        value = view.residuals(summary, pileup) * np.sqrt(factor)
        clock, seen = self._evidence.clock, view.looked_at(summary)
        if not broken:
            factors = [one.log_factors(seen.maps[one.name], pileup) for one in view.cells]
            noise = np.where(value == SILENT, UNMEASURED, factor)
            self._evidence.update(view.benign, value, noise, factors, pileup)
            if self._listens:
                self._slow.add(view, value, factor, pileup, (clock, summary.run, summary.lumisection))
        else:
            self._evidence.clock += 1
        if view.quiet is not None:
            self._evidence.drop(view.quiet.streams, view.benign, pileup)
        self._memory.remember(seen_of(view, seen, (clock, fill, pileup), value, broken, self._memory.standing))

    def _log(self) -> float:
        if any(one.broken for one in self._memory.seen[-1:]):
            return CONTRACT_EVIDENCE
        return self._evidence.log_total(self._weights)

    def _age(self) -> None:
        if self._memory.pending is not None:
            self._memory.pending.age += 1

    def _decide(self, summary: LumisectionSummary) -> Decision:
        memory, level = self._memory, self._log()
        if memory.latched is not None:
            alarm = self._escalate(summary, level)
            told = memory.latched
            words = (
                f"told at run {told.run} lumisection {told.lumisection} ({told.verdict}); acknowledge to listen anew"
            )
            if alarm is None and memory.seen and memory.seen[-1].broken:
                return Decision("contract", f"input columns break their promises; {words}", level)
            return Decision("alarm", alarm.text if alarm is not None else words, level, alarm)
        if memory.pending is None and level >= self._limit:
            parts = self._evidence.contributors(self._weights, self.reference.streams.labels, self.reference.cells)
            memory.pending = Pending(self._evidence.clock - 1, 0, level, parts)
        elif memory.pending is not None:
            memory.pending.level = max(memory.pending.level, level)
        alarm = self._tell(summary)
        if alarm is not None:
            return Decision("alarm", alarm.text, level, alarm)
        if memory.pending is not None:
            return Decision("warn", "evidence passed its limit; waiting to tell a glitch from a fault", level)
        return Decision("warn", "evidence is rising", level) if level >= np.log(WARN) else Decision("quiet", "", level)

    def _tell(self, summary: LumisectionSummary) -> Alarm | None:
        pending = self._memory.pending
        if pending is None:
            return None
        waited = self._evidence.clock - 1 - pending.clock
        if waited < WAIT and pending.age < PATIENCE:
            return None
        return self._publish(summary.run, summary.lumisection)

    def _escalate(self, summary: LumisectionSummary, level: float) -> Alarm | None:
        """Tell of a broken detector behind a smooth cause that was told before; nothing else speaks while latched."""
        memory = self._memory
        assert memory.latched is not None
        if memory.latched.verdict not in {SHIFT, EXPECTED} or self._evidence.clock - memory.latched.looked < RELOOK:
            return None
        if level < self._limit:
            return None
        memory.latched.looked = self._evidence.clock
        parts = self._evidence.contributors(self._weights, self.reference.streams.labels, self.reference.cells)
        found = diagnose(window_of(self.reference, memory), parts, self._evidence.clock - 1)
        found = explained(found, memory.trail, memory.changes)
        if found.verdict != BROKEN or found.box is None or found.box_evidence < 2 * self._limit:
            return None
        return self._raise(summary.run, summary.lumisection, found, level, parts)

    def _publish(self, run: int, lumisection: int) -> Alarm:
        pending = self._memory.pending
        assert pending is not None
        found = self._contract(pending)
        if found is None:
            found = diagnose(window_of(self.reference, self._memory), pending.contributors, pending.clock)
            found = explained(found, self._memory.trail, self._memory.changes)
        return self._raise(run, lumisection, found, pending.level, pending.contributors)

    def _contract(self, pending: Pending) -> Diagnosis | None:
        """Return the verdict when columns broke their contract since the alarm was raised."""
        since = [one for one in self._memory.seen if one.clock >= pending.clock]
        bad = [one for one in self._memory.seen if one.broken and one.clock >= pending.clock - WAIT]
        if not bad or not since:
            return None
        first = bad[0]
        names = sorted({part.text for one in bad for part in one.broken})
        kind = first.broken[0].object
        text = "; ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        if len(since) > 1 and not since[-1].broken:
            return Diagnosis(TRANSIENT, kind, first.clock, None, f"{text}, for a moment", "it may come again", 0.0)
        return Diagnosis(CONTRACT, kind, first.clock, None, text, "nothing measured", 0.0)

    def _raise(
        self,
        run: int,
        lumisection: int,
        found: Diagnosis,
        level: float,
        parts: tuple[Contributor, ...],
        aged: tuple[int, int] | None = None,
    ) -> Alarm:
        memory = self._memory
        start = next((one for one in memory.trail if one[0] >= found.onset), (0, run, lumisection))
        onset = aged or (start[1], start[2])
        text = f"{found.text}, since run {onset[0]} lumisection {onset[1]}"
        explanation = self._explained(found, parts)
        memory.pending = None
        self._evidence.forget()
        self._slow.forget(self.reference, None if aged or found.verdict == SHIFT else found.onset)
        if found.verdict == TRANSIENT:
            memory.seen.clear()
            self._evidence.new_fill(self.reference.benign)  # the filter has taken the glitch for wander
        else:
            memory.latched = Latched(found.verdict, run, lumisection, self._evidence.clock)
        return Alarm(
            self.stream,
            run,
            lumisection,
            onset,
            found.verdict,
            level,
            parts,
            found.box,
            SCORE_ACTION if (found.verdict, found.object) == (BROKEN, SCORE) else ACTIONS[found.verdict],
            text,
            found.against,
            explanation,
        )

    def _explained(self, found: Diagnosis, parts: tuple[Contributor, ...]) -> Explanation | None:
        """Return what was seen; an alarm is told even where a picture of it cannot be made."""
        seen = self._memory.seen
        moments = [Moment(s.clock, s.run, s.lumisection, s.fill, s.pileup, s.events, bool(s.broken)) for s in seen]
        try:
            return explain(window_of(self.reference, self._memory), moments, parts, found, self.reference)
        except (ArithmeticError, LookupError, ValueError):
            return None
