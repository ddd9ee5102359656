"""What kind of cause an alarm has when seed rates lead: one seed or one model, all seeds alike, or a passing glitch.

Inputs come from zero bias: no prescale, menu, firmware or luminometer touches them.  So rates that leave their
prediction while the inputs stay say nothing of the detector that a model could learn, and nothing is retrained.  Where
the inputs moved too, `drift.diagnose` speaks and the rates are told as support.  Pure: numbers in, verdict out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.conditions.declared import Place
from drift.detect import Contributor
from drift.diagnose import Diagnosis
from drift.growth import Floats
from drift.ladder import BROKEN, TRANSIENT
from drift.rate_evidence import SEED, RateEvidence
from drift.stretch import came_back, step_gains, stretch_of

CLEAR = 5.0
"""Benign spreads of a mean beyond which a rate supports what inputs say."""
QUIET = 3.0
"""Below so many it is as predicted, in an alarm that rates raised."""
LEAST = 0.01
"""Relative deviation below which nothing is told as support."""
ALIKE = 0.25
"""Seeds share a factor when each lies within this part of it, or within `QUIET` spreads of its own measurement: what
luminosity does in health it does to all, so it is no reason why one seed should differ from the others."""
STEEP = 0.3
"""Seeds tell pileup from a common factor when their steepness differs by more."""
TO_DO = "call the trigger expert: prescale, menu or firmware; do not retrain"
TO_CHECK = "check luminosity, bunches and dead time; do not retrain"
TO_LEAVE = "keep these lumisections out of training; call nobody"
STEM = re.compile(r"(?:L1_)?[A-Za-z]+")


@dataclass(frozen=True)
class Ruling:
    """A verdict that rests on rates.

    Attributes:
        found: The verdict.
        onset: Run and lumisection at which it began.
        action: What to do.
    """

    found: Diagnosis
    onset: Place
    action: str


@dataclass(frozen=True, eq=False)
class _Moves:
    """What every seed did since an onset, shape ``(n_seeds,)`` each.

    Attributes:
        off: Mean relative deviation.
        error: Standard deviation that such a mean may have, benign wander included.
        own: The same of its measurement alone.
        measured: Which seeds said anything.
    """

    off: Floats
    error: Floats
    own: Floats
    measured: NDArray[np.bool_]

    @property
    def score(self) -> Floats:
        """Deviation in benign spreads, 0 where nothing was measured."""
        return np.where(self.measured, self.off / np.where(self.measured, self.error, 1.0), 0.0)


def rule(
    rates: RateEvidence | None,
    parts: tuple[Contributor, ...],
    inputs: Sequence[tuple[int, int, int]],
    *,
    moved: bool,
) -> Ruling | None:
    """Say what kind of cause an alarm has that rates raised; None when it is not theirs to say.

    Args:
        rates: The evidence of all seeds; None where none are watched.
        parts: Parts of the evidence when the alarm was raised, the strongest first.
        inputs: Count, run and lumisection of the remembered lumisections with inputs, in order.
        moved: Whether the inputs have moved too.
    """
    if rates is None or rates.raised is None or rates.told is not None or moved:
        return None
    lead = next(one for one in parts if one.kind == SEED)
    seen, seed = rates.remembered, lead.index
    lead = next((one for one in rates.contributors() if one.index == seed), lead)
    gains = _gains(seen.sigma[:, seed], rates.reference.benign.noise[seed])
    first, last = stretch_of(gains)
    passed = came_back(gains, seen.clock, (first, last), rates.raised)
    began = int(seen.clock[first]) if passed else lead.start
    onset = rates.place_of(began) or (0, 0)
    clock = next((one[0] for one in inputs if one[1:] >= onset), inputs[-1][0] + 1 if inputs else 0)
    if passed:
        text = f"the rate of {lead.object} left its prediction for {_lumisections(last - first)} and came back"
        return Ruling(Diagnosis(TRANSIENT, lead.object, clock, None, text, "it may come again", 0.0), onset, TO_LEAVE)
    named, text, action = _words(rates, _moves(rates, began), seed)
    since = sum(one[1:] >= onset for one in inputs)
    meanwhile = "while {} inputs did not move" if since else "and no inputs are there to compare"
    against = (
        f"inputs were seen for {_lumisections(since)} since; what takes them longer to show is told when they do"
        if since
        else "without inputs a fault of the detector is not ruled out"
    )
    text = text.format(meanwhile.format("its" if named else "the"))
    return Ruling(Diagnosis(BROKEN, named, clock, None, text, against, 0.0), onset, action)


def support(rates: RateEvidence | None, onset: Place) -> str:
    """Return what rates add to a verdict on the inputs, to be put behind its text; empty when they add nothing."""
    if rates is None or not len(rates.remembered.clock):
        return ""
    seen = rates.remembered
    began = next((int(one) for one, place in zip(seen.clock, seen.places, strict=True) if place >= onset), None)
    if began is None:
        return ""
    moves = _moves(rates, began)
    shared = _shared(rates, moves)
    if shared is not None and abs(shared[0]) >= LEAST:
        what = "all seed rates as of a pileup" if shared[1] else f"the rates of all {int(moves.measured.sum())} seeds"
        return f", and {what} {shared[0]:+.0%}"
    clear = np.flatnonzero((np.abs(moves.score) >= CLEAR) & (np.abs(moves.off) >= LEAST))
    first = sorted(clear, key=lambda k: -abs(moves.score[k]))[:2]
    names = [f"{rates.reference.models[k].seed} rate {moves.off[k]:+.0%}" for k in first]
    return f", and {' and '.join(names)}" if names else ""


def moved_words(rates: RateEvidence, seed: int, began: int) -> str:
    """Return how far one seed is from its prediction since a count, and how sure that is."""
    moves = _moves(rates, began)
    if not moves.measured[seed]:
        return "not counted since the onset"
    return f"{moves.off[seed]:+.1%} since the onset, {abs(moves.score[seed]):.1f} benign spreads"


def _moves(rates: RateEvidence, began: int) -> _Moves:
    seen, benign = rates.remembered, rates.reference.benign
    since = seen.clock >= began
    if not since.any():
        since = seen.clock >= seen.clock[-1:]
    off, sigma = seen.off[since], seen.sigma[since]
    there = ~np.isnan(sigma)
    count = there.sum(axis=0)
    some = np.maximum(count, 1)
    mean = np.where(there, off, 0.0).sum(axis=0) / some
    unit = np.where(there, np.abs(off), 0.0).sum(axis=0) / np.maximum(
        np.where(there, np.abs(sigma), 0.0).sum(axis=0), 1e-12
    )
    error = unit * np.sqrt(benign.noise / some + benign.wander + benign.offset)
    own = unit * np.sqrt(benign.noise / some)
    return _Moves(mean, np.maximum(error, 1e-9), own, (count > 0) & (unit > 0))


def _words(rates: RateEvidence, moves: _Moves, seed: int) -> tuple[str, str, str]:
    """Return whom a verdict names, its sentence with a place for what the inputs did, and what to do."""
    models = rates.reference.models
    shared = _shared(rates, moves)
    if shared is not None:
        factor, of_pileup = shared
        what = "those of a pileup {:.2f} times the published one" if of_pileup else "{:.2f} times their predictions"
        text = (
            f"the rates of all {int(moves.measured.sum())} seeds are {what.format(1 + factor)} {{}}: normalisation: "
            "check luminosity, bunches, dead time"
        )
        return "", text, TO_CHECK
    clear = (np.abs(moves.score) >= QUIET) & (np.abs(moves.off) >= ALIKE * abs(moves.off[seed]))
    clear[seed] = True
    along = sorted(np.flatnonzero(clear), key=lambda k: (k != seed, -abs(moves.score[k])))
    listed = [f"{models[k].seed} is {1 + moves.off[k]:.2f} times its prediction" for k in along[:3]]
    if len(along) == 1:
        text = f"the rate of {listed[0]} {{}}: prescale, menu or firmware"
        return models[seed].seed, text, TO_DO
    more = f" and {len(along) - 3} more" if len(along) > 3 else ""
    stems = {_stem(models[k].seed) for k in along}
    alone = len(stems) == 1
    whose = f" of {stems.pop()}" if alone else ""
    cause = "prescale, menu or firmware" if alone else "prescale, menu, firmware, or what inputs do not show yet"
    text = f"rates{whose} moved, {', '.join(listed)}{more}, {{}}: {cause}"
    return models[seed].seed, text, TO_DO


def _shared(rates: RateEvidence, moves: _Moves) -> tuple[float, bool] | None:
    """Return the factor minus one that all seeds share, and whether it is one of pileup; None when there is none.

    At least two seeds, and half of them, must have moved by themselves: seeds too rare to tell agree with anything.
    """
    there = moves.measured
    toward = np.sign(moves.score[int(np.abs(moves.score).argmax())])
    alone = there & (moves.off * toward >= QUIET * moves.own)
    if there.sum() < 2 or alone.sum() < max(2, there.sum() / 2):
        return None
    steep = np.array([one.steepness for one in rates.reference.models])
    off, error = np.log1p(np.maximum(moves.off, -0.99)), moves.error
    weight = np.where(there, 1 / np.maximum(error, 0.003) ** 2, 0.0)
    for slope, of_pileup in ((np.ones_like(steep), False), (steep, True)):
        factor = float((weight * slope * off).sum() / (weight * slope**2).sum())
        apart = np.abs(off - factor * slope)
        allowed = np.maximum(ALIKE * abs(factor) * np.abs(slope), QUIET * moves.own)
        if (apart <= allowed)[there].all() and (not of_pileup or np.ptp(steep[there]) > STEEP):
            return float(np.expm1(factor)), of_pileup
    return None


def _stem(seed: str) -> str:
    """Return what seeds of one model or object have in common: ``L1_AXO`` of ``L1_AXO_Tight``."""
    found = STEM.match(seed)
    return found[0] if found else seed


def _gains(sigma: Floats, noise: float) -> Floats:
    """Return what each lumisection says for the step that describes the farthest stretch best; 0 where it is silent."""
    silent = np.isnan(sigma)
    _, _, gains = step_gains(np.where(silent, 0.0, sigma) / np.sqrt(noise))
    return np.where(silent, 0.0, gains)


def _lumisections(count: int) -> str:
    return "1 lumisection" if count == 1 else f"{count} lumisections"
