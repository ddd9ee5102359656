"""Every shipped model learns, and all its descriptions are one function."""

from dataclasses import replace

import numpy as np
import pytest

from retrain.contract import Contract
from retrain.errors import DatasetError, RecipeError
from retrain.models import socket
from retrain.preflight import check_contract, derive
from retrain.program import Dense, IntegerProgram, Residual

# brevitas, qonnx and hls4ml warn about their own deprecations at import and export
pytestmark = pytest.mark.filterwarnings("ignore")


def harder(events):
    """Return the same crossings with every momentum three times as high: a signal."""
    out = events.copy()
    out[::3] = np.minimum(out[::3] * 3, 500)
    return out


def regions(count, seed=3):
    """Return regional energies, shape (252, count): many small deposits, a few clusters."""
    rng = np.random.default_rng(seed)
    soft = rng.poisson(rng.gamma(4.0, 1.0, (1, count)), (252, count))
    hard = rng.exponential(40.0, (252, count)) * (rng.random((252, count)) < 0.01)
    return np.minimum(soft + hard, 1023).astype(np.int16)


def trained(recipe, contract, features, signals=()):
    from retrain.train import fit

    shown = [contract.network_inputs(one) for one in signals]
    return fit(recipe, contract, contract.network_inputs(features), signals=shown)


@pytest.fixture
def autoencoder(make_recipe):
    return make_recipe(model="axol1tl_v5", hidden=(8, 5, 4), latent=2, epochs=2, batch_size=250)


@pytest.fixture
def classifier(make_recipe):
    return make_recipe(
        model="topology", hidden=(8,), signals=("Hard", "Harder"), learn=("Hard", "Harder"), epochs=4, batch_size=250
    )


@pytest.fixture
def on_regions(make_recipe):
    return make_recipe(model="cicada", hidden=(2, 4), epochs=2, batch_size=250)


def test_the_autoencoder_is_one_function_in_every_engine(autoencoder, contract, events, tmp_path):
    from tests.unit.retrain.chains import agreed, proven

    encoder = trained(autoencoder, contract, events[:, :1500]).model.encoder

    made, evidence = proven(encoder, contract, events, tmp_path)
    assert agreed(evidence)
    assert [layer.cast for layer in made.program.layers if isinstance(layer, Residual)] == ["cast2"]
    assert [link.operation for link in made.sources.links].count("subtract") == 1
    assert IntegerProgram.assemble(made.program.structure(), made.program.arrays()).structure() == (
        made.program.structure()
    )


def test_the_published_size_has_the_published_number_of_parameters(make_recipe, contract):
    from retrain.autoencoder import Axol1tlV5

    model = Axol1tlV5(make_recipe(model="axol1tl_v5", hidden=(29, 10, 9, 6), latent=4), contract)

    assert sum(one.numel() for one in model.encoder.parameters()) == 2362


def test_the_residual_is_reconstruction_minus_features(autoencoder, contract, events):
    import torch

    model = trained(autoencoder, contract, events[:, :1500]).model
    inputs = torch.from_numpy(contract.network_inputs(events[:, :50]))

    with torch.no_grad():
        *_, before, minus, _ = list(model.encoder)
        latent = model.encoder(inputs)
        rebuilt = before(model.encoder[:-3](inputs)).value
        features = minus._kept[0].last.value

    assert torch.equal(latent, (rebuilt - features).clamp(-32, 32 - 1 / 16))


def test_a_cpp_difference_from_the_wrong_layer_is_found_without_a_vector(autoencoder, contract, events, tmp_path):
    from retrain.firmware import hls, qonnx

    encoder = trained(autoencoder, contract, events[:, :1000]).model.encoder
    qonnx.export(encoder, 57, tmp_path / "model.qonnx")
    hls.write(tmp_path / "model.qonnx", contract, tmp_path / "hls")
    path, program = tmp_path / "hls/firmware/network.cpp", qonnx.read(tmp_path / "model.qonnx", contract)
    subtract = next(link for link in hls.read(tmp_path / "hls").links if link.operation == "subtract")
    other = next(link.gives for link in hls.read(tmp_path / "hls").links if link.operation == "relu")

    path.write_text(path.read_text().replace(", ".join(subtract.takes), f"{subtract.takes[0]}, {other}"))

    assert any(subtract.name in one for one in hls.differences(hls.read(tmp_path / "hls"), program))


@pytest.mark.parametrize(
    "score",
    [
        "ap_fixed<12,6,AP_TRN,AP_SAT>",
        pytest.param("ap_ufixed<11,5,AP_TRN,AP_SAT>", marks=pytest.mark.slow),
    ],
)
def test_the_classifier_is_one_function_in_every_engine(classifier, events, tmp_path, score):
    from tests.unit.retrain.chains import agreed, proven

    wanted = replace(derive(socket("topology"), events), score=score)
    encoder = trained(classifier, wanted, events[:, :1500], [harder(events), harder(harder(events))]).model.encoder

    made, evidence = proven(encoder, wanted, events, tmp_path)
    found = made.program.run(wanted, events)
    assert agreed(evidence)
    assert bool((found < 0).any()) == score.startswith("ap_fixed")
    assert len(np.unique(found)) > 20


def test_the_classifier_finds_what_it_was_shown(classifier, events):
    wanted = derive(socket("topology"), events)
    signal = harder(events)
    model = trained(classifier, wanted, events[:, :3000], [signal[:, :3000], harder(signal)[:, :3000]]).model

    def odds(features):
        import torch

        with torch.no_grad():
            return model.encoder(torch.from_numpy(wanted.network_inputs(features))).numpy().max(axis=1)

    threshold = np.quantile(odds(events[:, 3000:]), 0.99)
    assert (odds(signal[:, 3000:]) > threshold).mean() > 0.3


def test_a_classifier_without_signals_is_refused(make_recipe, classifier, contract, events):
    with pytest.raises(RecipeError, match="learn"):
        trained(make_recipe(model="topology"), contract, events)
    with pytest.raises(DatasetError, match="learns from"):
        trained(classifier, contract, events)
    with pytest.raises(DatasetError, match="zero bias alone"):
        trained(make_recipe(signals=("Hard",), learn=("Hard",)), contract, events, [events])
    with pytest.raises(RecipeError, match="learn"):
        make_recipe(learn=("Hard",))


def test_the_convolution_unrolled_is_the_convolution(on_regions):
    import torch

    features = regions(1000)
    wanted = socket("cicada")
    model = trained(on_regions, wanted, features).model
    inputs = torch.from_numpy(wanted.network_inputs(features))

    dense = torch.nn.Sequential(model.encoder[0], model.encoder[1].unrolled(), *model.encoder[2:])

    with torch.no_grad():
        assert torch.equal(dense.eval()(inputs), model.encoder(inputs))
        assert len(torch.unique(model.encoder(inputs))) > 5
    weights = model.encoder[1].unrolled_weight(model.encoder[1].weight)
    assert weights.shape == (126, 252)
    assert int((weights != 0).sum(dim=1).max()) == 4


def test_the_regions_keep_one_scale(on_regions):
    features = regions(1000)

    wanted = derive(socket("cicada"), features)

    assert wanted.inputs == socket("cicada").inputs
    assert check_contract(wanted, features) == ()
    assert Contract.from_json(wanted.to_json()) == wanted


def test_integers_and_plain_onnx_follow_the_convolution(on_regions, tmp_path):
    import torch

    from retrain.firmware import plain_onnx, plain_run, qonnx

    features, wanted = regions(1200), socket("cicada")
    encoder = trained(on_regions, wanted, features).model.encoder
    qonnx.export(encoder, 252, tmp_path / "model.qonnx")
    program = qonnx.read(tmp_path / "model.qonnx", wanted)
    plain_onnx.write(wanted, program, tmp_path / "model.onnx")

    score = program.run(wanted, features)
    with torch.no_grad():
        theirs = encoder(torch.from_numpy(wanted.network_inputs(features))).numpy()[:, 0]

    assert np.array_equal(theirs * 2.0**8, score)
    assert np.array_equal(plain_run.run(tmp_path / "model.onnx", features)[1], score)
    told = qonnx.parameters(encoder, 252)
    dense = [layer for layer in program.layers if isinstance(layer, Dense)]
    assert all(np.array_equal(pair[0], layer.weights) for pair, layer in zip(told, dense, strict=True))


@pytest.mark.slow
def test_the_convolution_is_one_function_in_every_engine(on_regions, tmp_path):
    from tests.unit.retrain.chains import agreed, proven

    features, wanted = regions(1200), socket("cicada")
    encoder = trained(on_regions, wanted, features).model.encoder

    made, evidence = proven(encoder, wanted, features, tmp_path)
    assert agreed(evidence)
    assert "w" + made.sources.links[1].weights[1:] in made.sources.constants


def test_a_long_table_of_constants_is_read_back_as_it_was(tmp_path):
    from retrain.firmware.hls import _ARRAY, NUMBERS, _cheap

    numbers = ", ".join(f"{value / 32!r}" for value in range(30_000))
    header = f"weight_t w7[30000] = {{{numbers}}};\n"

    found = dict(_ARRAY.findall(_cheap(header)))

    assert found == {f"w7{NUMBERS}": numbers}
    assert _cheap("weight_t w7[2] = {1, 2};\n") == "weight_t w7[2] = {1, 2};\n"


def test_too_many_filters_and_too_few_features_are_refused(make_recipe, contract):
    from retrain.autoencoder import Axol1tlV5
    from retrain.regions import Cicada

    with pytest.raises(RecipeError, match="filters"):
        Cicada(make_recipe(model="cicada"), socket("cicada"))
    with pytest.raises(RecipeError, match="feature"):
        Axol1tlV5(make_recipe(model="axol1tl_v5", hidden=(8,)), contract)
