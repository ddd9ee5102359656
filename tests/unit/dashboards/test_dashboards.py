"""The committed dashboard is what the code makes, and every panel can be understood on its own."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.metrics import COUNTER, DECLARED, PREFIX
from dashboards.build import built

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "dashboards" / "alerts.yml"
UNITS = {"none", "s", "percentunit"}
GIVEN_BY_THE_CLIENT = {"process_start_time_seconds"}

(OVERVIEW,) = built()
BOARD = json.loads(built()[OVERVIEW])
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def series_names() -> set[str]:
    names = set()
    for declared in DECLARED:
        ends = ("_count", "_sum", "_bucket") if declared.type == "histogram" else ("",)
        names |= {PREFIX + declared.name + end for end in ends}
    return names


def named_in(text: str) -> set[str]:
    return set(re.findall(r"\bretrigger_[a-z_]+", text))


def test_the_committed_dashboard_is_what_the_code_makes():
    assert {path: path.read_text() for path in built()} == built()


def test_nobody_edits_a_dashboard_that_code_makes():
    assert BOARD["editable"] is False
    assert BOARD["timezone"] == "utc"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_in_which_unit(panel):
    assert panel["title"]
    assert len(panel["description"].split()) >= 5
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}


def test_panels_have_ids_of_their_own_and_fit_the_grid():
    ids = [panel["id"] for panel in BOARD["panels"]]

    assert len(set(ids)) == len(ids)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in BOARD["panels"])


def test_every_metric_of_the_dashboard_and_of_the_alerts_exists():
    named = set().union(*(named_in(text) for text in EXPRESSIONS))
    expressions = re.findall(r"expr: (.+(?:\n          .+)*)", ALERTS.read_text())
    alerted = set().union(*(named_in(text) for text in expressions))

    assert len(expressions) >= 10
    assert named | alerted <= series_names()


def test_rates_are_taken_of_counters_alone():
    counters = {PREFIX + one.name for one in DECLARED if one.type == COUNTER} | {
        f"{PREFIX}retrain_duration_seconds_count",
        f"{PREFIX}retrain_duration_seconds_sum",
    }
    text = "\n".join([*EXPRESSIONS, ALERTS.read_text()])

    assert set(re.findall(r"(?:rate|increase)\(([a-z_]+)", text)) <= counters


def test_a_counter_is_never_drawn_as_it_stands():
    """A counter says nothing until it is compared with itself; only totals since the record began may be shown."""
    counters = {PREFIX + one.name for one in DECLARED if one.type == COUNTER}

    for expression in EXPRESSIONS:
        bare = named_in(re.sub(r"increase\([^)]*\)", "", expression)) & counters
        assert bare == set(), expression


@needs_promtool
def test_promtool_accepts_the_alert_rules_and_their_tests():
    subprocess.run(["promtool", "check", "rules", ALERTS], check=True, capture_output=True, timeout=60)
    done = subprocess.run(
        ["promtool", "test", "rules", Path(__file__).with_name("alerts_test.yml")],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_page_that_says_what_to_do():
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    pages = {path.stem for path in (ROOT / "docs" / "oncall").glob("Retrigger*.md")}
    headings = ("## What it means", "## Tell it from its neighbours", "## The first five minutes", "## What not to do")

    assert alerts == pages
    for alert in alerts:
        text = (ROOT / "docs" / "oncall" / f"{alert}.md").read_text()
        assert all(heading in text for heading in headings), alert
        assert f"runbook: docs/oncall/{alert}.md" in ALERTS.read_text()


def test_every_alert_is_tried_by_promtool():
    tried = Path(__file__).with_name("alerts_test.yml").read_text()

    assert all(alert in tried for alert in re.findall(r"- alert: (\w+)", ALERTS.read_text()))
