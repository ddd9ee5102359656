"""frouros (BSD-3): KS and population stability index of every column, against pooled reference events."""

from collections.abc import Sequence

import numpy as np
from frouros.detectors.data_drift import PSI, KSTest

from benchmarks.peers.samples import Events, Judge, run

LEVEL = 0.05
STABLE = 0.2
"""Above it, a population is commonly called unstable."""


def teach(reference: list[Events], inputs: tuple[str, ...]) -> dict[str, Judge]:
    """Fit one detector of each kind on every column that is not constant."""
    pooled = np.concatenate(reference).astype(np.float64)
    columns = [place for place in range(len(inputs)) if np.ptp(pooled[:, place]) > 0]
    tests, indices = {}, {}
    for place in columns:
        tests[place], indices[place] = KSTest(), PSI()
        tests[place].fit(X=pooled[:, place])
        indices[place].fit(X=pooled[:, place])

    def smirnov(stream: Sequence[Events]) -> list[tuple[float, bool]]:
        said = [[tests[k].compare(X=one[:, k].astype(float))[0] for k in columns] for one in stream]
        return [
            (float(max(one.statistic for one in row)), bool(min(one.p_value for one in row) < LEVEL / len(columns)))
            for row in said
        ]

    def stability(stream: Sequence[Events]) -> list[tuple[float, bool]]:
        most = [max(indices[k].compare(X=one[:, k].astype(float))[0].distance for k in columns) for one in stream]
        return [(float(psi), bool(psi > STABLE)) for psi in most]

    return {"KS, Bonferroni": smirnov, "PSI > 0.2, any column": stability}


if __name__ == "__main__":
    run("frouros", ("frouros", "numpy", "scipy"), teach)
