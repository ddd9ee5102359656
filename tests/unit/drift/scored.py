"""A small frozen network as the model that scores the unit tests' toy detector, and fills counted with it."""

from dataclasses import dataclass, replace

import numpy as np

from drift.profile import Summariser
from drift.schema import AXOL1TL_57
from tests.unit.drift import conftest as toy

_RNG = np.random.default_rng(3)
_FIRST, _SECOND = _RNG.normal(0, 1, (57, 16)), _RNG.normal(0, 1, (16, 4))
_UNITS = np.where(np.arange(57) % 3 == 0, 40.0, 100.0)[:, None]


@dataclass(frozen=True)
class Network:
    """A random network of one hidden layer; ``factor`` is what a fault of its firmware does to the score."""

    factor: float = 1.0
    digest: str = "a" * 64
    thresholds: tuple[tuple[str, int], ...] = (("SELDOM", 3000), ("OFTEN", 300))

    def scores(self, features):
        hidden = np.maximum((features / _UNITS).T @ _FIRST, 0) / 4
        return np.minimum(((hidden @ _SECOND) ** 2).sum(axis=1) * (4 * self.factor), 2**18 - 1).astype(np.int64)


MODEL = Network()


def scored_fills(seed, n_fills, lumisections, n, *, model=MODEL, broken=None, from_lumisection=0, fault=None):
    """The toy's fills counted with a model's scores, and from one lumisection on with those of a broken one."""
    rng = np.random.default_rng(seed)
    good, bad = (Summariser(AXOL1TL_57, scorer=one) for one in (model, broken or model))
    for count, (_, conditions) in enumerate(toy.fills(seed, n_fills, lumisections, 1)):
        late = count >= from_lumisection
        pileup, gain = conditions.pileup, 1 + 0.002 * np.sin(conditions.fill)
        found = toy.events(
            conditions.run, conditions.lumisection, pileup, n, rng, fault if late and fault else None, gain
        )
        yield (bad if late else good).fill(found), conditions


def without_scores(pairs):
    """The same lumisections as if nobody had scored them."""
    return [(replace(summary, scores=None), conditions) for summary, conditions in pairs]
