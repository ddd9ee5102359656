"""Whether a candidate still sees what its champion sees: events replayed through named faults, scored by both.

The same events come healthy and faulty; what a fault does to the scores of each model at its own working point is an
effect with an interval, and the two effects are held against each other.  Which faults there are, and how events look
with one, somebody else knows; which verdict suffices is for `retrain.verify`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from retrain.comparison import paired_difference
from retrain.contract import Features
from retrain.errors import DatasetError
from retrain.fixed_point import Integers
from retrain.separation import area
from retrain.signals import Signal

HEALTHY = "healthy"
"""Name under which a job lists the events without a fault."""
KEPT = 1 / 3
"""Share of the champion's effect that a candidate has to keep; a third needs nine times the events to be seen.  Two
trainings that differ by their seed alone were seen to differ by a factor of 1.8 in one fault of ten."""
MEASURES = ("area", "shift")

Interval = tuple[float, float]


@dataclass(frozen=True)
class Judge:
    """A model that scores events and where it is cut: candidate or champion at one rate."""

    scores: Callable[[Features], Integers]
    threshold: int


def seen(samples: Sequence[Signal], candidate: Judge, champion: Judge | None, confidence: float) -> dict[str, Any]:
    """Return what each fault does to both models, and whether the candidate sees it less, as JSON values.

    Confidence is raised for every interval that a verdict rests on: two models, two measures, all faults (Bonferroni).

    Args:
        samples: The healthy events first, then the same events once with each fault; empty when none was asked for.
        candidate: What is judged.
        champion: What runs now, cut where it makes the same rate; None when there is nothing to hold against.
        confidence: With which all verdicts together are right.

    Raises:
        DatasetError: A fault has other events than the healthy sample.
    """
    faults = samples[1:]
    each = 1.0 - (1.0 - confidence) / max(2 * len(MEASURES) * len(faults), 1)
    said: dict[str, Any] = {"kept": KEPT, "confidence": confidence, "confidence_each": each, "events": 0, "faults": []}
    if not samples:
        return said
    healthy = samples[0]
    said |= {"events": healthy.features.shape[1], "healthy": [list(one) for one in healthy.files]}
    judges = {"candidate": candidate, **({} if champion is None else {"champion": champion})}
    before = {name: one.scores(healthy.features) for name, one in judges.items()}
    for fault in faults:
        if fault.features.shape != healthy.features.shape:
            raise DatasetError(
                f"fault {fault.name} has {fault.features.shape[1]} events, the healthy sample "
                f"{healthy.features.shape[1]}; replay the same events"
            )
        row: dict[str, Any] = {"name": fault.name, "files": [list(one) for one in fault.files]}
        for name, one in judges.items():
            row[name] = effect(before[name], one.scores(fault.features), one.threshold, each)
        if champion is not None:
            row["judged"] = {name: _held(row["candidate"], row["champion"], name) for name in MEASURES}
            row["verdict"] = together(tuple(row["judged"].values()))
        said["faults"].append(row)
    return said


def effect(healthy: Integers, faulty: Integers, threshold: int, confidence: float) -> dict[str, Any]:
    """Return what a fault does to one model: the area under the curve, and the shift of the share that passes.

    Args:
        healthy: Scores of the events without the fault, shape ``(n_events,)``.
        faulty: Scores of the same events with it.
        threshold: An event passes when its score is not below it.
        confidence: Of each interval; that of the shift covers at least so much (two Clopper-Pearson intervals).
    """
    told = area(healthy, faulty, confidence)
    before, after = healthy >= threshold, faulty >= threshold
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    low, high = paired_difference(lost, gained, len(healthy), confidence)
    return {
        **asdict(told),
        "healthy_passing": int(before.sum()),
        "faulty_passing": int(after.sum()),
        "lost": lost,
        "gained": gained,
        "shift": (gained - lost) / max(len(healthy), 1),
        "shift_low": low,
        "shift_high": high,
    }


def _held(candidate: Mapping[str, Any], champion: Mapping[str, Any], measure: str) -> str:
    return held_against(_interval(candidate, measure), _interval(champion, measure))


def _interval(told: Mapping[str, Any], measure: str) -> Interval:
    if measure == "area":
        return told["low"] - 0.5, told["high"] - 0.5
    return told["shift_low"], told["shift_high"]


def held_against(candidate: Interval, champion: Interval) -> str:
    """Say what the intervals of two effects, zero when there is none, mean for the candidate.

    Only the size counts: whatever watches scores looks to both sides.  A model held against itself keeps all it sees.

    Returns:
        ``unseen``: the champion does not surely see it, so there is nothing to keep; ``kept``: the candidate's effect
        is surely above `KEPT` of the champion's; ``less``: surely below; ``faint``: the champion sees it, but in these
        events not even the champion could be told from a third of itself; ``open``: neither is known.
    """
    ours, theirs = _size(candidate), _size(champion)
    if theirs[0] <= 0.0:
        return "unseen"
    if ours[0] >= KEPT * theirs[1]:
        return "kept"
    if ours[1] < KEPT * theirs[0]:
        return "less"
    return "faint" if theirs[0] < KEPT * theirs[1] else "open"


def _size(effect: Interval) -> Interval:
    """Return the interval of the absolute value."""
    low, high = effect
    return max(low, -high, 0.0), max(abs(low), abs(high))


def together(judged: Sequence[str]) -> str:
    """Return the verdict on a fault from those of its measures.

    A fault that one measure keeps is still seen by whoever watches scores or rates, whatever another measure lost.
    """
    return next((word for word in ("kept", "less", "open", "faint") if word in judged), "unseen")


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the samples a recipe with these faults asks for: the healthy one first."""
    return (HEALTHY, *names) if names else ()
