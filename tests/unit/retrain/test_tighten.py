"""A network that does not fit the board is made smaller in a stated order, and by no more than it must."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.contract import Budget
from retrain.policy import Policy
from retrain.tighten import LEAST_BITS, NOWHERE, Try, tighter, tried
from tests.unit.retrain.conftest import recipe

BUDGET = Budget()


def took(made, lut, ff=9000, ticks=2, budget=BUDGET):
    return tried(made, lut, ff, ticks, budget)


def test_what_keeps_the_margin_fits():
    assert took(recipe(), 40_000).fits
    assert not took(recipe(), 40_001).fits
    assert took(recipe(), 48_000).may_pass
    assert not took(recipe(), 48_001).may_pass
    assert took(recipe(synthesise=False), 48_000).fits
    assert not took(recipe(), 1000, ticks=3).fits
    assert not took(recipe(), 1000, ff=26_667).fits


def test_a_little_too_much_costs_one_bit():
    made = recipe(weight_bits=6)

    assert tighter(made, took(made, 45_000)) == replace(made, weight_bits=5)


def test_far_too_much_is_not_tried_bit_by_bit():
    made = recipe(weight_bits=8)

    found = tighter(made, took(made, 110_000))

    assert found.weight_bits <= 4
    assert found.sparsity > 0 or found.hidden != made.hidden or found.weight_bits == LEAST_BITS


def test_weights_are_pruned_before_layers_are_narrowed():
    made = recipe(weight_bits=4)

    found = tighter(made, took(made, 60_000))

    assert found.sparsity > 0
    assert found.hidden == made.hidden


def test_a_layer_is_never_narrower_than_the_latent_space():
    made = recipe(weight_bits=3, sparsity=0.75, hidden=(9, 9), latent=8)

    found = tighter(made, took(made, 900_000))

    assert min(found.hidden) >= 8


def test_when_nothing_is_left_to_give_the_search_ends():
    made = recipe(weight_bits=2, sparsity=0.75, hidden=(8, 8), latent=8)

    assert tighter(made, took(made, 100_000)) is None


def test_a_resource_that_the_slot_does_not_have_never_fits():
    assert took(recipe(), 10, budget=replace(BUDGET, lut=0)).over == NOWHERE


def test_what_starts_from_the_champion_keeps_its_width_and_an_online_state_is_taken_as_it_is():
    made = recipe(weight_bits=3, sparsity=0.75, policy=Policy("replay"), champion="c" * 64)
    online = recipe(weight_bits=8, policy=Policy("online"), champion="c" * 64)

    assert tighter(made, took(made, 900_000)) is None
    assert tighter(online, took(online, 900_000)) is None


@given(
    bits=st.integers(2, 8),
    sparsity=st.sampled_from([0.0, 0.25, 0.5, 0.75]),
    hidden=st.lists(st.integers(1, 256), min_size=1, max_size=3),
    lut=st.integers(48_000, 2_000_000),
)
def test_every_step_takes_something_and_the_search_is_finite(bits, sparsity, hidden, lut):
    made = recipe(weight_bits=bits, sparsity=sparsity, hidden=tuple(hidden))
    steps = 0
    while (found := tighter(made, took(made, lut))) is not None:
        assert found.weight_bits <= made.weight_bits
        assert found.sparsity >= made.sparsity
        assert sum(found.hidden) <= sum(made.hidden)
        assert found != made
        made, steps = found, steps + 1
        assert steps < 60


def test_a_try_survives_its_json_and_says_what_it_took():
    one = took(recipe(), 90_000)

    assert Try.from_json({**one.to_json(), "loss": 0.1}) == one
    assert "90000 LUT" in str(one)
    assert "2.25 times too much" in str(one)


@pytest.mark.parametrize("tries", [0, 21])
def test_the_number_of_tries_is_stated_and_bounded(tries):
    from retrain.errors import RecipeError

    with pytest.raises(RecipeError, match="tries"):
        recipe(tries=tries)
