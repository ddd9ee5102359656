"""What an alarm is not: each rule of `drift.diagnose` that did not fire, and the number that kept it from firing.

People believe a verdict when they see how far the others were from being right.  The rules themselves are
`drift.diagnose`'s, in its order; here they are only measured again and put into words.  Pure.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.boxes import Box, CellBox, find_box, find_ring, physical
from drift.detect import Contributor
from drift.diagnose import (
    BOX_EFFECT,
    BOX_EVIDENCE,
    CLEAR,
    QUIET,
    RATE_BAND,
    RING_EVIDENCE,
    RING_EXCESS,
    RING_LOSS,
    SECTOR_EVIDENCE,
    SHIFT,
    Diagnosis,
)
from drift.ladder import BROKEN, CONTRACT, TRANSIENT
from drift.stretch import GLITCH_MOST
from drift.window import Window, stream_means

Bools = NDArray[np.bool_]
LEAST_EVENTS = 200
SECTORS = 12


@dataclass(frozen=True)
class Ruled:
    """One rule that did not fire.

    Attributes:
        rule: Its name, e.g. ``box``.
        words: One sentence with the number.
        measured: The number, None where there is none.
        needed: What it would have taken, None where no single number says it.
    """

    rule: str
    words: str
    measured: float | None = None
    needed: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {"rule": self.rule, "measured": self.measured, "needed": self.needed, "words": self.words}


def ruled_out(
    window: Window, since: Bools, contributors: tuple[Contributor, ...], found: Diagnosis, breaches: int
) -> tuple[Ruled, ...]:
    """Return what the verdict is not, in the order in which the rules are asked.

    Args:
        window: The remembered lumisections.
        since: Those since the onset.
        contributors: The strongest parts of the evidence.
        found: The verdict.
        breaches: Remembered lumisections at which a column broke its contract.
    """
    if found.verdict == CONTRACT or not since.any():
        return ()
    fired = {found.verdict}
    if found.verdict == BROKEN:
        fired.add("box" if _is_region(found) else "")
    asked = (
        _contract(window, breaches),
        _transient(window, since, contributors[0], found),
        _box(window, since, found),
        _sector(contributors),
        _direction(window, since),
        _ring(window, since),
        _rate(window, since),
        _noise(window, since),
        _mixed(window, since),
        _shift(found),
    )
    return tuple(one for one in asked if one is not None and one.rule not in fired)


def _is_region(found: Diagnosis) -> bool:
    """Whether a box of its own, not a sector, a ring or a number, made the verdict."""
    return found.rule in {"box", "cell"}


def _contract(window: Window, breaches: int) -> Ruled | None:
    if breaches:
        return None
    words = (
        f"the input keeps its contract: in {len(window.clock)} lumisections no column was constant, saturated, out of "
        "range or in another unit"
    )
    return Ruled("contract", words, 0.0, 1.0)


def _transient(window: Window, since: Bools, lead: Contributor, found: Diagnosis) -> Ruled:
    total = int(since.sum())
    words = f"not a transient: {total} lumisections since the onset"
    measured = total
    if lead.kind != "cell":
        values = window.streams[since][:, lead.index]
        measured = int((values * np.sign(values.mean()) > 0).sum())
        words = f"not a transient: {measured} of {total} lumisections since the onset speak for it"
    if found.box is not None:
        words = f"not a transient: {total} lumisections since the onset, and the region has not come back"
    return Ruled(TRANSIENT, f"{words}; a transient has at most {GLITCH_MOST}", float(measured), float(GLITCH_MOST))


def _box(window: Window, since: Bools, found: Diagnosis) -> Ruled | None:
    best: tuple[CellBox, Box, str] | None = None
    for name, maps in window.maps.items():
        box = find_box(maps[since].sum(axis=0).astype(np.float64), window.expected[name][since].sum(axis=0))
        if best is None or box.log_ratio > best[0].log_ratio:
            best = (box, physical(box, window.grids[name]), name)
    if best is None:
        return None
    evidence = max(found.box_evidence, best[0].log_ratio)
    where = f", since the onset at {best[2]} {best[1].words()}" if best[0].log_ratio > 0 else ""
    if evidence >= BOX_EVIDENCE and abs(1 - best[0].left) >= BOX_EFFECT:
        return None
    short = (
        f"best log likelihood ratio {evidence:.1f} of {BOX_EVIDENCE:.0f} needed"
        if evidence < BOX_EVIDENCE
        else f"the best one changed by {abs(1 - best[0].left):.1%}, {BOX_EFFECT:.0%} needed"
    )
    return Ruled("box", f"no box stands out from its own rings: {short}{where}", round(evidence, 2), BOX_EVIDENCE)


def _sector(contributors: tuple[Contributor, ...]) -> Ruled | None:
    sectors = [one for one in contributors if one.kind == "phi"]
    if not sectors:
        words = "no azimuthal sector is among the strongest parts of the evidence"
        return Ruled("sector", words, None, SECTOR_EVIDENCE)
    best = max(sectors, key=lambda one: one.log_evidence)
    if best.log_evidence >= SECTOR_EVIDENCE:
        return None
    words = (
        f"no azimuthal sector departs by itself: log evidence {best.log_evidence:.1f} of {SECTOR_EVIDENCE:.0f} needed "
        f"in {best.name}"
    )
    return Ruled("sector", words, round(best.log_evidence, 2), SECTOR_EVIDENCE)


def met_direction(window: Window, since: Bools) -> tuple[float, float, float]:
    """Return chi-squared of missing momentum's directions, what it would take to prefer one, and the events."""
    seen = window.met_phi[since].sum(axis=0)
    events = float(seen.sum())
    want = window.met_phi_expected * events
    chi2 = float(((seen - want) ** 2 / np.maximum(want * 1.1, 1.0)).sum())
    return chi2, 11 + 6 * float(np.sqrt(22)) + 0.0005 * events, events


def _direction(window: Window, since: Bools) -> Ruled | None:
    chi2, needed, events = met_direction(window, since)
    if events <= LEAST_EVENTS:
        words = f"missing momentum: {events:.0f} events are too few to ask for its direction"
        return Ruled("direction", words, None, needed)
    if chi2 > needed:
        return None
    words = (
        f"missing momentum keeps no direction: chi-squared of {SECTORS} sectors {chi2:.0f}, "
        f"more than {needed:.0f} needed"
    )
    return Ruled("direction", words, round(chi2, 1), round(needed, 1))


def _ring(window: Window, since: Bools) -> Ruled | None:
    best: tuple[float, float, str] | None = None
    for kind in window.rates:
        seen, want = window.maps[kind][since].sum(axis=(0, 2)), window.expected[kind][since].sum(axis=(0, 2))
        ring = find_ring(seen.astype(np.float64), want)
        if (ring.left >= RING_EXCESS or ring.left <= RING_LOSS) and ring.log_ratio >= RING_EVIDENCE:
            return None
        grid = window.grids[kind]
        box = physical(CellBox(ring.first, ring.last, 0, grid.shape[1], ring.left, ring.log_ratio), grid)
        if ring.log_ratio > 0 and (best is None or ring.log_ratio > best[0]):
            best = (ring.log_ratio, ring.left, f"{kind} at eta {box.eta[0]:.2f} to {box.eta[1]:.2f}")
    band = f"{RING_LOSS} or {RING_EXCESS} of the usual needed, at log likelihood ratio {RING_EVIDENCE:.0f}"
    if best is None:
        return Ruled("ring", f"no ring is full of noise or dead all around: none departs ({band})")
    words = (
        f"no ring is full of noise or dead all around: the most different, {best[2]}, has {best[1]:.2f} of the usual "
        f"at log likelihood ratio {best[0]:.1f} ({band})"
    )
    return Ruled("ring", words, round(best[1], 3), RING_EXCESS if best[1] > 1 else RING_LOSS)


def _rate(window: Window, since: Bools) -> Ruled | None:
    ratios = {}
    for kind, rate in window.rates.items():
        want = float(rate[since].sum())
        if want > 50:
            ratios[kind] = float(window.maps[kind][since].sum()) / want
    if any(not RATE_BAND[0] <= one <= RATE_BAND[1] for one in ratios.values()):
        return None
    listed = ", ".join(f"{kind} {one:.2f}" for kind, one in ratios.items()) or "too few objects to say"
    words = f"no object halved or doubled: per event, of the expected number, {listed}"
    far = max(ratios.values(), key=lambda one: abs(np.log(max(one, 1e-9))), default=None)
    limit = None if far is None else RATE_BAND[1] if far > 1 else RATE_BAND[0]
    return Ruled("rate", words, None if far is None else round(far, 3), limit)


def _energies(window: Window, score: NDArray[np.float64], *, met: bool) -> float:
    """Return the largest departure of a scale or rate, in benign spreads, of missing momentum or of all others."""
    of = [
        abs(float(score[place]))
        for place, label in enumerate(window.labels)
        if label.family in {"scale", "rate"} and (label.object == "MET") == met
    ]
    return max(of, default=0.0)


def _noise(window: Window, since: Bools) -> Ruled | None:
    mean, score = stream_means(window, since)
    grown = [
        float(score[place])
        for place, label in enumerate(window.labels)
        if label.family in {"scale", "rate"} and label.object == "MET" and mean[place] > 0
    ]
    met, others = max(grown, default=0.0), _energies(window, score, met=False)
    if met > CLEAR and others < QUIET:
        return None
    words = f"missing momentum did not grow: {met:.1f} benign spreads, more than {CLEAR:.0f} needed"
    if met > CLEAR:
        words = (
            f"missing momentum grew by {met:.1f} benign spreads, but not alone: other objects moved by {others:.1f}, "
            f"less than {QUIET:.0f} needed"
        )
    return Ruled("noise", words, round(met, 2), CLEAR)


def _mixed(window: Window, since: Bools) -> Ruled | None:
    _, score = stream_means(window, since)
    streams = [float(score[place]) for place, one in enumerate(window.labels) if one.family == "mix"]
    if not streams:
        return None
    mixed = max(streams)
    energies = max(_energies(window, score, met=True), _energies(window, score, met=False))
    if mixed > CLEAR and energies < QUIET:
        return None
    words = (
        f"missing momentum follows its recoil as it did: its angle departs by {mixed:.1f} benign spreads, "
        f"more than {CLEAR:.0f} needed"
    )
    if mixed > CLEAR:
        words = (
            f"missing momentum follows its recoil less, by {mixed:.1f} benign spreads, but energies moved too, by "
            f"{energies:.1f}, less than {QUIET:.0f} needed"
        )
    return Ruled("mixed", words, round(mixed, 2), CLEAR)


def _shift(found: Diagnosis) -> Ruled | None:
    if found.verdict != BROKEN:
        return None
    if found.rule == "likelihood":
        return Ruled(SHIFT, f"not called a real shift: {found.against}")
    words = (
        "not called a real shift: no collision does this; in doubt a detector is called broken, because learning a "
        "fault is the dearer mistake"
    )
    return Ruled(SHIFT, words)
