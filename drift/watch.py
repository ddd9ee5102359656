"""One stream watched through a reference: a decision for every lumisection, and one alarm for one cause.

A watch takes lumisections in order, keeps their evidence, waits up to two more after the evidence passed its limit so
that a glitch can be told from a fault, and then raises one alarm.  After that the same cause stays silent until
somebody acknowledges it.  Saved and restored, a watch goes on bit for bit.  It refuses to speak where the reference
cannot: outside its pileup range, on too few events, on lumisections whose conditions say nothing.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from drift.alarm import Alarm, Decision
from drift.boundary import cross
from drift.breach import Breach, Contract
from drift.conditions import Conditions, DeclaredChange
from drift.contract_verdict import breaking, broken_columns
from drift.counters import SeedCount
from drift.detect import UNMEASURED, Contributor, Evidence, Weights
from drift.diagnose import SHIFT, Diagnosis
from drift.expected import explained, learn, news, remembered
from drift.expected_rates import foreseen
from drift.explain_rates import explained as pictured
from drift.ladder import BROKEN, CONTRACT, EXPECTED, TRANSIENT
from drift.memory import Latched, Memory, Pending, load, save, seen_of, window_of
from drift.profile import LumisectionSummary, layout_of
from drift.rate_evidence import SEED, RateEvidence
from drift.rate_reference import RateReference
from drift.rate_rule import Ruling, rule, support
from drift.reference import Reference
from drift.score_rule import ACTION as SCORE_ACTION
from drift.score_streams import SCORE, score_note
from drift.slow import SHARE, SlowEvidence
from drift.standing import Standing
from drift.streams import SILENT
from drift.succession import begins, fill_of, late, lost, told_fill
from drift.support import unfit
from drift.verdict import concluded, judge

__all__ = ["Alarm", "Decision", "Watch"]

WAIT = 2
PATIENCE = 12
"""Lumisections of any kind after which a pending alarm is told with what is known."""
WARN = 1000.0
RELOOK = 16
CONTRACT_EVIDENCE = 80.0


class Watch:
    """Watches one stream; see the module."""

    def __init__(
        self,
        reference: Reference,
        *,
        false_alarms_per_lumisection: float,
        stream: str,
        rates: RateReference | None = None,
        state: bytes | None = None,
    ) -> None:
        """Start, or go on from a saved state.

        Args:
            reference: What is expected.
            false_alarms_per_lumisection: The budget; one in 30 days of lumisections of 23.3 s is 9e-6.
            stream: Name told in alarms.
            rates: What rate every seed is expected to have, when counters are watched too.
            state: From `save`; must have been saved under the same references.

        Raises:
            StateError: The state is damaged, or belongs to another reference, rate reference or stream.
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
        self.rates = None if rates is None else RateEvidence(rates)
        if state is not None:
            load(state, reference, stream, self._evidence, self._memory, self._slow, self.rates)

    def save(self) -> bytes:
        """Return the whole state; a watch restored from it decides bit for bit alike."""
        return save(self.reference, self.stream, self._evidence, self._memory, self._slow, self.rates)

    @property
    def told(self) -> tuple[int, int, str] | None:
        """The alarm that holds the watch: run and lumisection at which it was told, and its verdict; None when none."""
        latched = self._memory.latched
        return None if latched is None else (latched.run, latched.lumisection, latched.verdict)

    def acknowledge(self) -> None:
        """Say that the cause of the last alarm is known: forget its evidence and listen anew.

        What the fill's filter took for wander may have been the fault, so that goes too: a detector that was repaired
        is compared with the reference, not with how it was while broken, and a fault that is still there is told again.

        What was gathered of ageing before a broken detector stays; without an alarm that goes too.
        """
        if self._memory.latched is None:
            self._slow.forget(self.reference)
        self._memory.latched = None
        self._memory.pending = None
        self._memory.forget_lasting()
        self._start_anew()
        if self.rates is not None:
            self.rates.settle(None)

    def take(
        self, summary: LumisectionSummary, conditions: Conditions, counts: Mapping[str, SeedCount] | None = None
    ) -> Decision:
        """Take one lumisection in; counters are heard also where the inputs say nothing, and the reverse.

        Args:
            summary: Its counts.
            conditions: What is known of it.
            counts: What hardware counted of each seed; None where it has not come.

        Raises:
            ReferenceUnfitError: The summary was counted under another schema than the reference.
        """
        before, place = self._memory.last, (summary.run, summary.lumisection)
        if words := late(before, place):
            return Decision("excluded", words, self._log())
        self._memory.changes = remembered(self._memory.changes, news(conditions, self.reference.settled))
        why = unfit(self.reference, summary, conditions)
        gone = "" if self.rates is None or counts is None else self.rates.take(conditions, counts).note
        self._memory.last, self._memory.told_fill = place, told_fill(self._memory.told_fill, conditions)
        fill = fill_of(conditions, self._memory.told_fill)
        over = begins(self._memory.fill, fill, summary.run)
        if why is not None:
            self._age()
            if self._memory.latched is None:
                self._note(self._log())
            alarm = self._tell(summary)
            told = ("alarm", alarm.text) if alarm is not None else (why.state, why.reason)
            return Decision(*told, self._log(), alarm, gone)
        assert conditions.pileup is not None
        view = self._stand(self._standing(conditions), fill, conditions.pileup, over=over)
        broken = self._kept.breaches(summary, conditions.pileup, view.promises)
        heard = view.quiet is None or SCORE not in view.quiet.objects
        shown = [one.streams for one in self._memory.seen[-1:]]
        notes = (score_note(self.reference.streams, summary, shown) if heard else "", gone)
        self._gather(summary, conditions.pileup, fill, broken, view)
        self._age()
        decision = replace(self._decide(summary), note="; ".join(one for one in notes if one))
        alarm = self._tell_ageing(summary.run, summary.lumisection) if over else None
        if alarm is None:
            return decision
        return replace(decision, state="alarm", reason=alarm.text, alarm=alarm)

    def conclude(self) -> Alarm | None:
        """Tell a pending alarm without waiting further, or of ageing; call it when no more lumisections will come."""
        self._close_fill(shut=True)
        ends = [(one.run, one.lumisection) for one in self._memory.seen[-1:]]
        ends += [] if self.rates is None or self.rates.last is None else [self.rates.last]
        if not ends:
            return None
        return self._tell_ageing(*max(ends)) if self._memory.pending is None else self._publish(*max(ends))

    @property
    def _listens(self) -> bool:
        held = self._memory.latched is not None and (self.rates is None or self.rates.told is None)
        return self._memory.pending is None and not held

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
        return self._raise(run, lumisection, told.found, told.log_evidence, told.parts, aged=told.onset)

    def _standing(self, conditions: Conditions) -> Standing:
        memory = self._memory
        memory.keep_learnt({one.id for one in news(conditions, self.reference.settled)})
        return self.reference.standing(conditions).smoothing(kind for moved in memory.learnt.values() for kind in moved)

    def _stand(self, standing: Standing, fill: int, pileup: float, *, over: bool) -> Reference:
        """Return what is expected under a standing, having started anew what a new fill or standing makes new."""
        memory, view = self._memory, self.reference.under(standing)
        if over:
            self._close_fill(shut=False)
        cross(self.reference, self._evidence, self._slow, (memory.standing, standing), pileup)
        if over:
            self._evidence.new_fill(view.benign, pileup)
        memory.fill, memory.standing = fill, standing
        return view

    def _gather(
        self, summary: LumisectionSummary, pileup: float, fill: int, broken: tuple[Breach, ...], view: Reference
    ) -> None:
        factor = self.reference.events / summary.events
        value = view.residuals(summary, pileup) * np.sqrt(factor)
        clock, seen = self._evidence.clock, view.looked_at(summary)
        place = (summary.run, summary.lumisection)
        idle = lost(self._memory.trail[-1][1:] if self._memory.trail else None, place)
        self._evidence.wait(view.benign, idle + bool(broken), pileup)
        if not broken:
            factors = [one.log_factors(seen.maps[one.name], pileup) for one in view.cells]
            noise = np.where(value == SILENT, UNMEASURED, factor)
            self._evidence.update(view.benign, value, noise, factors, pileup)
            if self._listens:
                self._slow.add(view, value, factor, pileup, (clock, *place), idle)
        else:
            self._evidence.clock += 1
        if view.quiet is not None:
            self._evidence.drop(view.quiet.streams, view.benign, pileup)
        self._memory.remember(seen_of(view, seen, (clock, fill, pileup), value, broken, self._memory.standing))

    def _breaks(self) -> bool:
        return any(one.broken for one in self._memory.seen[-1:])

    def _log(self, *, rates: bool = True) -> float:
        """Return the natural log of the evidence, or of the part in it that the inputs have."""
        if self._breaks():
            return CONTRACT_EVIDENCE
        inputs = self._evidence.log_total(self._weights)
        if self.rates is None:
            return inputs
        return self.rates.together(inputs) if rates else self.rates.of_inputs(inputs)

    def _of_inputs(self) -> tuple[Contributor, ...]:
        return self._evidence.contributors(self._weights, self.reference.streams.labels, self.reference.cells)

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
            if alarm is None and self._breaks() and told.verdict == CONTRACT:
                return Decision("contract", f"input columns break their promises; {words}", level)
            return Decision("alarm", alarm.text if alarm is not None else words, level, alarm)
        self._note(level)
        alarm = self._tell(summary)
        if alarm is not None:
            return Decision("alarm", alarm.text, level, alarm)
        if memory.pending is not None:
            return Decision("warn", "evidence passed its limit; waiting to tell a glitch from a fault", level)
        return Decision("warn", "evidence is rising", level) if level >= np.log(WARN) else Decision("quiet", "", level)

    def _note(self, level: float) -> None:
        """Raise an alarm that waits when the evidence passes its limit, or note how high it has come meanwhile."""
        memory = self._memory
        if memory.pending is not None:
            memory.pending.level = max(memory.pending.level, level)
        elif level >= self._limit:
            parts = self._of_inputs()
            if self.rates is not None and not self._breaks():
                self.rates.note(self._evidence.log_total(self._weights))
                parts = self.rates.among(parts)
            memory.pending = Pending(self._evidence.clock - 1, 0, level, parts)

    def _tell(self, summary: LumisectionSummary) -> Alarm | None:
        pending, rates = self._memory.pending, self.rates
        if pending is None:
            return None
        waited = self._evidence.clock - 1 - pending.clock
        if rates is not None and rates.raised is not None:  # inputs that begin to move are waited for
            rising = np.log(WARN) <= self._log(rates=False) < self._limit
            waited = 0 if rising else rates.clock - 1 - rates.raised
        if waited < WAIT and pending.age < PATIENCE:
            return None
        return self._publish(summary.run, summary.lumisection)

    def _escalate(self, summary: LumisectionSummary, level: float) -> Alarm | None:
        """Tell of columns that break behind an alarm, of a hole behind a smooth cause, or of inputs behind rates."""
        memory = self._memory
        assert memory.latched is not None
        bad = breaking(memory.seen, WAIT + 1) if memory.latched.verdict != CONTRACT else None
        if bad is not None and (columns := broken_columns(memory.seen, bad, 0)) is not None:
            return self._raise(summary.run, summary.lumisection, columns, level, self._of_inputs())
        if self.rates is not None and self.rates.told is not None:
            self._note(self._log(rates=False))
            return self._tell(summary)
        if memory.latched.verdict not in {SHIFT, EXPECTED} or self._evidence.clock - memory.latched.looked < RELOOK:
            return None
        if level < self._limit:
            return None
        memory.latched.looked = self._evidence.clock
        parts = self._of_inputs()
        found = judge(window_of(self.reference, memory), parts, self._evidence.clock - 1, self.reference)
        found = explained(found, memory.trail, self._puzzles())
        if found.verdict != BROKEN or found.box is None or found.box_evidence < 2 * self._limit:
            return None
        return self._raise(summary.run, summary.lumisection, found, level, parts)

    def _publish(self, run: int, lumisection: int) -> Alarm:
        pending = self._memory.pending
        assert pending is not None
        found, parts = broken_columns(self._memory.seen, pending.clock, WAIT), pending.contributors
        if found is None:
            named = [(one.clock, one.run, one.lumisection) for one in self._memory.seen]
            ruling = rule(self.rates, parts, named, moved=self._log(rates=False) >= self._limit)
            if ruling is not None and self.rates is not None:
                ruling = foreseen(ruling, self.rates, self._memory.changes)
                return self._raise(run, lumisection, ruling.found, pending.level, parts, ruling=ruling)
            led = self.rates is not None and self.rates.raised is not None
            inputs = self._of_inputs() if led else tuple(one for one in parts if one.kind != SEED)
            found = judge(window_of(self.reference, self._memory), inputs, pending.clock, self.reference)
            found = explained(found, self._memory.trail, self._puzzles())
        return self._raise(run, lumisection, found, pending.level, parts)

    def _raise(
        self,
        run: int,
        lumisection: int,
        found: Diagnosis,
        level: float,
        parts: tuple[Contributor, ...],
        *,
        aged: tuple[int, int] | None = None,
        ruling: Ruling | None = None,
    ) -> Alarm:
        memory, found = self._memory, found if found.cause else concluded(found)
        start = next((one for one in memory.trail if one[0] >= found.onset), (0, run, lumisection))
        onset = aged or ((start[1], start[2]) if ruling is None else ruling.onset)
        more = support(self.rates, onset) if ruling is None else ""
        text = f"{found.text}{more}, since run {onset[0]} lumisection {onset[1]}"
        inputs = tuple(one for one in parts if one.kind != SEED) or self._of_inputs()
        why = pictured(self.reference, memory, self.rates, found, parts, inputs, onset)
        memory.pending = None
        smooth = ruling is None and aged is None
        learns = learn(memory.learnt, found, memory.trail, self._puzzles(), inputs) if smooth else ()
        if ruling is None:
            self._slow.forget(
                self.reference.under(memory.standing), None if aged or found.verdict == SHIFT else found.onset
            )
        if found.verdict != TRANSIENT and not learns:
            memory.latched = Latched(found.verdict, run, lumisection, self._evidence.clock)
        if ruling is None:
            self._forget(TRANSIENT if learns else found.verdict)
        elif self.rates is not None:
            self.rates.settle(None if found.verdict == TRANSIENT else (run, lumisection))
        action, told = found.action if ruling is None else ruling.action, (run, lumisection)
        action = f"{action}; until then {', '.join(learns)} are watched for holes alone" if learns else action
        action = SCORE_ACTION if (found.verdict, found.object) == (BROKEN, SCORE) else action
        return Alarm(
            self.stream,
            *told,
            onset,
            found.verdict,
            found.cause,
            found.object,
            found.modes,
            level,
            parts,
            found.box,
            found.rung,
            action,
            text,
            found.against,
            why,
        )

    def _puzzles(self) -> list[DeclaredChange]:
        return [one for one in self._memory.changes if self.reference.puzzles(one)]

    def _start_anew(self) -> None:
        """Forget evidence, what was seen, and what the filter knows of the fill."""
        pileup = self._memory.seen[-1].pileup if self._memory.seen else None
        self._memory.seen.clear()
        self._evidence.forget()
        self._evidence.new_fill(self.reference.under(self._memory.standing).benign, pileup)

    def _forget(self, verdict: str) -> None:
        """Forget the evidence of a cause in the inputs, and what a filter has taken of a glitch for wander."""
        self._evidence.forget()
        told = None
        if verdict == TRANSIENT:
            self._start_anew()
            told = None if self.rates is None else self.rates.told
        if self.rates is not None:
            self.rates.settle(told)
