"""A candidate learns from its lumisections and from its champion's memory, and hands a memory on."""

from dataclasses import replace
from pathlib import Path

import pytest

from retrain import bundle
from retrain.bundle import Bundle
from retrain.dataset import Dataset, ListedLumisection, split
from retrain.errors import DatasetError
from retrain.memory import Memory
from retrain.policy import Policy
from retrain.recipe import ranges

# brevitas and torch warn about each other's deprecations at import and first use
pytestmark = pytest.mark.filterwarnings("ignore")
EACH = 200


def dataset_of(features, run, count, recipe, *, fill=9877, pileup=50.0):
    listed = tuple(
        ListedLumisection(run, number, Path("nowhere"), "", fill=fill, pileup=pileup) for number in range(1, count + 1)
    )
    held_out = split(listed, recipe.held_out_fraction, recipe.seed)
    return Dataset(features[:, : count * EACH], listed, (EACH,) * count, held_out)


def quiet(_fraction, _text):
    return None


@pytest.fixture
def first(make_recipe):
    return make_recipe(epochs=2, batch_size=100)


@pytest.fixture
def champion(tmp_path, first, contract, events):
    """What a job leaves that its successors read: checkpoint and memory."""
    from retrain.teaching import teach

    taught = teach(first, contract, dataset_of(events, 382913, 12, first), None, "cpu", quiet)
    bundle.write_tensors(tmp_path / bundle.CHECKPOINT, taught.checkpoint)
    bundle.write_tensors(tmp_path / bundle.MEMORY, taught.memory.arrays())
    return Bundle(tmp_path, "c" * 64, {})


@pytest.fixture
def second(first):
    lumisections = ranges((382920, number) for number in range(1, 9))
    return replace(first, lumisections=lumisections, champion="c" * 64, policy=Policy("replay"))


def test_a_first_champion_hands_on_a_memory_of_what_taught_it_and_nothing_held_out(champion, first, events):
    data = dataset_of(events, 382913, 12, first)
    memory = Memory.from_arrays(champion.memory)

    taught = {(one.run, one.lumisection) for one, out in zip(data.lumisections, data.held_out, strict=True) if not out}
    assert set(memory.lumisections) == taught


def test_a_replay_candidate_rehearses_and_remembers_both(champion, second, contract, events):
    from retrain.teaching import teach

    data = dataset_of(events[:, 3000:], 382920, 8, second, fill=9879, pileup=35.0)

    taught = teach(second, contract, data, champion, "cpu", quiet)

    assert taught.evidence["rehearsed"] == Memory.from_arrays(champion.memory).events
    assert taught.evidence["first_epoch"] == taught.evidence["first_epoch_again"]
    assert taught.evidence["policy"] == {"name": "replay", "memory_share": 0.3}
    assert set(taught.evidence["memory"]["strata"]) == {"/35-40", "/50-55"}


def test_what_measures_the_candidate_is_not_rehearsed(champion, first, contract, events):
    from retrain.teaching import teach

    other = replace(first, seed=2, champion="c" * 64, policy=Policy("replay"))
    data = dataset_of(events, 382913, 12, other)
    held = {(one.run, one.lumisection) for one, out in zip(data.lumisections, data.held_out, strict=True) if out}
    memory = Memory.from_arrays(champion.memory)
    left = memory.without(lambda run, lumisection: (run, lumisection) in held).events

    taught = teach(other, contract, data, champion, "cpu", quiet)

    assert 0 < left < memory.events
    assert taught.evidence["rehearsed"] == left


def test_a_lumisection_that_turned_out_bad_is_forgotten(champion, second, contract, events):
    from retrain.teaching import teach

    bad = Memory.from_arrays(champion.memory).lumisections[0]
    recipe = replace(second, forget=ranges([bad]))
    data = dataset_of(events[:, 3000:], 382920, 8, recipe)

    taught = teach(recipe, contract, data, champion, "cpu", quiet)

    assert not any(span.startswith(f"{bad[0]}:{bad[1]}-") for span in taught.evidence["memory"]["ranges"])
    assert taught.evidence["rehearsed"] < Memory.from_arrays(champion.memory).events


def test_a_champion_from_before_there_were_memories_is_named(champion, second, contract, events):
    from retrain.teaching import teach

    (champion.path / bundle.MEMORY).unlink()
    data = dataset_of(events[:, 3000:], 382920, 8, second)

    with pytest.raises(DatasetError, match="no memory"):
        teach(second, contract, data, champion, "cpu", quiet)
