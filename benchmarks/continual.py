"""Which policy keeps a trigger network good while its detector degrades: behind docs/benchmarks/continual.md.

For each degradation and seed a champion is trained on a healthy fill; five worse fills follow, and after each every
policy learns from it.  One JSON line is written for each finished cell (degradation, seed, learner), so that the
campaign goes on where it was stopped.  Takes about 20 CPU minutes.
"""

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.continual_learners import Champion, Learner, Scores, line_up
from benchmarks.continual_streams import DEGRADATIONS, Fill, make_fill
from benchmarks.continual_streams import FILLS as LAST
from retrain.contract import Features
from retrain.digest import digest_of_bytes
from retrain.working_point import threshold_for

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "docs" / "benchmarks" / "rows" / "continual.jsonl"
FRACTION = 0.01
"""Share of crossings that is to pass: 277 kHz at 2 460 bunches, so that passes can be counted."""
INTERVAL = 2
"""Lumisections that are counted together when a rate is held against its tolerance."""
WINDOW = 6
"""Lumisections before an interval from which a threshold that follows is set."""
RIVER_SAMPLE = 2000
LEARNING = (
    "contract", "fixed_point", "preflight", "recipe", "policy", "network", "straight_through", "checkpoint", "train",
    "memory", "online", "working_point",
)  # fmt: skip
Row = dict[str, Any]


def auc(background: Scores, signal: Scores) -> float:
    """Return the probability that a signal event scores above a background one, ties counting half."""
    ordered = np.sort(background)
    below = np.searchsorted(ordered, signal, "left") + np.searchsorted(ordered, signal, "right")
    return float(below.mean() / (2.0 * len(ordered)))


def cut_at(scores: Scores, fraction: float) -> float:
    """Return the smallest threshold at which no more than ``fraction`` pass; whole for whole scores."""
    if np.issubdtype(scores.dtype, np.integer):
        return float(threshold_for(scores, fraction))
    return float(np.sort(scores)[::-1][int(fraction * len(scores))]) * (1.0 + 1e-12)


def measure(learner: Learner, fill: Fill, sample: int | None) -> tuple[float, float, dict[str, float]]:
    """Return efficiency at the fixed rate and AUC, averaged over the signals, and each signal's efficiency.

    Args:
        learner: As it is now.
        fill: Its measuring half sets the threshold.
        sample: Most events of each kind; None for all.
    """
    background = learner.scores(_some(fill.measuring, sample))
    threshold = cut_at(background, FRACTION)
    efficiency, areas = {}, []
    for name, features in fill.signals.items():
        scores = learner.scores(_some(features, None if sample is None else sample // 10))
        efficiency[name] = float((scores >= threshold).mean())
        areas.append(auc(background, scores))
    return float(np.mean(list(efficiency.values()))), float(np.mean(areas)), efficiency


def _some(features: Features, most: int | None) -> Features:
    if most is None or features.shape[1] <= most:
        return features
    return np.ascontiguousarray(features[:, :: features.shape[1] // most])


def passing(learner: Learner, fill: Fill, before: Fill, fixed: float) -> dict[str, list[int]]:
    """Return passes of each interval of a fill that the learner has not seen.

    Args:
        learner: As it is after the fill before.
        fill: Now running.
        before: The fill before; its end sets the first threshold that follows.
        fixed: The threshold that was set when the model was deployed.

    Returns:
        ``events`` and passes at the ``fixed`` threshold and at one that ``follows`` the lumisections just before.
    """
    past = [learner.scores(part.features) for part in before.parts[-WINDOW:]]
    now = [learner.scores(part.features) for part in fill.parts]
    out: dict[str, list[int]] = {"events": [], "fixed": [], "follows": []}
    for start in range(0, len(now), INTERVAL):
        recent = np.concatenate([*past, *now[:start]][-WINDOW:])
        interval = np.concatenate(now[start : start + INTERVAL])
        out["events"].append(len(interval))
        out["fixed"].append(int((interval >= fixed).sum()))
        out["follows"].append(int((interval >= cut_at(recent, FRACTION)).sum()))
    return out


def run_cell(name: str, learner: Learner, fills: Sequence[Fill]) -> Row:
    """Let one learner live through a stream and return what was measured."""
    river = name.startswith("river")
    sample = RIVER_SAMPLE if river else None
    efficiency: list[list[float | None]] = []
    areas: list[list[float | None]] = []
    rates, cost = [], []
    last: dict[str, float] = {}
    for fill in fills:
        if fill.index > 0 and not river:
            before = fills[fill.index - 1]
            deployed = fills[0] if name == "frozen" else before
            rates.append(passing(learner, fill, before, cut_at(learner.scores(deployed.measuring), FRACTION)))
        started = time.process_time()
        if fill.index > 0 or river or name == "all fills kept":
            learner.learn(fill)
        cost.append(time.process_time() - started)
        asked = {0, LAST} if river else set(range(fill.index + 1))
        found: dict[int, Any] = {}
        if not river or fill.index in {0, LAST}:
            found = {one: measure(learner, fills[one], sample) for one in sorted(asked)}
        efficiency.append([found[one][0] if one in found else None for one in range(len(fills))])
        areas.append([found[one][1] if one in found else None for one in range(len(fills))])
        last = {signal: value for one in found for signal, value in found[one][2].items()} or last
    return {"efficiency": efficiency, "auc": areas, "rates": rates, "cost_s": cost, "by_signal": last}


def code_digest() -> str:
    """Return a short digest of everything that decides a row's numbers, but for libraries."""
    ours = [ROOT / "benchmarks" / f"continual{part}.py" for part in ("", "_streams", "_learners")]
    learning = [ROOT / "retrain" / f"{name}.py" for name in LEARNING]
    wings = [*(ROOT / "drift" / "simulate").glob("*.py"), *(ROOT / "retrain" / "policies").glob("*.py"), *learning]
    return digest_of_bytes(b"".join(path.read_bytes() for path in sorted([*ours, *wings])))[:12]


def done(path: Path) -> set[tuple[str, int, str]]:
    """Return the cells that a file of rows holds already."""
    if not path.exists():
        return set()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return {(row["degradation"], row["seed"], row["learner"]) for row in rows}


def campaign(seeds: Iterable[int], degradations: Sequence[str], path: Path, only: Sequence[str] = ()) -> None:
    """Run every cell that is not there yet; each is on disk before the next begins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    finished = done(path)
    libraries = {name: version(name) for name in ("torch", "numpy", "river")}
    stamp = {"code": code_digest(), "python": platform.python_version(), **libraries}
    for seed in seeds:
        first = make_fill("healthy", 0, seed)
        champion = Champion.of(first, seed)
        everyone = line_up(champion, seed)
        for degradation in degradations:
            names = [one for one in everyone if not only or one in only]
            open_cells = [one for one in names if (degradation, seed, one) not in finished]
            if not open_cells:
                continue
            fills = (first, *(make_fill(degradation, index, seed) for index in range(1, LAST + 1)))
            for name in open_cells:
                started = time.process_time()
                row = run_cell(name, everyone[name](), fills)
                head = {"degradation": degradation, "seed": seed, "learner": name, **stamp}
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**head, **row}) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                ends = row["efficiency"][-1]
                spent = time.process_time() - started
                said = f"now {ends[-1]:.3f}, old {ends[0]:.3f}, {spent:.1f} s"
                print(f"{degradation} seed {seed} {name}: {said}", flush=True)


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--degradation", action="append", choices=sorted(DEGRADATIONS))
    parser.add_argument("--learner", action="append", default=[])
    parser.add_argument("--rows", type=Path, default=ROWS)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # brevitas and torch warn about each other's deprecations
    torch.set_num_threads(1)
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    campaign(seeds, asked.degradation or list(DEGRADATIONS), asked.rows, asked.learner)


if __name__ == "__main__":
    main()
