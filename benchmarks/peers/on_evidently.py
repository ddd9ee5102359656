"""evidently (Apache-2): DataDriftPreset with its defaults, against ten thousand pooled reference events.

It chooses the Wasserstein distance in standard deviations, or Jensen-Shannon where a column has few values; both with
a cut of 0.1.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from benchmarks.peers.samples import Events, Judge, run

REFERENCE_EVENTS = 10_000


def teach(reference: list[Events], inputs: tuple[str, ...]) -> dict[str, Judge]:
    """Keep reference events; a report is made anew for each lumisection."""
    warnings.simplefilter("ignore")
    pooled = np.concatenate(reference)
    chosen = np.random.default_rng(1).choice(len(pooled), REFERENCE_EVENTS, replace=False)
    names = [one for place, one in enumerate(inputs) if np.ptp(pooled[:, place]) > 0]
    definition = DataDefinition(numerical_columns=names)

    def dataset(events: Events) -> Any:
        frame = pd.DataFrame(events, columns=list(inputs)).astype(float)
        return Dataset.from_pandas(frame[names], data_definition=definition)

    kept = dataset(pooled[chosen])
    report = Report([DataDriftPreset()])
    made: dict[int, dict[str, Any]] = {}

    def answer(events: Events) -> dict[str, Any]:
        key = id(events)
        if key not in made:
            made[key] = report.run(dataset(events), kept).dict()
        return made[key]

    def share(stream: Sequence[Events]) -> list[tuple[float, bool]]:
        shares = [_share(answer(one)) for one in stream]
        return [(one, one >= 0.5) for one in shares]

    def column(stream: Sequence[Events]) -> list[tuple[float, bool]]:
        largest = [max(_distances(answer(one))) for one in stream]
        return [(one, one >= 0.1) for one in largest]

    return {"share of drifted columns ≥ 0.5": share, "distance ≥ 0.1, any column": column}


def _share(said: dict[str, Any]) -> float:
    one = next(metric for metric in said["metrics"] if metric["metric_name"].startswith("DriftedColumnsCount"))
    return float(one["value"]["share"])


def _distances(said: dict[str, Any]) -> list[float]:
    found = [metric for metric in said["metrics"] if metric["metric_name"].startswith("ValueDrift")]
    other = [one["metric_name"] for one in found if not one["metric_name"].endswith("threshold=0.1)")]
    assert not other, f"evidently chose a test with another cut than 0.1: {other[:3]}"
    return [float(one["value"]) for one in found]


if __name__ == "__main__":
    run("evidently", ("evidently", "numpy", "pandas", "scipy"), teach)
