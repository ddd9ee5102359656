"""The least delay any detector could have: ln(1 / budget) over the information one faulty lumisection brings.

G. Lorden (Ann. Math. Statist. 42 (1971) 1897): no rule whose mean time between false alarms is A sees a known change
sooner, on average, than ln A / KL as A grows.  KL is computed where it is a matter of counting: objects missing from a
region, or sent by a hot tower, with the counts that the simulation really has there.  Object types are added as if
independent and nothing is taken to wander, so the floor is low rather than high.
"""

from functools import cache

import numpy as np

from benchmarks.detectors import BUDGET
from benchmarks.drift_draw import BASE_LOSS, EVENTS, MODES, POOL_SEED, pool
from drift.faults import Hot, Loss, Recorded
from drift.simulate.resample import State

PILEUP = 55.0
"""About the mean over a fill of 400 lumisections."""
MANY = 60
"""Lumisections averaged."""
HARDER = (0, 20, 40)
"""Hardware pt above which a hot tower may be looked for, as the maps do."""


@cache
def sample() -> Recorded:
    """Return events of many healthy lumisections at one pileup."""
    return pool().draw(PILEUP, MANY * EVENTS, np.random.default_rng([POOL_SEED, 8]), State(loss=BASE_LOSS))


def poisson_information(before: float, after: float) -> float:
    """Return the Kullback-Leibler divergence of a Poisson count after a change from that before it, in nats."""
    if after == 0:
        return before
    return float(after * np.log(after / before) - after + before) if before > 0 else np.inf


def information(fault: object) -> float | None:
    """Return what 4 000 events tell of a fault, in nats; None where it is not a matter of counting."""
    if isinstance(fault, Loss):
        found = 0.0
        for kind in fault.objects:
            inside = float(fault.box.holds(sample().objects[kind]).sum()) / MANY
            found += poisson_information(inside, inside * (1 - fault.fraction))
        return found
    if isinstance(fault, Hot):
        one = sample().objects[fault.kind]
        ring = np.abs(one.eta - fault.eta) <= 1
        best = 0.0
        for pt_low in HARDER:
            # crossings are turned at random, so a tower holds what any other of its ring does
            usual = max(float((ring & (one.pt >= max(pt_low, 1))).sum()), 1.0) / MANY / 72
            best = max(best, poisson_information(usual, usual + fault.rate * EVENTS))
        return best
    return None


def floor_of(point: str, seeds: tuple[int, ...]) -> float | None:
    """Return the median floor over the places that these seeds chose, in lumisections; None where there is none."""
    mode, _, size = point.partition(":")
    if mode not in MODES:
        return None
    told = [information(MODES[mode](float(size), np.random.default_rng([s, 13]))) for s in seeds]
    known = [one for one in told if one is not None]
    return float(np.median([-np.log(BUDGET) / max(one, 1e-12) for one in known])) if known else None
