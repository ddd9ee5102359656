"""Exactly the listed lumisections, or nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from retrain.dataset import ListedLumisection, load, split
from retrain.errors import DatasetError
from retrain.recipe import Recipe


@pytest.fixture
def job(tmp_path, make_job):
    value = make_job(tmp_path, events=30)
    listed = [ListedLumisection.from_json(one) for one in value["lumisections"]]
    return listed, Recipe.from_json(value["recipe"])


def test_every_event_of_every_lumisection_is_there_once(job):
    listed, recipe = job

    data = load(listed, recipe, 57)

    assert data.features.shape == (57, 12 * 30)
    assert np.array_equal(data.features[:, 30:60], np.load(listed[1].path))
    assert data.mask(held_out=True).sum() + data.mask(held_out=False).sum() == 360


def test_the_order_of_the_list_changes_nothing(job):
    listed, recipe = job

    data, again = load(listed, recipe, 57), load(listed[::-1], recipe, 57)

    assert data.evidence() == again.evidence()
    assert np.array_equal(data.features, again.features)


def test_one_changed_byte_stops_the_training_and_names_the_lumisection(job):
    listed, recipe = job
    content = bytearray(listed[4].path.read_bytes())
    content[-1] ^= 1
    listed[4].path.write_bytes(bytes(content))

    with pytest.raises(DatasetError, match=r"382913:5 .* altered"):
        load(listed, recipe, 57)


def test_a_missing_file_stops_the_training(job):
    listed, recipe = job
    listed[2].path.unlink()

    with pytest.raises(DatasetError, match=r"382913:3 .* cannot be read"):
        load(listed, recipe, 57)


def test_a_list_that_is_not_the_recipes_is_refused(job):
    listed, recipe = job

    with pytest.raises(DatasetError, match=r"382913:1-11.*382913:1-12"):
        load(listed[:-1], recipe, 57)


def test_a_lumisection_listed_twice_is_refused(job):
    listed, recipe = job

    with pytest.raises(DatasetError, match="twice"):
        load([*listed, listed[0]], recipe, 57)


def test_an_array_of_another_shape_is_refused(job):
    listed, recipe = job

    with pytest.raises(DatasetError, match=r"expected int16 \(56"):
        load(listed, recipe, 56)


def test_the_split_keeps_its_share_and_depends_on_the_seed(job):
    listed, _ = job

    first, other = split(listed, 0.4, 1), split(listed, 0.4, 2)

    assert sum(first) == sum(other) == 5
    assert first != other
    assert split(listed, 0.4, 1) == first


def test_both_sides_of_a_split_get_something(job):
    listed, _ = job

    assert sum(split(listed[:2], 0.05, 1)) == 1
    assert sum(split(listed[:2], 0.9, 1)) == 1


def test_evidence_names_ranges_digests_and_what_certification_said(job):
    listed, recipe = job

    evidence = load(listed, recipe, 57).evidence()

    assert evidence["certified"] == 12
    assert evidence["fills"] == [9877, 9878]
    assert evidence["files"][0][2] == listed[0].sha256
    assert str(Path(listed[0].path).parent) not in json.dumps(evidence)


def test_an_entry_without_a_digest_is_refused():
    with pytest.raises(DatasetError, match="sha256"):
        ListedLumisection.from_json({"run": 1, "lumisection": 1, "path": "x"})
