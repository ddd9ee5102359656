"""An adopted library scores events for the daemon, and when it fails the inputs are watched all the same."""

import importlib.util
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.scorer import BundleScorer, ChampionSummariser
from daemon.shelf import whole_champion
from daemon.web.dossier import _differences
from drift.schema import AXOL1TL_57
from retrain import adopted
from retrain.contract import axol1tl_contract
from retrain.firmware.adopt import adopt
from tests.unit.daemon.test_scorer import small_bundle
from tests.unit.drift import conftest as toy

ADOPTED = Path(__file__).parents[1] / "retrain" / "test_adopted.py"


def strangers():
    spec = importlib.util.spec_from_file_location("unit_adopted", ADOPTED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adopted")
    made = strangers().compiled(folder)
    return adopt(made, axol1tl_contract("L1_AXO"), adopted.KNOWN["cmssw-v4"], threshold=3541, out=folder / "bundles")


@pytest.fixture
def crashing(library, tmp_path):
    """A champion whose library aborts; its bytes are not checked again once it is loaded."""
    folder = tmp_path / "crashing"
    shutil.copytree(library.path, folder)
    shutil.copyfile(strangers().compiled(tmp_path, strangers().ABORTS), folder / adopted.LIBRARY)
    return adopted.Adopted(folder, library.digest, library.manifest)


@pytest.fixture
def events():
    return toy.events(1, 1, 50.0, 200, np.random.default_rng(1))


def test_it_scores_for_summaries_under_its_digest_and_threshold(library, events):
    scorer = BundleScorer.load(library.path, AXOL1TL_57)

    assert np.array_equal(scorer.scores(events.features), strangers().expected(events.features))
    assert (scorer.digest, scorer.thresholds) == (library.digest, (("L1_AXO", 3541),))


def test_the_running_champion_may_be_an_adopted_library(library, events):
    counting = ChampionSummariser(AXOL1TL_57, library.digest, lambda: library.digest, lambda _: library)
    summary = counting.now().fill(events)

    assert summary.scores.scorer == library.digest
    assert counting.silent == ""


def test_a_library_that_crashes_leaves_the_inputs_watched_and_is_told_once(crashing, events, caplog):
    counting = ChampionSummariser(AXOL1TL_57, crashing.digest, lambda: crashing.digest, lambda _: crashing)
    with caplog.at_level(logging.WARNING, "retrigger.scorer"):
        summaries = [counting.now().fill(events) for _ in range(3)]

    assert [one.scores for one in summaries] == [None] * 3
    assert [one.events for one in summaries] == [200] * 3
    assert "was ended by signal 6" in counting.silent
    assert len(caplog.records) == 1


def test_the_record_finds_an_adopted_champion_and_the_page_says_that_only_scores_compare(library, tmp_path):
    bundle = small_bundle(tmp_path)
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        imported = f.ChampionImported(
            at=datetime(2026, 7, 1, tzinfo=UTC),
            actor="import: test",
            slot="L1_AXO",
            digest=library.digest,
            bundle_path=str(library.path),
        )
        ledger.append("L1_AXO", (imported,))
        found = whole_champion(ledger, library.digest)
        rows = _differences(ledger, bundle, library.digest)

    assert found == library
    assert rows[0] == ("what runs", "an adopted emulator library: only its scores can be compared", bundle.digest[:12])
    assert rows[1][1:] == (3541, 2000)
