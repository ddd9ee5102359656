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
from retrain.work import Work

Beat = Callable[[float, str], None]
GOLDEN_VECTORS = 4096


def firmware(work: Work, out: Path, beat: Beat) -> None:
    """Write the C++ of the network and build the emulator; write the RTL of the whole module."""
    from retrain.firmware import emulator, emulator_source, hls, logic, rtl  # noqa: PLC0415 - paid only where it is needed

    beat(0.0, "hls4ml")
    hls.write(work.folders["export"] / "model.qonnx", work.contract, out / "hls")
    text = emulator_source.source(work.contract, work.program, hls.read(out / "hls"))
    emulator.build(out, text, lambda part, said: beat(0.1 + 0.8 * part, said))
    beat(0.9, "da4ml")
    cost = rtl.write(logic.trace(work.contract, work.program), work.contract, out / "rtl")
    bundle.write_json(out / "rtl" / "cost.json", asdict(cost))


def prove(work: Work, out: Path, beat: Beat) -> None:
    """Compare all engines on recorded, random and corner vectors; keep those on which they differ."""
    from retrain.firmware import hls, rtl  # noqa: PLC0415 - paid only where it is needed
    from retrain.firmware.proof import KEPT_MISMATCHES, Witnesses, prove  # noqa: PLC0415 - paid only where it is needed
    from retrain.firmware.vectors import assemble  # noqa: PLC0415 - paid only where it is needed

    built, exported = work.folders["firmware"], work.folders["export"]
    rng = np.random.default_rng(work.job.recipe.seed)
    vectors = assemble(work.contract, work.program, work.dataset.features, work.job.recipe.proof_vectors, rng)
    simulator = rtl.verilate(built / "rtl", out / "simulator", lambda part, text: beat(0.3 * part, text))
    witnesses = Witnesses(
        contract=work.contract,
        program=work.program,
        encoder=work.encoder(),
        graph=exported / "model.qonnx",
        sources=hls.read(built / "hls"),
        library=built / bundle.EMULATOR,
        plain=exported / bundle.PLAIN,
        module=built / "rtl",
        simulator=simulator,
    )
    proof = prove(witnesses, vectors, lambda part, text: beat(0.3 + 0.7 * part, text))
    files = bundle.file_digests(built)
    evidence = {
        **proof.evidence,
        "seed": work.job.recipe.seed,
        "weights_digest": digest_of_bytes((exported / bundle.WEIGHTS).read_bytes()),
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

    module = work.folders["firmware"] / "rtl"
    cells = synthesis.synthesise(module, out / "yosys", beat) if work.job.recipe.synthesise else None
    routed = vendor.route(module, out / "vivado", beat)
    cost = Cost(**work.json("firmware", "rtl/cost.json"))
    cycles = work.json("prove", "proof.json")["latency_cycles"]
    found = resources.estimate(work.contract.budget, cost, cycles, cells, routed)
    bundle.write_json(out / "resources.json", asdict(found))
