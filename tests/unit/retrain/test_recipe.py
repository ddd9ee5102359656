"""A recipe is its digest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.errors import RecipeError
from retrain.recipe import LumisectionRange, Recipe, ranges

pairs = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 60)), min_size=1, max_size=80)


def test_equal_recipes_have_one_digest_and_any_change_another(make_recipe):
    base = make_recipe()

    assert base.digest == make_recipe().digest
    assert len(base.digest) == 64
    changed = [make_recipe(seed=2), make_recipe(epochs=13), make_recipe(hidden=(32, 15)), make_recipe(champion="c")]
    assert len({one.digest for one in [base, *changed]}) == 5


def test_a_recipe_survives_its_json(make_recipe):
    base = make_recipe(hidden=(8, 4), contract="a" * 64)

    assert Recipe.from_json(base.to_json()) == base


@given(pairs)
def test_ranges_cover_exactly_what_they_were_made_of(chosen):
    spans = ranges(chosen)

    covered = {(span.run, number) for span in spans for number in range(span.first, span.last + 1)}
    assert covered == set(chosen)
    assert list(spans) == sorted(spans)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weight_bits", 9),
        ("held_out_fraction", 0.99),
        ("epochs", 0),
        ("target_rate_hz", -1.0),
        ("hidden", ()),
        ("slot", ""),
    ],
)
def test_a_field_out_of_its_range_is_named(make_recipe, field, value):
    with pytest.raises(RecipeError, match=field):
        make_recipe(**{field: value})


def test_an_unknown_field_is_refused(make_recipe):
    with pytest.raises(RecipeError, match="learning_rat"):
        Recipe.from_json({**make_recipe().to_json(), "learning_rat": 1})


def test_a_recipe_without_lumisections_is_refused():
    with pytest.raises(RecipeError, match="lumisections"):
        Recipe(slot="L1_AXO", lumisections=())


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(RecipeError, match="5-4"):
        LumisectionRange(1, 5, 4)


def test_a_recipe_knows_what_it_covers(make_recipe):
    assert make_recipe().covers(382913, 12)
    assert not make_recipe().covers(382913, 13)
