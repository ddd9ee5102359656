"""What a candidate may learn from: lumisections that were watched, certified, and lie outside every quarantine.

Nothing here decides whether one is trained; a lumisection that certification has not spoken of is no lesson yet.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from daemon.config import Settings
from daemon.ledger import Ledger, Outcome
from daemon.lifecycle import facts as f
from daemon.training_settings import RetrainSettings
from retrain.bundle import Bundle
from retrain.recipe import LumisectionRange, ranges


class Lessons:
    """The lumisections of one ledger, as they may be learned from now."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger

    def every(self) -> list[Outcome]:
        """Return all of them, in the order of time."""
        stream = self._settings.stream.name
        outcomes = self._ledger.outcomes(stream, results=["watched"], certified=True)
        margin = self._settings.drift.quarantine_margin_lumisections
        spans = quarantined((one.fact for one in self._ledger.facts(subject=stream)), margin)
        return [
            one for one in outcomes if not any(first <= (one.run, one.lumisection) <= last for first, last in spans)
        ]

    def since(self, onset: tuple[int, int] | None) -> list[Outcome]:
        """Return the last ``retrain.maximum_lumisections`` of them.

        Since an onset they count in whole portions of ``retrain.minimum_lumisections``, the earliest first: what a
        candidate learns then does not depend on which turn of the daemon, or which start of it, asked for it.
        """
        good = self.every()
        minimum = self._settings.retrain.minimum_lumisections
        if onset is not None:
            good = [one for one in good if (one.run, one.lumisection) >= onset]
            if len(good) > minimum:
                good = good[: len(good) // minimum * minimum]
        return good[-self._settings.retrain.maximum_lumisections :]

    def turned_bad(self, parent: Bundle) -> tuple[LumisectionRange, ...]:
        """Return what a network has learned, or remembers, and may not: certified bad by now, or in a quarantine."""
        from retrain.inheriting import learned_by  # noqa: PLC0415 - the loop starts without what training needs

        stream, margin = self._settings.stream.name, self._settings.drift.quarantine_margin_lumisections
        spans = quarantined((one.fact for one in self._ledger.facts(subject=stream)), margin)
        bad = []
        for span in learned_by(parent):
            for one in self._ledger.outcomes(stream, between=((span.run, span.first), (span.run, span.last))):
                place = (one.run, one.lumisection)
                if one.certified is False or any(first <= place <= last for first, last in spans):
                    bad.append(place)
        return ranges(bad)


def row_of(one: Outcome, retrain: RetrainSettings) -> dict[str, Any]:
    """Return a lumisection as a job lists it, with its era where one was declared."""
    return {
        "run": one.run,
        "lumisection": one.lumisection,
        "fill": one.fill,
        "pileup": one.pileup,
        "certified": one.certified,
        "path": one.events_path,
        "sha256": one.events_sha256,
        **retrain.era_of(one.run),
    }


def last_fill(lessons: Sequence[Outcome], now: int | None, *, between_fills: bool) -> int | None:
    """Return the last fill that is over; None when there is none.

    A fill is over when lumisections of a later one are there, when the beam is in another fill, or between two.

    Args:
        lessons: In the order of time.
        now: Fill of the beam; None when it is not known.
        between_fills: Whether the beam mode is one between fills.
    """
    fills = sorted({one.fill for one in lessons if one.fill is not None})
    if not fills:
        return None
    over = [fill for fill in fills if fill < fills[-1] or between_fills or (now is not None and now > fill)]
    return over[-1] if over else None


def spans_of(recipe: Mapping[str, Any]) -> list[LumisectionRange]:
    """Return the lumisections that the recipe of a candidate names; none of one that was refused before it had any."""
    return [LumisectionRange(*map(int, span)) for span in recipe.get("lumisections", ())]


def within(one: Outcome, spans: Iterable[LumisectionRange]) -> bool:
    """Whether a lumisection lies in one of these ranges."""
    return any(span.run == one.run and span.first <= one.lumisection <= span.last for span in spans)


def unlearned(lessons: list[Outcome], parent: Bundle) -> list[Outcome]:
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
