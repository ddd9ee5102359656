"""The encoder by hand is Brevitas' encoder, to the bit."""

import numpy as np
import pytest

from retrain.contract import Contract
from retrain.errors import ContractError, MismatchError
from retrain.fixed_point import FixedPoint

# brevitas and torch warn about each other's deprecations at import and first use
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def model(make_recipe, contract):
    import torch

    from retrain.network import Axol1tl

    torch.manual_seed(3)
    return Axol1tl(make_recipe(), contract)


def anything(contract: Contract, count=3000):
    import torch

    kind = contract.type_of("port")
    raw = np.random.default_rng(1).integers(kind.low // 8, kind.high // 8, (count, len(contract.inputs)))
    return torch.from_numpy((raw * 2.0**-kind.fraction).astype(np.float32))


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
@pytest.mark.parametrize("spread", [1e-4, 0.3, 1.0, 9.0])
def test_latents_agree_with_brevitas_in_every_bit(make_recipe, contract, bits, spread):
    import torch

    from retrain.network import Axol1tl
    from retrain.straight_through import disagreement

    torch.manual_seed(bits)
    model = Axol1tl(make_recipe(weight_bits=bits), contract)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.mul_(spread)

    assert disagreement(model.by_hand, model.encoder, anything(contract)) == 0


def test_half_even_rounding_agrees_too(make_recipe, contract):
    from dataclasses import replace

    from retrain.network import Axol1tl
    from retrain.straight_through import disagreement

    rounding = replace(contract, hidden="ap_ufixed<8,4,AP_RND_CONV,AP_SAT>")
    model = Axol1tl(make_recipe(), rounding)

    assert disagreement(model.by_hand, model.encoder, anything(contract)) == 0


def test_gradients_are_brevitas_own_but_for_the_largest_weight_which_sets_the_scale(model, contract):
    import torch

    inputs = anything(contract)

    def gradients(encode):
        model.zero_grad()
        torch.square(encode(inputs)).mean().backward()
        return {name: one.grad.clone() for name, one in model.encoder.named_parameters()}

    ours, theirs = gradients(model.latent), gradients(model.encoder)

    for name, value in model.encoder.named_parameters():
        differs = (ours[name] - theirs[name]).abs() > 1e-6 * theirs[name].abs().max()
        largest = value.abs() == value.abs().max()
        assert not (differs & ~largest).any(), name


def test_a_pass_that_differs_is_found_and_refused(model, contract):
    from dataclasses import replace

    model.confirm(anything(contract))
    first, *rest = model.by_hand.layers
    model.by_hand = replace(model.by_hand, layers=(replace(first, bits=5), *rest))

    with pytest.raises(MismatchError, match="latent values"):
        model.confirm(anything(contract))


def test_a_layer_of_zeros_stays_zero(model, contract):
    import torch

    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.zero_()

    assert (model.latent(anything(contract)) == 0).all()


def test_a_wrapping_type_cannot_be_trained_by_hand_either():
    from retrain.straight_through import Cast

    with pytest.raises(ContractError, match="AP_SAT"):
        Cast(FixedPoint.parse("ap_fixed<8,6>"), rectify=False)
