"""An experiment in simulated time whose metrics can be scraped: fills come and go, any cause of an alert can be set.

One step is one simulated interval; everything that follows from time and causes is a function of what came before, so a
week can be played at any speed, or written down as a file that Prometheus takes in whole.  The figures are made up; the
metrics are the daemon's own.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from benchmarks.full_snapshot import full_snapshot
from daemon.ledger import StoredFact
from daemon.lifecycle import Fact, HeadSigned, Phase
from daemon.lifecycle import facts as f
from daemon.snapshot import LoopView, SlotFigures, Snapshot, StreamFigures
from drift.glance import Glance

LUMISECTION_S = 23.3104
STREAM, SLOT = "ZeroBias", "L1_AXO"
COLLIDING = timedelta(hours=11)
FILL = timedelta(hours=14)


@dataclass
class Experiment:
    """One stream and one slot.

    Attributes:
        start: When it began.
        now: Simulated time.
        causes: What is wrong, by name (see `CAUSES`), and since when.
        always_beams: Whether collisions never end; for campaigns that ask about one cause after another.
    """

    start: datetime
    now: datetime
    causes: dict[str, datetime] = field(default_factory=dict)
    always_beams: bool = False
    delivered: float = 4_000.0
    watched: float = 3_980.0
    quarantined: int = 0
    alarms: dict[str, int] = field(default_factory=dict)
    alarm_facts: dict[str, f.AlarmRaised] = field(default_factory=dict)
    failed: int = 0
    evidence: float = -1.0
    given_up: int = 0
    decisions: int = 0

    def step(self, to: datetime) -> None:
        """Let time pass until `to`."""
        passed = (to - self.now).total_seconds()
        self.now = to
        if self.stable_beams and "lagging" not in self.causes:
            new = passed / LUMISECTION_S
            self.delivered += new
            self.watched += new * (0.4 if "blind" in self.causes else 0.995)
        calm = 0.7 * math.sin(self.now.timestamp() / 900) - 0.6
        aim = 8.6 if "evidence_rising" in self.causes else calm
        self.evidence += (aim - self.evidence) * min(1.0, passed / 300)
        if "quarantine" in self.causes:
            self.quarantined = max(self.quarantined, int(self._since("quarantine") / 300))

    def set(self, cause: str) -> None:
        """Let a cause begin."""
        self.causes[cause] = self.now
        verdict = {"detector": "broken_detector", "contract": "contract", "shift": "real_shift"}.get(cause)
        if verdict:
            self.alarms[verdict] = self.alarms.get(verdict, 0) + 1
            place = {"run": self._glance().run, "lumisection": self._glance().lumisection, "verdict": verdict}
            self.alarm_facts[verdict] = f.AlarmRaised(
                at=self.now, actor="daemon", stream=STREAM, alarm_id=f"a:{verdict}", alarm=place
            )
        if cause == "quarantine":
            self.quarantined = 0
        if cause == "retrain_failed":
            self.failed += 1
        if cause == "given_up":
            self.given_up += 1

    def clear(self, cause: str) -> None:
        """Let it end."""
        self.causes.pop(cause, None)

    @property
    def stable_beams(self) -> bool:
        """Whether there are collisions."""
        return self.always_beams or self._in_fill() < COLLIDING

    def snapshot(self) -> Snapshot:
        """Return the figures of this instant."""
        healthy = full_snapshot(self.now, [(STREAM, SLOT)])
        made = replace(
            healthy,
            loop=self._loop(healthy.loop),
            streams={STREAM: self._stream(healthy.streams[STREAM])},
            slots={SLOT: self._slot(healthy.slots[SLOT])},
            audit_head=healthy.audit_head + int((self.now - self.start).total_seconds() / 60),
            record=replace(
                healthy.record,
                facts={
                    **healthy.record.facts,
                    "approved": 4 + self.decisions + int((self.now - self.start) / timedelta(hours=7)),
                    "fill_reported": 40 + int((self.now - self.start) / FILL),
                },
                newest=self._newest(),
                exported_sequence=healthy.audit_head,
            ),
        )
        for cause, bend in CAUSES.items():
            if cause in self.causes:
                made = bend(made, self._since(cause))
        return made

    def _newest(self) -> dict[str, StoredFact]:
        """Return the facts whose age is shown; of a head that is signed each quarter of an hour, too."""
        trained = f.TrainingFinished(
            at=self.now - timedelta(days=4),
            actor="daemon",
            recipe_digest="",
            bundle_digest="a" * 64,
            bundle_path="",
            certification_digest="",
        )
        signed = HeadSigned(
            at=self.now - (self.now - self.start) % timedelta(minutes=15),
            actor="daemon",
            size=1,
            root="",
            envelope={},
            earlier=0,
            consistency=(),
        )
        return {
            "rolled_back": _stored(self.now - timedelta(days=9)),
            "training_finished": _as_stored(trained),
            "head_signed": _as_stored(signed),
        }

    def _since(self, cause: str) -> float:
        return (self.now - self.causes[cause]).total_seconds()

    def _in_fill(self) -> timedelta:
        return (self.now - self.start) % FILL

    def _pileup(self) -> float:
        return 60.0 * math.exp(-(self._in_fill() % COLLIDING).total_seconds() / 80_000)

    def _glance(self) -> Glance:
        seen = full_snapshot(self.now, [(STREAM, SLOT)]).loop.glances[STREAM]
        at, pileup = self.now.timestamp(), self._pileup()
        wave = [math.sin(at / 700 + 1.7 * n) + 0.4 * math.sin(at / 130 + n * n) for n in range(80)]
        seeds = tuple(
            replace(
                one,
                predicted_hz=20 * (place + 1) * pileup,
                observed_hz=20 * (place + 1) * pileup * (1 + 0.006 * wave[place]),
                low_hz=20 * (place + 1) * pileup * 0.97,
                high_hz=20 * (place + 1) * pileup * 1.03,
                sigma=0.4 * wave[place],
            )
            for place, one in enumerate(seen.seeds)
        )
        maps = {
            kind: tuple(
                tuple(round(0.9 * math.sin(3.1 * row + 1.3 * column + number + at / 900), 2) for column in range(12))
                for row in range(6)
            )
            for number, kind in enumerate(seen.occupancy)
        }
        if "detector" in self.causes:
            maps["JET"] = _with_hole(maps["JET"])
        fill = int((self.now - self.start) / FILL)
        quantiles = {
            word: int(value * (1 + pileup / 60))
            for value, word in zip((40, 160, 600, 1_500, 2_900), seen.quantiles, strict=True)
        }
        return replace(
            seen,
            run=401_200 + 3 * fill + int(self._in_fill() / timedelta(hours=4)),
            lumisection=1 + int(self._in_fill().total_seconds() % 14_400 / LUMISECTION_S),
            prescale_column="2p0E34" if pileup > 52 else "1p6E34",
            features={name: round(0.8 * wave[n % 80], 2) for n, name in enumerate(seen.features)},
            parts={name: round(0.7 * wave[n + 9], 2) for n, name in enumerate(seen.parts)},
            occupancy=maps,
            quantiles=quantiles,
            passing={SLOT: 0.0004 * (1 + 0.1 * wave[3])},
            seeds=seeds,
        )

    def _loop(self, loop: LoopView) -> LoopView:
        seen = self._glance()
        return replace(
            loop,
            stable_beams=self.stable_beams,
            fill=9_870 + int((self.now - self.start) / FILL),
            pileup={STREAM: self._pileup()},
            evidence={STREAM: (self.evidence, 11.6)},
            rates={STREAM: (self.evidence - 1, 0.2, seen.seeds[2].sigma)},
            glances={STREAM: seen},
        )

    def _stream(self, stream: StreamFigures) -> StreamFigures:
        watched = int(self.watched)
        excluded = int(self.delivered - self.watched)
        delivered = watched + excluded
        shares = {"watched": watched, "excluded": excluded}
        return replace(
            stream,
            delivered=delivered,
            watched=watched,
            lumisections={**stream.lumisections, **shares},
            files={"accepted": delivered // 20, "quarantined": self.quarantined, "duplicate": 0},
            alarms={**stream.alarms, **self.alarms},
            newest_alarm=dict(self.alarm_facts),
            quarantined={**stream.quarantined, "checksum": self.quarantined},
        )

    def _slot(self, slot: SlotFigures) -> SlotFigures:
        ended = {"built": [4_000.0, 5_200.0], "failed": [900.0] * self.failed}
        stand = dict.fromkeys(slot.candidates, 0) | {"live": 1, "superseded": 3, "rejected": 1, "failed": self.failed}
        return replace(slot, retrain_seconds=ended, candidates=stand)


def _with_hole(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    """Take the jets out of two cells of one end, as two sectors without power do."""
    return tuple(
        tuple(round(pull - 9.4, 2) if row == 1 and column in {9, 10} else pull for column, pull in enumerate(line))
        for row, line in enumerate(rows)
    )


def _stored(at: datetime) -> StoredFact:
    fact: Fact = f.RolledBack(
        at=at,
        actor="daemon",
        slot=SLOT,
        from_digest="b" * 64,
        to_digest="a" * 64,
        by="timo",
        reason="rehearsal",
        effective_run=401_000,
        effective_lumisection=1,
    )
    return _as_stored(fact)


def _as_stored(fact: Fact) -> StoredFact:
    return StoredFact(sequence=1, subject="c-0001", fact=fact, hash="", previous="")


Bend = Callable[[Snapshot, float], Snapshot]


def _loop_with(**changes: Any) -> Bend:
    return lambda made, _: replace(made, loop=replace(made.loop, **changes))


def _slot_with(figures: Callable[[float], Mapping[str, Any]]) -> Bend:
    return lambda made, since: replace(made, slots={SLOT: replace(made.slots[SLOT], **figures(since))})


def _stream_with(**changes: Any) -> Bend:
    return lambda made, _: replace(made, streams={STREAM: replace(made.streams[STREAM], **changes)})


def _record_with(figures: Callable[[Snapshot, float], Mapping[str, Any]]) -> Bend:
    return lambda made, since: replace(made, record=replace(made.record, **figures(made, since)))


def _same(made: Snapshot, _: float) -> Snapshot:
    return made


def _stuck(made: Snapshot, since: float) -> Snapshot:
    return replace(made, loop=replace(made.loop, last_turn=made.at - timedelta(seconds=since)))


def _lagging(made: Snapshot, since: float) -> Snapshot:
    return replace(made, streams={STREAM: replace(made.streams[STREAM], lag_s=60 + since, lag_lumisections=80)})


def _seed_off(made: Snapshot, _: float) -> Snapshot:
    seen = made.loop.glances[STREAM]
    off = replace(seen.seeds[0], observed_hz=1.4 * seen.seeds[0].predicted_hz, sigma=9.0)
    return replace(made, loop=replace(made.loop, glances={STREAM: replace(seen, seeds=(off, *seen.seeds[1:]))}))


def _pending(since: float) -> dict[str, Any]:
    return {"pending_age_s": 60 + since, "pending_left_s": 30 * 3600 - since, "missing_roles": 2}


def _expiring(since: float) -> dict[str, Any]:
    return {"pending_age_s": 3_600 + since, "pending_left_s": max(0.0, 3_000 - since), "missing_roles": 1}


CAUSES: Mapping[str, Bend] = {
    "daemon_gone": _same,  # whoever serves the metrics stops
    "loop_stuck": _stuck,
    "lagging": _lagging,
    "blind": _same,
    "quarantine": _same,
    "beam_mode_unknown": _loop_with(stable_beams=None, fill=None),
    "inputs_unreadable": _loop_with(faults={"conditions": (2, "lumi.csv line 7")}),
    "scores_silent": _loop_with(silent_scores={STREAM: "the board runs another model"}),
    "detector": _stream_with(fault_open=True, faults={"broken_detector": 1, "contract": 0}),
    "contract": _stream_with(fault_open=True, faults={"broken_detector": 0, "contract": 1}),
    "shift": _same,
    "evidence_rising": _same,
    "seed_off": _seed_off,
    "menu_differs": _loop_with(missing_seeds={STREAM: 2}),
    "mismatch": lambda made, _: replace(
        made,
        slots={SLOT: replace(made.slots[SLOT], evidence=replace(made.slots[SLOT].evidence, vectors=(1_000_000, 3)))},
    ),
    "retrain_failed": _same,
    "retrain_late": _slot_with(lambda since: {"training_s": 5.8 * 3600 + since, "phase": str(Phase.BUILDING)}),
    "approval_waits": _slot_with(lambda since: _pending(3.9 * 3600 + since)),
    "approval_expires": _slot_with(_expiring),
    "board_differs": _slot_with(lambda _: {"board_agrees": False}),
    "not_rehearsed": _record_with(
        lambda made, _: {"newest": {**made.record.newest, "rolled_back": _stored(made.at - timedelta(days=31))}}
    ),
    "audit_broken": _record_with(lambda *_: {"intact": False}),
    "not_exported": _record_with(lambda made, _: {"exported_at": (made.at - timedelta(days=9)).timestamp()}),
    "outbox_stuck": _record_with(lambda _, since: {"oldest_message_s": since}),
    "disk_low": lambda made, _: replace(
        made, loop=replace(made.loop, disk={**made.loop.disk, "state": (20 * 2**30, 1_000 * 2**30)})
    ),
    "paused": lambda made, _: replace(made, paused=True),
    "watchdog": _same,
}
