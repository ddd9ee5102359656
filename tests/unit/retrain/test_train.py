"""Same recipe, same data, same bits."""

import numpy as np
import pytest

from retrain.contract import Contract
from retrain.errors import ContractError, DatasetError
from retrain.fixed_point import FixedPoint

# brevitas and torch warn about each other's deprecations at import and first use
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def inputs(contract, events):
    raw = contract.normalised_raw(events[:, :2000])
    return np.ascontiguousarray((raw / 32).astype(np.float32).T)


@pytest.fixture
def small(make_recipe):
    return make_recipe(epochs=2, batch_size=250, hidden=(8, 6), latent=3)


def test_two_trainings_of_one_recipe_give_the_same_bits(small, contract, inputs):
    from retrain.train import fit, state_digest

    first, again = fit(small, contract, inputs), fit(small, contract, inputs)

    assert first.epoch_digests == again.epoch_digests
    assert state_digest(first.model) == first.epoch_digests[-1]
    assert len(set(first.epoch_digests)) == 2


def test_another_seed_gives_other_bits(make_recipe, small, contract, inputs):
    from dataclasses import replace

    from retrain.train import fit

    assert fit(small, contract, inputs).epoch_digests != fit(replace(small, seed=2), contract, inputs).epoch_digests


def test_stopping_early_is_a_prefix_of_the_whole_training(small, contract, inputs):
    from retrain.train import fit

    whole, part = fit(small, contract, inputs), fit(small, contract, inputs, stop_after=1)

    assert part.epoch_digests == whole.epoch_digests[:1]


def test_training_lowers_the_loss(make_recipe, contract, inputs):
    from retrain.train import fit

    losses = fit(make_recipe(epochs=6, batch_size=100), contract, inputs).losses

    assert losses[-1] < 0.8 * losses[0]


def test_a_checkpoint_brings_the_model_back(small, contract, inputs):
    from retrain.train import fit, restore, state_arrays, state_digest

    model = fit(small, contract, inputs).model

    assert state_digest(restore(small, contract, state_arrays(model))) == state_digest(model)


def test_a_checkpoint_of_another_network_is_refused(make_recipe, small, contract, inputs):
    from retrain.train import fit, restore, state_arrays

    arrays = state_arrays(fit(small, contract, inputs).model)

    with pytest.raises(DatasetError, match="does not fit"):
        restore(make_recipe(hidden=(9, 6), latent=3), contract, arrays)


def test_too_few_events_for_one_batch_are_refused(small, contract, inputs):
    from retrain.train import fit

    with pytest.raises(DatasetError, match="one batch of 250"):
        fit(small, contract, inputs[:100])


def test_a_wrapping_type_cannot_be_trained():
    from retrain.quantisers import cast_quantiser

    with pytest.raises(ContractError, match="AP_SAT"):
        cast_quantiser(FixedPoint.parse("ap_fixed<8,6>"))


def test_the_score_rises_for_what_was_not_learned(make_recipe, contract, events, inputs):
    """An event with every momentum fifteen times as large is stranger than any it was taught."""
    import torch

    from retrain.train import fit

    model = fit(make_recipe(epochs=8, batch_size=100), contract, inputs).model
    monsters = events[:, 2000:3000].copy()
    for index, port in enumerate(contract.inputs):
        if port.quantity == "pt":
            monsters[index] = np.minimum(monsters[index] * 15, port.high)

    def scores(features):
        raw = contract.normalised_raw(features)
        with torch.no_grad():
            latent = model.encoder(torch.from_numpy((raw / 32).astype(np.float32).T.copy())).numpy()
        return np.square(latent).sum(axis=1)

    usual, strange = scores(events[:, 2000:3000]), scores(monsters)
    assert (strange > np.quantile(usual, 0.99)).mean() > 0.9


def test_the_models_socket_is_the_shipped_contract():
    from retrain.models import resolve

    assert isinstance(resolve("axol1tl").contract(), Contract)
