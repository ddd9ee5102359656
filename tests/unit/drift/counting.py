"""Events, scores and weights of nothing in particular, for tests of counting."""

import numpy as np

from drift.events import LumisectionEvents, ObjectColumns
from drift.schema import AXOL1TL_57


def anything(seed, n, run=1, lumisection=1, wild=False):
    rng = np.random.default_rng(seed)
    rows = []
    for one in AXOL1TL_57.features:
        low, high = (-(2**15), 2**15) if wild else (one.low, one.high + 1)
        rows.append(rng.integers(low, high, n))
    objects = {}
    for kind, branches in AXOL1TL_57.objects.items():
        m = int(rng.integers(0, 3 * n + 1))
        eta = rng.integers(-branches.eta_high, branches.eta_high + 1, m)
        phi = rng.integers(0, branches.phi_bins, m)
        columns = [rng.integers(0, 4, m), eta, phi]
        objects[kind] = ObjectColumns(*(one.astype(np.int16) for one in columns))
    return LumisectionEvents(run, lumisection, np.stack(rows).astype(np.int16).reshape(57, n), objects)


def any_scores(seed, n):
    return np.minimum(np.random.default_rng(seed).exponential(4000, n), 2**18 - 1).astype(np.int64)
