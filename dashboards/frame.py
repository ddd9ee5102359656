"""What every dashboard of retrigger has in common: variables, annotations, links to the others, rows of panels."""

from collections.abc import Sequence
from itertools import count

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import AMBER, BLUE, PURPLE, RED, SOURCE, Panel, over_time

STREAM = 'stream=~"$stream"'
SLOT = 'slot=~"$slot"'
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

Rows = Sequence[tuple[str, Sequence[Panel]]]

MARKS = (
    ("Run", BLUE, f"changes(retrigger_run_number{{{STREAM}}}[2m]) > 0", "a new run of {{stream}}"),
    ("Deployment", PURPLE, f"changes(retrigger_deployed_timestamp_seconds{{{SLOT}}}[2m]) > 0", "{{slot}} was deployed"),
    (
        "Rollback",
        RED,
        f'increase(retrigger_deployments_total{{{SLOT},outcome="rolled_back"}}[2m]) > 0',
        "{{slot}} was rolled back",
    ),
    ("Alarm", AMBER, f"increase(retrigger_alarms_total{{{STREAM}}}[2m]) > 0", "{{stream}}: {{verdict}}"),
    (
        "Prescale column",
        "text",
        f"retrigger_prescale_column_info{{{STREAM}}} unless retrigger_prescale_column_info{{{STREAM}}} offset 2m",
        "{{column}}",
    ),
)
"""Annotations that Prometheus itself can draw; a pushed one also names run and lumisection."""


def board(uid: str, title: str, question: str, rows: Rows) -> dashboard.Dashboard:
    """Return one dashboard; `question` is what it answers, in a sentence."""
    made = (
        dashboard.Dashboard(f"retrigger · {title}")
        .uid(f"retrigger-{uid}")
        .description(question)
        .tags(["retrigger"])
        .timezone("utc")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-12h", "now")
        .refresh("30s")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_labels("stream", "Stream", "retrigger_lumisections_delivered_total"))
        .with_variable(_labels("slot", "Slot", "retrigger_board_agrees"))
        .link(
            dashboard.DashboardLink("retrigger")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["retrigger"])
            .as_dropdown(as_dropdown=True)
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
        )
    )
    for name, colour, expr, words in MARKS:
        query = over_time(expr, words).ref_id("Anno")
        made = made.annotation(
            dashboard.AnnotationQuery()
            .name(name)
            .datasource(SOURCE)
            .enable(enable=True)
            .icon_color(colour)
            .expr(expr)
            .target(query)
        )
    numbers = count(1)
    for words, panels in rows:
        made = made.with_row(dashboard.Row(words).id(next(numbers)))
        for panel in panels:
            made = made.with_panel(panel.id(next(numbers)))
    return made


def _labels(label: str, title: str, metric: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(label)
        .label(title)
        .datasource(SOURCE)
        .query(f"label_values({metric}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".+")
    )
