"""How long each stage of a retraining takes, and whether two of them end in the same bundle.

    python -m benchmarks.retrain_stages [EVENTS] [FOLDER] [--once] [--vectors N] [--no-synthesis] [--model NAME]

Writes a job of EVENTS (60 000) synthetic zero-bias events in 24 lumisections, runs it twice (or once) in folders of
their own as the daemon would, and prints seconds a stage, memory, and the digests.  Seconds are wall time: quote them
with the load of the machine, which is printed too.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain.recipe import Recipe, ranges

RUN = 382913
LUMISECTIONS = 24


def events(count: int, seed: int) -> NDArray[np.int16]:
    """Return synthetic hardware integers, shape (57, count): falling momenta, flat angles, absent objects as zeros."""
    rng = np.random.default_rng(seed)
    rows: list[NDArray[np.float64]] = []
    for ranks, mean, eta, phi, present in (
        (1, 30, 0, 143, 1.0),
        (4, 10, 60, 143, 0.97),
        (4, 8, 220, 575, 0.1),
        (10, 40, 110, 143, 0.8),
    ):
        there = rng.random((ranks, count)) < present * np.linspace(1.0, 0.5, ranks)[:, None]
        momentum = -np.sort(-(rng.exponential(mean, (ranks, count)) + 4) * there, axis=0)
        for rank in range(ranks):
            seen = momentum[rank] > 0
            angles = [rng.integers(-eta, eta + 1, count) * seen, rng.integers(0, phi + 1, count) * seen]
            rows += [np.minimum(momentum[rank], 500), *(angle.astype(np.float64) for angle in angles)]
    return np.ascontiguousarray(np.stack(rows)).astype(np.int16)


def write(folder: Path, count: int, vectors: int, synthesise: bool, model: str) -> None:
    """Write a job folder with its data."""
    (folder / "data").mkdir(parents=True)
    listed = []
    each = count // LUMISECTIONS
    for number in range(1, LUMISECTIONS + 1):
        path = folder / "data" / f"{number}.npy"
        np.save(path, events(each, number))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        conditions = {"fill": 9877 + number // 12, "pileup": 50.0, "certified": True}
        listed.append({"run": RUN, "lumisection": number, **conditions, "path": str(path), "sha256": digest})
    spans = ranges((RUN, number) for number in range(1, LUMISECTIONS + 1))
    recipe = Recipe("L1_AXO", spans, kl_weight=0.02, proof_vectors=vectors, synthesise=synthesise, model=model)
    job = {"recipe": recipe.to_json(), "lumisections": listed, "champion": None, "out": str(folder / "bundles")}
    (folder / "job.json").write_text(json.dumps(job))


def main() -> None:
    """Run the job and print what it took."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("events", nargs="?", type=int, default=60_000)
    ask.add_argument("folder", nargs="?", type=Path)
    ask.add_argument("--once", action="store_true")
    ask.add_argument("--vectors", type=int, default=100_000)
    ask.add_argument("--no-synthesis", action="store_true")
    ask.add_argument("--model", default="axol1tl")
    given = ask.parse_args()
    home, digests = given.folder or Path(tempfile.mkdtemp(prefix="retrain-")), []
    for name in ("first",) if given.once else ("first", "again"):
        folder = home / name
        if not (folder / "job.json").exists():
            write(folder, given.events, given.vectors, not given.no_synthesis, given.model)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "retrain.job", str(folder)], check=False, env=environment)
        result = json.loads((folder / "result.json").read_bytes())
        digests.append(result["digest"])
        print(f"{name}: {result['verdict']}, {sum(result['seconds'].values()):.1f} s: {json.dumps(result['seconds'])}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"events {given.events}; peak memory {peak:.0f} MiB; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"digests {'equal' if len(set(digests)) == 1 else 'DIFFER'}: {' '.join(map(str, digests))}")


if __name__ == "__main__":
    main()
