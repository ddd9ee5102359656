"""Whether the search for a network that fits the board ever lets one through that does not.

    python -m benchmarks.budget_search [--count 100] [--first-seed 1] [--synthesise 5]

Random recipes (bits, pruning, widths, latent space) meet random budgets.  Each is trained on a few synthetic events and
searched as a job would; nothing behind the search is run.  What it accepts is held against the budget by the gates,
and of some also by Yosys, which the search did not hear.  A row is one retrain.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.retrain_stages import events
from retrain.contract import Budget, Contract, axol1tl_contract
from retrain.digest import digest_of_bytes
from retrain.firmware.synthesis import synthesise
from retrain.gates.latency import latency
from retrain.gates.resources import resources
from retrain.job import SEARCHED, finish, search
from retrain.preflight import derive
from retrain.progress import Progress
from retrain.recipe import Recipe, ranges
from retrain.stages import STAGES
from retrain.tighten import Try
from retrain.work import Job, Work

ROWS = Path("docs/benchmarks/rows/budget_search.jsonl")
RUN, LUMISECTIONS, EVENTS = 382913, 4, 2000


def random_recipe(rng: np.random.Generator, spans: Any, contract: Contract) -> Recipe:
    """Return a recipe whose network may be anything from far too small to far too large."""
    depth = int(rng.integers(1, 4))
    return Recipe(
        "L1_AXO",
        spans,
        contract=contract.digest,
        seed=int(rng.integers(2**31)),
        hidden=tuple(int(width) for width in rng.integers(8, 49, depth)),
        latent=int(rng.integers(2, 9)),
        weight_bits=int(rng.integers(3, 9)),
        epochs=1,
        batch_size=500,
        synthesise=False,
    )


def work_of(folder: Path, data: list[dict[str, Any]], recipe: Recipe, contract: Contract) -> Work:
    """Return the work of a job in a folder of its own."""
    value = {
        "recipe": recipe.to_json(),
        "lumisections": data,
        "contract": contract.to_json(),
        "champion": None,
        "out": str(folder / "bundles"),
    }
    places = {name: folder / "stages" / f"{number}-{name}" for number, (name, _) in enumerate(STAGES, 1)}
    return Work(Job.from_json(value), places)


def retrain(folder: Path, data: list[dict[str, Any]], recipe: Recipe, contract: Contract) -> tuple[Work, bool]:
    """Train and search as a job does; return the last try and whether it fits."""
    folder.mkdir(parents=True)
    work, progress, stages = (
        work_of(folder, data, recipe, contract),
        Progress(folder / "progress.json", lambda: datetime.now(UTC)),
        dict(STAGES),
    )
    seconds: dict[str, float] = {}
    for name in ("dataset", *SEARCHED):
        finish(name, stages[name], work, progress, seconds)
    return search(work, progress, seconds)


def verdicts(work: Work, lut: int, ff: int) -> tuple[str, str]:
    """Return what the gates say of resources and latency, given a count."""
    last = Try.from_json(work.json("module", "search.json")["tries"][-1])
    stages = work.json("module", "rtl/cost.json")["stages"]
    found = {"lut": lut, "ff": ff, "dsp": 0, "stages": stages, "latency_ticks": last.ticks, "status": "estimate"}
    budget = vars(work.contract.budget)
    return resources(found, budget)[0], latency(found, budget)[0]


def row_of(number: int, work: Work, fits: bool, look: bool) -> dict[str, Any]:
    """Return one retrain: its path, whether it was let through, and what was counted then."""
    tries = work.json("module", "search.json")["tries"]
    row: dict[str, Any] = {"retrain": number, "budget_lut": work.contract.budget.lut, "tries": tries, "accepted": fits}
    if fits:
        row["gates"] = verdicts(work, tries[-1]["lut"], tries[-1]["ff"])
        if look:
            folder = work.folders["module"]
            cells = synthesise(folder / "rtl", folder.with_name("yosys"))
            row["yosys"] = {"lut": cells.lut, "ff": cells.ff, "dsp": cells.dsp}
            row["gates_by_yosys"] = verdicts(work, max(cells.lut, tries[-1]["lut"]), max(cells.ff, tries[-1]["ff"]))
    return row


def main() -> int:
    """Run the campaign; status 1 when something beyond its budget was let through."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--count", type=int, default=100)
    ask.add_argument("--first-seed", type=int, default=1)
    ask.add_argument("--synthesise", type=int, default=5, help="of so many accepted ones Yosys counts the cells, too")
    ask.add_argument("--rows", type=Path, default=ROWS)
    given = ask.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as home:
        data = _data(Path(home))
        taken = np.concatenate([np.load(one["path"]) for one in data], axis=1)
        socket = derive(axol1tl_contract("L1_AXO"), taken)
        spans = ranges((one["run"], one["lumisection"]) for one in data)
        looked = 0
        for number in range(given.count):
            rng = np.random.default_rng([given.first_seed, number])
            contract = replace(socket, budget=Budget(lut=int(rng.integers(6, 61)) * 1000))
            recipe = random_recipe(rng, spans, contract)
            work, fits = retrain(Path(home) / str(number), data, recipe, contract)
            row = row_of(number, work, fits, fits and looked < given.synthesise)
            looked += "yosys" in row
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    given.rows.parent.mkdir(parents=True, exist_ok=True)
    given.rows.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    accepted = [row for row in rows if row["accepted"]]
    bad = [row for row in accepted if set(row["gates"]) != {"pass"} or "fail" in row.get("gates_by_yosys", ())]
    again = sum(len(row["tries"]) > 1 for row in accepted)
    print(
        f"{len(rows)} retrains: {len(accepted)} accepted, {again} of them after more than one try, {len(bad)} wrongly"
    )
    return int(bool(bad))


def _data(home: Path) -> list[dict[str, Any]]:
    listed = []
    for number in range(1, LUMISECTIONS + 1):
        path = home / f"{number}.npy"
        np.save(path, events(EVENTS, number))
        listed.append(
            {
                "run": RUN, "lumisection": number, "fill": 9877, "pileup": 50.0, "certified": True,
                "path": str(path), "sha256": digest_of_bytes(path.read_bytes()),
            }
        )  # fmt: skip
    return listed


if __name__ == "__main__":
    sys.exit(main())
