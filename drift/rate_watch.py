"""Every seed's rate watched against its expectation: one sum of evidence over seeds, at a stated false-alarm budget.

Rates alone, for `retrigger rates`; where the inputs are watched too, `drift.watch` adds the rates to the same sum.
Luminosity that is off for a whole fill is no alarm.  Saved and restored, a watch goes on bit for bit.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from drift.conditions import Conditions
from drift.counters import SeedCount
from drift.detect import Contributor
from drift.errors import StateError
from drift.rate_evidence import RateEvidence, SeedDeviation
from drift.rate_reference import RateReference

WARN = 1000.0


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
        self._rates = RateEvidence(reference)
        if state is not None:
            self._load(state)

    def acknowledge(self) -> None:
        """Say that the cause of the alarm is known: forget its evidence and listen anew."""
        self._rates.settle(None)

    def take(self, conditions: Conditions, counts: Mapping[str, SeedCount]) -> RateDecision:
        """Take one lumisection in, in order of time."""
        heard = self._rates.take(conditions, counts)
        if heard.state:
            return RateDecision(heard.state, heard.reason, self._rates.log)
        return self._decide(conditions, heard.seeds)

    def _decide(self, conditions: Conditions, shown: tuple[SeedDeviation, ...]) -> RateDecision:
        rates, level = self._rates, self._rates.log
        if rates.told is not None:
            words = f"told at run {rates.told[0]} lumisection {rates.told[1]}; acknowledge to listen anew"
            return RateDecision("alarm", words, level, seeds=shown)
        if level < np.log(WARN):
            return RateDecision("quiet", "", level, seeds=shown)
        parts = rates.contributors()
        if level < self._limit:
            return RateDecision("warn", "evidence is rising", level, parts, seeds=shown)
        rates.told = (conditions.run, conditions.lumisection)
        began = rates.place_of(parts[0].start)
        assert began is not None
        more = "above" if parts[0].sign > 0 else "below"
        words = f"{parts[0].object} is {more} its rate at this pileup since run {began[0]} lumisection {began[1]}"
        return RateDecision("alarm", words, level, parts, began, shown)

    def by_seed(self) -> dict[str, float]:
        """Return the natural log of each seed's part of the evidence."""
        return self._rates.by_seed()

    def save(self) -> bytes:
        """Return the whole state; a watch restored from it decides bit for bit alike."""
        head, arrays = self._rates.pack()
        arrays["head"], body = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8), io.BytesIO()
        np.savez_compressed(body, allow_pickle=False, **arrays)
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
        self._rates.unpack(head, arrays)
