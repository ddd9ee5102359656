"""Every panel has data, and every alert loads, on a real Prometheus that scrapes a real ledger's metrics."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.metrics import serve_metrics
from daemon.snapshot import snapshot_of
from tests.e2e.real_prometheus import AVAILABLE, filled_in, prometheus
from tests.unit.daemon.page_world import PageWorld

ROOT = Path(__file__).parents[2]
BOARD = json.loads((ROOT / "dashboards" / "overview.json").read_text())
EXPRESSIONS = [
    (panel["title"], target["expr"])
    for panel in BOARD["panels"]
    if panel["type"] != "row"
    for target in panel["targets"]
]
PATIENCE_S = 90

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="prometheus is not installed")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Scrape an idle experiment, then let data, alarms and a candidate come."""
    folder = tmp_path_factory.mktemp("prometheus")
    world = PageWorld.build(folder)
    world.now = datetime.now(tz=UTC)
    world.beam("STABLE BEAMS")
    world.turn_loop()
    server = serve_metrics("127.0.0.1:0", lambda: snapshot_of(world.ledger, datetime.now(tz=UTC)))
    rules = ROOT / "dashboards" / "alerts.yml"
    with prometheus(folder, f"127.0.0.1:{server.server_port}", rules) as found:
        until(lambda: len(found.now("retrigger_audit_head_sequence[60s]")[0]["values"]) >= 3, "three scrapes")
        world.take_data()
        world.propose()
        world.open_fault()
        until(lambda: found.now("retrigger_fault_open == 1"), "the fault to be scraped")
        yield found
    server.shutdown()
    server.server_close()
    world.ledger.close()


def until(seen, what):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if seen():
                return
        except IndexError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"waited {PATIENCE_S} s for {what}")


def test_every_panel_of_the_dashboard_has_data(watched):
    silent = [
        (title, expr) for title, expr in EXPRESSIONS if not watched.now(filled_in(expr, interval_s=60, range_s=120))
    ]

    assert len(EXPRESSIONS) > 25
    assert silent == []


def test_the_numbers_on_the_dashboard_are_those_of_the_record(watched):
    shown = {title: filled_in(expr, interval_s=60, range_s=120) for title, expr in EXPRESSIONS}

    def number(title):
        return float(watched.now(shown[title])[0]["value"][1])

    assert number("Detector faults open") == 1
    assert number("Waiting for people") == 1
    assert number("Mismatching vectors") == 0
    assert number("Board and record") == 1
    assert number("Coverage") == pytest.approx(314 / 320, abs=0.01)


def test_prometheus_loads_every_alert_and_the_fault_fires(watched):
    rules = watched.get("/api/v1/rules")["data"]["groups"][0]["rules"]
    until(lambda: watched.now('ALERTS{alertname="RetriggerDetectorBroken", alertstate="firing"}'), "the alert")

    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert len(rules) == 13
    firing = {one["metric"]["alertname"] for one in watched.now('ALERTS{alertstate="firing"}')}
    assert firing <= {"RetriggerDetectorBroken", "RetriggerRealShift"}
