"""How many events a second go from hardware integers to counts: compiled, in numpy, and beside the limit of memory.

Best of several repetitions in CPU time on one thread; every figure is of the 57 features with the derived quantities
and the eta-phi maps, so of what a lumisection costs, not of one kernel.
"""

import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from drift.events import LumisectionEvents, ObjectColumns
from drift.kernels import count_rows
from drift.profile import Summariser, layout_of
from drift.schema import AXOL1TL_57

SEED = 20_261
REPEAT = 7


def lumisection(events: int, rng: np.random.Generator) -> LumisectionEvents:
    """Return random events with falling pt spectra, twelve candidates of each type."""
    rows = []
    for one in AXOL1TL_57.features:
        if one.quantity == "pt":
            rows.append(np.minimum(rng.exponential(40.0, events), one.high))
        else:
            rows.append(rng.integers(one.low, one.high + 1, events))
    objects = {}
    for kind, branches in AXOL1TL_57.objects.items():
        many = events * branches.most // 2
        eta = rng.integers(-branches.eta_high, branches.eta_high + 1, many)
        columns = (rng.exponential(40.0, many) + 1, eta, rng.integers(0, branches.phi_bins, many))
        objects[kind] = ObjectColumns(*(np.minimum(one, 511).astype(np.int16) for one in columns))
    return LumisectionEvents(1, 1, np.stack(rows).astype(np.int16), objects)


def best(work: Callable[[], object]) -> float:
    """Return the least CPU seconds of several runs, after one that compiles."""
    work()
    spent = []
    for _ in range(REPEAT):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return max(min(spent), 1e-6)


def main() -> None:
    """Print one JSON object for each size."""
    rng = np.random.default_rng(SEED)
    histograms = layout_of(AXOL1TL_57).histograms[: len(AXOL1TL_57.features)]
    low, width, offset = (
        np.array([getattr(one, name) for one in histograms], dtype=np.int64) for name in ("low", "width", "offset")
    )
    size = layout_of(AXOL1TL_57).size
    for events in (300, 4_000, 10_000, 100_000):
        one = lumisection(events, rng)
        compiled, plain = Summariser(AXOL1TL_57), Summariser(AXOL1TL_57, compiled=False)
        same = compiled.fill(one) == plain.fill(one)
        rows = [
            best(lambda one=one, fast=fast: count_rows(one.features, low, width, offset, size, compiled=fast))  # type: ignore[misc]  # defaults bind the loop
            for fast in (True, False)
        ]
        whole = [best(lambda one=one, with_=with_: with_.fill(one)) for with_ in (compiled, plain)]  # type: ignore[misc]  # defaults bind the loop
        scores = np.minimum(rng.exponential(4_000.0, events), 2**18 - 1).astype(np.int64)
        weights = rng.exponential(1.0, events)
        more = [best(partial(compiled.fill, one, *extra)) for extra in ((scores,), (scores, weights))]
        reading = best(lambda one=one: one.features.sum(dtype=np.int64))  # type: ignore[misc]  # defaults bind the loop
        print(
            json.dumps(
                {
                    "events": events,
                    "same_bits": same,
                    "columns_compiled_events_per_s": round(events / rows[0]),
                    "columns_numpy_events_per_s": round(events / rows[1]),
                    "columns_ratio": round(rows[1] / rows[0], 1),
                    "summary_compiled_events_per_s": round(events / whole[0]),
                    "summary_numpy_events_per_s": round(events / whole[1]),
                    "summary_ratio": round(whole[1] / whole[0], 1),
                    "with_scores_compiled_events_per_s": round(events / more[0]),
                    "with_scores_and_weights_compiled_events_per_s": round(events / more[1]),
                    "summing_the_same_array_events_per_s": round(events / reading),
                    "summary_bytes": len(compiled.fill(one).to_bytes()),
                    "with_scores_and_weights_bytes": len(compiled.fill(one, scores, weights).to_bytes()),
                }
            )
        )


if __name__ == "__main__":
    main()
