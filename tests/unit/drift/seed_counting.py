"""Counters of a few seeds beside the toy detector's fills: luminosity that is off by fill and wanders, and Poisson."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from drift.conditions import Conditions
from drift.counters import SeedCount
from drift.profile import LumisectionSummary
from drift.rate_reference import RateReference

SEEDS: Mapping[str, Callable[[float], float]] = {
    "L1_SingleMu22": lambda pu: 0.07 * pu,
    "L1_HTT360er": lambda pu: 0.2 + 0.0012 * pu**2,
    "L1_ETMHF100": lambda pu: 0.02 * np.sinh(0.09 * pu),
    "L1_AXO_Tight": lambda pu: 0.008 * pu,
    "L1_AXO_Loose": lambda pu: 0.03 * pu,
}
"""Hz a colliding bunch."""
Pair = tuple[LumisectionSummary, Conditions]
Triple = tuple[LumisectionSummary, Conditions, dict[str, SeedCount]]


def counted(
    pairs: Iterable[Pair], seed: int, *, factor: Mapping[str, float] | None = None, first: int = 0, last: int = 10**9
) -> Iterator[Triple]:
    """Add counts; the factors hold from the first to the last lumisection given, counted over all fills.

    Luminosity is off by 0.4 % a fill, wanders by 0.2 % (correlation 0.95), and is known to 0.1 % a lumisection.
    """
    rng = np.random.default_rng([seed, 7])
    fill, off, wander = None, 0.0, 0.0
    for place, (summary, at) in enumerate(pairs):
        if at.fill != fill:
            fill, off, wander = at.fill, rng.normal(0, 0.004), rng.normal(0, 0.002)
        wander = 0.95 * wander + np.sqrt(1 - 0.95**2) * rng.normal(0, 0.002)
        true = at.pileup * (1 + off + wander + rng.normal(0, 0.001))
        there = factor or {} if first <= place <= last else {}
        counts = {}
        for name, rate in SEEDS.items():
            mean = rate(true) * at.bunches * 23.3104 * (1 - at.dead_time) * there.get(name, 1.0)
            counts[name] = SeedCount(int(rng.poisson(mean)))
        yield summary, at, counts


def rate_reference(pairs: Iterable[Pair], seed: int = 1) -> RateReference:
    """A rate reference of healthy fills."""
    return RateReference.fit((at, counts) for _, at, counts in counted(pairs, seed))
