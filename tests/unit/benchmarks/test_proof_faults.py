"""The proof is tried with faults that were put there on purpose."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.proof_faults import flipped, table, threshold_refused
from benchmarks.rtl_faults import MODES, BreakableModule, WireFault, choose, wires
from retrain import bundle
from retrain.contract import Contract
from retrain.firmware import logic, qonnx, rtl
from retrain.firmware.vectors import assemble
from retrain.program import Dense
from tests.unit.retrain.conftest import stage_bundle, zero_bias

GOLDEN = Path(__file__).parents[2] / "golden" / "firmware"
FAULTS = 60

# onnx warns about its own deprecations while it is imported
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def breakable(tmp_path_factory):
    """The golden network with gates in sixty wires, and the faults chosen for them."""
    folder = tmp_path_factory.mktemp("breakable")
    contract = Contract.from_json(json.loads((GOLDEN / "contract.json").read_bytes()))
    program = qonnx.read(GOLDEN / "network.qonnx", contract)
    rtl.write(logic.trace(contract, program), contract, folder / "rtl")
    chosen, faults = choose(wires(folder / "rtl"), FAULTS, np.random.default_rng(8))
    return contract, program, BreakableModule(folder / "rtl", chosen, folder / "work", contract, program), faults


def answers(contract, program, features):
    latent = program.latent_raw(np.ascontiguousarray(contract.normalised_raw(features).T))
    return np.concatenate([latent, program.score_of(latent)[:, None]], axis=1)


def test_with_every_gate_asleep_the_module_is_right(breakable):
    contract, program, module, _ = breakable
    vectors = assemble(contract, program, zero_bias(2000), 6000, np.random.default_rng(1)).features

    assert np.array_equal(module.answers(vectors), answers(contract, program, vectors))


def test_every_wire_fault_that_changes_an_answer_is_seen_by_the_proofs_vectors(breakable):
    contract, program, module, faults = breakable
    own = assemble(contract, program, zero_bias(2000), 20_000, np.random.default_rng(1)).features
    other = assemble(contract, program, zero_bias(10), 20_000, np.random.default_rng(2)).features
    right, right_other = answers(contract, program, own), answers(contract, program, other)

    seen = [bool((module.answers(own, fault) != right).any()) for fault in faults]
    changes = [bool((module.answers(other, fault) != right_other).any()) for fault in faults]

    assert len(faults) == FAULTS
    assert sum(seen) > 0.8 * FAULTS
    assert not [fault for fault, caught, effect in zip(faults, seen, changes, strict=True) if effect and not caught]


def test_a_gate_breaks_one_bit_in_the_way_it_is_told(breakable):
    contract, program, module, faults = breakable
    vectors = assemble(contract, program, zero_bias(500), 4000, np.random.default_rng(3)).features
    fault = faults[0]

    inverted, low, high = (
        module.answers(vectors, WireFault(fault.wire, fault.bit, mode)) for mode in range(len(MODES))
    )

    right = answers(contract, program, vectors)
    either = (low != right).any(axis=1) | (high != right).any(axis=1)
    assert np.array_equal((inverted != right).any(axis=1), either)


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_a_flipped_bit_changes_one_parameter_and_stays_in_its_bits(breakable, part):
    program, rng = breakable[1], np.random.default_rng(5)

    for _ in range(50):
        where, other = flipped(program, part, rng)
        pairs = [
            (ours, theirs) for ours, theirs in zip(program.layers, other.layers, strict=True) if isinstance(ours, Dense)
        ]
        changed = sum(int((ours.weights != theirs.weights).sum()) for ours, theirs in pairs)
        moved = sum(int((ours.bias != theirs.bias).sum()) for ours, theirs in pairs)
        assert (changed, moved) == ((1, 0) if part == "weight" else (0, 1)), where
        assert all(np.abs(theirs.weights).max() <= 2 ** (theirs.weight_bits - 1) for _, theirs in pairs)


def test_the_table_tells_the_escaped_from_the_silent():
    rows = [
        {"kind": "rtl", "where": "a", "caught": True, "effect": True, "vector": 4},
        {"kind": "rtl", "where": "b", "caught": False, "effect": True, "vector": None},
        {"kind": "rtl", "where": "c", "caught": False, "effect": False, "vector": None},
    ]

    assert "| rtl | 3 | 2 | 1 | 1 | 1 | 5, 5 |" in table(rows)


@pytest.mark.parametrize("bit", [0, 9])
def test_a_bundle_is_taken_as_it_was_and_refused_with_a_bit_of_its_threshold_flipped(tmp_path, bit):
    sealed = bundle.seal(tmp_path / "staging", tmp_path / "bundles", stage_bundle(tmp_path / "staging"))

    assert threshold_refused(sealed, bit, tmp_path / "copy")
