"""What a threshold-only candidate may take from its parent, and what it may not ask."""

import json
from dataclasses import replace

import numpy as np
import pytest

from retrain import bundle, inheriting
from retrain.dataset import Dataset, ListedLumisection
from retrain.errors import BundleAlteredError, DatasetError, RecipeError
from retrain.memory import Memory
from retrain.policy import Policy
from retrain.stages import STAGES, Job, stages_of
from tests.unit.retrain.conftest import recipe, stage_bundle


@pytest.fixture
def parent(tmp_path):
    """A sealed bundle whose weights learned lumisections 1 to 3 and 7."""
    identity = stage_bundle(tmp_path / "staging")
    learned = {"training": {"ranges": ["382913:1-3", "382913:7-7"], "events": 4}}
    bundle.write_json(tmp_path / "staging" / "evidence" / "dataset.json", learned)
    bundle.write_json(tmp_path / "staging" / "evidence" / "training.json", {"first_epoch": "a"})
    (tmp_path / "staging" / "checkpoint.safetensors").write_bytes(b"the checkpoint")
    remembered = Memory.of_lumisection(np.zeros((57, 5), np.int16), 382913, 12, fill=9877, pileup=50.0)
    bundle.write_tensors(tmp_path / "staging" / bundle.MEMORY, remembered.arrays())
    return bundle.seal(tmp_path / "staging", tmp_path / "bundles", identity)


def data(numbers):
    rows = tuple(ListedLumisection(382913, number, None, "") for number in numbers)
    return Dataset(np.zeros((57, len(rows)), np.int16), rows, (1,) * len(rows), (False,) * len(rows))


def heir(parent, **changes):
    return recipe(action="threshold", champion=parent.digest, **changes)


def test_everything_the_weights_have_not_learned_is_held_out(parent):
    kept = inheriting.held_out(data([1, 3, 4, 7, 8]), heir(parent), parent)

    assert kept.held_out == (False, False, True, False, True)


def test_a_job_that_lists_only_what_was_learned_is_refused(parent):
    with pytest.raises(DatasetError, match="learned from every lumisection"):
        inheriting.held_out(data([1, 2, 7]), heir(parent), parent)


@pytest.mark.parametrize("change", [{"hidden": (8,)}, {"latent": 5}, {"weight_bits": 4}, {"slot": "L1_OTHER"}])
def test_a_threshold_is_derived_for_the_network_that_there_is(parent, change):
    with pytest.raises(RecipeError, match=next(iter(change))):
        inheriting.held_out(data([4, 5]), heir(parent, **change), parent)


def test_the_learned_ranges_are_read_as_they_were_written(parent):
    spans = [str(span) for span in inheriting.learned_by(parent)]

    assert spans == ["382913:1-3", "382913:7-7", "382913:12-12"]  # the last one from its memory


def test_weights_that_start_from_the_champions_have_learned_what_it_learned(parent):
    listed = replace(data([4, 5, 8]), held_out=(False, True, False))
    replayed = recipe(champion=parent.digest, policy=Policy(name="replay"))

    assert inheriting.learned(listed, recipe(champion=parent.digest), parent) == ["382913:4-4", "382913:8-8"]
    assert inheriting.learned(listed, replayed, parent) == ["382913:1-4", "382913:7-8", "382913:12-12"]
    assert inheriting.learned(listed, heir(parent), parent) == ["382913:1-3", "382913:7-7", "382913:12-12"]


def test_a_stage_leaves_the_parents_bytes(parent, tmp_path):
    inheriting.take("train", parent, tmp_path)

    assert (tmp_path / "checkpoint.safetensors").read_bytes() == b"the checkpoint"
    assert json.loads((tmp_path / "training.json").read_bytes()) == {"first_epoch": "a"}


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "hls/firmware/network.cpp"])
def test_bytes_that_changed_after_the_parent_was_read_are_not_inherited(parent, tmp_path, name):
    (parent.path / name).write_bytes(b"other")

    with pytest.raises(BundleAlteredError, match=name):
        inheriting.take("train" if name.startswith("checkpoint") else "firmware", parent, tmp_path)


def test_a_parent_of_an_earlier_form_is_told_apart_from_a_broken_one(parent, tmp_path):
    with pytest.raises(RecipeError, match="no rtl; an earlier version made it"):
        inheriting.take("module", parent, tmp_path)


def test_a_threshold_job_has_the_stages_of_every_job_and_makes_no_network(parent, tmp_path):
    value = {"lumisections": [], "champion": str(parent.path), "out": str(tmp_path)}
    trained = Job.from_json({**value, "recipe": recipe(champion=parent.digest).to_json()})
    kept = Job.from_json({**value, "recipe": heir(parent).to_json()})

    own = {name for (name, made), (_, usual) in zip(stages_of(kept), STAGES, strict=True) if made is not usual}
    assert stages_of(trained) == STAGES
    assert [name for name, _ in stages_of(kept)] == [name for name, _ in STAGES]
    assert own == {"train", "export", "module", "firmware", "prove", "synthesis"}


@pytest.mark.parametrize("wish", [{"action": "threshold"}, {"action": "prescale", "champion": "c"}])
def test_an_action_without_a_champion_or_of_another_name_is_refused(wish):
    with pytest.raises(RecipeError, match="threshold with a champion"):
        recipe(**wish)


def test_a_recipe_without_action_keeps_the_digest_it_had():
    assert "action" not in recipe().to_json()


def test_a_bundle_may_not_name_a_parent_that_its_recipe_does_not(tmp_path):
    identity = stage_bundle(tmp_path / "staging")

    with pytest.raises(BundleAlteredError, match="parent does not belong"):
        bundle.seal(tmp_path / "staging", tmp_path / "bundles", {**identity, "parent": "a" * 64})


def test_a_bundle_of_a_threshold_must_rest_on_the_proof_of_its_parent(parent, tmp_path):
    staging = tmp_path / "own"
    identity = stage_bundle(staging, threshold=2100)
    asked = heir(parent)
    bundle.write_json(staging / "recipe.json", asked.to_json())
    identity |= {"recipe_digest": asked.digest, "parent": parent.digest}
    proof = json.loads((staging / "evidence/proof.json").read_bytes())

    with pytest.raises(BundleAlteredError, match="inherited from another bundle"):
        bundle.seal(staging, tmp_path / "bundles", identity)
    bundle.write_json(staging / "evidence/proof.json", {**proof, "inherited_from": parent.digest})
    (staging / bundle.MANIFEST).unlink()
    sealed = bundle.seal(staging, tmp_path / "bundles", identity)

    assert sealed.manifest["parent"] == parent.digest
    assert sealed.manifest["weights_digest"] == parent.manifest["weights_digest"]
    assert replace(sealed, manifest={}).recipe.action == "threshold"
