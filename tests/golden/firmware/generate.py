"""Writes the golden vectors of the firmware chain: what one fixed network answers, integer by integer.

    python tests/golden/firmware/generate.py              renew golden.json from the network that is here
    python tests/golden/firmware/generate.py --network    train a new network first (changes everything)

The first form must leave golden.json as it is: its diff is the test.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
VECTORS = 96
SEED = 20260501


def train() -> None:
    """Train a small network on random events and write contract, recipe, checkpoint and graph."""
    from retrain import bundle
    from retrain.contract import axol1tl_contract
    from retrain.firmware import qonnx
    from retrain.preflight import derive
    from retrain.recipe import Recipe, ranges
    from retrain.train import fit, state_arrays

    rng = np.random.default_rng(SEED)
    socket = axol1tl_contract("L1_AXO")
    rows = [
        rng.exponential(20, 4000).clip(0, port.high)
        if port.quantity == "pt"
        else rng.integers(port.low, port.high, 4000)
        for port in socket.inputs
    ]
    events = np.stack(rows).astype(np.int16)
    contract = derive(socket, events)
    recipe = Recipe("L1_AXO", ranges([(1, 1), (1, 2)]), epochs=3, batch_size=256, hidden=(12, 8), latent=4)
    raw = contract.normalised_raw(events)
    model = fit(recipe, contract, (raw * 2.0 ** -contract.type_of("port").fraction).astype(np.float32).T).model
    bundle.write_json(HERE / "contract.json", contract.to_json())
    bundle.write_json(HERE / "recipe.json", recipe.to_json())
    bundle.write_tensors(HERE / "checkpoint.safetensors", state_arrays(model))
    qonnx.export(model.encoder, len(contract.inputs), HERE / "network.qonnx")


def golden() -> str:
    """Return the text of golden.json for the network that is here."""
    from retrain.contract import Contract
    from retrain.digest import digest_of
    from retrain.firmware import qonnx
    from retrain.firmware.vectors import from_codes
    from retrain.recipe import Recipe

    contract = Contract.from_json(json.loads((HERE / "contract.json").read_bytes()))
    recipe = Recipe.from_json(json.loads((HERE / "recipe.json").read_bytes()))
    program = qonnx.read(HERE / "network.qonnx", contract)
    rng = np.random.default_rng(SEED)
    hardware = np.stack([rng.integers(port.low, port.high + 1, VECTORS // 2) for port in contract.inputs])
    codes = rng.integers(-128, 128, (len(contract.inputs), VECTORS // 2))
    features = np.concatenate([hardware.astype(np.int16), from_codes(contract, codes, rng)], axis=1)
    latent = program.latent_raw(np.ascontiguousarray(contract.normalised_raw(features).T))
    value = {
        "contract_digest": contract.digest,
        "recipe_digest": recipe.digest,
        "program_digest": digest_of(program.structure()),
        "features": features.T.tolist(),
        "latent": latent.tolist(),
        "score": program.score_of(latent).tolist(),
    }
    lines = [f" {json.dumps(name)}: {json.dumps(item)}" for name, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if "--network" in sys.argv[1:]:
        train()
    (HERE / "golden.json").write_text(golden(), encoding="utf-8")
