"""What kind of cause an alarm has: a broken detector and where, a real shift, a passing glitch.

The rules follow what faults do and physics cannot: no collision prefers one azimuth, fills a ring with noise, or
empties half an object type at once.  What is left, smooth and alike all around, is a real shift and a candidate for
retraining.  In doubt the answer is "broken detector", because learning a fault is the dearer mistake.  Pure: numbers
in, verdict out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from drift.boxes import Box, CellBox, box_gains, find_box, find_ring, physical
from drift.detect import Contributor
from drift.ladder import BROKEN, TRANSIENT, Rung
from drift.likelihood import Weighed
from drift.profile import MapGrid
from drift.score_rule import AGAINST, score_alone
from drift.stretch import GLITCH_MOST, came_back, onset_of, step_gains, stretch_of
from drift.window import Floats, Window, stream_means

SHIFT = "real_shift"
NOTHING = "nothing measured"

BOX_EVIDENCE = 20.0
"""Log likelihood ratio a box needs: millions of rectangles are tried, whose logarithm is 15."""
CELL_EVIDENCE = 10.0
"""The same for the one cell that carries the alarm."""
BOX_EFFECT = 0.05
"""Least change in a box: azimuthal modulation by the beam spot is one percent."""
RING_EVIDENCE = 20.0
RING_EXCESS = 1.6
RING_LOSS = 0.35
RATE_BAND = (0.5, 2.0)
SECTOR_EVIDENCE = 8.0
CLEAR = 5.0
QUIET = 3.0


@dataclass(frozen=True)
class Diagnosis:
    """A verdict and what it rests on.

    Attributes:
        verdict: ``broken_detector``, ``real_shift`` or ``transient``.
        object: Object type that shows it most, empty when many do.
        onset: Lumisection count at which it began.
        box: Region, when there is one.
        text: What was seen, as an expert would say it, without when.
        against: What speaks against the verdict.
        box_evidence: Log likelihood ratio of the best box.
        rule: Which rule spoke: ``box``, ``cell``, ``sector``, ``direction``, ``ring``, ``rate``, ``noise``, ``mixed``,
            ``score``, ``likelihood``, ``smooth`` when none did, else the verdict.
        left: What a region has of the expected number, 1 without one.
        cause: One of `drift.ladder.CAUSES`.
        rung: The first step that can suffice.
        action: What to do.
        modes: Failure modes that explain it best, the likeliest first; empty without a library.
    """

    verdict: str
    object: str
    onset: int
    box: Box | None
    text: str
    against: str
    box_evidence: float
    rule: str = ""
    left: float = 1.0
    cause: str = ""
    rung: Rung = Rung.NOTHING
    action: str = ""
    modes: tuple[Weighed, ...] = ()


@dataclass(frozen=True)
class _Region:
    """A box of one map that stands out: where, since when, and how much each lumisection speaks for it."""

    grid: MapGrid
    box: CellBox
    onset: int
    gains: Floats
    pointed_at: bool = False

    @property
    def stands_out(self) -> bool:
        """Whether it is enough to call a detector broken."""
        least = CELL_EVIDENCE if self.pointed_at else BOX_EVIDENCE
        return self.box.log_ratio >= least and abs(1 - self.box.left) >= BOX_EFFECT


def diagnose(window: Window, contributors: tuple[Contributor, ...], raised: int) -> Diagnosis:
    """Say what kind of cause an alarm has.

    Args:
        window: The last lumisections, up to and including those waited for after the alarm.
        contributors: The strongest parts of the evidence when the alarm was raised.
        raised: Lumisection count at which the evidence passed its limit.
    """
    region = _best_region(window)
    pointed = _pointed_cell(window, contributors)
    lead = contributors[0]
    if pointed is not None and pointed.stands_out and (region is None or not region.stands_out):
        region = pointed
    if region is not None and region.stands_out:
        first, last = stretch_of(region.gains)
        if came_back(region.gains, window.clock, (first, last), raised):
            where = physical(region.box, region.grid)
            return _transient(int(window.clock[first]), region.grid.object, where, region)
        return _broken_region(region)
    first, last, gains = _stream_segment(window, lead)
    onset = int(window.clock[first])
    if came_back(gains, window.clock, (first, last), raised):
        return _transient(onset, lead.object, None, region)
    since = window.clock >= onset
    evidence = region.box.log_ratio if region is not None else 0.0
    for name, rule in RULES.items():
        seen = rule(window, since, contributors)
        if seen is not None:
            kind, box, text = seen
            against = "no part of the map stands out from its own ring" if box is None else NOTHING
            return Diagnosis(BROKEN, kind, onset, box, text, against, evidence, name)
    if text := score_alone(window.labels, stream_means(window, since)[1].tolist(), contributors):
        return Diagnosis(BROKEN, lead.object, onset, None, text, AGAINST, evidence, "score")
    kind, text = _shift_text(window, since, lead)
    waited = int(window.clock[-1]) - raised + 1
    against = f"it was watched for only {waited} lumisections since the alarm; a slow fault may look smooth at first"
    return Diagnosis(SHIFT, kind, onset, None, text, against, evidence, "smooth")


def _best_region(window: Window) -> _Region | None:
    """Return the best box over objects and starts, with its onset refined."""
    best, name = None, ""
    n = len(window.clock)
    for kind, maps in window.maps.items():
        for back in sorted({min(k, n) for k in (2, 3, 6, 12, 24, 64)}):
            box = find_box(maps[n - back :].sum(axis=0).astype(float), window.expected[kind][n - back :].sum(axis=0))
            if best is None or box.log_ratio > best.log_ratio:
                best, name = box, kind
    if best is None or best.log_ratio <= 0:
        return None
    maps, expected = window.maps[name].astype(np.float64), window.expected[name]
    start = onset_of(box_gains(best, maps, expected))
    refined = find_box(maps[start:].sum(axis=0), expected[start:].sum(axis=0))
    chosen = refined if refined.log_ratio >= best.log_ratio else best
    gains = box_gains(chosen, maps, expected)
    return _Region(window.grids[name], chosen, int(window.clock[onset_of(gains)]), gains)


def _pointed_cell(window: Window, contributors: tuple[Contributor, ...]) -> _Region | None:
    """Return the cell that carries the alarm, when one does, measured against the rest of its own rings.

    The evidence has paid for having looked at every cell, so less is asked of it than of a box that was searched for.
    """
    for one in contributors:
        if one.kind == "cell" and one.log_evidence >= SECTOR_EVIDENCE:
            fine = window.fine[one.name.removesuffix(" cells")]
            box, start = fine.cell(one.index), 0
            gains = np.zeros(len(window.clock))
            for _ in range(3):
                rows, columns = slice(box.eta_first, box.eta_last), box.columns(fine.seen.shape[2])
                seen, want = fine.seen[start:, rows].sum(axis=0), fine.expected[start:, rows].sum(axis=0)
                inside = float(seen[:, columns].sum()), float(want[:, columns].sum())
                around = (float(seen.sum()) - inside[0]) / max(float(want.sum()) - inside[1], 1e-9)
                left = (inside[0] + 0.5) / max(inside[1] * around + 0.5, 1e-9)
                box = CellBox(box.eta_first, box.eta_last, box.phi_first, box.phi_width, left, 0.0)
                gains = box_gains(box, fine.seen, fine.expected)
                start = onset_of(gains)
            ratio = float(gains[start:].sum())
            found = CellBox(box.eta_first, box.eta_last, box.phi_first, box.phi_width, box.left, ratio)
            return _Region(fine.grid, found, int(window.clock[start]), gains, pointed_at=True)
    return None


def _stream_segment(window: Window, lead: Contributor) -> tuple[int, int, Floats]:
    """Return the stretch in which the leading stream departed most, and what each lumisection says for that step."""
    if lead.kind == "cell":
        kind = lead.name.removesuffix(" cells")
        distance = ((window.maps[kind] - window.expected[kind]) ** 2 / np.maximum(window.expected[kind], 0.5)).mean(
            axis=(1, 2)
        )
        usual = float(np.median(np.abs(distance - np.median(distance))))
        series = (distance - 1.0) / max(usual, 0.02)
    else:
        series = window.streams[:, lead.index] / np.sqrt(window.noise[lead.index])
    return step_gains(series)


def _transient(onset: int, kind: str, box: Box | None, region: _Region | None) -> Diagnosis:
    text = f"{kind or 'several objects'} departed for at most {GLITCH_MOST} lumisections and came back"
    evidence = region.box.log_ratio if region is not None else 0.0
    return Diagnosis(TRANSIENT, kind, onset, box, text, "it may come again", evidence, TRANSIENT)


def _broken_region(region: _Region) -> Diagnosis:
    box, kind = physical(region.box, region.grid), region.grid.name
    left = region.box.left
    what = f"{kind} loss of {1 - left:.0%}" if left < 1 else f"{left:.1f} times the usual {kind}"
    text = f"{what} in {box.words()}, against the rest of the same rings"
    rule = "cell" if region.pointed_at else "box"
    return Diagnosis(BROKEN, region.grid.object, region.onset, box, text, NOTHING, region.box.log_ratio, rule, left)


_Seen = tuple[str, Box | None, str]
_Rule = Callable[[Window, NDArray[np.bool_], tuple[Contributor, ...]], _Seen | None]


def _sector(window: Window, since: NDArray[np.bool_], contributors: tuple[Contributor, ...]) -> _Seen | None:
    """Azimuthal sectors that changed."""
    del since
    for one in contributors:
        if one.kind == "phi" and one.log_evidence >= SECTOR_EVIDENCE:
            grid = window.grids[one.object]
            label = window.labels[one.index]
            width = grid.shape[1] // 12
            box = physical(CellBox(0, grid.shape[0], label.index * width, width, 1.0, 0.0), grid)
            word = "fewer" if one.sign < 0 else "more"
            return one.object, box, f"{word} {one.object} in {label.name.split(' ', 1)[1]} than in the other sectors"
    return None


def _direction(window: Window, since: NDArray[np.bool_], contributors: tuple[Contributor, ...]) -> _Seen | None:
    """Missing momentum that prefers a direction."""
    del contributors
    seen = window.met_phi[since].sum(axis=0)
    want = window.met_phi_expected * seen.sum()
    chi2 = float(((seen - want) ** 2 / np.maximum(want * 1.1, 1.0)).sum())
    if seen.sum() > 200 and chi2 > 11 + 6 * np.sqrt(22) + 0.0005 * seen.sum():
        sector = int(np.argmax(np.abs(seen - want)))
        return (
            "MET",
            None,
            f"missing momentum prefers a direction, most near {30 * sector} to {30 * sector + 30} degrees",
        )
    return None


def _ring(window: Window, since: NDArray[np.bool_], contributors: tuple[Contributor, ...]) -> _Seen | None:
    """A ring full of noise, or dead all around."""
    del contributors
    found: tuple[float, _Seen] | None = None
    for kind in window.rates:
        maps = window.maps[kind]
        ring = find_ring(maps[since].sum(axis=(0, 2)).astype(float), window.expected[kind][since].sum(axis=(0, 2)))
        odd = ring.left >= RING_EXCESS or ring.left <= RING_LOSS
        if odd and ring.log_ratio >= RING_EVIDENCE and (found is None or ring.log_ratio > found[0]):
            grid = window.grids[kind]
            box = physical(CellBox(ring.first, ring.last, 0, grid.shape[1], ring.left, ring.log_ratio), grid)
            what = f"{ring.left:.1f} times the usual {kind}" if ring.left > 1 else f"{kind} loss of {1 - ring.left:.0%}"
            text = f"{what} all around at eta {box.eta[0]:.2f} to {box.eta[1]:.2f}, as noise or a dead ring would give"
            found = (ring.log_ratio, (kind, box, text))
    return found[1] if found is not None else None


def _rate(window: Window, since: NDArray[np.bool_], contributors: tuple[Contributor, ...]) -> _Seen | None:
    """An object type whose number per event halved or doubled."""
    del contributors
    for kind in window.rates:
        maps = window.maps[kind]
        seen, want = float(maps[since].sum()), float(window.rates[kind][since].sum())
        ratio = seen / max(want, 1.0)
        if want > 50 and not RATE_BAND[0] <= ratio <= RATE_BAND[1]:
            return kind, None, f"{kind} per event is {ratio:.2f} of the expected number, everywhere"
    return None


def _noise(window: Window, since: NDArray[np.bool_], contributors: tuple[Contributor, ...]) -> _Seen | None:
    """Missing momentum that grew although no object did."""
    del contributors
    mean, score = stream_means(window, since)
    met = others = 0.0
    for place, label in enumerate(window.labels):
        if label.family in {"scale", "rate"}:
            if label.object == "MET":
                met = float(score[place]) if mean[place] > 0 else 0.0
            else:
                others = max(others, abs(float(score[place])))
    if met > CLEAR and others < QUIET:
        words = "missing momentum grew while jets, e/gamma and muons stayed, as noise in the sums would give"
        return "MET", None, words
    return None


def _mixed(window: Window, since: NDArray[np.bool_], contributors: tuple[Contributor, ...]) -> _Seen | None:
    """Missing momentum that no longer follows jets and e/gamma although energies stayed."""
    _, score = stream_means(window, since)
    lead = contributors[0]
    mixed = max((float(score[i]) for i, one in enumerate(window.labels) if one.family == "mix"), default=0.0)
    energies = [abs(float(score[i])) for i, one in enumerate(window.labels) if one.family in {"scale", "rate"}]
    leads = lead.kind == "mix" and lead.sign > 0 and lead.log_evidence >= SECTOR_EVIDENCE
    if (leads or mixed > CLEAR) and max(energies, default=0.0) < QUIET:
        return "MET", None, "missing momentum follows its recoil less than it did, as events mixed up would give"
    return None


RULES: Mapping[str, _Rule] = MappingProxyType(
    {"sector": _sector, "direction": _direction, "ring": _ring, "rate": _rate, "noise": _noise, "mixed": _mixed}
)
"""What no physics does, in the order in which it is asked; each ends the search."""


def _shift_text(window: Window, since: NDArray[np.bool_], lead: Contributor) -> tuple[str, str]:
    """Say which scales and rates moved, and by how much."""
    mean, score = stream_means(window, since)
    parts: list[tuple[float, str, str]] = []
    for place, label in enumerate(window.labels):
        if label.family == "scale" and abs(score[place]) > QUIET:
            size = float(mean[place]) * window.effect[label.object]
            parts.append((abs(float(score[place])), label.object, f"{label.object} pt scale {size:+.1%}"))
        elif label.family == "rate" and abs(score[place]) > QUIET:
            seen, want = window.maps[label.object][since].sum(), window.rates[label.object][since].sum()
            parts.append((abs(float(score[place])), label.object, f"{label.object} per event {seen / want - 1:+.1%}"))
    parts.sort(reverse=True)
    if not parts:
        return lead.object, f"{lead.name} moved smoothly, alike all around in azimuth"
    kind = parts[0][1] if len({one for _, one, _ in parts}) == 1 else ""
    return kind, f"{', '.join(text for _, _, text in parts[:4])}, alike all around in azimuth"
