"""A trigger that runs already is watched before anything is retrained: its emulator library is the first champion."""

import importlib.util
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from daemon import config
from daemon.scan import reading, run_files
from drift.simulate import simulate
from retrain import champion
from retrain.contract import axol1tl_contract
from retrain.preflight import derive
from tests.e2e.homes import FAST, deliver, retrigger, run_once

ADOPTED = Path(__file__).parents[1] / "unit" / "retrain" / "test_adopted.py"
THRESHOLD = "75.25"  # GeV in the stranger's score: the sum of all pt

# each verb starts an interpreter, and a compiler works
pytestmark = pytest.mark.timeout(600)


def strangers():
    spec = importlib.util.spec_from_file_location("unit_adopted", ADOPTED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def features_of(home, folder):
    with reading(config.load(home / "retrigger.toml")) as files:
        found = [files.contents(path) for path in run_files([folder])]
    return np.concatenate([one.features for contents in found for one in contents.lumisections], axis=1)


def scales_of(contract, **changes):
    arrays = {"ad_offsets": [one.offset for one in contract.inputs], "ad_shift": [one.shift for one in contract.inputs]}
    return json.dumps({"inputs": [one.name for one in contract.inputs], **arrays, **changes})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A home whose champion is a library of strangers, and whose reference was fitted with its scores."""
    base = tmp_path_factory.mktemp("adopted")
    simulate("none", 4, 7, base / "healthy", lumisections_per_fill=24, events_per_lumisection=100)
    live = simulate(
        "none", 1, 8, base / "live", lumisections_per_fill=12, events_per_lumisection=100, lumisections_per_file=4,
        first_fill=10_200,
    )  # fmt: skip
    home, healthy = base / "home", base / "healthy" / "incoming"
    retrigger("init", home)
    text = (home / "retrigger.toml").read_text()
    for before, after in FAST.items():
        text = text.replace(before, after)
    (home / "retrigger.toml").write_text(text)
    contract = derive(axol1tl_contract(), features_of(home, healthy).astype(np.int16))
    (base / "scales.json").write_text(scales_of(contract))
    library = strangers().compiled(base)
    given = ("--scales", base / "scales.json", "--threshold", THRESHOLD, "--interface", "cmssw-v4", "--events", healthy)
    asked = ("import-champion", library, "--config", home / "retrigger.toml", *given)
    (told,) = retrigger(*asked)
    fitted = ("--output", home / "reference.npz", "--conditions", base / "healthy" / "conditions")
    (report,) = retrigger(
        "reference", "fit", "--config", home / "retrigger.toml", *fitted, "--bundle", told["path"], healthy
    )
    for source in live.conditions.iterdir():
        shutil.copy(source, home / "conditions" / source.name)
    return base, home, live, asked, told, report


def said_by_the_loop(home):
    with sqlite3.connect(home / "ledger.db") as ledger:
        return json.loads(ledger.execute("select body from status where name = 'loop'").fetchone()[0])


def test_the_library_is_the_champion_on_record_and_on_the_board(prepared):
    _, home, _, asked, told, report = prepared
    found = champion.load(Path(told["path"]))
    (again,) = retrigger(*asked)

    assert told["digest"] == found.digest == report["scorer"] == again["digest"]
    assert told["slot"] == found.manifest["slot"]
    assert found.threshold == int(float(THRESHOLD) * 16)
    assert "compared with it by score alone" in told["lacks"][0]
    assert [(link / "emulator" / "library.so").is_file() for link in home.rglob("current")] == [True]


def test_the_daemon_watches_its_score(prepared, tmp_path):
    _, home, live, *_ = prepared
    home = Path(shutil.copytree(home, tmp_path / "home", symlinks=True))
    deliver(home, *live.files)
    run_once(home)

    assert said_by_the_loop(home)["silent_scores"] == {"ZeroBias": ""}


def test_a_scan_watches_it_and_counts_what_passes(prepared, tmp_path):
    _, home, live, _, told, _ = prepared
    asked = ("--config", home / "retrigger.toml", "--bundle", told["path"])
    *_, scanned = retrigger("scan", *asked, "--reference", home / "reference.npz", live.files[0].parent)
    retrigger("summarise", *asked, "--output", tmp_path / "summaries", live.files[0])
    features = features_of(home, live.files[0])

    from daemon.summaries import read, summary_files

    counted = [read(path).scores for path in summary_files([tmp_path / "summaries"])]
    assert scanned["scores"] == "watched"
    expected = int((strangers().expected(features) >= int(float(THRESHOLD) * 16)).sum())
    assert 0 < expected < features.shape[1]
    assert sum(int(one.passed.sum()) for one in counted) == expected


def test_scales_that_do_not_fit_the_events_and_missing_words_are_refused(prepared, tmp_path):
    base, home, _, asked, *_ = prepared
    contract = derive(axol1tl_contract(), features_of(home, base / "healthy" / "incoming").astype(np.int16))
    doubled = [2 * one.offset if one.quantity == "pt" else one.offset for one in contract.inputs]
    (tmp_path / "wrong.json").write_text(scales_of(contract, ad_offsets=doubled))
    wrong = [tmp_path / "wrong.json" if one == base / "scales.json" else one for one in asked]

    assert retrigger(*wrong, status=2) == []
    assert retrigger(*asked[:4], status=2) == []
    assert retrigger(*[("7" if one == THRESHOLD else one) for one in asked], status=2) == []
