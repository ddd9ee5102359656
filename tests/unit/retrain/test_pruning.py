"""Weights that are taken out are exactly zero, and stay out."""

import numpy as np
import pytest

from retrain.errors import RecipeError

# brevitas and torch warn about each other's deprecations at import and first use
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def inputs(contract, events):
    return contract.network_inputs(events[:, :2000])


@pytest.fixture
def sparse(make_recipe):
    return make_recipe(epochs=3, batch_size=100, hidden=(16, 8), latent=4, sparsity=0.6)


def zeros(weights):
    return float((weights == 0).mean())


def test_a_recipe_without_pruning_keeps_its_digest(make_recipe):
    assert "sparsity" not in make_recipe().to_json()
    assert make_recipe(sparsity=0.5).digest != make_recipe().digest
    with pytest.raises(RecipeError, match="sparsity"):
        make_recipe(sparsity=0.99)


def test_each_layer_of_the_integer_program_has_the_share_of_zeros_asked_for(sparse, contract, inputs, tmp_path):
    from retrain.firmware import qonnx
    from retrain.program import Dense
    from retrain.train import fit

    encoder = fit(sparse, contract, inputs).model.encoder

    qonnx.export(encoder, 57, tmp_path / "model.qonnx")
    dense = [one for one in qonnx.read(tmp_path / "model.qonnx", contract).layers if isinstance(one, Dense)]
    assert [zeros(one.weights) >= int(0.6 * one.weights.size) / one.weights.size for one in dense] == [True] * 3
    assert zeros(dense[0].weights) < 0.9


def test_the_share_grows_over_the_first_half_and_never_shrinks():
    import torch

    from retrain.pruning import Pruning

    torch.manual_seed(1)
    layer = torch.nn.Linear(20, 10)
    pruning = Pruning(layer, 0.5, 40)
    found, out = [], torch.zeros(10, 20, dtype=torch.bool)
    for _ in range(40):
        with torch.no_grad():
            layer.weight.add_(0.01)  # what an optimiser would do
        pruning.step()
        found.append(zeros(layer.weight.detach().numpy()))
        assert bool((layer.weight[out] == 0).all())
        out = layer.weight.detach() == 0

    assert found == sorted(found)
    assert 0 < found[0] < found[9] < 0.5
    assert found[19:] == [0.5] * 21


@pytest.mark.parametrize("sparsity", [0.6, 0.0])
def test_a_successor_of_a_pruned_champion_keeps_its_zeros(sparse, contract, inputs, sparsity):
    from dataclasses import replace

    from retrain.checkpoint import state_arrays
    from retrain.policies.lesson import Lesson
    from retrain.train import fit

    champion = state_arrays(fit(sparse, contract, inputs).model)
    after = state_arrays(
        fit(replace(sparse, seed=2, sparsity=sparsity), contract, inputs, lesson=Lesson(champion)).model
    )

    weights = [name for name in champion if name.startswith("encoder") and name.endswith("weight")]
    assert len(weights) == 3
    for name in weights:
        assert np.array_equal(champion[name] == 0, after[name] == 0)
        assert not np.array_equal(champion[name], after[name])
