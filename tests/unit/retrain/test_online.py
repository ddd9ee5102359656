"""An online learner is what it was taught, in that order, and nothing else; a kill changes no bit."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrain import bundle
from retrain.dataset import Dataset, ListedLumisection, kept_for_measuring
from retrain.digest import digest_of_bytes
from retrain.errors import DatasetError, RecipeError
from retrain.memory import Memory
from retrain.policy import Policy
from retrain.recipe import ranges

# brevitas and torch warn about each other's deprecations at import and first use
pytestmark = pytest.mark.filterwarnings("ignore")
RUN, EACH = 382920, 250


@pytest.fixture(scope="module")
def parts(events, contract):
    """A checkpoint and a memory, as a job would leave them."""
    from retrain.recipe import Recipe
    from retrain.train import fit, state_arrays

    recipe = Recipe("L1_AXO", ranges((382913, number) for number in range(1, 13)), epochs=2, batch_size=100)
    model = fit(recipe, contract, contract.network_inputs(events[:, :2000])).model
    memory = Memory.of_lumisection(events[:, :2000], 382913, 1, fill=9877, pileup=50.0)
    return state_arrays(model), memory.arrays()


@pytest.fixture
def champion(tmp_path, make_staging, parts):
    identity = make_staging(tmp_path / "staging")
    for name, arrays in zip((bundle.CHECKPOINT, bundle.MEMORY), parts, strict=True):
        bundle.write_tensors(tmp_path / "staging" / name, arrays)
    return bundle.seal(tmp_path / "staging", tmp_path / "bundles", identity)


@pytest.fixture
def recipe(make_recipe, champion):
    return make_recipe(
        epochs=1, batch_size=100, champion=champion.digest, policy=Policy("online"), held_out_fraction=0.3
    )


@pytest.fixture
def learner(recipe, champion):
    from retrain.online import OnlineLearner

    return OnlineLearner(recipe, champion.contract, champion.checkpoint)


@pytest.fixture
def begun(learner, champion):
    return learner.begin(Memory.from_arrays(champion.memory))


@pytest.fixture
def portion(events):
    from retrain.online import Portion

    def make(number, *, certified=True, pileup=35.0):
        features = np.ascontiguousarray(events[:, 2000 + number * EACH : 2000 + (number + 1) * EACH])
        return Portion(RUN, number, features, certified, f"sha of {number}", 9879, pileup)

    return make


def taught(recipe, count):
    fraction, seed = recipe.held_out_fraction, recipe.seed
    return [number for number in range(1, 16) if not kept_for_measuring(RUN, number, fraction, seed)][:count]


def test_the_same_lumisections_give_the_same_digest_and_another_order_another(learner, begun, portion, recipe):
    def after(numbers):
        state = begun
        for number in numbers:
            state = learner.take(state, portion(number))
        return state

    first, second, third = taught(recipe, 3)

    assert after([first, second, third]).digest == after([first, second, third]).digest
    assert after([first, second, third]).digest != after([second, first, third]).digest
    assert after([first, second]).memory.digest == after([second, first]).memory.digest


def test_each_state_names_the_one_before(learner, begun, portion, recipe):
    state = learner.take(begun, portion(taught(recipe, 1)[0]))

    assert begun.previous == recipe.digest
    assert state.previous == begun.digest
    assert state.number == 1
    assert state.computed_digest() == state.digest


@pytest.mark.parametrize(("certified", "why"), [(False, "certified bad"), (None, "not spoken")])
def test_what_is_not_certified_is_never_learned(learner, begun, portion, recipe, certified, why):
    offered = portion(taught(recipe, 1)[0], certified=certified)

    assert why in learner.refusal(begun, offered)
    assert learner.take(begun, offered) is begun


def test_a_lumisection_is_learned_once(learner, begun, portion, recipe):
    number = taught(recipe, 1)[0]
    state = learner.take(begun, portion(number))

    assert "already" in learner.refusal(state, portion(number))
    assert learner.take(state, portion(number)) is state


def test_what_measures_is_never_learned(learner, begun, portion, recipe):
    kept = next(number for number in range(1, 16) if number not in taught(recipe, 15))

    assert learner.refusal(begun, portion(kept)) == "kept for measuring"


def test_what_is_to_be_forgotten_is_not_learned_anew(recipe, champion, portion):
    from retrain.online import OnlineLearner

    number = taught(recipe, 1)[0]
    learner = OnlineLearner(replace(recipe, forget=ranges([(RUN, number)])), champion.contract, champion.checkpoint)

    assert "forgotten" in learner.refusal(learner.begin(Memory.empty(57)), portion(number))


def test_it_remembers_the_old_and_the_new(learner, begun, portion, recipe):
    state = learner.take(begun, portion(taught(recipe, 1)[0]))

    assert set(state.memory.strata()) == {"/35-40", "/50-55"}


def test_it_learns_something(learner, begun, portion, recipe):
    import torch

    def loss(state):
        model = learner.model_of(state)
        with torch.no_grad():
            inputs = torch.from_numpy(learner._contract.network_inputs(portion(14).features))
            return float(model.loss(inputs, torch.Generator().manual_seed(1)))

    state = begun
    for number in taught(recipe, 8):
        state = learner.take(state, portion(number))

    assert loss(state) < loss(begun)


def test_another_policy_is_refused(make_recipe, champion):
    from retrain.online import OnlineLearner

    with pytest.raises(DatasetError, match="policy online"):
        OnlineLearner(
            make_recipe(champion=champion.digest, policy=Policy("naive")), champion.contract, champion.checkpoint
        )


@pytest.fixture
def store(tmp_path, recipe, champion):
    from retrain.online_store import OnlineStore

    return OnlineStore.open(tmp_path / "learner", recipe, champion)


def test_a_store_goes_on_where_it_was_left(store, recipe, champion, portion, tmp_path):
    from retrain.online_store import OnlineStore

    numbers = taught(recipe, 4)
    for number in numbers[:2]:
        store.take(portion(number))
    (store.folder / "states" / "000000003.partial").mkdir()
    again = OnlineStore.open(store.folder, recipe, champion)
    for number in numbers:
        again.take(portion(number))

    whole = OnlineStore.open(tmp_path / "other", recipe, champion)
    for number in numbers:
        whole.take(portion(number))
    assert again.latest().digest == whole.latest().digest
    assert again.numbers() == [3, 4]
    assert len(list((store.folder / "chain").iterdir())) == 5


def test_another_recipe_does_not_move_in(store, recipe, champion):
    from retrain.online_store import OnlineStore

    with pytest.raises(DatasetError, match="another learner"):
        OnlineStore.open(store.folder, replace(recipe, seed=5), champion)


def test_an_altered_state_is_found(store, recipe, portion):
    store.take(portion(taught(recipe, 1)[0]))
    path = store.folder / "states" / "000000001" / "parameters.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(DatasetError, match="altered"):
        store.latest()


def measured(recipe, events, numbers):
    listed = tuple(ListedLumisection(RUN, number, Path("nowhere"), "", pileup=35.0) for number in numbers)
    fraction, seed = recipe.held_out_fraction, recipe.seed
    held = tuple(kept_for_measuring(one.run, one.lumisection, fraction, seed) for one in listed)
    return Dataset(events[:, : len(listed) * EACH], listed, (EACH,) * len(listed), held)


@pytest.fixture
def snapshot(store, recipe, portion, tmp_path):
    for number in taught(recipe, 3):
        store.take(portion(number))
    return store.snapshot(tmp_path / "snapshots")


def candidate(store, recipe, digest):
    from retrain.online_store import recipe_of_snapshot

    return recipe_of_snapshot(store, digest, ranges((RUN, number) for number in range(1, 8)))


def test_a_snapshot_becomes_a_candidate_after_its_last_step_gave_the_same_bits(
    store, snapshot, recipe, champion, events
):
    from retrain.online_store import adopt

    digest, folder = snapshot
    kept = [number for number in range(1, 16) if number not in taught(recipe, 15)][:2]
    data = measured(recipe, events, sorted([*taught(recipe, 3), *kept]))

    made = adopt(candidate(store, recipe, digest), champion.contract, data, champion, folder)

    assert made.evidence["first_epoch"] == made.evidence["first_epoch_again"] == digest
    assert made.evidence["online"]["number"] == 3
    assert all(np.array_equal(made.checkpoint[name], one) for name, one in store.latest().parameters.items())


def test_a_snapshot_whose_last_step_does_not_repeat_says_so(store, snapshot, recipe, champion, events):
    from retrain.online_store import adopt, read_portion

    digest, folder = snapshot
    features = read_portion(folder / "state").features.copy()
    features[0] += 3
    bundle.write_tensors(folder / "state" / "events.safetensors", {"features": features})

    made = adopt(
        candidate(store, recipe, digest),
        champion.contract,
        measured(recipe, events, taught(recipe, 3)),
        champion,
        folder,
    )

    assert made.evidence["first_epoch"] != made.evidence["first_epoch_again"]


def test_a_snapshot_is_not_measured_on_what_it_says_it_learned_and_did_not(store, snapshot, recipe, champion, events):
    from retrain.online_store import adopt

    digest, folder = snapshot
    data = measured(recipe, events, taught(recipe, 5))

    with pytest.raises(DatasetError, match="did not learn from"):
        adopt(candidate(store, recipe, digest), champion.contract, data, champion, folder)


def test_another_snapshot_than_the_recipes_is_refused(store, snapshot, recipe, champion, events):
    from retrain.online_store import adopt

    data = measured(recipe, events, taught(recipe, 3))

    with pytest.raises(DatasetError, match="the recipe names"):
        adopt(candidate(store, recipe, "d" * 64), champion.contract, data, champion, snapshot[1])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sparsity": 0.75}, "sparsity 0.0, the recipe 0.75"),
        ({"forget": ranges([(RUN, 1)])}, r"forget \(\), the recipe \(LumisectionRange"),
        ({"learning_rate": 1e-5, "epochs": 99}, "epochs 1, the recipe 99; learning_rate 0.003, the recipe 1e-05"),
    ],
)
def test_a_candidate_is_named_as_it_was_taught(store, snapshot, recipe, champion, events, changes, named):
    from retrain.online_store import adopt

    asked = replace(candidate(store, recipe, snapshot[0]), **changes)

    with pytest.raises(DatasetError, match=named):
        adopt(asked, champion.contract, measured(recipe, events, taught(recipe, 3)), champion, snapshot[1])


def test_how_a_snapshot_is_measured_is_for_its_job_to_say(store, snapshot, recipe, champion, events):
    from retrain.online_store import adopt

    measuring = {"target_rate_hz": 1e5, "margin": 0.2, "signals": ("TTbar",), "faults": ("mute=1",), "needs_gain": True}
    asked = replace(candidate(store, recipe, snapshot[0]), synthesise=False, proof_vectors=5, **measuring)

    made = adopt(asked, champion.contract, measured(recipe, events, taught(recipe, 3)), champion, snapshot[1])

    assert made.evidence["online"]["number"] == 3


def test_a_pruned_champions_zeros_stay_though_its_learner_asks_for_none(recipe, champion, portion):
    from retrain.online import OnlineLearner

    pruned = {name: np.where(np.abs(one) < 0.1, 0, one).astype(one.dtype) for name, one in champion.checkpoint.items()}
    learner = OnlineLearner(recipe, champion.contract, pruned)

    after = learner.take(learner.begin(Memory.empty(57)), portion(taught(recipe, 1)[0])).parameters

    weights = [name for name in pruned if name.startswith("encoder") and pruned[name].ndim == 2]
    assert [(pruned[name] == 0).sum() > 20 for name in weights] == [True] * 3
    assert all((after[name][pruned[name] == 0] == 0).all() for name in weights)


def test_a_snapshot_belongs_to_the_online_policy_alone(make_recipe):
    with pytest.raises(RecipeError, match="snapshot"):
        make_recipe(snapshot="d" * 64)


def test_a_champion_that_learned_nothing_new_is_no_snapshot(store, tmp_path):
    with pytest.raises(DatasetError, match="nothing was learned"):
        store.snapshot(tmp_path / "snapshots")


@pytest.fixture
def follow_folder(tmp_path, recipe, champion, portion):
    def prepare(name, numbers):
        folder = tmp_path / name
        folder.mkdir()
        listed = []
        for number in numbers:
            path = folder / f"{number}.npy"
            np.save(path, portion(number).features)
            sha256 = digest_of_bytes(path.read_bytes())
            named = {"run": RUN, "lumisection": number, "path": str(path), "sha256": sha256, "certified": number != 1}
            listed.append({**named, "pileup": 35.0, "fill": 9879})
        said = {"recipe": recipe.to_json(), "champion": str(champion.path), "lumisections": listed}
        (folder / "follow.json").write_text(json.dumps(said))
        return folder

    return prepare


def test_killed_at_any_moment_it_ends_in_the_same_bits(follow_folder, recipe):
    from retrain.follow import run

    calm, hunted = (follow_folder(name, taught(recipe, 6)) for name in ("calm", "hunted"))
    end = run(calm)
    kills = 0
    for whole in (1, 3, 5):
        child = multiprocessing.get_context("fork").Process(target=run, args=(hunted,))
        child.start()
        marks = [hunted / "states" / f"{whole:09d}{suffix}" for suffix in (".partial", "")]
        while child.is_alive() and not any(mark.exists() for mark in marks):
            time.sleep(0.0005)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        kills += child.exitcode == -signal.SIGKILL

    assert kills == 3
    assert run(hunted) == end
    assert end["number"] == len(set(taught(recipe, 6)) - {1})


def test_following_says_what_was_refused_and_why(follow_folder, recipe):
    from retrain.follow import run

    said = run(follow_folder("one", range(1, 6)))

    assert said["refused"][f"{RUN}:1"] == "certified bad"
    assert "kept for measuring" in said["refused"].values()


def test_one_altered_lumisection_stops_the_following(follow_folder, recipe):
    from retrain.follow import run

    folder = follow_folder("one", taught(recipe, 2))
    (folder / f"{taught(recipe, 2)[1]}.npy").write_bytes(b"something else")

    with pytest.raises(DatasetError, match="altered"):
        run(folder)


def test_a_folder_that_says_nothing_is_wrong_use(tmp_path, capsys):
    from retrain.follow import main

    assert main([str(tmp_path)]) == 2
    assert "follow.json" in capsys.readouterr().err
    assert main([]) == 2
