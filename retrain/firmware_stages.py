"""The stages between a trained network and its proof: C++, RTL, synthesis, and the comparison of all engines.

Each reads folders that earlier stages finished and writes its own; equal recipes give equal bytes.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from retrain import bundle
from retrain.digest import digest_of_bytes
from retrain.errors import TooSlowError
from retrain.tighten import tried
from retrain.work import Work

Beat = Callable[[float, str], None]
GOLDEN_VECTORS = 4096


def firmware(work: Work, out: Path, beat: Beat) -> None:
    """Write the C++ of the network and build the emulator."""
    from retrain.firmware import emulator, emulator_source, hls  # noqa: PLC0415 - paid only where it is needed

    beat(0.0, "hls4ml")
    hls.write(work.folders["export"] / "model.qonnx", work.contract, out / "hls")
    text = emulator_source.source(work.contract, work.program, hls.read(out / "hls"))
    emulator.build(out, text, lambda part, said: beat(0.1 + 0.9 * part, said))


def module(work: Work, out: Path, beat: Beat) -> None:
    """Write the RTL of the whole module, and hold what it would take against the budget before more is built."""
    from retrain.firmware import logic, rtl  # noqa: PLC0415 - paid only where it is needed
    from retrain.firmware.resources import ticks_of  # noqa: PLC0415 - paid only where it is needed

    beat(0.1, "da4ml")
    cost = rtl.write(logic.trace(work.contract, work.program), work.contract, out / "rtl")
    bundle.write_json(out / "rtl" / "cost.json", asdict(cost))
    budget = work.contract.budget
    last = tried(work.job.recipe, cost.lut, cost.ff, ticks_of(cost.stages, budget.clock_mhz), budget)
    entry = {**last.to_json(), "loss": work.json("train", "training.json")["losses"][-1]}
    bundle.write_json(out / "search.json", {"tries": [*work.tries, entry]})


def prove(work: Work, out: Path, beat: Beat) -> None:
    """Compare all engines on recorded, random and corner vectors; keep those on which they differ."""
    from retrain.firmware import hls, rtl  # noqa: PLC0415 - paid only where it is needed
    from retrain.firmware.proof import KEPT_MISMATCHES, Witnesses, prove  # noqa: PLC0415 - paid only where it is needed
    from retrain.firmware.vectors import assemble  # noqa: PLC0415 - paid only where it is needed

    built, exported = work.folders["firmware"], work.folders["export"]
    rng = np.random.default_rng(work.job.recipe.seed)
    vectors = assemble(work.contract, work.program, work.dataset.features, work.job.recipe.proof_vectors, rng)
    written = work.folders["module"]
    simulator = rtl.verilate(written / "rtl", out / "simulator", lambda part, text: beat(0.3 * part, text))
    witnesses = Witnesses(
        contract=work.contract,
        program=work.program,
        encoder=work.encoder(),
        graph=exported / "model.qonnx",
        sources=hls.read(built / "hls"),
        library=built / bundle.EMULATOR,
        plain=exported / bundle.PLAIN,
        module=written / "rtl",
        simulator=simulator,
    )
    proof = prove(witnesses, vectors, lambda part, text: beat(0.3 + 0.7 * part, text))
    files = {**bundle.file_digests(built), **bundle.file_digests(written)}
    evidence = {
        **proof.evidence,
        "seed": work.job.recipe.seed,
        "weights_digest": digest_of_bytes((exported / bundle.WEIGHTS).read_bytes()),
        "contract_digest": work.contract.digest,
        "graph_digest": digest_of_bytes((exported / "model.qonnx").read_bytes()),
        "plain_digest": digest_of_bytes((exported / bundle.PLAIN).read_bytes()),
        "emulator_digest": files[bundle.EMULATOR],
        "sources_digest": bundle.sources_digest(files),
        "simulator": rtl.simulator_version(),
    }
    bundle.write_json(out / "proof.json", evidence)
    for name in ("simulator", "simulator.opened"):
        shutil.rmtree(out / name, ignore_errors=True)
    if len(proof.mismatching):
        kept = proof.mismatching[:KEPT_MISMATCHES]
        np.savez(out / "mismatches.npz", vector=kept, features=vectors.features[:, kept], score=proof.score[kept])
    picked = np.unique(np.linspace(0, len(proof.score) - 1, GOLDEN_VECTORS).astype(np.int64))
    golden = {
        "features": np.ascontiguousarray(vectors.features[:, picked]),
        "latent": proof.latent[picked].astype(np.int32),
        "score": proof.score[picked].astype(np.int32),
    }
    bundle.write_tensors(out / "golden.safetensors", golden)


def synthesis(work: Work, out: Path, beat: Beat) -> None:
    """Have Yosys count cells and, where there is one, Vivado place and route; what is left is one estimate."""
    from retrain.firmware import resources, synthesis, vendor  # noqa: PLC0415 - paid only where it is needed
    from retrain.firmware.rtl import Cost  # noqa: PLC0415 - paid only where it is needed

    folder = work.folders["module"] / "rtl"
    cells, why = None, "not run"
    if work.job.recipe.synthesise:
        try:
            cells = synthesis.synthesise(folder, out / "yosys", beat)
        except TooSlowError as error:
            why = str(error)
    routed = vendor.route(folder, out / "vivado", beat)
    cost = Cost(**work.json("module", "rtl/cost.json"))
    cycles = work.json("prove", "proof.json")["latency_cycles"]
    found = resources.estimate(work.contract.budget, cost, cycles, cells or why, routed)
    bundle.write_json(out / "resources.json", asdict(found))
