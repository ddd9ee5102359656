"""What an alarm amounts to: the rules' verdict, weighed against a library of failure modes, and what to do about it.

The rules of `drift.diagnose` know what no physics does; what they call a broken detector stays one.  What they find
smooth is a real shift only when a mode that is no fault explains it clearly better than every mode that is one: in
doubt the answer is "broken detector", because learning a fault is the dearer mistake.  Pure.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drift.boxes import Box, CellBox, box_gains
from drift.detect import Contributor
from drift.diagnose import NOTHING, QUIET, SHIFT, Diagnosis, diagnose
from drift.ladder import AGEING, BROKEN, CONDITIONS, Rung, action_of, rung_of
from drift.likelihood import Weighed, Weighing, step_of, usable, weigh
from drift.reference import Reference
from drift.streams import SILENT
from drift.window import FineMap, Window, stream_means

Bools = NDArray[np.bool_]

MARGIN = 3.0
"""Log likelihood ratio, twenty to one, by which a real shift must beat every broken detector."""
ODD = 2.0
LEAST_SHARE = 0.5
"""What the best real shift leaves may be odd by so many standard deviations only if it explains half of it all."""
SEARCH_PRICE = 15.0
"""Logarithm of the number of rectangles that are tried for a box."""
CELL_PRICE = 5.0
"""The evidence has already paid for having looked at every cell; what is left is for its size and start."""
AGREES = 10.0
"""Log likelihood ratio with which another object type shows the same place."""
MOST_MODES = 3
COLUMN_STEP = 0.1
"""Prescale columns lie about a fifth apart: a luminosity farther off than half of it has the wrong one."""
SCALES = ("EG", "JET", "MET")
CALORIMETER = ("EG", "JET")
"""Object types with a map that the same detector sees: a place lost to one should be lost to the other."""


def judge(window: Window, contributors: tuple[Contributor, ...], raised: int, reference: Reference) -> Diagnosis:
    """Say what kind of cause an alarm has, which failure modes explain it, and what to do.

    Args:
        window: The last lumisections, up to and including those waited for after the alarm.
        contributors: The strongest parts of the evidence when the alarm was raised.
        raised: Lumisection count at which the evidence passed its limit.
        reference: What was expected; without a library the rules decide alone.
    """
    found = diagnose(window, contributors, raised)
    if found.verdict not in {BROKEN, SHIFT} or found.rule == "score":
        return concluded(found)
    since = window.clock >= found.onset
    if found.rule in {"box", "cell"} and found.box is not None:
        found = _asked_others(window, since, found, found.box)
    weighing = _weighing(window, since, reference)
    found = _weighed(found, weighing, _largest_scale(window, since))
    kind = found.object or _loudest(contributors)
    return replace(found, object=kind)


def concluded(found: Diagnosis) -> Diagnosis:
    """Return a verdict that needs no weighing, of a glitch, a breach or ageing over fills, with what to do."""
    cause = AGEING if found.verdict == SHIFT else found.verdict
    rung = Rung.WEIGHTS if found.verdict == SHIFT else rung_of(cause, 0.0)
    return replace(found, cause=cause, rung=rung, action=action_of(cause, rung))


def _weighing(window: Window, since: Bools, reference: Reference) -> Weighing | None:
    heard = ~(window.streams[since] == SILENT).any(axis=0)  # one that took no part has not stood still
    used = usable(window.labels, reference.check.sound & heard)
    if reference.signatures is None or not since.any() or not used.any():
        return None
    step = step_of(window.streams, since, window.clock, window.fill, window.factor, reference.benign)
    return weigh(step, reference.correlation, used, reference.signatures, float(window.pileup[since].mean()))


def _weighed(found: Diagnosis, weighing: Weighing | None, scale: float) -> Diagnosis:
    if weighing is None or not weighing.modes:
        cause = BROKEN if found.verdict == BROKEN else AGEING if scale else CONDITIONS
        rung = rung_of(cause, scale)
        return replace(found, cause=cause, rung=rung, action=action_of(cause, rung))
    if found.rule in {"box", "cell"}:
        return _in_place(found, weighing)
    broken, shift = weighing.best(broken=True), weighing.best(broken=False)
    if found.verdict == BROKEN:
        return _told(found, weighing, broken, _against_broken(found, broken, shift))
    doubt = _doubt(weighing, broken, shift)
    if doubt:
        known = broken is not None and broken is weighing.modes[0]
        kind, like = ("", "like nothing that is known")
        if known and broken is not None:
            kind, like = broken.object, f"most like {_said(broken)}"
        text = f"{found.text}; {like}"
        found = replace(found, verdict=BROKEN, object=kind or found.object, text=text, rule="likelihood")
        return _told(found, weighing, broken, doubt)
    assert shift is not None
    behind = f"{_said(broken)} is {_times(shift, broken)} less likely" if broken is not None else "no fault was asked"
    odd = "; no failure mode explains all of it" if weighing.unforeseen else ""
    told = replace(found, object=shift.object or found.object, text=f"{found.text}; most like {_said(shift)}")
    return _told(told, weighing, shift, f"{behind}{odd}; {found.against}", scale)


def _doubt(weighing: Weighing, broken: Weighed | None, shift: Weighed | None) -> str:
    """Return why a smooth change is not called a real shift; empty when it is."""
    if shift is None:
        return "the library has no real shift to compare with"
    ahead = shift.log_likelihood - (broken.log_likelihood if broken is not None else 0.0)
    if ahead < MARGIN:
        return (
            f"it is smooth, alike all around; {_said(shift)} has log likelihood ratio {ahead:+.1f} against the best "
            f"broken detector, {MARGIN:.0f} needed for a real shift"
        )
    if weighing.misfit > ODD and weighing.share < LEAST_SHARE:
        return (
            f"it is smooth, alike all around, but nothing known explains it: the likeliest, {_said(shift)}, accounts "
            f"for {weighing.share:.0%} of it, {LEAST_SHARE:.0%} needed for a real shift"
        )
    return ""


def _against_broken(found: Diagnosis, broken: Weighed | None, shift: Weighed | None) -> str:
    if shift is None or shift.log_likelihood <= 0 or broken is None:
        return found.against
    ahead = shift.log_likelihood - broken.log_likelihood
    side = "better" if ahead > 0 else "less well"
    return (
        f"as a real shift, {_said(shift)} would explain the inputs {side} than {_said(broken)} (log likelihood ratio "
        f"{ahead:+.1f}); the rule that spoke does not depend on it"
    )


def _told(found: Diagnosis, weighing: Weighing, best: Weighed | None, against: str, scale: float = 0.0) -> Diagnosis:
    cause = BROKEN if found.verdict == BROKEN or best is None else best.cause
    off = best is not None and best.cause == CONDITIONS and abs(best.size) > COLUMN_STEP
    rung = rung_of(cause, 0.0 if cause == CONDITIONS else scale, luminosity=off)
    modes = weighing.modes[:MOST_MODES]
    return replace(found, cause=cause, rung=rung, action=action_of(cause, rung), modes=modes, against=against)


def _in_place(found: Diagnosis, weighing: Weighing) -> Diagnosis:
    """Return a broken region with the box itself as the first mode.

    A box has no signature in the streams, its place being anywhere: it is taken to explain them as well as the best
    mode does, and the map besides, less the price of having searched.
    """
    price = SEARCH_PRICE if found.rule == "box" else CELL_PRICE
    level = weighing.modes[0].log_likelihood + found.box_evidence - price
    odds = np.exp(np.clip([one.log_likelihood - level for one in weighing.modes], -700, 700))
    total = 1.0 + float(odds.sum())
    lost = found.left < 1
    words = f"{found.object} {'lost' if lost else 'added'} in one place"
    name = "dead_region" if lost else "hot_region"
    size = 1 - found.left if lost else found.left
    place = Weighed(name, words, found.object, BROKEN, size, level, 1.0 / total)
    others = [replace(one, probability=float(odd / total)) for one, odd in zip(weighing.modes, odds, strict=True)]
    rung = rung_of(BROKEN, 0.0)
    return replace(
        found, cause=BROKEN, rung=rung, action=action_of(BROKEN, rung), modes=(place, *others[: MOST_MODES - 1])
    )


def _asked_others(window: Window, since: Bools, found: Diagnosis, box: Box) -> Diagnosis:
    """Ask every object type about the place; it is laid to the one whose maps say most.

    What speaks against it is an object that the same detector sees and in whose map the place is as ever.  That muons
    know nothing of a calorimeter's loss, or jets of a muon chamber's, speaks against nothing.
    """
    evidence: dict[str, float] = {}
    for fine in window.fine.values():
        if fine.grid.object in window.rates:
            gained = place_evidence(fine, since, box)
            evidence[fine.grid.object] = evidence.get(fine.grid.object, 0.0) + gained
    if not evidence:
        return found
    with_it = [kind for kind, gained in evidence.items() if kind != found.object and gained >= AGREES]
    kind = max(evidence, key=lambda one: evidence[one])
    without = [
        one
        for one in CALORIMETER
        if kind in CALORIMETER and one not in {kind, found.object} and evidence.get(one, AGREES) < AGREES
    ]
    text = f"{found.text}; the same place stands out in {' and '.join(with_it)}" if with_it else found.text
    against = f"the same place does not stand out in {' and '.join(without)}, which the same calorimeter sees"
    return replace(found, object=kind, text=text, against=against if without else NOTHING)


def place_evidence(fine: FineMap, since: Bools, box: Box) -> float:
    """Return the log likelihood ratio of a change at a known place of one map, against the rest of its rings."""
    place = _cells(fine, box)
    seen, want = fine.seen[since].sum(axis=0), fine.expected[since].sum(axis=0)
    rows, columns = slice(place.eta_first, place.eta_last), place.columns(fine.seen.shape[2])
    inside = float(seen[rows][:, columns].sum()), float(want[rows][:, columns].sum())
    around = (float(seen[rows].sum()) - inside[0] + 0.5) / max(float(want[rows].sum()) - inside[1] + 0.5, 1e-9)
    left = (inside[0] + 0.5) / max(inside[1] * around + 0.5, 1e-9)
    measured = CellBox(place.eta_first, place.eta_last, place.phi_first, place.phi_width, left, 0.0)
    return float(box_gains(measured, fine.seen[since], fine.expected[since]).sum())


def _cells(fine: FineMap, box: Box) -> CellBox:
    """Return the cells of a map that cover a region, at least one."""
    grid, (n_eta, n_phi) = fine.grid, fine.seen.shape[1:]
    edges = [(edge / grid.eta_lsb + 0.5 - grid.eta_low) / grid.eta_step for edge in box.eta]
    first = int(np.clip(round(edges[0]), 0, n_eta - 1))
    last = int(np.clip(round(edges[1]), first + 1, n_eta))
    turn = 2 * np.pi / n_phi
    width = int(np.clip(round((box.phi[1] - box.phi[0]) / turn), 1, n_phi))
    return CellBox(first, last, round(box.phi[0] / turn) % n_phi, width, 1.0, 0.0)


def _largest_scale(window: Window, since: Bools) -> float:
    """Return the relative pt scale of calorimeter or sums that moved most and clearly, 0 when none did."""
    if not since.any():
        return 0.0
    mean, score = stream_means(window, since)
    moved = [
        float(mean[place]) * window.effect[label.object]
        for place, label in enumerate(window.labels)
        if label.family == "scale" and label.object in SCALES and abs(float(score[place])) > QUIET
    ]
    return max(moved, key=abs, default=0.0)


def _loudest(contributors: tuple[Contributor, ...]) -> str:
    """Return the object type whose parts of the evidence add up to most."""
    total: dict[str, float] = {}
    for one in contributors:
        if one.object:
            total[one.object] = total.get(one.object, 0.0) + max(one.log_evidence, 0.0)
    return max(total, key=lambda one: total[one], default="")


def _said(mode: Weighed) -> str:
    return f"{mode.words} ({mode.size:+.2g})"


def _times(one: Weighed, other: Weighed) -> str:
    ratio = one.log_likelihood - other.log_likelihood
    return f"{np.exp(ratio):.0f} times" if ratio < np.log(1e6) else f"e^{ratio:.0f} times"
