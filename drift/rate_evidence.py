"""What the rates of all seeds add to a sum of evidence: deviations gathered, remembered, and kept over a restart.

The deviations go through the same benign model and the same evidence as every other stream.  Where a seed is silent,
off, or outside its pileups, its evidence stands still.  Whether there is an alarm is asked by those who hold one of
these: `drift.rate_watch` of rates alone, `drift.watch` of inputs and rates together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.benign import CLIP, SHIFTS, FillFilter
from drift.conditions import Conditions
from drift.conditions.declared import Place
from drift.counters import SeedCount
from drift.detect import RECENT, SPARSE, UNMEASURED, Contributor, Evidence, Weights
from drift.errors import StateError
from drift.growth import Floats
from drift.rate_reference import RateReference, exposure
from drift.rates import RateModel
from drift.succession import begins, fill_of, late, lost, told_fill

SEED = "seed"
"""Kind of a contributor that is a seed's rate; its start counts lumisections with counters, not those with inputs."""
TRAIL = 16 * SPARSE + RECENT
"""Lumisections whose names are kept, as many as evidence can reach back."""
STEPS = (*SHIFTS, 20.0)
"""Luminosity lets a fill begin many measurement spreads away from its prediction: without a step larger than that, what
is a fifth off from a fill's first lumisection on is taken for the fill's own before it has said anything."""
STATE = 2
"""Version of what `RateEvidence.pack` takes apart."""
ABSENT = 10
"""Lumisections without a seed, while others are counted, after which it is gone."""
LENGTH = 64
"""Lumisections whose deviations are kept, for a verdict."""


@dataclass(frozen=True)
class SeedDeviation:
    """What one seed shows in one lumisection.

    Attributes:
        seed: Name.
        observed_hz: Rate, corrected for dead time and prescale.
        predicted_hz: Expected rate.
        low_hz: Lower end of the 95 % interval of one measurement.
        high_hz: Upper end.
        scatter: Relative standard deviation of one measurement.
        sigma: Deviation in such standard deviations.
    """

    seed: str
    observed_hz: float
    predicted_hz: float
    low_hz: float
    high_hz: float
    scatter: float
    sigma: float


@dataclass(frozen=True)
class Heard:
    """What one lumisection's counters came to.

    Attributes:
        state: Empty when they were taken in; otherwise ``excluded``, ``out_of_support`` or ``data_gap``.
        reason: Why they were not, in words.
        seeds: What every watched seed shows.
        note: Which watched seeds have stopped to be counted, at the one lumisection at which that is certain.
    """

    state: str
    reason: str = ""
    seeds: tuple[SeedDeviation, ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False)
class Remembered:
    """The last lumisections with counters, at most `LENGTH`.

    Attributes:
        clock: Count of each, rising, shape ``(n,)``.
        places: Run and lumisection of each.
        off: Observed over predicted rate minus one, shape ``(n, n_seeds)``; NaN where a seed said nothing.
        sigma: The same in standard deviations of one measurement.
    """

    clock: NDArray[np.int64]
    places: tuple[Place, ...]
    off: Floats
    sigma: Floats


class RateEvidence:
    """Gathers evidence over the seeds of a reference.

    Attributes:
        reference: What is expected.
        raised: Count at which rates, leading, took a sum of evidence over its limit; None when they did not.
        told: Run and lumisection at which an alarm of rates was told that nobody has acknowledged.
    """

    def __init__(self, reference: RateReference) -> None:
        self.reference = reference
        self.raised: int | None = None
        self.told: Place | None = None
        self._weights = Weights.of(reference.labels, ())
        self._evidence = Evidence.fresh(reference.benign, (), shifts=STEPS)
        self._fill: int | None = None
        self._told_fill: tuple[int, int] | None = None
        self._pileup: float | None = None
        self._absent = [0] * len(reference.models)
        self._trail: list[tuple[int, int, int]] = []
        self._off = np.zeros((0, len(reference.models)))
        self._sigma = np.zeros((0, len(reference.models)))

    # --- gathering ------------------------------------------------------------------------------------------------

    def take(self, conditions: Conditions, counts: Mapping[str, SeedCount]) -> Heard:
        """Take one lumisection in, in order of time; one that says nothing leaves everything as it was."""
        if not conditions.usable or conditions.pileup is None:
            return Heard("excluded", conditions.obstacle)
        last, place = self.last, (conditions.run, conditions.lumisection)
        if words := late(last, place):
            return Heard("excluded", words)
        pileup, models = conditions.pileup, self.reference.models
        inside = [one.speaks(pileup) for one in models]
        if not any(inside):
            return Heard("out_of_support", f"no seed was fitted at pileup {pileup:.1f}")
        seen, why = {}, "no count of a watched seed"
        for k, model in enumerate(models):
            if inside[k] and model.seed in counts:
                bunch_s, reason = exposure(conditions, counts[model.seed])
                why = reason or why
                if bunch_s > 0:
                    seen[k] = bunch_s
        if not seen:
            return Heard("data_gap", why)
        shown = tuple(_shown(models[k], conditions, counts[models[k].seed], bunch_s) for k, bunch_s in seen.items())
        self._told_fill = told_fill(self._told_fill, conditions)
        fill = fill_of(conditions, self._told_fill)
        if begins(self._fill, fill, conditions.run):
            self._evidence.new_fill(self.reference.benign, pileup)
        self._fill, self._pileup = fill, pileup
        self._evidence.wait(self.reference.benign, lost(last, place), pileup)
        self._trail = [*self._trail, (self._evidence.clock, conditions.run, conditions.lumisection)][-TRAIL:]
        self._remember(tuple(seen), shown)
        self._add(dict(zip(seen, (one.sigma for one in shown), strict=True)), pileup)
        return Heard("", "", shown, self._miss(inside, counts))

    def _miss(self, inside: list[bool], counts: Mapping[str, SeedCount]) -> str:
        """Return which seeds nobody has counted for so long, while others were, that the menu must have lost them."""
        gone = []
        for k, model in enumerate(self.reference.models):
            self._absent[k] = self._absent[k] + 1 if inside[k] and model.seed not in counts else 0
            gone += [model.seed] if self._absent[k] == ABSENT else []
        if not gone:
            return ""
        seeds, are = ("seeds", "are") if len(gone) > 1 else ("seed", "is")
        return (
            f"{seeds} {', '.join(gone)} {are} not among the counts of {ABSENT} lumisections: renamed, or off the menu? "
            "Nothing watches the rate; fit the rates anew (retrigger reference rates)"
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """Watched seeds that nobody has counted for `ABSENT` lumisections or more, while others were."""
        return tuple(
            one.seed for one, absent in zip(self.reference.models, self._absent, strict=True) if absent >= ABSENT
        )

    def _remember(self, places: tuple[int, ...], shown: tuple[SeedDeviation, ...]) -> None:
        off, sigma = np.full((2, 1, len(self.reference.models)), np.nan)
        off[0, list(places)] = [one.observed_hz / one.predicted_hz - 1 if one.predicted_hz else 0.0 for one in shown]
        sigma[0, list(places)] = [one.sigma for one in shown]
        self._off = np.concatenate([self._off, off])[-LENGTH:]
        self._sigma = np.concatenate([self._sigma, sigma])[-LENGTH:]

    def _add(self, sigma: Mapping[int, float], pileup: float) -> None:
        """Update the evidence; that of a seed without a measurement stands still while its wander goes on."""
        likely, most = self._evidence.filter.state.sum(axis=0), self._most()
        value, noise = likely.copy(), np.full(likely.size, UNMEASURED)
        value[list(sigma)], noise[list(sigma)] = list(sigma.values()), 1.0
        value = np.clip(value, likely - most, likely + most)
        self._evidence.update(self.reference.benign, value, noise, [], pileup)

    def _most(self) -> Floats:
        """Return how far a lumisection may pull each filter: as far as one counts as evidence.

        A filter that follows a rate that is 20 % off from a fill's first lumisection would call it the fill's own.
        """
        benign = self.reference.benign
        return np.asarray(CLIP * benign.kappa * np.sqrt(self._evidence.filter.variance + benign.noise))

    def note(self, log_inputs: float) -> None:
        """Note, as a sum of evidence passes its limit, whether rates lead, and at which count they do."""
        leads = self.told is None and self.log > self.of_inputs(log_inputs)
        self.raised = self.clock - 1 if leads else None

    def forget(self) -> None:
        """Drop all evidence, keeping what the filter knows of the fill."""
        self.raised = None
        self._evidence.forget()

    def settle(self, told: Place | None) -> None:
        """Start the evidence anew after an alarm, with what an alarm of rates alone now holds; None when none does."""
        self.forget()
        self.told = told
        if told is None:
            self._evidence.new_fill(self.reference.benign, self._pileup)

    # --- what it amounts to ---------------------------------------------------------------------------------------

    @property
    def share(self) -> float:
        """Weight of the rates in a sum with other evidence; `log` has it already."""
        return float(self._weights.streams.sum())

    @property
    def log(self) -> float:
        """Natural log of the evidence, weighted: its mean after t lumisections is at most `share` times t in health."""
        return self._evidence.log_total(self._weights)

    def of_inputs(self, log_inputs: float) -> float:
        """Return the natural log of what inputs weigh in the sum."""
        return float(np.log1p(-self.share) + log_inputs)

    def together(self, log_inputs: float) -> float:
        """Return the natural log of (1 - share) times the inputs' evidence plus the rates'.

        Both are e-detectors, E[M_t] <= t in health, neither has gone on for longer than t lumisections, and shares add
        up to one: so the sum is one too, under any dependence, and one limit serves it.
        """
        return float(np.logaddexp(self.of_inputs(log_inputs), self.log))

    def contributors(self) -> tuple[Contributor, ...]:
        """Return the seeds that say most."""
        return self._evidence.contributors(self._weights, self.reference.labels, ())

    def among(self, inputs: tuple[Contributor, ...]) -> tuple[Contributor, ...]:
        """Return parts of the inputs' evidence with seeds put in where they rank; none while an alarm of rates stands.

        The inputs keep their order, in which `Evidence.contributors` has put those that name something first.
        """
        if self.told is not None:
            return inputs
        weighed = [replace(one, log_evidence=self.of_inputs(one.log_evidence)) for one in inputs]
        parts = [one for one in weighed if one.log_evidence > 0]
        for one in self.contributors():
            place = next((k for k, other in enumerate(parts) if other.log_evidence < one.log_evidence), len(parts))
            if one.log_evidence > 0:
                parts.insert(place, replace(one, kind=SEED))
        return tuple(parts) or tuple(weighed[:1])

    def by_seed(self) -> dict[str, float]:
        """Return the natural log of each seed's part of the evidence."""
        parts = np.log(np.maximum(self._evidence.by_stream(self._weights), 1e-300))
        return {one.seed: float(part) for one, part in zip(self.reference.models, parts, strict=True)}

    # --- what it remembers ----------------------------------------------------------------------------------------

    @property
    def clock(self) -> int:
        """Lumisections with counters taken in so far."""
        return self._evidence.clock

    @property
    def last(self) -> Place | None:
        """The newest lumisection taken in."""
        return self._trail[-1][1:] if self._trail else None

    def place_of(self, clock: int) -> Place | None:
        """Return the lumisection at a count, or the first one that is still known after it."""
        return next((one[1:] for one in self._trail if one[0] >= clock), self.last)

    @property
    def trail(self) -> list[tuple[int, int, int]]:
        """Count, run and lumisection of what was taken in, in order, as far as evidence reaches back."""
        return self._trail

    def clock_of(self, place: Place) -> int:
        """Return the count of a lumisection, or of the first one that is still known after it."""
        return next((one[0] for one in self._trail if one[1:] >= place), self.clock)

    @property
    def remembered(self) -> Remembered:
        """The last lumisections."""
        trail = self._trail[-len(self._off) :] if len(self._off) else []
        clock = np.array([one[0] for one in trail], dtype=np.int64)
        return Remembered(clock, tuple(one[1:] for one in trail), self._off, self._sigma)

    @property
    def now(self) -> tuple[float, float] | None:
        """Median and farthest deviation of the seeds in the newest lumisection, in standard deviations."""
        sigma = self._sigma[-1][~np.isnan(self._sigma[-1])] if len(self._sigma) else np.zeros(0)
        return (float(np.median(sigma)), float(sigma[np.abs(sigma).argmax()])) if sigma.size else None

    # --- over a restart -------------------------------------------------------------------------------------------

    def pack(self) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
        """Return the whole state: what JSON can hold, and arrays by name."""
        evidence = self._evidence
        head = {
            "version": STATE,
            "digest": self.reference.digest,
            "fill": self._fill,
            "told_fill": self._told_fill,
            "pileup": self._pileup,
            "absent": self._absent,
            "told": self.told,
            "raised": self.raised,
            "trail": self._trail,
            "clock": evidence.clock,
        }
        return head, {
            "state": evidence.filter.state,
            "covariance": evidence.filter.covariance,
            "ratio": evidence.ratio,
            "response": evidence.response,
            "start": evidence.start,
            "off": self._off,
            "sigma": self._sigma,
        }

    def unpack(self, head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `pack` took apart; whose reference it is was asked before.

        Raises:
            StateError: An earlier version packed it.
        """
        if head.get("version") != STATE:
            raise StateError(
                f"the saved evidence of rates has version {head.get('version', 1)}, this program reads {STATE}; start "
                "the watch anew"
            )
        filtered = FillFilter(arrays["state"], arrays["covariance"])
        self._evidence = Evidence(
            head["clock"], filtered, arrays["ratio"], arrays["response"], arrays["start"], [], shifts=STEPS
        )
        self._fill, self._pileup, self.raised = head["fill"], head["pileup"], head["raised"]
        self.told, self._told_fill = (
            None if head[name] is None else (head[name][0], head[name][1]) for name in ("told", "told_fill")
        )
        self._trail = [(clock, run, lumisection) for clock, run, lumisection in head["trail"]]
        self._absent = list(head["absent"])
        self._off, self._sigma = arrays["off"], arrays["sigma"]


def _shown(model: RateModel, conditions: Conditions, count: SeedCount, bunch_s: float) -> SeedDeviation:
    assert conditions.pileup is not None
    bunches = conditions.bunches or 1
    expected = model.predict(conditions.pileup, bunches, bunch_s / bunches)
    sigma = float(model.deviation(count.counts, bunch_s, conditions.pileup)[0])
    observed = count.counts / bunch_s * bunches
    scatter = model.scatter(bunch_s, conditions.pileup)
    return SeedDeviation(model.seed, observed, expected.rate_hz, expected.low_hz, expected.high_hz, scatter, sigma)
