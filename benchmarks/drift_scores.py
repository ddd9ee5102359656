"""How soon a score that moved by itself is seen at 4 000 events a lumisection, and what a healthy one costs.

Streams are those of `benchmarks/drift_faults.py`, scored by the integer program of a bundle.  The score is multiplied
after it was computed, as a fault of the network's own would do; ``gain`` moves the inputs instead, and must not be
called a fault of the score.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import drift_faults
from daemon.scorer import BundleScorer
from drift.faults import Gain
from drift.profile import Summariser
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.watch import Watch

HEALTHY, FAULTY = 20, 90
POINTS = ("score:1.01", "score:0.99", "score:1.03", "score:0.97", "gain:1.01", "gain:1.02", "gain:0.98")


class Scaled:
    """A model whose score is multiplied; with the factor 1 the model itself."""

    def __init__(self, model: BundleScorer, factor: float = 1.0) -> None:
        self.digest, self.thresholds, self.factor = model.digest, model.thresholds, factor
        self._model = model

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return the scores, multiplied before the firmware's type truncates: what it had cut off is drawn again."""
        cut = np.random.default_rng(17).random(features.shape[1])
        return np.asarray(np.minimum((self._model.scores(features) + cut) * self.factor, 2**18 - 1), dtype=np.int64)


def model_of(bundle: str) -> BundleScorer:
    """Return the model of a bundle."""
    return BundleScorer.load(Path(bundle), AXOL1TL_57)


def null_run(given: tuple[str, str, int, int]) -> dict[str, Any]:
    """Watch healthy fills with and without scores; every alarm is acknowledged and counted."""
    bundle, reference_path, seed, fills = given
    reference = Reference.load(Path(reference_path))
    summariser = Summariser(AXOL1TL_57, scorer=model_of(bundle))
    watch = Watch(reference, false_alarms_per_lumisection=drift_faults.BUDGET, stream="null")
    deaf = Watch(reference, false_alarms_per_lumisection=drift_faults.BUDGET, stream="null")
    alarms, highest, watched, loud, inputs_alone = [], -np.inf, 0, Counter[str](), -np.inf
    made = drift_faults.stream(
        seed, fills, 20_000 + 100 * seed, "pu_step,ps_column", drift_faults.healthy, summariser=summariser
    )
    for summary, conditions, _ in made:
        decision = watch.take(summary, conditions)
        inputs_alone = max(inputs_alone, deaf.take(replace(summary, scores=None), conditions).log_evidence)
        watched += decision.state in {"quiet", "warn", "alarm"}
        if decision.state in {"quiet", "warn"}:
            highest = max(highest, decision.log_evidence)
            loud[decision.state] += 1
        if decision.alarm is not None:
            alarms.append(decision.alarm.text)
            watch.acknowledge()
    levels = {"highest": round(float(highest), 2), "without_scores": round(float(inputs_alone), 2)}
    return {"null": seed, "watched": watched, "alarms": alarms, **levels, **loud}


def fault_run(given: tuple[str, str, str, int]) -> dict[str, Any]:
    """Watch one fault that begins after twenty healthy lumisections somewhere in a fill."""
    bundle, reference_path, point, seed = given
    mode, size = point.split(":")
    reference = Reference.load(Path(reference_path))
    scorer = Scaled(model_of(bundle))
    rng = np.random.default_rng([seed, 13])
    length = HEALTHY + FAULTY
    begin = int(rng.integers(30, drift_faults.FILL - length - 10))
    onset = begin + HEALTHY
    watch = Watch(reference, false_alarms_per_lumisection=drift_faults.BUDGET, stream=point)

    def fault(index: int) -> Gain | None:
        scorer.factor = float(size) if mode == "score" and index >= onset else 1.0
        return Gain(float(size)) if mode == "gain" and index >= onset else None

    count = 0
    told: dict[str, Any] | None = None
    made = drift_faults.stream(
        seed, 1, 30_000 + seed, "none", fault, summariser=Summariser(AXOL1TL_57, scorer=scorer), begin=begin
    )
    for summary, conditions, index in made:
        decision = watch.take(summary, conditions)
        count += index >= onset
        if told is None and decision.log_evidence >= -np.log(drift_faults.BUDGET) and decision.state != "excluded":
            told = {"delay": count if index >= onset else -1}
        if decision.alarm is not None:
            alarm = decision.alarm
            told = (told or {"delay": count}) | {
                "verdict": alarm.verdict, "lead": alarm.contributors[0].name, "text": alarm.text,
            }  # fmt: skip
            break
        if count >= FAULTY:
            break
    return {"point": point, "seed": seed, **(told or {"delay": None})}


def main() -> None:
    """Fit a reference with scores, watch null streams and faults, print a row each."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("bundle", help="folder of the bundle whose model scores")
    ask.add_argument("--first-seed", type=int, default=7000)
    ask.add_argument("--reference-fills", type=int, default=20)
    ask.add_argument("--null-streams", type=int, default=1)
    ask.add_argument("--null-fills", type=int, default=8)
    ask.add_argument("--replicates", type=int, default=5)
    ask.add_argument("--points", default=" ".join(POINTS))
    ask.add_argument("--workers", type=int, default=1)
    ask.add_argument("--reference", type=Path, help="a reference to use, or to keep the fitted one in")
    given = ask.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.reference or Path(folder) / "reference.npz"
        scorer = model_of(given.bundle)
        sample = np.zeros((57, drift_faults.EVENTS), dtype=np.int16)
        begun = time.process_time()
        for _ in range(10):
            scorer.scores(sample)
        print(f"{(time.process_time() - begun) * 100:.1f} ms to score {drift_faults.EVENTS} events", flush=True)
        if not path.exists():
            made = drift_faults.stream(
                given.first_seed, given.reference_fills, 10_000, "pu_step", drift_faults.healthy,
                summariser=Summariser(AXOL1TL_57, scorer=scorer),
            )  # fmt: skip
            Reference.fit(((summary, conditions) for summary, conditions, _ in made), AXOL1TL_57).save(path)
        reference = Reference.load(path)
        print(json.dumps({"advice": reference.advice, "streams": _streams(reference)}), flush=True)
        nulls = [
            (given.bundle, str(path), given.first_seed + 1 + k, given.null_fills) for k in range(given.null_streams)
        ]
        faults = [
            (given.bundle, str(path), point, given.first_seed + 100 + k)
            for point in given.points.split()
            for k in range(given.replicates)
        ]
        with ProcessPoolExecutor(given.workers) as workers:
            for row in workers.map(null_run, nulls):
                print(json.dumps(row), flush=True)
            for row in workers.map(fault_run, faults):
                print(json.dumps(row), flush=True)


def _streams(reference: Reference) -> dict[str, list[float]]:
    """Return innovation spread and mean e-value of every stream of the score on held-out lumisections."""
    check = reference.check
    rows = enumerate(reference.streams.labels)
    return {one.name: [round(float(check.sigma[i]), 3), round(float(check.e_value[i]), 3)]
            for i, one in rows if one.object == "SCORE"}  # fmt: skip


if __name__ == "__main__":
    main()
