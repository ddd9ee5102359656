"""The trigger's score on real files: fitted with a bundle, scanned with it, and watched by the daemon that runs it."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from drift.simulate import simulate
from tests.e2e.homes import deliver, home_with_reference, retrigger, run_once
from tests.unit.daemon.test_scorer import small_bundle


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with a reference fitted with a bundle's scores, and beside it one live fill."""
    base = tmp_path_factory.mktemp("scores")
    simulate("none", 4, 7, base / "healthy", lumisections_per_fill=24, events_per_lumisection=100)
    live = simulate(
        "none", 1, 8, base / "live", lumisections_per_fill=12, events_per_lumisection=100, lumisections_per_file=4,
        first_fill=10_200,
    )  # fmt: skip
    sealed = small_bundle(base)
    home, report = home_with_reference(base, live.conditions, bundle=sealed.path)
    return home, live, sealed, report


@pytest.fixture
def home(prepared, tmp_path):
    return Path(shutil.copytree(prepared[0], tmp_path / "home"))


def said_by_the_loop(home: Path) -> dict:
    with sqlite3.connect(home / "ledger.db") as base:
        return json.loads(base.execute("select body from status where name = 'loop'").fetchone()[0])


def test_the_reference_names_the_model_whose_scores_it_has(prepared):
    _, _, sealed, report = prepared

    assert report["scorer"] == sealed.digest
    assert report["fills"] == 4


def test_a_scan_with_the_bundle_watches_its_scores_and_one_without_says_that_it_does_not(prepared):
    home, live, sealed, _ = prepared
    asked = ("--config", home / "retrigger.toml", "--reference", home / "reference.npz", live.files[0].parent)
    *_, watched = retrigger("scan", "--bundle", sealed.path, *asked)
    *_, silent = retrigger("scan", *asked)

    assert watched["scores"] == "watched"
    assert silent["scores"] == "not watched: the events came without scores"
    assert watched["watched"] == silent["watched"] > 0
    assert watched["alarms"] == silent["alarms"] == 0


def test_the_daemon_scores_with_the_champion_that_the_reference_knows(prepared, home):
    _, live, sealed, _ = prepared
    retrigger("import-champion", "--config", home / "retrigger.toml", sealed.path)
    deliver(home, *live.files)
    run_once(home)
    told = said_by_the_loop(home)

    assert told["silent_scores"] == {"ZeroBias": ""}
    assert "scores" not in told["doing"]


def test_the_report_of_a_scored_fill_shows_quantiles_and_threshold(prepared, home, tmp_path):
    _, live, sealed, _ = prepared
    retrigger("import-champion", "--config", home / "retrigger.toml", sealed.path)
    deliver(home, *live.files)
    run_once(home, reports=True)
    retrigger("report", 10_200, "--config", home / "retrigger.toml", "--output", tmp_path / "report.html")

    assert "<h2>The model&#39;s score</h2><img" in (tmp_path / "report.html").read_text()


def test_the_daemon_says_that_scores_are_silent_when_the_board_runs_another_model(prepared, home):
    _, live, _, report = prepared
    deliver(home, *live.files)
    run_once(home)
    told = said_by_the_loop(home)

    (why,) = told["silent_scores"].values()
    assert why.startswith(f"the board runs no model, the reference was fitted with scores of {report['scorer'][:12]}")
    assert why in told["doing"]
