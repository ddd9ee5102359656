"""Bits of weights are learned between two and what the recipe allows, and are whole in every description."""

import pytest

from retrain.models import socket
from retrain.program import Dense

# brevitas and torch warn about each other's deprecations at import and first use
pytestmark = pytest.mark.filterwarnings("ignore")


def trained(recipe, contract, events):
    from retrain.train import fit

    shown = [contract.network_inputs(events)] if recipe.learn else []
    return fit(recipe, contract, contract.network_inputs(events), signals=shown).model


def test_a_price_takes_bits_away_and_the_graph_has_what_is_left(make_recipe, contract, events, tmp_path):
    from retrain.bits import bits_of
    from retrain.firmware import qonnx

    recipe = make_recipe(hidden=(8,), latent=3, epochs=2, batch_size=100, learning_rate=0.05, bit_price=100.0)
    model = trained(recipe, contract, events[:, :2000])

    qonnx.export(model.encoder, 57, tmp_path / "model.qonnx")
    program = qonnx.read(tmp_path / "model.qonnx", contract)
    found = [layer.weight_bits for layer in program.layers if isinstance(layer, Dense)]
    assert found == bits_of(model.encoder)
    assert max(found) < 6
    assert min(found) >= 2


def test_bits_never_exceed_what_the_recipe_allows(make_recipe, contract, events):
    import torch

    from retrain.bits import bits_of, bound
    from retrain.network import Axol1tl

    model = Axol1tl(make_recipe(weight_bits=5, bit_price=0.1), contract)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    bound(model.encoder, 5, optimiser)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, -10.0)

    optimiser.step()

    assert bits_of(model.encoder) == [5, 5, 5]


@pytest.mark.parametrize(
    ("model", "hidden", "learn"),
    [("axol1tl_v5", (8, 4), ()), ("topology", (8,), ("Any",)), ("axol1tl", (8,), ())],
)
def test_models_with_learned_bits_train_and_say_the_same_twice(make_recipe, contract, events, model, hidden, learn):
    recipe = make_recipe(
        model=model, hidden=hidden, latent=2, epochs=1, batch_size=200, bit_price=0.01, signals=learn, learn=learn
    )

    first, again = (trained(recipe, contract, events[:, :1000]) for _ in range(2))

    import torch

    from retrain.checkpoint import state_digest

    assert state_digest(first) == state_digest(again)
    assert any(name.endswith("bit_width_offset") for name in first.state_dict())
    first.confirm(torch.from_numpy(contract.network_inputs(events[:, :500])))


def test_learned_bits_of_filters_are_those_of_the_unrolled_layer(make_recipe):
    import torch

    from retrain.regions import Cicada

    model = Cicada(make_recipe(model="cicada", hidden=(2, 4), bit_price=0.1), socket("cicada")).eval()
    with torch.no_grad():
        for name, parameter in model.encoder.named_parameters():
            if name.endswith("bit_width_offset"):
                parameter.fill_(1.0)
    inputs = torch.randint(0, 255, (50, 252)) / 16
    dense = torch.nn.Sequential(model.encoder[0], model.encoder[1].unrolled(), *model.encoder[2:])

    with torch.no_grad():
        assert torch.equal(dense.eval()(inputs), model.encoder(inputs))


def test_without_a_price_a_recipe_keeps_its_digest(make_recipe):
    assert "bit_price" not in make_recipe().to_json()
