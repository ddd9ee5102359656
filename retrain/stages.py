"""What each stage of a job does: from listed lumisections to a sealed bundle.

A stage reads folders that earlier stages finished and writes its own; it may be killed at any instant and run
again.  No clock, no path and no process id reaches what a stage writes, so equal recipes give equal bytes.  Nothing
here decides in which order stages run; `retrain.job` does.
"""

import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from retrain import bundle
from retrain.contract import Contract
from retrain.dataset import Dataset, ListedLumisection, load
from retrain.digest import digest_of_bytes
from retrain.errors import ContractError, DatasetError, RecipeError
from retrain.models import resolve
from retrain.preflight import check_contract, derive
from retrain.program import IntegerProgram
from retrain.progress import read_whole
from retrain.recipe import Recipe
from retrain.verify import judge
from retrain.working_point import against_champion, choose, same_share, share, stability, strata

Beat = Callable[[float, str], None]
PREFLIGHT_EVENTS = 200_000
GOLDEN_VECTORS = 4096
_TOOLS = ("torch", "brevitas", "qonnx", "onnx", "hls4ml", "numpy", "scipy", "safetensors")


@dataclass(frozen=True)
class Job:
    """A job description, read and checked.

    Attributes:
        recipe: What to make.
        listed: The lumisections, with their files.
        champion: Bundle to compare with; None when there is none.
        contract: Contract given with the job; None when the champion's, or one from the data, is to be used.
        out: Where bundles are kept.
        exclude_reasons: Why other lumisections were left out, by ``run:lumisection``; kept as evidence.
        device: Where to train, ``cpu`` or ``cuda``; no part of the recipe, but told in the evidence.
        snapshot: Folder of the online learner's state that the recipe names; None for other policies.
    """

    recipe: Recipe
    listed: tuple[ListedLumisection, ...]
    champion: Path | None
    contract: Contract | None
    out: Path
    exclude_reasons: Mapping[str, str]
    device: str = "cpu"
    snapshot: Path | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Job":
        """Read a job description.

        Raises:
            RecipeError: A key is missing, or contract and recipe do not go together.
        """
        missing = sorted({"recipe", "lumisections", "out"} - set(value))
        if missing:
            raise RecipeError(f"job.json lacks {missing}; expected recipe, lumisections, champion, out")
        recipe = Recipe.from_json(value["recipe"])
        champion, contract = value.get("champion"), value.get("contract")
        if (champion is None) != (recipe.champion is None):
            raise RecipeError(
                f"job.json has champion {champion!r}, its recipe {recipe.champion!r}; give both, the path of the "
                "bundle and its digest, or neither"
            )
        return cls(
            recipe=recipe,
            listed=tuple(ListedLumisection.from_json(one) for one in value["lumisections"]),
            champion=None if champion is None else Path(champion),
            contract=None if contract is None else Contract.from_json(contract),
            out=Path(value["out"]),
            exclude_reasons={str(name): str(reason) for name, reason in (value.get("exclude_reasons") or {}).items()},
            device=str(value.get("device") or "cpu"),
            snapshot=None if value.get("snapshot") is None else Path(value["snapshot"]),
        )


@dataclass(frozen=True)
class Work:
    """A job and the folders of its stages."""

    job: Job
    folders: Mapping[str, Path]

    @cached_property
    def contract(self) -> Contract:
        """The contract this job trains for, as its first stage settled it."""
        return Contract.from_json(self.json("dataset", "contract.json"))

    @cached_property
    def dataset(self) -> Dataset:
        """The events, from the copy that the first stage made."""
        kept = self.json("dataset", "index.json")
        features = np.load(self.folders["dataset"] / "features.npy", allow_pickle=False)
        listed = tuple(ListedLumisection.from_json(one) for one in kept["lumisections"])
        return Dataset(features, listed, tuple(kept["counts"]), tuple(kept["held_out"]))

    @cached_property
    def program(self) -> IntegerProgram:
        """The integer reference of the trained network."""
        arrays = load_file(self.folders["export"] / bundle.WEIGHTS)
        return IntegerProgram.assemble(self.json("export", "program.json"), arrays)

    def json(self, stage: str, name: str) -> dict[str, Any]:
        """Return a JSON file that a finished stage wrote."""
        value = read_whole(self.folders[stage] / name)
        if value is None:
            raise DatasetError(f"stage {stage} left no {name}; remove {self.folders[stage]} and run the job again")
        return value

    def encoder(self) -> Any:
        """Return the trained, quantised encoder."""
        from retrain.checkpoint import restore  # noqa: PLC0415 - torch is paid by the stages that need it

        arrays = load_file(self.folders["train"] / bundle.CHECKPOINT)
        return restore(self.job.recipe, self.contract, arrays).encoder


def dataset(work: Work, out: Path, beat: Beat) -> None:
    """Copy the listed events, settle the contract, and hold it against them."""
    job = work.job
    given = _given_contract(job)
    socket = given or replace(resolve(job.recipe.model).contract(), name=job.recipe.slot)
    loaded = load(job.listed, job.recipe, len(socket.inputs), beat)
    training = loaded.features[:, loaded.mask(held_out=False)]
    if training.shape[1] == 0:
        raise DatasetError("the training lumisections hold no event")
    stride = max(training.shape[1] // PREFLIGHT_EVENTS, 1)
    sample = np.ascontiguousarray(training[:, ::stride])
    contract = given or derive(socket, sample)
    findings = check_contract(contract, sample)
    np.save(out / "features.npy", loaded.features)
    kept = [{**asdict(one), "path": str(one.path)} for one in loaded.lumisections]
    index = {"lumisections": kept, "counts": list(loaded.counts), "held_out": list(loaded.held_out)}
    bundle.write_json(out / "index.json", index)
    bundle.write_json(out / "contract.json", contract.to_json())
    bundle.write_json(out / "dataset.json", {**loaded.evidence(), "excluded": dict(job.exclude_reasons)})
    preflight = {
        "findings": [str(finding) for finding in findings],
        "contract_digest": contract.digest,
        "events": int(sample.shape[1]),
        "derived": given is None,
    }
    bundle.write_json(out / "preflight.json", preflight)


def _given_contract(job: Job) -> Contract | None:
    contract = job.contract
    if contract is None and job.champion is not None:
        contract = bundle.load(job.champion, job.recipe.champion).contract
    if contract is None and job.recipe.contract is None:
        return None
    found = None if contract is None else contract.digest
    if job.recipe.contract not in {None, found}:
        raise ContractError(
            f"the recipe is for contract {str(job.recipe.contract)[:16]}; the job brings {str(found)[:16]}; the "
            "contract of a slot is frozen, give the one of its champion"
        )
    return contract


def train(work: Work, out: Path, beat: Beat) -> None:
    """Train as the recipe's policy says, and again for one epoch to compare its bits."""
    from retrain.online_store import adopt  # noqa: PLC0415 - torch is paid by the stages that need it
    from retrain.teaching import teach  # noqa: PLC0415 - torch is paid by the stages that need it

    job = work.job
    champion = None if job.champion is None else bundle.load(job.champion, job.recipe.champion)
    if job.recipe.policy.name == "online":
        taught = adopt(job.recipe, work.contract, work.dataset, champion, job.snapshot)
    else:
        taught = teach(job.recipe, work.contract, work.dataset, champion, job.device, beat)
    bundle.write_tensors(out / bundle.CHECKPOINT, taught.checkpoint)
    bundle.write_tensors(out / bundle.MEMORY, taught.memory.arrays())
    bundle.write_json(out / "training.json", taught.evidence)


def export(work: Work, out: Path, beat: Beat) -> None:
    """Write the network as QONNX, read it back as integers, and write it once more to compare the bytes."""
    from retrain.firmware import qonnx  # noqa: PLC0415 - paid only where it is needed

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
    bundle.write_json(out / "export.json", {"graph_again": same})


def firmware(work: Work, out: Path, beat: Beat) -> None:
    """Write the C++ of the network and build the emulator."""
    from retrain.firmware import emulator, hls  # noqa: PLC0415 - paid only where it is needed

    beat(0.0, "hls4ml")
    hls.write(work.folders["export"] / "model.qonnx", work.contract, out / "hls")
    text = emulator.source(work.contract, work.program, hls.read(out / "hls"))
    emulator.build(out, text, beat)


def prove(work: Work, out: Path, beat: Beat) -> None:
    """Compare all engines on recorded, random and corner vectors; keep those on which they differ."""
    from retrain.firmware import hls, resources  # noqa: PLC0415 - paid only where it is needed
    from retrain.firmware.proof import KEPT_MISMATCHES, Witnesses, prove  # noqa: PLC0415 - paid only where it is needed
    from retrain.firmware.vectors import assemble  # noqa: PLC0415 - paid only where it is needed

    built, exported = work.folders["firmware"], work.folders["export"]
    rng = np.random.default_rng(work.job.recipe.seed)
    vectors = assemble(work.contract, work.program, work.dataset.features, work.job.recipe.proof_vectors, rng)
    witnesses = Witnesses(
        contract=work.contract,
        program=work.program,
        encoder=work.encoder(),
        graph=exported / "model.qonnx",
        sources=hls.read(built / "hls"),
        library=built / bundle.EMULATOR,
    )
    proof = prove(witnesses, vectors, beat)
    files = bundle.file_digests(built)
    evidence = {
        **proof.evidence,
        "seed": work.job.recipe.seed,
        "weights_digest": digest_of_bytes((exported / bundle.WEIGHTS).read_bytes()),
        "graph_digest": digest_of_bytes((exported / "model.qonnx").read_bytes()),
        "emulator_digest": files[bundle.EMULATOR],
        "sources_digest": bundle.sources_digest(files),
    }
    bundle.write_json(out / "proof.json", evidence)
    bundle.write_json(out / "resources.json", asdict(resources.estimate(work.contract, work.program)))
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


def working_point(work: Work, out: Path, beat: Beat) -> None:
    """Derive the integer threshold on held-out events, and compare with the champion on the same."""
    recipe, data = work.job.recipe, work.dataset
    beat(0.1, "integer scores")
    scores = work.program.run(work.contract, data.features)
    held = data.mask(held_out=True)
    point = choose(
        scores[held],
        target_rate_hz=recipe.target_rate_hz,
        bunches=recipe.bunches,
        confidence=recipe.confidence,
        minimum_passing=recipe.minimum_passing,
    )
    passed = scores >= point["threshold"]
    pileup = data.per_event([one.pileup for one in data.lumisections])
    group = data.per_event([one.run if one.fill is None else one.fill for one in data.lumisections]).astype(np.int64)
    learned = share(int(passed[~held].sum()), int((~held).sum()), recipe.confidence)
    evidence = {
        **point,
        "strata": strata(passed[held], pileup[held], recipe.bunches, recipe.confidence),
        "stability": stability(passed[held], pileup[held], group[held]),
        "training": {
            **asdict(learned),
            "p_value": same_share((learned.passing, learned.events), (point["passing"], point["events"])),
        },
        "against_champion": None,
    }
    if work.job.champion is not None:
        beat(0.6, "the champion on the same events")
        champion = bundle.load(work.job.champion, recipe.champion)
        theirs = champion.program.run(champion.contract, data.features[:, held]) >= champion.threshold
        compared = against_champion(passed[held], theirs, recipe.bunches, recipe.confidence)
        evidence["against_champion"] = {"digest": champion.digest, "threshold": champion.threshold, **compared}
    bundle.write_json(out / "working_point.json", evidence)
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
        "resources": work.json("prove", "resources.json"),
        "budget": vars(work.contract.budget),
        "working_point": work.json("working_point", "working_point.json"),
        "training": training,
    }
    bundle.write_json(out / "gates.json", {"gates": [gate.to_json() for gate in judge(evidence)]})


def seal(work: Work, out: Path, beat: Beat) -> None:
    """Gather everything into one folder named by its digest."""
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
        ("export", bundle.WEIGHTS, bundle.WEIGHTS),
        ("export", "program.json", "program.json"),
        ("prove", "golden.safetensors", "golden.safetensors"),
        ("working_point", "threshold.json", bundle.THRESHOLD),
        ("dataset", "dataset.json", "evidence/dataset.json"),
        ("dataset", "preflight.json", "evidence/preflight.json"),
        ("train", "training.json", "evidence/training.json"),
        ("prove", "proof.json", "evidence/proof.json"),
        ("prove", "resources.json", "evidence/resources.json"),
        ("working_point", "working_point.json", "evidence/working_point.json"),
        ("gates", "gates.json", "evidence/gates.json"),
    ):
        shutil.copyfile(folders[stage] / name, staging / target)
    for tree in ("hls", "emulator"):
        shutil.copytree(folders["firmware"] / tree, staging / tree)
    identity = {
        "slot": recipe.slot,
        "model": recipe.model,
        "recipe_digest": recipe.digest,
        "contract_digest": work.contract.digest,
        "threshold": work.json("working_point", "threshold.json")["threshold"],
    }
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
    ("firmware", firmware),
    ("prove", prove),
    ("working_point", working_point),
    ("gates", gates),
    ("bundle", seal),
)
