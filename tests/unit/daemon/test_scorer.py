"""A bundle scores events as its firmware does, and only the champion that the reference knows is scored with."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from daemon import config, summaries
from daemon.errors import SetupError
from daemon.scan import scan
from daemon.scorer import BundleScorer, ChampionSummariser, summariser_for
from drift.reference import Reference
from drift.schema import AXOL1TL_57, NANOAOD_BITS
from retrain import bundle as bundles
from retrain.errors import BundleAlteredError
from tests.unit.drift import conftest as toy

RETRAIN = Path(__file__).parents[1] / "retrain" / "conftest.py"


def small_bundle(folder: Path) -> bundles.Bundle:
    """Return a whole bundle with a random network."""
    spec = importlib.util.spec_from_file_location("retrain_conftest", RETRAIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    identity = module.stage_bundle(folder / "staging")
    return bundles.seal(folder / "staging", folder / "bundles", identity)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    return small_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def events():
    return toy.events(1, 1, 50.0, 200, np.random.default_rng(1))


def test_a_bundle_gives_the_integers_of_its_program_and_its_threshold_by_slot(sealed, events):
    scorer = BundleScorer.load(sealed.path, AXOL1TL_57)
    expected = sealed.program.run(sealed.contract, events.features)

    assert np.array_equal(scorer.scores(events.features), expected)
    assert scorer.scores(events.features).dtype == np.int64
    assert (scorer.digest, scorer.thresholds) == (sealed.digest, (("L1_AXO", 2000),))
    assert len(set(expected.tolist())) > 20


def test_a_bundle_made_for_other_inputs_is_refused(sealed):
    with pytest.raises(SetupError, match="takes 57 inputs, schema nanoaod_bits reads 0"):
        BundleScorer(sealed, NANOAOD_BITS)


def test_an_altered_bundle_scores_nothing(tmp_path):
    altered = small_bundle(tmp_path)
    (altered.path / "weights.safetensors").write_bytes(b"other")

    with pytest.raises(BundleAlteredError, match="the weights changed"):
        summariser_for(AXOL1TL_57, altered.path)


def test_the_champion_scores_where_the_reference_knows_it(sealed, events):
    counting = ChampionSummariser(AXOL1TL_57, sealed.digest, lambda: sealed.digest, lambda _: sealed)
    summary = counting.now().fill(events)

    assert summary.scores.scorer == sealed.digest
    assert counting.silent == ""


@pytest.mark.parametrize(
    ("running", "words"),
    [("ab" * 32, "the board runs model abababababab, the reference"), (None, "cannot be read"), ("", "runs no model")],
)
def test_another_champion_scores_nothing_and_it_is_said_why(sealed, events, running, words):
    counting = ChampionSummariser(AXOL1TL_57, sealed.digest, lambda: running, lambda _: sealed)

    assert counting.now().fill(events).scores is None
    assert words in counting.silent


def test_the_board_is_looked_at_again_each_time(sealed, events):
    seen = iter([sealed.digest, "ab" * 32, sealed.digest])
    counting = ChampionSummariser(AXOL1TL_57, sealed.digest, lambda: next(seen), lambda _: sealed)

    assert [counting.now().fill(events).scores is None for _ in range(3)] == [False, True, False]


def test_a_champion_whose_bundle_is_lost_scores_nothing(sealed, events):
    counting = ChampionSummariser(AXOL1TL_57, sealed.digest, lambda: sealed.digest, lambda _: None)

    assert counting.now().fill(events).scores is None
    assert "not on record or was altered" in counting.silent


def test_without_scores_in_the_reference_nobody_looks_at_the_board(events):
    def never(*_):
        raise AssertionError("asked")

    counting = ChampionSummariser(AXOL1TL_57, "", never, never)

    assert counting.now().fill(events).scores is None
    assert counting.silent is None


def test_summaries_are_written_with_scores_when_a_bundle_is_named(sealed, simulated_fills, tmp_path):
    (tmp_path / "retrigger.toml").write_text("", encoding="utf-8")
    settings, paths = config.load(tmp_path / "retrigger.toml"), [simulated_fills.files[0]]
    summaries.summarise(paths, settings, tmp_path / "scored", uhi=False, bundle=sealed.path)
    summaries.summarise(paths, settings, tmp_path / "plain", uhi=False)
    scored, plain = (
        [summaries.read(path) for path in summaries.summary_files([tmp_path / one])] for one in ("scored", "plain")
    )

    assert {one.scores.scorer for one in scored} == {sealed.digest}
    assert {one.scores for one in plain} == {None}
    assert [one.counts.sum() for one in scored] == [one.counts.sum() for one in plain]


def test_a_scan_says_whether_it_watches_scores(sealed, simulated_fills, tmp_path):
    (tmp_path / "retrigger.toml").write_text("", encoding="utf-8")
    settings, paths = config.load(tmp_path / "retrigger.toml"), [simulated_fills.files[0].parent]
    Reference.fit(toy.fills(11, 4, 30, 300), AXOL1TL_57).save(tmp_path / "reference.npz")
    given = {"conditions": simulated_fills.conditions}
    *_, plain = scan(paths, settings, tmp_path / "reference.npz", **given)
    *_, asked = scan(paths, settings, tmp_path / "reference.npz", bundle=sealed.path, **given)

    assert "scores" not in plain
    assert asked["scores"] == "not watched: the reference was fitted without --bundle"
    assert json.loads(json.dumps(asked)) == asked
