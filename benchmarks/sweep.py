"""Whether a sweep of many recipes survives workers that are killed under it, with the same bits.

    python -m benchmarks.sweep [--recipes 50] [--kills 5] [--workers 2] [--folder build/sweep]

Recipes of small networks differ in seed, bits, pruning and widths; each goes through the whole chain, compiler,
simulated RTL and gates included.  They run on a local Dask cluster while workers are killed with -9, one in each stage.
Afterwards those recipes whose worker was killed are run once more, undisturbed and without Dask.  Verdict, bundle,
integer weights and gates must be equal: a refused recipe has no bundle.  Status 1 when a recipe did not end, or one
differs.
"""

import argparse
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.retrain_stages import write
from daemon import sweep as sweeping
from daemon.clusters import cluster_of
from daemon.dask_runner import DaskRunner, beginnings
from daemon.sweep_plan import read_plan
from daemon.training import JobRunner, JobState, SubprocessRunner
from daemon.training_settings import ExecutorSettings
from retrain.digest import digest_of, digest_of_bytes
from retrain.progress import read_whole
from retrain.recipe import Recipe

ROWS = Path("docs/benchmarks/rows/sweep.jsonl")
EVENTS = 6000
STAGES = ("firmware", "prove", "train", "export", "dataset")
SMALL = {"latent": 2, "epochs": 2, "batch_size": 250, "target_rate_hz": 1.5e6, "minimum_passing": 20}


class Killing:
    """A runner whose workers are killed: one in each stage of a list, each time under a job not hit before."""

    def __init__(self, inner: JobRunner, stages: list[str]) -> None:
        self.inner, self.stages = inner, stages
        self.hit: dict[Path, str] = {}

    def start(self, folder: Path) -> None:
        """Start a job."""
        self.inner.start(folder)

    def look(self, folder: Path, now: datetime) -> JobState:
        """Look at a job, and kill its worker when it is in the stage that comes next."""
        state = self.inner.look(folder, now)
        if state.phase == "running" and self.stages and state.stage == self.stages[0] and folder not in self.hit:
            self.hit[folder] = self.stages.pop(0)
            os.kill(int(beginnings(folder)[-1]["pid"]), signal.SIGKILL)
            print(f"killed the worker of {folder.name} in {self.hit[folder]}", file=sys.stderr, flush=True)
        return state

    def stop(self) -> None:
        """End every process."""
        self.inner.stop()

    @property
    def busy(self) -> bool:
        """Whether any job goes on."""
        return self.inner.busy


def plan_of(folder: Path, recipes: int) -> Path:
    """Write the plan: every second recipe another seed, bits, pruning and widths in turn."""
    rows = [
        {
            "seed": 1 + number,
            "weight_bits": 4 + number % 3,
            "sparsity": (0.0, 0.5)[number // 3 % 2],
            "hidden": [[4], [6], [4, 3]][number % 3],
        }
        for number in range(recipes)
    ]
    path = folder / "plan.json"
    path.write_text(json.dumps({"base": SMALL, "recipes": rows}), encoding="utf-8")
    return path


def bits_of(row: dict[str, Any]) -> str:
    """Return one digest over what a job ended in: verdict, bundle, integer weights, gates with their evidence."""
    stages = Path(row["path"]) / "stages"
    parts = [*sorted(stages.glob("*-export*/weights.safetensors")), *sorted(stages.glob("*-gates/gates.json"))]
    files = {str(path.relative_to(stages)): digest_of_bytes(path.read_bytes()) for path in parts}
    return digest_of({"verdict": row["verdict"], "bundle": row["digest"], "files": files})


def done(rows: list[dict[str, Any]], name: str) -> None:
    """Say what a sweep came to."""
    verdicts = {word: sum(row["verdict"] == word for row in rows) for word in ("candidate", "refused", "given_up")}
    print(f"{name}: {len(rows)} ended: {verdicts}", flush=True)


def main() -> int:
    """Run the campaign."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--recipes", type=int, default=50)
    ask.add_argument("--kills", type=int, default=5)
    ask.add_argument("--workers", type=int, default=2)
    ask.add_argument("--folder", type=Path, default=Path("build/sweep"))
    ask.add_argument("--rows", type=Path, default=ROWS)
    given = ask.parse_args()
    home = given.folder.resolve()
    if not (home / "base" / "job.json").exists():
        write(home / "base", EVENTS, 100_000, False, "axol1tl")
    base = read_whole(home / "base" / "job.json") or {}
    entries = read_plan(plan_of(home, given.recipes), Recipe.from_json(base["recipe"]))
    sweep = sweeping.Sweep(entries, base, home / "disturbed", failures=3)
    cluster = cluster_of(ExecutorSettings(kind="dask", workers=given.workers), home)
    runner = Killing(
        DaskRunner(cluster, stalled_s=600.0, starts=3), [STAGES[n % len(STAGES)] for n in range(given.kills)]
    )
    began = time.monotonic()
    try:
        rows = sweeping.run(sweep, runner, width=given.workers, clock=lambda: datetime.now(tz=UTC), say=_told)
    finally:
        runner.stop()
    seconds = time.monotonic() - began
    again = sweeping.Sweep(
        [entry for entry in entries if sweep.folder(entry) in runner.hit], base, home / "undisturbed", failures=1
    )
    plain = SubprocessRunner(stalled_s=600.0)
    expected = {
        row["recipe"]: bits_of(row)
        for row in sweeping.run(again, plain, width=given.workers, clock=lambda: datetime.now(tz=UTC), say=_told)
    }
    for row in rows:
        row["killed_in"] = runner.hit.get(Path(row["path"]))
        row["same_bits"] = None if row["recipe"] not in expected else bits_of(row) == expected[row["recipe"]]
        for name in ("path", "bundle"):
            del row[name]
    given.rows.parent.mkdir(parents=True, exist_ok=True)
    given.rows.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows), encoding="utf-8")
    done(rows, "disturbed")
    equal = sum(row["same_bits"] is True for row in rows)
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(
        f"{len(runner.hit)} workers killed; {equal} of {len(expected)} equal to the bit; {seconds / 60:.1f} min, {load}"
    )
    return int(equal < len(expected) or not runner.hit or any(row["verdict"] == "given_up" for row in rows))


def _told(row: dict[str, Any]) -> None:
    print(f"{row['recipe'][:12]} {row['verdict']} {row['wall_s']} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
