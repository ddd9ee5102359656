"""Every seed's rate watched against its expectation: one sum of evidence over seeds, at a stated false-alarm budget.

The deviations go through the same benign model and the same evidence as every other stream: luminosity that is off for
a whole fill is no alarm.  Where a seed is silent, off, or outside its pileups, its evidence stands still.  Saved and
restored, a watch goes on bit for bit.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from drift.benign import CLIP, FillFilter
from drift.conditions import Conditions
from drift.counters import SeedCount
from drift.detect import RECENT, SPARSE, Contributor, Evidence, Weights
from drift.errors import StateError
from drift.growth import Floats
from drift.rate_reference import RateReference, exposure, fill_of
from drift.rates import RateModel

WARN = 1000.0
TRAIL = 16 * SPARSE + RECENT
"""Lumisections whose names are kept, as many as evidence can reach back."""


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
class RateDecision:
    """What one lumisection amounts to.

    Attributes:
        state: ``quiet``, ``warn``, ``alarm``, ``out_of_support``, ``data_gap`` or ``excluded``.
        reason: Why, in words; empty when quiet.
        log_evidence: Natural log of the evidence after it.
        contributors: The strongest parts of the evidence, when there is a warning or an alarm.
        onset: Run and lumisection at which the strongest part began, at the one lumisection an alarm is told.
        seeds: What every watched seed shows.
    """

    state: str
    reason: str
    log_evidence: float
    contributors: tuple[Contributor, ...] = ()
    onset: tuple[int, int] | None = None
    seeds: tuple[SeedDeviation, ...] = ()


class RateWatch:
    """Watches the rates of all seeds of a reference; see the module."""

    def __init__(
        self, reference: RateReference, *, false_alarms_per_lumisection: float, state: bytes | None = None
    ) -> None:
        """Start, or go on from a saved state.

        Raises:
            StateError: The state is damaged, or belongs to another reference.
            ValueError: The budget is not a rate between 0 and 1.
        """
        if not 0 < false_alarms_per_lumisection < 1:
            raise ValueError(f"false alarms per lumisection is {false_alarms_per_lumisection}; give a rate, e.g. 9e-6")
        self.reference = reference
        self._limit = float(-np.log(false_alarms_per_lumisection))
        self._weights = Weights.of(reference.labels, ())
        self._evidence = Evidence.fresh(reference.benign, ())
        self._fill: int | None = None
        self._told: tuple[int, int] | None = None
        self._trail: list[tuple[int, int, int]] = []
        if state is not None:
            self._load(state)

    def acknowledge(self) -> None:
        """Say that the cause of the alarm is known: forget its evidence and listen anew."""
        self._told = None
        self._evidence.forget()

    def take(self, conditions: Conditions, counts: Mapping[str, SeedCount]) -> RateDecision:
        """Take one lumisection in, in order of time."""
        if not conditions.usable or conditions.pileup is None:
            return RateDecision("excluded", conditions.obstacle, self._log())
        pileup, models = conditions.pileup, self.reference.models
        inside = [one.speaks(pileup) for one in models]
        if not any(inside):
            return RateDecision("out_of_support", f"no seed was fitted at pileup {pileup:.1f}", self._log())
        seen, why = {}, "no count of a watched seed"
        for place, model in enumerate(models):
            if inside[place] and model.seed in counts:
                bunch_s, reason = exposure(conditions, counts[model.seed])
                why = reason or why
                if bunch_s > 0:
                    seen[place] = bunch_s
        if not seen:
            return RateDecision("data_gap", why, self._log())
        shown = tuple(_shown(models[k], conditions, counts[models[k].seed], bunch_s) for k, bunch_s in seen.items())
        if self._fill != fill_of(conditions):
            self._evidence.new_fill(self.reference.benign)
            self._fill = fill_of(conditions)
        self._trail = [*self._trail, (self._evidence.clock, conditions.run, conditions.lumisection)][-TRAIL:]
        self._add(dict(zip(seen, (one.sigma for one in shown), strict=True)), pileup)
        return self._decide(conditions, shown)

    def _add(self, sigma: Mapping[int, float], pileup: float) -> None:
        """Update the evidence; a seed without a measurement stays as it was, save that a start passes."""
        evidence = self._evidence
        likely, most = evidence.filter.state.sum(axis=0), self._most()
        value = likely.copy()
        value[list(sigma)] = list(sigma.values())
        value = np.clip(value, likely - most, likely + most)
        silent = np.setdiff1d(np.arange(len(value)), list(sigma))
        started = np.arange(len(evidence.start)) == _slot(evidence.clock)
        held = [one[..., silent].copy() for one in (evidence.filter.state, evidence.filter.covariance)]
        ratio, response = evidence.ratio[..., silent].copy(), evidence.response[..., silent].copy()
        ratio[started], response[started] = 0.0, 0.0
        evidence.update(self.reference.benign, value, 1.0, [], pileup)
        evidence.filter.state[..., silent], evidence.filter.covariance[..., silent] = held
        evidence.ratio[..., silent], evidence.response[..., silent] = ratio, response

    def _most(self) -> Floats:
        """Return how far a lumisection may pull each filter: as far as one counts as evidence.

        A filter that follows a rate that is 20 % off from a fill's first lumisection would call it the fill's own.
        """
        benign = self.reference.benign
        return np.asarray(CLIP * benign.kappa * np.sqrt(self._evidence.filter.variance + benign.noise))

    def _decide(self, conditions: Conditions, shown: tuple[SeedDeviation, ...]) -> RateDecision:
        level = self._log()
        if self._told is not None:
            words = f"told at run {self._told[0]} lumisection {self._told[1]}; acknowledge to listen anew"
            return RateDecision("alarm", words, level, seeds=shown)
        if level < np.log(WARN):
            return RateDecision("quiet", "", level, seeds=shown)
        parts = self._evidence.contributors(self._weights, self.reference.labels, ())
        if level < self._limit:
            return RateDecision("warn", "evidence is rising", level, parts, seeds=shown)
        self._told = (conditions.run, conditions.lumisection)
        began = next((one for one in self._trail if one[0] >= parts[0].start), self._trail[-1])
        more = "above" if parts[0].sign > 0 else "below"
        words = f"{parts[0].object} is {more} its rate at this pileup since run {began[1]} lumisection {began[2]}"
        return RateDecision("alarm", words, level, parts, (began[1], began[2]), shown)

    def _log(self) -> float:
        return self._evidence.log_total(self._weights)

    def by_seed(self) -> dict[str, float]:
        """Return the natural log of each seed's part of the evidence."""
        parts = np.log(np.maximum(self._evidence.by_stream(self._weights), 1e-300))
        return {one.seed: float(part) for one, part in zip(self.reference.models, parts, strict=True)}

    def save(self) -> bytes:
        """Return the whole state; a watch restored from it decides bit for bit alike."""
        head = {"digest": self.reference.digest, "fill": self._fill, "told": self._told, "trail": self._trail}
        evidence, body = self._evidence, io.BytesIO()
        np.savez_compressed(
            body,
            head=np.frombuffer(json.dumps(head | {"clock": evidence.clock}).encode(), dtype=np.uint8),
            state=evidence.filter.state,
            covariance=evidence.filter.covariance,
            ratio=evidence.ratio,
            response=evidence.response,
            start=evidence.start,
        )
        return hashlib.sha256(body.getvalue()).digest() + body.getvalue()

    def _load(self, blob: bytes) -> None:
        if hashlib.sha256(blob[32:]).digest() != blob[:32]:
            raise StateError("the saved rate watch does not match its checksum; start the watch anew")
        with np.load(io.BytesIO(blob[32:]), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        head = json.loads(arrays["head"].tobytes())
        if head["digest"] != self.reference.digest:
            raise StateError(
                f"the saved rate watch belongs to reference {head['digest'][:12]}, not to "
                f"{self.reference.digest[:12]}; start the watch anew"
            )
        filtered = FillFilter(arrays["state"], arrays["covariance"])
        self._evidence = Evidence(head["clock"], filtered, arrays["ratio"], arrays["response"], arrays["start"], [])
        self._fill = head["fill"]
        self._told = None if head["told"] is None else (head["told"][0], head["told"][1])
        self._trail = [(clock, run, lumisection) for clock, run, lumisection in head["trail"]]


def _slot(clock: int) -> int:
    """Return the start slot that `Evidence.update` opens at a clock."""
    return RECENT + clock // SPARSE % SPARSE if clock % SPARSE == 0 else clock % RECENT


def _shown(model: RateModel, conditions: Conditions, count: SeedCount, bunch_s: float) -> SeedDeviation:
    assert conditions.pileup is not None
    bunches = conditions.bunches or 1
    expected = model.predict(conditions.pileup, bunches, bunch_s / bunches)
    sigma = float(model.deviation(count.counts, bunch_s, conditions.pileup)[0])
    observed = count.counts / bunch_s * bunches
    scatter = model.scatter(bunch_s, conditions.pileup)
    return SeedDeviation(model.seed, observed, expected.rate_hz, expected.low_hz, expected.high_hz, scatter, sigma)
