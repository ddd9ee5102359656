"""Whether the proof sees what it must: single-bit faults in weights, threshold and RTL of a bundle, one at a time.

    python -m benchmarks.proof_faults BUNDLE [--faults 1000] [--seed 1] [--vectors 100000] [--others 300000]

A bundle's proof vectors are drawn again, as many as the gate asks for at least.  Every fault is then tried on them; one
that they do not show is tried on three times as many other vectors, drawn from another seed.  A fault that these show
and the proof's did not has escaped, and the proof is too weak; one that neither shows changes no answer that anyone has
seen.

* ``weight``, ``bias``: one bit of one parameter of the integer program, as any engine might hold it wrongly.
* ``threshold``: one bit of the integer threshold, in the file that the board is set from; the bundle must refuse it.
* ``rtl``: one bit of one wire or register of the simulated module, inverted or stuck.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from benchmarks.rtl_faults import MODES, BreakableModule, choose, wires
from retrain import bundle as bundles
from retrain.bundle import Bundle
from retrain.contract import Features
from retrain.digest import canonical, digest_of_bytes
from retrain.errors import BundleAlteredError
from retrain.firmware.vectors import assemble
from retrain.program import Dense, IntegerProgram

SHARES = {"weight": 0.45, "bias": 0.1, "threshold": 0.05, "rtl": 0.4}
BLOCKS = (512, 8192, 2**62)
PART = 100_000
ROWS = Path("docs/benchmarks/rows/proof_faults.jsonl")
PAGE = Path("docs/benchmarks/proof.md")

Answers = NDArray[np.int64]
Engine = Callable[[Features], Answers]


def answers(bundle: Bundle, program: IntegerProgram, features: Features) -> Answers:
    """Return latent integers and, last, the score, shape ``(n_events, n_latent + 1)``."""
    latent = program.latent_raw(np.ascontiguousarray(bundle.contract.normalised_raw(features).T))
    return np.concatenate([latent, program.score_of(latent)[:, None]], axis=1)


def shown(engine: Engine, features: Features, expected: Answers) -> int | None:
    """Return the first vector on which an engine differs, block by block; None when there is none."""
    start = 0
    for stop in BLOCKS:
        part = slice(start, min(stop, features.shape[1]))
        wrong = (engine(np.ascontiguousarray(features[:, part])) != expected[part]).any(axis=1)
        if wrong.any():
            return start + int(np.argmax(wrong))
        start = part.stop
        if start >= features.shape[1]:
            return None
    return None


def flipped(program: IntegerProgram, part: str, rng: np.random.Generator) -> tuple[str, IntegerProgram]:
    """Return where a bit was flipped, and the program with it: in a weight within its bits, or in a bias of 16."""
    dense = [index for index, layer in enumerate(program.layers) if isinstance(layer, Dense)]
    sizes = np.array([getattr(program.layers[index], _FIELD[part]).size for index in dense], np.float64)
    index = int(rng.choice(dense, p=sizes / sizes.sum()))
    layer = program.layers[index]
    assert isinstance(layer, Dense)
    values = getattr(layer, _FIELD[part]).copy()
    at = int(rng.integers(values.size))
    bits = layer.weight_bits if part == "weight" else 16
    bit = int(rng.integers(bits))
    unsigned = (int(values.flat[at]) ^ (1 << bit)) & ((1 << bits) - 1)
    values.flat[at] = unsigned - (1 << bits) if unsigned >> (bits - 1) else unsigned
    layers = list(program.layers)
    layers[index] = replace(layer, **{_FIELD[part]: values})
    return f"{layer.name} {part} {at} bit {bit}", replace(program, layers=tuple(layers))


_FIELD = {"weight": "weights", "bias": "bias"}


def parameter_faults(bundle: Bundle, part: str, count: int, rng: np.random.Generator) -> Iterator[tuple[str, Engine]]:
    """Yield faults of parameters, each with the engine that has it."""
    for _ in range(count):
        where, program = flipped(bundle.program, part, rng)
        yield where, partial(answers, bundle, program)


def rtl_faults(bundle: Bundle, count: int, work: Path, rng: np.random.Generator) -> Iterator[tuple[str, Engine]]:
    """Yield faults of wires and registers, each with the module that has it; an unbroken module is right first."""
    chosen, faults = choose(wires(bundle.path / "rtl"), count, rng)
    module = BreakableModule(bundle.path / "rtl", chosen, work, bundle.contract, bundle.program)
    yield "none", module.answers
    for fault in faults:
        wire = chosen[fault.wire]
        where = f"stage {wire.stage} {wire.name} bit {fault.bit} {MODES[fault.mode]}"
        yield where, partial(module.answers, fault=fault)


def threshold_refused(bundle: Bundle, bit: int, work: Path) -> bool:
    """Whether a bundle with one bit of its threshold flipped is refused, the manifest written anew over it too."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(bundle.path, work)
    bundles.load(work, bundle.digest)  # as it was, it is taken
    path = work / bundles.THRESHOLD
    value = json.loads(path.read_bytes())
    path.write_bytes(canonical({**value, "threshold": value["threshold"] ^ (1 << bit)}))
    altered = _refused(work, bundle.digest)
    files = bundles.file_digests(work)
    files.pop(bundles.MANIFEST)
    anew = canonical({**bundle.manifest, "files": files})
    (work / bundles.MANIFEST).write_bytes(anew)
    return altered and _refused(work, digest_of_bytes(anew))


def _refused(folder: Path, digest: str) -> bool:
    try:
        bundles.load(folder, digest)
    except BundleAlteredError:
        return True
    return False


def campaign(
    bundle: Bundle, recorded: Features, faults: int, seed: int, work: Path, *, vectors: int, others: int
) -> Iterator[dict[str, Any]]:
    """Yield a row for every fault: where it is, what showed it, and after how many vectors.

    Args:
        bundle: A proven one.
        recorded: Events as the proof had them, shape ``(n_inputs, n_events)``.
        faults: How many, over all kinds.
        seed: Of the faults and of the other vectors.
        work: For the module with gates.
        vectors: Of the proof.
        others: Vectors on which a fault that the proof did not see is tried.
    """
    rng, recipe = np.random.default_rng(seed), bundle.recipe
    own = assemble(bundle.contract, bundle.program, recorded, vectors, np.random.default_rng(recipe.seed)).features
    expected = answers(bundle, bundle.program, own)
    foreign: list[tuple[Features, Answers]] = []
    counts = {kind: round(faults * share) for kind, share in SHARES.items()}
    for index in range(counts["threshold"]):
        bit = index % bundle.program.score.width
        caught = threshold_refused(bundle, bit, work / "threshold")
        yield {"kind": "threshold", "where": f"bit {bit}", "caught": caught, "effect": True, "vector": None}
    kinds = [(part, parameter_faults(bundle, part, counts[part], rng)) for part in ("weight", "bias")]
    kinds.append(("rtl", rtl_faults(bundle, counts["rtl"], work / "rtl", rng)))
    for kind, source in kinds:
        for where, engine in source:
            vector = shown(engine, own, expected)
            if where == "none":
                assert vector is None, f"the module with its gates asleep differs at vector {vector}"
                continue
            effect = vector is not None
            if not effect:
                foreign = foreign or list(_others(bundle, seed, others))
                effect = any(shown(engine, features, right) is not None for features, right in foreign)
            yield {"kind": kind, "where": where, "caught": vector is not None, "effect": effect, "vector": vector}


def _others(bundle: Bundle, seed: int, count: int) -> Iterator[tuple[Features, Answers]]:
    rng = np.random.default_rng([seed, 99])
    nothing = np.zeros((len(bundle.contract.inputs), 0), np.int16)
    for _ in range(max(count // PART, 1)):
        features = assemble(bundle.contract, bundle.program, nothing, PART, rng).features
        yield features, answers(bundle, bundle.program, features)


def table(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown table of a campaign's rows."""
    lines = [
        "| fault | injected | change an answer | caught | escaped | change none | vectors until seen: median, most |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind in SHARES:
        mine = [row for row in rows if row["kind"] == kind]
        seen = Counter("caught" if row["caught"] else "escaped" if row["effect"] else "silent" for row in mine)
        after = sorted(row["vector"] + 1 for row in mine if row["vector"] is not None)
        how = f"{after[len(after) // 2]}, {after[-1]}" if after else "refused by digest"
        changing = seen["caught"] + seen["escaped"]
        lines.append(
            f"| {kind} | {len(mine)} | {changing} | {seen['caught']} | {seen['escaped']} | {seen['silent']} | {how} |"
        )
    return "\n".join(lines)


def page(head: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return the page of a campaign: what was tried, on what, and what came out."""
    changing = [row for row in rows if row["effect"]]
    caught = sum(row["caught"] for row in changing)
    return f"""# The proof, tried with faults

Written by `python -m benchmarks.proof_faults` (`make proof-faults`), rows in `rows/proof_faults.jsonl`. Bundle
{head["bundle"][:12]}, seed {head["seed"]}; {head["vectors"]} proof vectors, and {head["others"]} others for a fault
that those do not show. One bit at a time: of a weight or bias of the integer program; of the threshold in the bundle's
file, the manifest written anew over it, too; of a wire or register of the simulated RTL, inverted or stuck at 0 or 1.

{table(rows)}

{caught} of {len(changing)} faults that change an answer were caught. Vectors alone are counted here: constants of the
C++ are compared one by one besides.
"""


def main() -> int:
    """Try a bundle's proof; status 1 when a fault escaped."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("bundle", type=Path)
    ask.add_argument("--features", type=Path, help="recorded events as .npy; the bundle's golden vectors without it")
    ask.add_argument("--faults", type=int, default=1000)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--vectors", type=int, default=100_000)
    ask.add_argument("--others", type=int, default=300_000)
    ask.add_argument("--rows", type=Path, default=ROWS)
    ask.add_argument("--page", type=Path, default=PAGE)
    given = ask.parse_args()
    bundle = bundles.load(given.bundle)
    recorded = np.load(given.features) if given.features else load_file(bundle.path / "golden.safetensors")["features"]
    rows = []
    with tempfile.TemporaryDirectory() as work, given.rows.open("w", encoding="utf-8") as out:
        head = {
            "what": "campaign",
            "bundle": bundle.digest,
            "seed": given.seed,
            "vectors": given.vectors,
            "others": given.others,
        }
        out.write(json.dumps(head) + "\n")
        numbers = {"vectors": given.vectors, "others": given.others}
        for row in campaign(bundle, recorded, given.faults, given.seed, Path(work), **numbers):
            rows.append(row)
            out.write(json.dumps(row) + "\n")
            print(f"{len(rows)} {row}", file=sys.stderr, flush=True)
    given.page.write_text(page(head, rows), encoding="utf-8")
    print(table(rows))
    return int(any(row["effect"] and not row["caught"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
