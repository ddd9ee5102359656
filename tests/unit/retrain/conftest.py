"""Synthetic zero bias and a small network, enough for every rule of `retrain` to be tried without a detector."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from retrain import bundle
from retrain.contract import axol1tl_contract
from retrain.digest import digest_of_bytes
from retrain.fixed_point import FixedPoint
from retrain.preflight import derive
from retrain.program import Dense, IntegerProgram, Requantise
from retrain.recipe import Recipe, ranges


def zero_bias(count, seed=0):
    """Return hardware integers, shape (57, count): falling momenta, flat angles, absent objects as zeros."""
    rng = np.random.default_rng(seed)
    rows = []
    for name, ranks, mean, eta, phi, present in (
        ("MET", 1, 30, 0, 143, 1.0),
        ("EG", 4, 10, 60, 143, 0.97),
        ("Mu", 4, 8, 220, 575, 0.1),
        ("Jet", 10, 40, 110, 143, 0.8),
    ):
        there = rng.random((ranks, count)) < present * np.linspace(1.0, 0.5, ranks)[:, None]
        momentum = -np.sort(-(rng.exponential(mean, (ranks, count)) + 4) * there, axis=0)
        there = momentum > 0
        for rank in range(ranks):
            rows += [
                np.minimum(momentum[rank], 500),
                rng.integers(-eta, eta + 1, count) * there[rank],
                rng.integers(0, phi + 1, count) * there[rank],
            ]
        assert name
    return np.ascontiguousarray(np.stack(rows)).astype(np.int16)


def small_program(seed=0, hidden=(6,), latent=3):
    """Return an integer program with random weights on the ports of the shipped contract."""
    rng = np.random.default_rng(seed)
    contract = axol1tl_contract()
    layers = [Requantise("cast0", contract.type_of("network_input"), rectify=False)]
    width, fraction = 57, contract.type_of("network_input").fraction
    for number, size in enumerate((*hidden, latent)):
        weights = rng.integers(-31, 32, (width, size))
        bias = rng.integers(-200, 200, size)
        layers.append(Dense(f"dense{number}", weights, bias, 5, 6))
        last = number == len(hidden)
        kind = contract.type_of("latent" if last else "hidden")
        layers.append(Requantise(f"cast{number + 1}", kind, rectify=not last))
        width = size
    assert fraction == 2
    return IntegerProgram(contract.type_of("port"), tuple(layers), FixedPoint.parse(contract.score))


def recipe(**changes):
    """Return a recipe over twelve lumisections of one run."""
    lumisections = ranges((382913, number) for number in range(1, 13))
    return Recipe(**{"slot": "L1_AXO", "lumisections": lumisections, **changes})


def stage_bundle(folder, threshold=2000):
    """Write the files of a small bundle, as the last stage gathers them, and return what identifies it."""
    events = zero_bias(4000)
    contract, program, made_by = derive(axol1tl_contract("L1_AXO"), events), small_program(), recipe()
    folder.mkdir(parents=True)
    bundle.write_json(folder / "recipe.json", made_by.to_json())
    bundle.write_json(folder / "contract.json", contract.to_json())
    bundle.write_json(folder / "program.json", program.structure())
    bundle.write_tensors(folder / bundle.WEIGHTS, program.arrays())
    weights = digest_of_bytes((folder / bundle.WEIGHTS).read_bytes())
    bundle.write_json(
        folder / bundle.THRESHOLD,
        {"threshold": threshold, "weights_digest": weights, "contract_digest": contract.digest},
    )
    for name in ("hls/firmware/network.cpp", "emulator/emulator.cpp", bundle.EMULATOR, bundle.PLAIN):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"content of {name}".encode())
    files = bundle.file_digests(folder)
    digests = {
        "weights": weights,
        "contract": contract.digest,
        "sources": bundle.sources_digest(files),
        "library": files[bundle.EMULATOR],
        "onnx": files[bundle.PLAIN],
    }
    bundle.write_json(folder / bundle.METADATA, {"digests": digests, "threshold": {"integer": threshold}})
    proof = {
        "weights_digest": weights,
        "contract_digest": contract.digest,
        "emulator_digest": files[bundle.EMULATOR],
        "plain_digest": files[bundle.PLAIN],
        "sources_digest": bundle.sources_digest(files),
    }
    bundle.write_json(folder / "evidence" / "proof.json", proof)
    bundle.write_json(folder / "evidence" / "gates.json", {"gates": []})
    bundle.write_json(folder / "evidence" / "training.json", {"policy": made_by.policy.to_json()})
    return {
        "slot": "L1_AXO",
        "model": "axol1tl",
        "recipe_digest": made_by.digest,
        "contract_digest": contract.digest,
        "threshold": threshold,
    }


def write_job(folder, *, lumisections=12, events=400, out=None, **changes):
    """Write a job folder with its data files, as the daemon does, and return the description."""
    everything = zero_bias(lumisections * events, seed=7)
    listed = []
    (folder / "data").mkdir(parents=True)
    for index in range(lumisections):
        path = folder / "data" / f"{index}.npy"
        np.save(path, np.ascontiguousarray(everything[:, index * events : (index + 1) * events]))
        listed.append(
            {
                "run": 382913,
                "lumisection": index + 1,
                "fill": 9877 + index // 6,
                "pileup": 50.0 + index % 3,
                "certified": True,
                "path": str(path),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        )
    job = {
        "recipe": recipe(**changes).to_json(),
        "lumisections": listed,
        "champion": None,
        "out": str(out or folder / "bundles"),
        "exclude_reasons": {"382913:99": "quarantined"},
    }
    (folder / "job.json").write_text(json.dumps(job))
    return job


@pytest.fixture
def make_recipe():
    return recipe


@pytest.fixture(scope="session")
def events():
    return zero_bias(6000)


@pytest.fixture(scope="session")
def contract(events):
    return derive(axol1tl_contract("L1_AXO"), events)


@pytest.fixture
def program():
    return small_program()


@pytest.fixture
def make_events():
    return zero_bias


@pytest.fixture
def make_job():
    return write_job


@pytest.fixture
def sealed(tmp_path):
    identity = stage_bundle(tmp_path / "staging")
    return bundle.seal(tmp_path / "staging", tmp_path / "bundles", identity)


@pytest.fixture
def make_staging():
    return stage_bundle


@pytest.fixture(scope="session")
def shared():
    folder = Path(__file__).parents[3] / "../shared"
    if not folder.exists():
        pytest.skip("the shared data folder is not on this machine")
    return folder
