"""Every panel has data on a real Prometheus; alerts reach people through a real Alertmanager, each for its cause."""

import re
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.alerts_week import one_cause, stage
from daemon.metrics import serve_metrics
from daemon.snapshot import snapshot_of
from dashboards.committed import boards
from tests.e2e.real_prometheus import AVAILABLE, filled_in, prometheus
from tests.unit.daemon.page_world import PageWorld

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "dashboards" / "rules.yml", ROOT / "dashboards" / "alerts.yml")
EXPRESSIONS = [
    (board["uid"], panel["title"], target["expr"])
    for board in boards()
    for panel in board["panels"]
    if panel["type"] != "row"
    for target in panel["targets"]
]
NOTES = [note["expr"] for note in boards()[0]["annotations"]["list"] if "expr" in note]
PATIENCE_S = 120

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="prometheus is not installed")


def until(seen, what):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if found := seen():
                return found
        except IndexError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"waited {PATIENCE_S} s for {what}")


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """An experiment in which a shift was told, a training goes on, people are asked, and seeds are watched."""
    with stage(tmp_path_factory.mktemp("busy"), 60.0, always_beams=True, every="1s") as (made, _, found):
        until(lambda: len(found.now("retrigger_audit_head_sequence[60s]")[0]["values"]) >= 8, "eight scrapes")
        for cause in ("shift", "retrain_late", "approval_waits", "quarantine"):
            made.begin(cause)
        made.experiment.decisions += 1
        until(lambda: found.now("retrigger:coverage:ratio1h"), "the coverage to be recorded")
        until(lambda: found.now('ALERTS{alertname="RetriggerRealShift"}'), "the shift to be told")
        yield found


def test_every_panel_of_every_dashboard_has_data(busy):
    def silent():
        return [
            (uid, title)
            for uid, title, expr in EXPRESSIONS
            if not busy.now(filled_in(expr, interval_s=600, range_s=600))
        ]

    assert len(EXPRESSIONS) > 90
    assert silent() == []


def test_every_annotation_is_a_query_that_prometheus_takes(busy):
    for expr in NOTES:
        busy.now(filled_in(expr, interval_s=600, range_s=600))

    assert len(NOTES) == 5


def test_a_run_and_a_lumisection_come_as_exemplars(busy):
    now = time.time()
    found = busy.get("/api/v1/query_exemplars", query="retrigger_lumisections_watched_total", start=now - 300, end=now)[
        "data"
    ]

    assert {"run", "lumisection"} <= found[0]["exemplars"][-1]["labels"].keys()


@pytest.mark.skipif(shutil.which("prometheus-alertmanager") is None, reason="Alertmanager is not installed")
def test_three_causes_tell_their_own_alert_to_people_and_nothing_else_and_resolve(tmp_path):
    with stage(tmp_path, 120.0, always_beams=True) as (made, _, found):
        until(lambda: found.now("retrigger_audit_head_sequence"), "the first scrape")
        rows = [one_cause(made, cause) for cause in ("detector", "audit_broken", "menu_differs")]

    assert [row["told"] for row in rows] == [["DetectorBroken"], ["AuditBroken"], ["MenuDiffers"]]
    assert [row["told_after_it_ended"] for row in rows] == [[], [], []]
    assert all(row["resolved_after_min"] is not None for row in rows)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Scrape an idle experiment with a real ledger, then let data, alarms and a candidate come."""
    folder = tmp_path_factory.mktemp("prometheus")
    world = PageWorld.build(folder)
    world.now = datetime.now(tz=UTC)
    world.beam("STABLE BEAMS")
    world.turn_loop()
    server = serve_metrics("127.0.0.1:0", lambda: snapshot_of(world.ledger, datetime.now(tz=UTC)))
    with prometheus(folder, f"127.0.0.1:{server.server_port}", *RULES) as found:
        until(lambda: len(found.now("retrigger_audit_head_sequence[60s]")[0]["values"]) >= 3, "three scrapes")
        world.take_data()
        world.propose()
        world.open_fault()
        until(lambda: found.now("retrigger_fault_open == 1"), "the fault to be scraped")
        yield found
    server.shutdown()
    server.server_close()
    world.ledger.close()


def test_the_numbers_on_the_dashboard_are_those_of_the_record(watched):
    shown = {title: filled_in(expr, interval_s=60, range_s=3_600) for _, title, expr in EXPRESSIONS}

    def number(title):
        return float(watched.now(shown[title])[0]["value"][1])

    assert number("Detector faults open") == 1
    assert number("Waiting for people") == 1
    assert number("Mismatching vectors") == 0
    assert number("Board and record") == 1
    assert number("Coverage") == pytest.approx(314 / 320, abs=0.01)


def test_prometheus_loads_every_alert_and_the_fault_fires(watched):
    groups = watched.get("/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    until(lambda: watched.now('ALERTS{alertname="RetriggerDetectorBroken", alertstate="firing"}'), "the alert")

    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert sum(rule["type"] == "alerting" for rule in rules) == len(re.findall("- alert:", RULES[1].read_text()))
    firing = {one["metric"]["alertname"] for one in watched.now('ALERTS{alertstate="firing"}')}
    assert firing <= {"RetriggerDetectorBroken", "RetriggerRealShift", "RetriggerWatchdog"}
