"""The committed dashboards are what the code makes, and every panel can be understood on its own."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.metrics import COUNTER, DECLARED, PREFIX
from dashboards.build import ALL, built
from dashboards.committed import BOARDS as FOLDER
from dashboards.committed import ORDER, boards
from dashboards.provisioned import ALERTING, rule_group

ROOT = Path(__file__).parents[3]
ALERTS, RULES = ROOT / "dashboards" / "alerts.yml", ROOT / "dashboards" / "rules.yml"
UNITS = {"none", "s", "percentunit", "hertz", "bytes", "short"}
KINDS = {"row", "stat", "timeseries", "table", "state-timeline", "bargauge"}
GIVEN_BY_THE_CLIENT = {"retrigger_process_resident_memory_bytes", "retrigger_process_cpu_seconds_total"}

DOCS = ROOT / "docs" / "dashboards.md"
BOARDS = {one["uid"]: one for one in boards()}
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for _, panel in PANELS for target in panel["targets"]]
NOTES = [note for board in BOARDS.values() for note in board["annotations"]["list"]]
WHAT_A_COORDINATOR_WANTS = {  # the rows of what a trigger coordinator looks for, each within one dashboard
    "retrigger-now": (
        "fill_number run_number lumisection_number stable_beams pileup bunches prescale_column_info deployed_info "
        "score_threshold lag_lumisections lag_seconds beam_mode_info dead_time_ratio"
    ),
    "retrigger-coordinator": (
        "seed_rate_hertz seed_rate_predicted_hertz seed_rate_low_hertz seed_rate_high_hertz seed_deviation_sigma "
        "pileup score_value score_threshold score_saturated_ratio candidate_rate_is_pure candidate_rate_hertz"
    ),
    "retrigger-drift": (
        "drift_log_evidence drift_log_evidence_budget occupancy_pull_sigma feature_residual_sigma empty_events_ratio "
        "part_residual_sigma alarms_total"
    ),
    "retrigger-integrity": (
        "vectors_mismatching board_agrees seeds_missing drift_scores_watched audit_intact board_events_differing "
        "board_mismatch_high_ratio record_place_sequence"
    ),
    "retrigger-rivals": (
        "candidate_rate_hertz candidate_signal_efficiency_ratio candidate_events candidate_resources candidate_gates "
        "retrain_running_seconds"
    ),
    "retrigger-governance": (
        "approvals_pending approval_age_seconds approval_expires_seconds approval_signatures_missing "
        "rollback_timestamp_seconds stable_beams waivers reviews_owed drill_answers_total rollback_rehearsal_seconds"
    ),
    "retrigger-daemon": "loop_heartbeat_timestamp_seconds lumisections_total files_total messages_owed",
}

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def series_names() -> set[str]:
    names = set(GIVEN_BY_THE_CLIENT)
    for declared in DECLARED:
        ends = ("_count", "_sum", "_bucket") if declared.type == "histogram" else ("",)
        names |= {PREFIX + declared.name + end for end in ends}
    return names | set(re.findall(r"record: (\S+)", RULES.read_text()))


def named_in(text: str) -> set[str]:
    return set(re.findall(r"\bretrigger[_:][a-z0-9_:]+", text))


def expressions_of(path: Path) -> list[str]:
    return re.findall(r"expr: (.+(?:\n          .+)*)", path.read_text())


def test_the_committed_files_are_what_the_code_makes():
    assert {path: path.read_text() for path in built()} == built()
    assert {path.stem for path in FOLDER.glob("*.json")} == set(ALL) == set(ORDER)


@pytest.mark.parametrize("uid", BOARDS)
def test_a_dashboard_says_its_question_and_nobody_edits_it(uid):
    board = BOARDS[uid]

    assert board["editable"] is False
    assert board["timezone"] == "utc"
    assert board["description"].endswith("?")
    assert {one["name"] for one in board["templating"]["list"]} == {"datasource", "stream", "slot"}
    assert board["tags"] == ["retrigger"]


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=lambda one: one["title"] if isinstance(one, dict) else one)
def test_a_panel_says_what_it_shows_and_in_which_unit(uid, panel):
    assert panel["title"]
    assert len(panel["description"].split()) >= 5
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["type"] in KINDS
    assert panel["targets"]
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_have_ids_of_their_own_and_fit_the_grid_without_covering_each_other(uid):
    panels = BOARDS[uid]["panels"]
    ids = [panel["id"] for panel in panels]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(set(ids)) == len(ids)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) <= 23


def test_titles_are_not_repeated_within_a_dashboard():
    for uid, board in BOARDS.items():
        titles = [panel["title"] for panel in board["panels"]]
        assert len(set(titles)) == len(titles), uid


def test_every_dashboard_has_the_annotations_of_run_deployment_alarm_prescale_and_rollback():
    wanted = {"Run", "Deployment", "Alarm", "Prescale column", "Rollback", "Told by retrigger"}

    for board in BOARDS.values():
        assert wanted <= {note["name"] for note in board["annotations"]["list"]}


def test_every_metric_of_dashboards_rules_and_alerts_exists():
    asked = [*EXPRESSIONS, *(note["expr"] for note in NOTES if "expr" in note)]
    named = set().union(*(named_in(text) for text in asked))
    alerted = set().union(*(named_in(text) for path in (ALERTS, RULES) for text in expressions_of(path)))

    assert len(expressions_of(ALERTS)) == 27
    assert named | alerted <= series_names()


def test_every_metric_is_shown_somewhere_or_alarmed_on():
    """A figure that nobody draws is not looked at; those few that are for machines are named here."""
    used = set().union(*(named_in(text) for text in [*EXPRESSIONS, ALERTS.read_text(), RULES.read_text()]))
    shown = {name.removesuffix(end) for name in used for end in ("_count", "_sum", "")}
    unseen = {one.name for one in DECLARED if PREFIX + one.name not in shown}

    assert unseen == {"audit_checked_sequence"}


def test_every_panel_that_the_docs_send_a_coordinator_to_exists():
    rows = re.findall(r"^\| ([^|]+) \| \*([^|*]+)\* \| ([^|]+) \|$", DOCS.read_text(), re.MULTILINE)
    boards = {board["title"].removeprefix("retrigger · "): board for board in BOARDS.values()}
    missing = [
        (name, title)
        for _, name, panels in rows
        for title in panels.split("; ")
        if title.strip() not in {panel["title"] for panel in boards[name]["panels"]}
    ]

    assert len(rows) >= 30
    assert missing == []


def test_a_coordinator_finds_each_row_within_one_dashboard():
    for uid, names in WHAT_A_COORDINATOR_WANTS.items():
        text = json.dumps(BOARDS[uid])
        missing = [name for name in names.split() if PREFIX + name not in text]
        assert missing == [], uid


def test_rates_are_taken_of_counters_alone():
    counters = {PREFIX + one.name for one in DECLARED if one.type == COUNTER} | {
        f"{PREFIX}retrain_duration_seconds_count",
        f"{PREFIX}retrain_duration_seconds_sum",
        "retrigger_process_cpu_seconds_total",
    }
    text = "\n".join([*EXPRESSIONS, ALERTS.read_text(), RULES.read_text()])

    assert set(re.findall(r"(?:rate|increase)\(([a-z_]+)", text)) <= counters


def test_a_counter_is_drawn_as_it_stands_only_as_a_total_since_the_record_began():
    counters = {PREFIX + one.name for one in DECLARED if one.type == COUNTER}

    for _, panel in PANELS:
        for target in panel["targets"]:
            bare = named_in(re.sub(r"(increase|rate)\([^)]*\)", "", target["expr"])) & counters
            assert not bare or panel["type"] == "stat", panel["title"]


@needs_promtool
def test_promtool_accepts_the_rules_and_their_tests():
    subprocess.run(["promtool", "check", "rules", RULES, ALERTS], check=True, capture_output=True, timeout=60)
    done = subprocess.run(
        ["promtool", "test", "rules", Path(__file__).with_name("alerts_test.yml")],
        check=False,
        capture_output=True,
        text=True,
        timeout=250,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed")
def test_amtool_accepts_our_alertmanager_and_it_inhibits_only_alerts_that_exist():
    config = ROOT / "dashboards" / "alertmanager.yml"
    subprocess.run(["amtool", "check-config", config], check=True, capture_output=True, timeout=60)
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))

    assert set(re.findall(r"Retrigger[A-Z]\w+", config.read_text())) <= alerts


def test_every_alert_has_a_page_that_says_what_to_do():
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    pages = {path.stem for path in (ROOT / "docs" / "oncall").glob("Retrigger*.md")}
    headings = ("## What it means", "## Tell it from its neighbours", "## The first five minutes", "## What not to do")
    index = (ROOT / "docs" / "oncall" / "README.md").read_text()

    assert alerts == pages
    for alert in alerts:
        text = (ROOT / "docs" / "oncall" / f"{alert}.md").read_text()
        assert all(heading in text for heading in headings), alert
        assert f"runbook: docs/oncall/{alert}.md" in ALERTS.read_text()
        assert f"[{alert}]({alert}.md)" in index


def test_a_page_names_only_neighbours_that_exist():
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))

    for page in (ROOT / "docs" / "oncall").glob("Retrigger*.md"):
        assert set(re.findall(r"\bRetrigger[A-Z]\w+", page.read_text())) <= alerts, page.name


def test_every_alert_is_tried_by_promtool():
    tried = Path(__file__).with_name("alerts_test.yml").read_text()

    assert [
        alert
        for alert in re.findall(r"- alert: (\w+)", ALERTS.read_text())
        if f'"{alert}"' not in tried and f"alertname: {alert}" not in tried
    ] == []


def test_physics_alerts_sleep_outside_stable_beams():
    physics = ("Lagging", "Blind", "ScoresSilent", "EvidenceRising", "RateOff", "MenuDiffers")
    text = ALERTS.read_text()

    for name in physics:
        rule = text.split(f"- alert: Retrigger{name}\n")[1].split("- alert:")[0]
        assert "on () retrigger_stable_beams == 1" in rule, name


def test_grafana_gets_the_same_alerts_with_the_same_words_as_prometheus():
    names = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    group = rule_group()

    assert [one["title"] for one in group["rules"]] == names
    assert all(one["annotations"]["runbook"].endswith(f"{one['title']}.md") for one in group["rules"])
    assert len({one["uid"] for one in group["rules"]}) == len(names)
    assert json.loads(ALERTING.read_text())["groups"][0]["name"] == "retrigger"
