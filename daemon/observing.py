"""What a board is seen to do since a digest is on it, beside that digest's own emulator, lumisection by lumisection.

Which digest answered for a lumisection is read from the record.  A lumisection of the run in which the board was
written may still be the old digest's: if every bit is the old emulator's, and none was the new one's yet, it is not
counted.  Nothing here judges: `daemon.lifecycle` does, with the intervals that are made here.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.board_log import BoardLog, Line
from daemon.forecasts import Forecast, forecast_of
from daemon.ledger import Ledger
from daemon.lifecycle import Candidate, Phase
from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle.observed import Comparison, Observed, RateWatch
from drift.agreement import Compared, compare, inputs_of
from drift.anytime import ratio_interval, share_interval
from drift.conditions import Conditions
from drift.events import LumisectionEvents
from retrain.champion import Champion
from retrain.emulated import emulated
from retrain.errors import EmulatorFailedError

log = logging.getLogger("retrigger.observing")
ON_BOARD_KINDS = ("champion_imported", "shadow_started", "deployed", "rolled_back")


@dataclass(frozen=True)
class Tenure:
    """A digest on the board, from a (run, lumisection) on."""

    digest: str
    since: tuple[int, int]


class Observing:
    """Compares the board's output, and says what was seen of a candidate."""

    def __init__(
        self,
        ledger: Ledger,
        slot: str,
        stream: str,
        bundle_of: Callable[[str], Champion | None],
        folder: Path,
        *,
        enabled: bool = True,
    ) -> None:
        """Start without looking.

        Args:
            ledger: Says which digest was on the board when.
            slot: Whose board.
            stream: Where the board's output is read out.
            bundle_of: Returns the whole bundle of a digest, None when it is unknown or was altered.
            folder: Where comparisons are kept.
            enabled: Whether the board's output is read out at all.
        """
        self._ledger, self._slot, self._stream, self._bundle_of = ledger, slot, stream, bundle_of
        self._log, self._enabled = BoardLog(folder), enabled
        self._bundles: dict[str, tuple[Champion, Forecast] | None] = {}
        self._tally: tuple[Tenure, dict[tuple[int, int], tuple[int, int, int]]] | None = None

    # --- looking --------------------------------------------------------------------------------------------------

    def tenures(self) -> list[Tenure]:
        """Return who was on the board from when on, in the order of the record."""
        stored = sorted(
            (one for kind in ON_BOARD_KINDS for one in self._ledger.facts(kind=kind)), key=lambda one: one.sequence
        )
        line: list[Tenure] = []
        for one in stored:
            match one.fact:
                case f.ChampionImported(slot=slot, digest=digest) if slot == self._slot:
                    line.append(Tenure(digest, (0, 0)))
                case (
                    b.ShadowStarted(slot=slot, digest=digest, effective_run=run, effective_lumisection=lumisection)
                    | f.Deployed(slot=slot, digest=digest, effective_run=run, effective_lumisection=lumisection)
                    | f.RolledBack(slot=slot, to_digest=digest, effective_run=run, effective_lumisection=lumisection)
                ) if slot == self._slot and digest:
                    if not line or line[-1].digest != digest:
                        line.append(Tenure(digest, (run, lumisection)))
        return line

    def take(
        self, events: LumisectionEvents, at: Conditions | None, now: datetime, owed: Iterable[f.Fact] = ()
    ) -> b.BoardOutputDiffers | None:
        """Compare one lumisection; return what has to be told when the digest on the board is not its emulator.

        Args:
            events: Of the lumisection, with what the board sent.
            at: Its conditions, None when they are unknown.
            now: The time.
            owed: Facts of the same file that are not in the record yet; what they tell of a run is not told twice.
        """
        if not self._enabled:
            return None
        place = (events.run, events.lumisection)
        past = [one for one in self.tenures() if one.since <= place]
        if not past:
            return None
        tenure = past[-1]
        known = self._known(tenure.digest)
        if known is None:
            return None
        champion, forecast = known
        compared = self._compared(tenure.digest, champion, events)
        if compared is not None and compared.mismatches and self._is_older(past, events):
            log.info("run %d lumisection %d still came from the digest before %s", *place, tenure.digest[:16])
            return None
        expected, deviation, rate = forecast.of(at, events)
        counts = (0, 0, events.events + events.unreadable, 0, 0)
        if compared is not None:
            counts = (compared.events, compared.mismatches, compared.unreadable, compared.passed, compared.own)
        cells = () if compared is None else compared.cells
        told = tuple((f"{one.seed}:{one.bx}", one.events, one.scores, one.decisions) for one in cells)
        self._log.add(tenure.digest, Line(*place, *counts, expected, deviation, rate, told), compared)
        if self._tally is not None and self._tally[0] == tenure:
            self._tally[1][place] = counts[:3]
        return self._differs(tenure, compared, now, owed)

    def _known(self, digest: str) -> tuple[Champion, Forecast] | None:
        if digest not in self._bundles:
            champion = self._bundle_of(digest)
            if champion is None:
                return None
            self._bundles = {digest: (champion, forecast_of(champion))}
        return self._bundles[digest]

    def _compared(self, digest: str, champion: Champion, events: LumisectionEvents) -> Compared | None:
        if not events.board:
            return None
        thresholds = {self._slot: champion.threshold}
        try:
            scores = emulated(champion, inputs_of(events))
        except EmulatorFailedError as error:
            log.warning("run %d lumisection %d cannot be compared: %s", events.run, events.lumisection, error)
            return None
        return compare(events, scores, thresholds, most_kept=self._log.room(digest))

    def _is_older(self, past: Sequence[Tenure], events: LumisectionEvents) -> bool:
        """Whether these are, bit for bit, the answers of the digest before, in the run in which it was replaced."""
        now = past[-1]
        if len(past) < 2 or events.run != now.since[0] or self._log.lines(now.digest, now.since):
            return False
        before = self._bundle_of(past[-2].digest)
        compared = None if before is None else self._compared(past[-2].digest, before, events)
        return compared is not None and compared.events > 0 and compared.mismatches == 0

    def _differs(
        self, tenure: Tenure, compared: Compared | None, now: datetime, owed: Iterable[f.Fact]
    ) -> b.BoardOutputDiffers | None:
        """Return the alarm of a digest in this run, once."""
        if compared is None or not compared.mismatches:
            return None
        this = (tenure.digest, compared.run)
        stored = self._ledger.facts(subject=self._slot, kind=b.BoardOutputDiffers.kind)
        told = (*owed, *(one.fact for one in stored))
        if any(isinstance(one, b.BoardOutputDiffers) and (one.digest, one.run) == this for one in told):
            return None
        return b.BoardOutputDiffers(
            at=now,
            actor="daemon",
            slot=self._slot,
            digest=tenure.digest,
            run=compared.run,
            lumisection=compared.lumisection,
            events=compared.events,
            mismatches=compared.mismatches,
        )

    # --- telling --------------------------------------------------------------------------------------------------

    def observed(self, candidate: Candidate, now: datetime) -> Observed | None:  # noqa: ARG002  # the port's shape
        """See `daemon.sight.Observer.observed`; by lumisection, so that the hour does not matter."""
        began = candidate.shadow if candidate.phase is Phase.SHADOW else candidate.deployed
        if (
            not self._enabled
            or began is None
            or candidate.phase not in {Phase.SHADOW, Phase.LIVE_PROBATION, Phase.LIVE}
        ):
            return None
        since = (began.effective_run, began.effective_lumisection)
        lines = self._log.lines(candidate.bundle_digest, since)
        return Observed(comparison=comparison_of(lines), rate=rate_of(lines), alarm=self._alarm(since))

    def standing(self) -> Comparison | None:
        """Return how board and emulator agree since the digest that is on the board came there.

        None when the board's output is not read out, or nothing was compared.  What is on disk is read once a digest.
        """
        line = self.tenures() if self._enabled else []
        if not line:
            return None
        if self._tally is None or self._tally[0] != line[-1]:
            lines = self._log.lines(line[-1].digest, line[-1].since)
            found = {(one.run, one.lumisection): (one.events, one.mismatches, one.unreadable) for one in lines}
            self._tally = (line[-1], found)
        counts = self._tally[1].values()
        return _comparison(list(counts)) if counts else None

    def _alarm(self, since: tuple[int, int]) -> str:
        """Return the first drift alarm with an onset after a place, in words; empty if there is none."""
        for stored in self._ledger.facts(subject=self._stream, kind=f.AlarmRaised.kind):
            if isinstance(stored.fact, f.AlarmRaised):
                alarm = stored.fact.alarm
                onset = alarm.get("onset") or alarm
                if (int(onset["run"]), int(onset["lumisection"])) >= since:
                    return str(alarm.get("text") or stored.fact.alarm_id)
        return ""


def comparison_of(lines: Sequence[Line]) -> Comparison:
    """Return how board and emulator agree over lumisections, with an interval that holds at every look."""
    return _comparison([(line.events, line.mismatches, line.unreadable) for line in lines])


def _comparison(counts: Sequence[tuple[int, int, int]]) -> Comparison:
    looked = [one for one in counts if one[0]]
    events, mismatches = sum(one[0] for one in looked), sum(one[1] for one in looked)
    low, high = share_interval(mismatches, events, len(looked)) if looked else (0.0, 1.0)
    return Comparison(
        lumisections=len(looked),
        events=events,
        mismatches=mismatches,
        mismatch_rate_low=low,
        mismatch_rate_high=high,
        unreadable=sum(one[2] for one in counts),
    )


def rate_of(lines: Sequence[Line]) -> RateWatch | None:
    """Return the rate seen against the forecast at the same pileup; None when no lumisection has a forecast."""
    looked = [line for line in lines if line.own and line.expected > 0]
    if not looked:
        return None
    expected = sum(line.expected for line in looked)
    spread = sum(line.deviation for line in looked)  # one forecast for all of them: its errors add up
    passed, events = sum(line.passed for line in looked), sum(line.own for line in looked)
    forecast_hz = sum(line.rate_hz * line.own for line in looked) / events
    low, high = ratio_interval(passed, expected, spread / expected, len(looked))
    return RateWatch(
        lumisections=len(looked),
        expected_hz=forecast_hz,
        observed_hz=forecast_hz * passed / expected,
        low=forecast_hz * low,
        high=forecast_hz * high,
    )
