"""Every shipped model through every engine: behind the table of docs/retrain.md.

    python -m benchmarks.prove_models [--vectors 1000000] [--models NAME ...] [--work FOLDER]

Each model is trained for a few epochs on synthetic events, written as QONNX, plain ONNX, C++ and RTL, and all of them
answer the same vectors.  One JSON line a model is written when it is done, so that the campaign goes on where it was
stopped; then the table is printed.  A million vectors took four minutes a model on a busy core; `cicada` needs half an
hour of C++.
"""

import argparse
import json
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.retrain_stages import events
from retrain.contract import Contract, Features
from retrain.firmware import emulator, emulator_source, hls, logic, plain_onnx, qonnx, resources, rtl
from retrain.firmware.proof import Witnesses
from retrain.firmware.proof import prove as compare
from retrain.firmware.vectors import assemble
from retrain.models import socket
from retrain.preflight import derive
from retrain.recipe import Recipe, ranges
from retrain.train import fit

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "docs" / "benchmarks" / "rows" / "prove_models.jsonl"
EVENTS = 30_000
Row = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """A model and the fields of its recipe."""

    model: str
    fields: dict[str, Any]


TRIALS = (
    Trial("axol1tl", {"hidden": (32, 16), "latent": 8}),
    Trial("axol1tl_v5", {"hidden": (29, 10, 9, 6), "latent": 4, "weight_bits": 4, "sparsity": 0.5}),
    Trial("topology", {"hidden": (32, 16), "signals": ("hard", "many"), "learn": ("hard", "many")}),
    Trial("cicada", {"hidden": (4, 16)}),
)


def regions(count: int, seed: int) -> Features:
    """Return synthetic regional energies, shape (252, count): many small deposits and a few clusters."""
    rng = np.random.default_rng(seed)
    soft = rng.poisson(rng.gamma(4.0, 1.0, (1, count)), (252, count))
    hard = rng.exponential(40.0, (252, count)) * (rng.random((252, count)) < 0.01)
    return np.ascontiguousarray(np.minimum(soft + hard, 1023)).astype(np.int16)


def signals(name: str, count: int) -> Features:
    """Return synthetic crossings with harder objects than zero bias has, or with more of them."""
    out = events(count, 77)
    momenta = slice(0, 57, 3)
    if name == "hard":
        out[momenta] = np.minimum(out[momenta] * 3, 500)
    else:
        out[27::3] = np.maximum(out[27::3], out[27:28] // 2)
    return out


def prepared(trial: Trial) -> tuple[Recipe, Contract, Features, list[NDArray[np.float32]]]:
    """Return recipe, contract with scales, events, and normalised signals to learn from."""
    given = regions(EVENTS, 1) if trial.model == "cicada" else events(EVENTS, 1)
    recipe = Recipe("L1_TRIAL", ranges([(1, 1)]), model=trial.model, epochs=6, batch_size=512, **trial.fields)
    contract = derive(socket(trial.model), given)
    return recipe, contract, given, [contract.network_inputs(signals(name, 5000)) for name in recipe.learn]


def prove(trial: Trial, vectors: int, work: Path) -> Row:
    """Train, write and prove one model; return its row."""
    started = time.monotonic()
    recipe, contract, given, shown = prepared(trial)
    encoder = fit(recipe, contract, contract.network_inputs(given), signals=shown).model.encoder
    qonnx.export(encoder, len(contract.inputs), work / "model.qonnx")
    program = qonnx.read(work / "model.qonnx", contract)
    hls.write(work / "model.qonnx", contract, work / "hls")
    sources = hls.read(work / "hls")
    library = emulator.build(work, emulator_source.source(contract, program, sources))
    plain_onnx.write(contract, program, work / "model.onnx")
    cost = rtl.write(logic.trace(contract, program), contract, work / "rtl")
    simulator = rtl.verilate(work / "rtl", work / "simulator")
    paths = {"graph": work / "model.qonnx", "library": library, "plain": work / "model.onnx"}
    witnesses = Witnesses(
        contract, program, encoder, sources=sources, module=work / "rtl", simulator=simulator, **paths
    )
    tested = assemble(contract, program, given, vectors, np.random.default_rng(1))
    evidence = compare(witnesses, tested, _say).evidence
    found = resources.estimate(contract.budget, cost, evidence["latency_cycles"], "not run", None)
    weights = [array for name, array in program.arrays().items() if name.endswith("weights")]
    return {
        "model": trial.model,
        "hidden": list(recipe.hidden),
        "weight_bits": recipe.weight_bits,
        "sparsity": recipe.sparsity,
        "vectors": evidence["vectors"],
        "mismatching": evidence["mismatching_vectors"],
        "structure": len(evidence["structure"]) + len(evidence["accumulators"]["too_narrow"]),
        "worst_case": evidence["accumulators"]["worst_case"],
        "weights": int(sum(np.count_nonzero(one) for one in weights)),
        "lut": cost.lut,
        "ff": cost.ff,
        "cycles": evidence["latency_cycles"],
        "ticks": found.latency_ticks,
        "budget": {"lut": contract.budget.lut, "ff": contract.budget.ff, "ticks": contract.budget.latency_ticks},
        "seconds": round(time.monotonic() - started),
    }


def _say(part: float, text: str) -> None:
    print(f"\r{part:6.1%} {text:60}", end="", flush=True)


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    head = ("model", "hidden", "bits, pruned", "weights not 0", "vectors", "mismatching", "LUT", "FF", "clocks, ticks")
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for row in rows:
        budget = row["budget"]
        cells = (
            f"`{row['model']}`",
            "-".join(map(str, row["hidden"])),
            f"{row['weight_bits']}, {row['sparsity']:.0%}",
            _whole(row["weights"]),
            _whole(row["vectors"]),
            str(sum(row["mismatching"].values())),
            f"{_whole(row['lut'])} of {_whole(budget['lut'])}",
            f"{_whole(row['ff'])} of {_whole(budget['ff'])}",
            f"{row['cycles']}, {row['ticks']} of {budget['ticks']}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _whole(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def main() -> None:
    """Prove what is not proven yet, and print the table."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--vectors", type=int, default=1_000_000)
    ask.add_argument("--models", nargs="*", default=[trial.model for trial in TRIALS])
    ask.add_argument("--work", type=Path, default=ROOT / "build" / "prove_models")
    ask.add_argument("--rows", type=Path, default=ROWS)
    given = ask.parse_args()
    warnings.simplefilter("ignore")
    rows = [json.loads(line) for line in given.rows.read_text().splitlines()] if given.rows.exists() else []
    done = {row["model"] for row in rows if row["vectors"] >= given.vectors}
    for trial in TRIALS:
        if trial.model not in given.models or trial.model in done:
            continue
        work = given.work / trial.model
        work.mkdir(parents=True, exist_ok=True)
        row = {**prove(trial, given.vectors, work), "load": round(os.getloadavg()[0], 1)}
        rows = [*(one for one in rows if one["model"] != trial.model), row]
        given.rows.parent.mkdir(parents=True, exist_ok=True)
        given.rows.write_text("".join(json.dumps(one) + "\n" for one in rows))
        print(f"\n{json.dumps(row)}")
    print(table(rows))


if __name__ == "__main__":
    main()
