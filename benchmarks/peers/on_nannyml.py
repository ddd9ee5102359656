"""nannyml (Apache-2): univariate drift by chunk, thresholds three standard deviations over chunks of the reference.

It posts usage to a vendor unless told not to; ``make bench-peers`` sets NML_DISABLE_USAGE_LOGGING, and so does this.
"""

import os
from collections.abc import Sequence

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import numpy as np
import pandas as pd

from benchmarks.peers.samples import Events, Judge, run

METHODS = {"Jensen-Shannon, three sigma": "jensen_shannon", "KS, three sigma": "kolmogorov_smirnov"}


def teach(reference: list[Events], inputs: tuple[str, ...]) -> dict[str, Judge]:
    """Fit on the reference, one chunk a lumisection; constant columns take no part."""
    pooled = pd.DataFrame(np.concatenate(reference), columns=list(inputs)).astype(float)
    names = [one for one in inputs if pooled[one].nunique() > 1]
    size = len(reference[0])

    def judge_of(method: str) -> Judge:
        made = nannyml.UnivariateDriftCalculator(
            column_names=names, continuous_methods=[method], chunk_size=size
        )  # fmt: skip
        made.fit(pooled[names])
        taught = _values(made.calculate(pooled[names]), names, method)
        centre, spread = taught.mean(axis=0), np.maximum(taught.std(axis=0), 1e-12)

        def judge(stream: Sequence[Events]) -> list[tuple[float, bool]]:
            frame = pd.DataFrame(np.concatenate(stream), columns=list(inputs)).astype(float)
            found = made.calculate(frame[names])
            far = np.abs(_values(found, names, method) - centre) / spread
            table = found.filter(period="analysis").to_df()
            alarms = np.stack([table[one, method, "alert"].to_numpy(dtype=bool) for one in names], axis=1)
            return [(float(z.max()), bool(loud.any())) for z, loud in zip(far, alarms, strict=True)]

        return judge

    return {title: judge_of(method) for title, method in METHODS.items()}


def _values(found: object, names: Sequence[str], method: str) -> np.ndarray:
    table = found.filter(period="analysis").to_df()  # type: ignore[attr-defined] # nannyml ships no types
    return np.stack([table[one, method, "value"].to_numpy(dtype=float) for one in names], axis=1)


if __name__ == "__main__":
    run("nannyml", ("nannyml", "numpy", "pandas", "scipy"), teach)
