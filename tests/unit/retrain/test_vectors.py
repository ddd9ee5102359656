"""Test vectors reach what they must."""

import numpy as np

from retrain.firmware.vectors import assemble, boundaries, from_codes, limits
from retrain.program import Dense, IntegerProgram


def mutants(program, count, rng):
    """Programs with one weight off by one."""
    for _ in range(count):
        layers = list(program.layers)
        index = rng.choice([number for number, layer in enumerate(layers) if isinstance(layer, Dense)])
        layer = layers[index]
        weights = layer.weights.copy()
        weights[rng.integers(weights.shape[0]), rng.integers(weights.shape[1])] += 1
        layers[index] = Dense(layer.name, weights, layer.bias, layer.weight_fraction, layer.weight_bits)
        yield IntegerProgram(program.port, tuple(layers), program.score)


def latent(program, contract, features):
    return program.latent_raw(np.ascontiguousarray(contract.normalised_raw(features).T))


def test_there_are_as_many_vectors_as_asked_and_the_classes_add_up(contract, program, events):
    vectors = assemble(contract, program, events, 30_000, np.random.default_rng(1))

    assert vectors.features.shape == (57, 30_000)
    assert sum(vectors.counts.values()) == 30_000
    assert vectors.counts["recorded"] == 6000
    assert vectors.features.dtype == np.int16


def test_the_same_seed_gives_the_same_vectors(contract, program, events):
    first, again = (assemble(contract, program, events, 12_000, np.random.default_rng(1)) for _ in range(2))

    assert np.array_equal(first.features, again.features)


def test_every_vector_is_one_the_port_can_carry(contract, program, events):
    vectors = assemble(contract, program, events, 20_000, np.random.default_rng(1))
    low, high = limits(contract)

    assert (vectors.features >= low[:, None]).all()
    assert (vectors.features <= high[:, None]).all()
    value = contract.port_raw(vectors.features).astype(np.float64) / 32
    half = np.array([0.5 if port.halved else 1.0 for port in contract.inputs])[:, None]
    assert np.array_equal(value, vectors.features * half)


def test_a_code_asked_for_is_the_code_the_network_gets(contract):
    kind = contract.type_of("network_input")
    codes = np.tile(np.arange(-8, 8), (57, 1))
    wide = [index for index, port in enumerate(contract.inputs) if port.shift >= kind.fraction + int(port.halved)]

    raw = contract.normalised_raw(from_codes(contract, codes))

    got = kind.from_raw(raw, contract.type_of("port").fraction)
    assert len(wide) > 30
    assert np.array_equal(got[wide], codes[wide])


def test_boundaries_stand_on_both_sides_of_a_step(contract):
    kind = contract.type_of("network_input")
    rest = from_codes(contract, np.zeros((57, 1), np.int64))
    phi = next(index for index, port in enumerate(contract.inputs) if port.name == "MET_phi")
    block = boundaries(contract)
    others = np.delete(block, phi, axis=0) == np.delete(rest, phi, axis=0)
    alone = block[:, others.all(axis=0)]
    alone = alone[:, np.argsort(alone[phi], kind="stable")]
    codes = kind.from_raw(contract.normalised_raw(alone), contract.type_of("port").fraction)[phi]

    pairs = [
        index
        for index in range(len(codes) - 1)
        if alone[phi, index + 1] - alone[phi, index] == 1 and codes[index + 1] - codes[index] == 1
    ]
    assert len(pairs) > 20


def test_recorded_events_alone_would_miss_errors_that_all_vectors_find(contract, program, events):
    recorded = events[:, :3000]
    everything = assemble(contract, program, recorded, 20_000, np.random.default_rng(2)).features
    ours = latent(program, contract, recorded), latent(program, contract, everything)
    missed = {"recorded": 0, "all": 0}

    for mutant in mutants(program, 60, np.random.default_rng(3)):
        missed["recorded"] += np.array_equal(latent(mutant, contract, recorded), ours[0])
        missed["all"] += np.array_equal(latent(mutant, contract, everything), ours[1])

    assert missed["recorded"] > 0
    assert missed["all"] == 0
