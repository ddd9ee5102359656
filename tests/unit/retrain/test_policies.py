"""What each policy adds to plain training, and that it does what it is for."""

from dataclasses import replace

import numpy as np
import pytest

from retrain.errors import DatasetError, RecipeError
from retrain.policy import PARAMETERS, Policy
from retrain.recipe import Recipe, ranges

# brevitas and torch warn about each other's deprecations at import and first use
pytestmark = pytest.mark.filterwarnings("ignore")
OLD = slice(0, 3000)


@pytest.fixture(scope="module")
def old(contract, events):
    return contract.network_inputs(events[:, OLD])


@pytest.fixture(scope="module")
def new(contract, events):
    """The same crossings in another detector: every momentum halved and turned."""
    other = events[:, 3000:].copy()
    for index, port in enumerate(contract.inputs):
        if port.quantity == "pt":
            other[index] //= 2
        elif port.quantity == "phi":
            other[index] = (port.high - other[index]) * (other[index - 2] > 0)
    return contract.network_inputs(other)


@pytest.fixture(scope="module")
def champion(contract, old):
    from retrain.train import fit, state_arrays

    recipe = Recipe("L1_AXO", ranges([(382913, 1), (382913, 2)]), epochs=12, batch_size=100)
    return state_arrays(fit(recipe, contract, old).model)


@pytest.fixture
def learn(make_recipe, contract, champion, old, new):
    from retrain.policies.lesson import lesson_of
    from retrain.train import fit

    def run(policy, **changes):
        recipe = make_recipe(champion="c" * 64, policy=policy, **{"epochs": 6, "batch_size": 100, **changes})
        lesson = lesson_of(recipe, contract, champion, old)
        return fit(recipe, contract, new, lesson=lesson)

    return run


def forgotten(model, champion_model, old):
    """Mean squared distance of the latents on old events from what the champion says."""
    import torch

    with torch.no_grad():
        return float(torch.square(model.latent(torch.from_numpy(old)) - champion_model).mean())


@pytest.fixture
def champion_latents(make_recipe, contract, champion, old):
    import torch

    from retrain.checkpoint import restore

    with torch.no_grad():
        return restore(make_recipe(), contract, champion).latent(torch.from_numpy(old))


def loss_on(model, inputs):
    import torch

    with torch.no_grad():
        return float(model.loss(torch.from_numpy(inputs), torch.Generator().manual_seed(5)))


@pytest.mark.parametrize("name", ["replay", "ewc", "lwf", "replay_lwf"])
def test_every_remedy_forgets_less_than_naive_fine_tuning(learn, champion_latents, old, name):
    strong = {"memory_share": 0.5, "stiffness": 3.0, "distillation": 10.0}
    policy = Policy(name, **{key: strong[key] for key in PARAMETERS[name]})

    naive, remedied = learn(Policy("naive")), learn(policy)

    if name == "replay":
        assert loss_on(remedied.model, old) < loss_on(naive.model, old)
    else:
        assert forgotten(remedied.model, champion_latents, old) < forgotten(naive.model, champion_latents, old)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_every_policy_gives_the_same_bits_again(learn, name):
    policy = Policy(name)

    assert learn(policy, epochs=2).epoch_digests == learn(policy, epochs=2).epoch_digests


def test_naive_fine_tuning_begins_with_the_champions_weights(learn, make_recipe, contract, champion, new):
    from retrain.checkpoint import restore

    before = loss_on(restore(make_recipe(), contract, champion), new)
    after = learn(Policy("naive")).model

    assert loss_on(after, new) < before


def test_full_ignores_the_champion(learn, make_recipe, contract, new):
    from retrain.train import fit

    alone = fit(make_recipe(champion="c" * 64, epochs=2, batch_size=100), contract, new)

    assert learn(Policy("full"), epochs=2).epoch_digests == alone.epoch_digests


def test_old_events_stand_behind_new_ones_in_their_share(old):
    import torch

    from retrain.policies.lesson import Lesson

    lesson = Lesson(remembered=torch.from_numpy(old), share=0.3)
    fresh = torch.zeros(70, old.shape[1])

    batch = lesson.batch(fresh, 100, torch.Generator().manual_seed(1))

    assert lesson.old_in(100) == 30
    assert batch.shape == (100, old.shape[1])
    assert (batch[:70] == 0).all()
    assert (batch[70:].abs().sum(dim=1) > 0).all()


def test_a_champion_without_memory_cannot_be_rehearsed(make_recipe, contract, champion):
    from retrain.policies.lesson import lesson_of

    recipe = make_recipe(champion="c" * 64, policy=Policy("replay"))

    with pytest.raises(DatasetError, match="use full once"):
        lesson_of(recipe, contract, champion, None)


def test_a_champion_of_another_shape_is_refused(make_recipe, contract, champion):
    from retrain.policies.lesson import lesson_of

    recipe = make_recipe(champion="c" * 64, policy=Policy("naive"), hidden=(9, 6))

    with pytest.raises(DatasetError, match="does not fit"):
        lesson_of(recipe, contract, champion, None)


def test_the_fisher_information_is_a_shape_with_mean_one(make_recipe, contract, champion, old):
    import torch

    from retrain.checkpoint import restore
    from retrain.policies.consolidation import consolidate

    made = consolidate(
        restore(make_recipe(), contract, champion), torch.from_numpy(old), 1.0, torch.Generator().manual_seed(1)
    )

    everything = torch.cat([one.flatten() for one in made.information.values()])
    assert everything.min() >= 0
    assert float(everything.double().mean()) == pytest.approx(1.0, rel=1e-4)
    assert everything.max() > 10


def test_a_recipe_with_the_default_policy_has_the_digest_it_had_before_there_were_policies(make_recipe):
    value = make_recipe().to_json()

    assert "policy" not in value
    assert "forget" not in value
    assert make_recipe().digest == "6c17dc07f83e36da90fed2e24bf4909f0afd5a27070efd935646ebda03314577"


def test_the_policy_and_its_numbers_are_part_of_the_digest(make_recipe):
    base = make_recipe(champion="c" * 64)
    others = [
        replace(base, policy=Policy("naive")),
        replace(base, policy=Policy("replay")),
        replace(base, policy=Policy("replay", memory_share=0.2)),
        replace(base, policy=Policy("ewc", stiffness=2.0)),
    ]

    assert len({one.digest for one in [base, *others]}) == 5
    assert all(Recipe.from_json(one.to_json()) == one for one in others)


def test_what_is_to_be_forgotten_survives_the_json(make_recipe):
    one = make_recipe(forget=ranges([(382912, 4), (382912, 5)]))

    assert Recipe.from_json(one.to_json()) == one
    assert one.digest != make_recipe().digest


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"name": "magic"}, "magic"),
        ({"name": "replay", "memory_share": 1.0}, "memory_share"),
        ({"name": "naive", "stiffness": 2.0}, "stiffness"),
        ({"name": "ewc", "stiffness": "much"}, "ewc"),
        ("replay", "object"),
    ],
)
def test_a_policy_that_is_none_is_refused_by_name(value, named):
    with pytest.raises(RecipeError, match=named):
        Policy.from_json(value)


def test_a_number_that_a_policy_does_not_take_is_refused():
    with pytest.raises(RecipeError, match="takes no stiffness"):
        Policy("replay", stiffness=2.0)


def test_a_policy_that_needs_a_champion_does_without_none(make_recipe):
    with pytest.raises(RecipeError, match="champion"):
        make_recipe(policy=Policy("naive"))


def test_a_device_that_is_not_there_is_refused(make_recipe, contract, old):
    import torch

    from retrain.train import fit

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")

    with pytest.raises(DatasetError, match="no CUDA"):
        fit(make_recipe(), contract, old, device="cuda")


def test_an_unknown_kind_of_device_is_refused(make_recipe, contract, old):
    from retrain.train import fit

    with pytest.raises(DatasetError, match="cpu or cuda"):
        fit(make_recipe(), contract, old, device="meta")


def test_the_memorys_rows_are_those_of_the_port(contract, events):
    raw = contract.normalised_raw(events[:, :50])

    assert np.array_equal(contract.network_inputs(events[:, :50]), (raw / 32).astype(np.float32).T)
