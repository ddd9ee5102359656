"""Why an alarm was raised, in numbers that can be drawn: pulls by lumisection, maps since the onset, what it is not.

Made once, when the alarm is told, from what the watch still remembers; afterwards that memory goes on and the
explanation stays.  Tuples and numbers only, so that two watches which decide alike explain alike.  Pure: nothing here
decides, draws or stores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.boxes import physical
from drift.detect import Contributor
from drift.diagnose import Diagnosis
from drift.ratio_map import Inside, RatioMap, inside_box, ratio_maps
from drift.reference import Reference
from drift.ruled_out import Ruled, ruled_out
from drift.streams import ONE_SIDED, SILENT, StreamLabel
from drift.window import Window, stream_means

VERSION = 1
MOST_CURVES = 8
BAND = 2.0
"""Benign spreads within which one lumisection is nothing to look at."""
SCORES = ("score", "pass")
"""Families of the trigger's own score; its first three curves are shown where there are any."""
OTHER_WORDS = {
    "phi": "{side} {name}, against its other parts",
    "eta": "{side} {name}, against its other parts",
    "chi2": "the spectrum of {name} has another shape",
    "noise": "{name}: as if a vector of random direction were added",
    "mix": "{name}: as if events were mixed up",
    "score": "{name} {toward}",
    "pass": "{side} {name}",
}


@dataclass(frozen=True)
class Moment:
    """One remembered lumisection.

    Attributes:
        clock: The watch's count of it.
        run: Its run.
        lumisection: Its number in the run.
        fill: Its fill.
        pileup: Mean collisions per crossing.
        events: Events in it.
        broken: Whether a column broke its contract.
    """

    clock: int
    run: int
    lumisection: int
    fill: int
    pileup: float
    events: int
    broken: bool = False


@dataclass(frozen=True)
class Curve:
    """One stream over the remembered lumisections.

    Attributes:
        name: As people read it.
        object: Object type, empty when it is about all.
        family: Of the stream.
        spread: Benign spread of one lumisection, in units of the stream; pulls are divided by it.
        pulls: Value over benign spread by remembered lumisection; None where nothing was kept.
        mean: Mean pull since the onset.
        significance: Mean since the onset over the spread that such a mean may have, what wanders included.
    """

    name: str
    object: str
    family: str
    spread: float
    pulls: tuple[float | None, ...]
    mean: float
    significance: float

    def to_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {
            "name": self.name,
            "object": self.object,
            "family": self.family,
            "spread": self.spread,
            "benign": [-BAND, BAND],
            "pulls": list(self.pulls),
            "mean_since_onset": self.mean,
            "significance": self.significance,
        }


@dataclass(frozen=True)
class Ranked:
    """One part of the evidence in words.

    Attributes:
        part: The part.
        words: What moved, which way, and by how much where that can be said.
        since: Run and lumisection at which its strongest alternative began; None when it has none, or too long ago.
    """

    part: Contributor
    words: str
    since: tuple[int, int] | None

    def to_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {
            "name": self.part.name,
            "object": self.part.object,
            "kind": self.part.kind,
            "sign": self.part.sign,
            "log_evidence": round(self.part.log_evidence, 2),
            "since": None if self.since is None else {"run": self.since[0], "lumisection": self.since[1]},
            "words": self.words,
        }


@dataclass(frozen=True)
class Explanation:
    """Everything that is shown of one alarm besides its public form.

    Attributes:
        reference: Digest of the reference that it was compared with.
        moments: The remembered lumisections, in order.
        onset: Place of the first of them since the onset.
        told: Place of the last.
        curves: The streams that say most, the leading one first.
        maps: Observed over expected since the onset.
        inside: The alarm's region by lumisection, when there is one.
        contributors: Parts of the evidence, the strongest first.
        ruled_out: What it is not.
    """

    reference: str
    moments: tuple[Moment, ...]
    onset: int
    curves: tuple[Curve, ...]
    maps: tuple[RatioMap, ...]
    inside: Inside | None
    contributors: tuple[Ranked, ...]
    ruled_out: tuple[Ruled, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the public form; `daemon.explanations` puts the alarm beside it."""
        names = ("run", "lumisection", "fill", "pileup", "events", "broken")
        return {
            "type": "explanation",
            "version": VERSION,
            "reference": self.reference,
            "lumisections": [{name: getattr(one, name) for name in names} for one in self.moments],
            "onset_place": self.onset,
            "curves": [one.to_json() for one in self.curves],
            "maps": [one.to_json() for one in self.maps],
            "inside": None if self.inside is None else self.inside.to_json(),
            "contributors": [one.to_json() for one in self.contributors],
            "ruled_out": [one.to_json() for one in self.ruled_out],
        }


def explain(
    window: Window,
    moments: Sequence[Moment],
    contributors: tuple[Contributor, ...],
    found: Diagnosis,
    reference: Reference,
) -> Explanation:
    """Return why an alarm is raised.

    Args:
        window: The remembered lumisections as the diagnosis reads them.
        moments: All remembered lumisections, those that the diagnosis leaves out included.
        contributors: The strongest parts of the evidence.
        found: The verdict.
        reference: What was expected.
    """
    clocks = {int(one) for one in window.clock}
    kept = np.array([one.clock in clocks for one in moments])
    since = window.clock >= found.onset
    onset = next((place for place, one in enumerate(moments) if one.clock >= found.onset), max(len(moments) - 1, 0))
    inside = None if found.box is None or not since.any() else inside_box(window, since, found.box, kept)
    broken = sum(one.broken for one in moments)
    named = {one.clock: (one.run, one.lumisection) for one in moments}
    return Explanation(
        reference.digest,
        tuple(moments),
        onset,
        _curves(window, since, contributors, kept, reference.check.sound),
        ratio_maps(window, since),
        inside,
        tuple(Ranked(one, _words(window, since, one), named.get(one.start)) for one in contributors),
        ruled_out(window, since, contributors, found, broken),
    )


def _curves(
    window: Window,
    since: NDArray[np.bool_],
    contributors: tuple[Contributor, ...],
    kept: NDArray[np.bool_],
    sound: NDArray[np.bool_],
) -> tuple[Curve, ...]:
    """Return the curves of the score, of the contributors, and of what else departed most and takes part."""
    score = np.zeros(len(window.labels))
    if since.any():
        _, score = stream_means(window, since)
    one_sided = np.array([label.family in ONE_SIDED for label in window.labels])
    loud = np.where(sound, np.where(one_sided, np.maximum(score, 0.0), np.abs(score)), 0.0)
    silent = (window.streams == SILENT).all(axis=0)
    scores = [i for i, label in enumerate(window.labels) if label.family in SCORES and not silent[i]][:3]
    first = [one.index for one in contributors if one.kind != "cell"]
    first = [*(one for one in first if one not in scores)][: MOST_CURVES - len(scores)] + scores
    lead = contributors[0].index if contributors and contributors[0].kind != "cell" else -1
    first.sort(key=lambda place: place != lead)
    order = [*first, *(int(place) for place in np.argsort(-loud, kind="stable"))]
    spread = np.sqrt(window.noise + window.drifting)
    return tuple(
        _curve(window.labels[place], window.streams[:, place], since, kept, float(spread[place]), float(score[place]))
        for place in list(dict.fromkeys(order))[:MOST_CURVES]
    )


def _curve(
    label: StreamLabel,
    values: NDArray[np.float64],
    since: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    spread: float,
    score: float,
) -> Curve:
    pulls = values / spread
    shown: list[float | None] = [None] * len(kept)
    for row, place in enumerate(np.flatnonzero(kept)):
        shown[place] = round(float(pulls[row]), 2) if values[row] != SILENT else None
    mean = float(pulls[since].mean()) if since.any() else 0.0
    return Curve(
        label.name, label.object, label.family, round(spread, 4), tuple(shown), round(mean, 2), round(score, 2)
    )


def _words(window: Window, since: NDArray[np.bool_], one: Contributor) -> str:
    """Say what a part of the evidence saw, which way it went, and by how much."""
    if one.kind == "cell":
        name = one.name.removesuffix(" cells")
        fine = window.fine.get(name)
        where = f" near {physical(fine.cell(one.index), fine.grid).words()}" if fine is not None else ""
        return f"{'more' if one.sign > 0 else 'fewer'} {name}{where}"
    label = window.labels[one.index]
    mean = float(window.streams[since][:, one.index].mean()) if since.any() else 0.0
    toward = {1: "up", -1: "down"}.get(one.sign, "changed")
    if label.family == "scale" or (label.family, label.index) == ("score", 0):
        return f"{label.name} {toward}, {mean * window.effect.get(label.object, 0.0):+.1%} since the onset"
    if label.family == "rate" and since.any():
        seen, want = window.maps[label.object][since].sum(), window.rates[label.object][since].sum()
        return f"{label.name} {toward}, {seen / max(float(want), 1.0) - 1:+.1%} since the onset"
    side = "more" if one.sign > 0 else "fewer"
    return OTHER_WORDS.get(label.family, "{name}: a combination of many inputs").format(
        name=label.name, side=side, toward=toward
    )
