"""Signals are read as data are, kept with a digest, and asked for in every recipe."""

import json
from pathlib import Path

import numpy as np
import pytest

from daemon import config, signal_list
from daemon.bootstrap import first_job
from daemon.errors import SetupError
from daemon.signal_samples import keep
from drift.simulate import simulate
from retrain.recipe import Recipe
from retrain.signals import ListedSignal, load_signals
from tests.l1nano import columns, write

TEMPLATE = Path(config.__file__).parent / "template.toml"


@pytest.fixture
def settings(tmp_path):
    text = TEMPLATE.read_text().replace("# signals =", "signals =")
    (tmp_path / "retrigger.toml").write_text(text)
    return config.load(tmp_path / "retrigger.toml")


def sample(path, seed, run=1):
    flat, jagged = columns(run, (1,), 60, seed)
    return write(path, flat, jagged)


def test_a_sample_is_kept_with_its_digest_and_read_back_by_a_job(settings, tmp_path):
    low = keep("TTbar", [sample(tmp_path / "low.root", 1)], settings, pileup=30.0)
    keep("TTbar", [sample(tmp_path / "high.root", 2)], settings, pileup=60.0)
    keep("ZToEE", [sample(tmp_path / "ee.root", 3)], settings)

    listed = [ListedSignal.from_json(one) for one in signal_list.listed(settings.retrain.signals)]
    loaded = load_signals(listed, signal_list.names(settings.retrain.signals), 57)
    assert (low["events"], low["new"]) == (60, True)
    assert [one.name for one in loaded] == ["TTbar", "ZToEE"]
    assert loaded[0].features.shape == (57, 120)
    assert sorted(set(loaded[0].pileup.tolist())) == [30.0, 60.0]
    assert np.isnan(loaded[1].pileup).all()


def test_keeping_the_same_again_changes_nothing(settings, tmp_path):
    path = sample(tmp_path / "one.root", 1)
    keep("TTbar", [path], settings)
    before = sorted(one.name for one in settings.retrain.signals.iterdir())

    assert keep("TTbar", [path], settings)["new"] is False
    assert sorted(one.name for one in settings.retrain.signals.iterdir()) == before


def test_without_a_folder_nothing_is_kept_and_nothing_asked_for(tmp_path):
    (tmp_path / "retrigger.toml").write_text(TEMPLATE.read_text())
    plain = config.load(tmp_path / "retrigger.toml")

    with pytest.raises(SetupError, match=r"retrain\.signals is not set"):
        keep("TTbar", [sample(tmp_path / "one.root", 1)], plain)
    assert signal_list.names(plain.retrain.signals) == ()


def test_a_damaged_list_is_never_taken_for_an_empty_one(settings, tmp_path):
    keep("TTbar", [sample(tmp_path / "one.root", 1)], settings)
    (settings.retrain.signals / signal_list.LIST).write_text("{}")

    with pytest.raises(SetupError, match="cannot be read"):
        signal_list.names(settings.retrain.signals)


def test_a_file_that_cannot_be_read_is_named(settings, tmp_path):
    (tmp_path / "broken.root").write_bytes(b"no root at all")

    with pytest.raises(SetupError, match=r"broken\.root cannot be read"):
        keep("TTbar", [tmp_path / "broken.root"], settings)


def test_the_first_job_asks_for_the_signals_that_are_kept(settings, tmp_path):
    keep("TTbar", [sample(tmp_path / "one.root", 1)], settings, pileup=50.0)
    fills = simulate("none", 1, 3, tmp_path / "fills", lumisections_per_fill=4, events_per_lumisection=30)

    folder, recipe = first_job(list(fills.files), settings, conditions=fills.conditions)

    job = json.loads((folder / "job.json").read_text())
    assert recipe.signals == Recipe.from_json(job["recipe"]).signals == ("TTbar",)
    assert [one["name"] for one in job["signals"]] == ["TTbar"]
    assert Path(job["signals"][0]["path"]).is_absolute()
