"""alibi-detect (Business Source License 1.1: for this benchmark only): KSDrift, and MMDDrift on five hundred events."""

import logging
from collections.abc import Sequence

import numpy as np
from alibi_detect.cd import KSDrift, MMDDrift

from benchmarks.peers.samples import Events, Judge, run

FEWER = 500
"""Events of each side for MMD, whose cost is quadratic."""


def teach(reference: list[Events], inputs: tuple[str, ...]) -> dict[str, Judge]:
    """Make both detectors with their defaults."""
    logging.getLogger("alibi_detect").setLevel(logging.ERROR)
    pooled = np.concatenate(reference).astype(np.float32)
    assert pooled.shape[1] == len(inputs)
    rng = np.random.default_rng(1)
    scale = pooled.std(axis=0)
    scale[scale == 0] = 1.0
    kolmogorov = KSDrift(pooled, p_val=0.05, correction="bonferroni")
    chosen = pooled[rng.choice(len(pooled), FEWER, replace=False)] / scale
    kernel = MMDDrift(chosen, backend="pytorch", p_val=0.05, n_permutations=100, device="cpu")

    def smirnov(stream: Sequence[Events]) -> list[tuple[float, bool]]:
        said = [kolmogorov.predict(one.astype(np.float32), drift_type="batch")["data"] for one in stream]
        return [(float(one["distance"].max()), bool(one["is_drift"])) for one in said]

    def discrepancy(stream: Sequence[Events]) -> list[tuple[float, bool]]:
        said = [kernel.predict(one[:FEWER].astype(np.float32) / scale)["data"] for one in stream]
        return [(float(one["distance"]), bool(one["is_drift"])) for one in said]

    return {"KSDrift": smirnov, "MMDDrift, 500 events": discrepancy}


if __name__ == "__main__":
    run("alibi-detect", ("alibi-detect", "numpy", "scipy", "torch"), teach)
