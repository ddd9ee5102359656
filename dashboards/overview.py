"""The one dashboard a trigger coordinator opens first: what runs, what the data say, and who must act."""

from itertools import count

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, VariableRefresh, VariableSort

from dashboards.panels import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    SOURCE,
    Panel,
    Words,
    bars,
    dashed_red,
    lines,
    listing,
    mapping,
    number,
    over_time,
    phases,
)

STREAM = 'stream=~"$stream"'
SLOT = 'slot=~"$slot"'
MINUTE = 60.0
VERDICTS = {
    "broken_detector": RED,
    "real_shift": BLUE,
    "transient": GREY,
    "expected_change": GREY,
    "data_gap": AMBER,
    "out_of_support": AMBER,
}
OUTCOMES = {"watched": GREEN, "excluded": GREY, "late": GREY, "data_gap": AMBER, "out_of_support": AMBER}
FILES = {"accepted": GREEN, "quarantined": RED, "duplicate": GREY, "waiting": BLUE}


def overview() -> dashboard.Dashboard:
    """Return the dashboard; `dashboards.build` writes it as JSON."""
    board = (
        dashboard.Dashboard("retrigger overview")
        .uid("retrigger-overview")
        .description("Is the model that runs still right for the detector that is, and does anybody have to act?")
        .tags(["retrigger", "trigger", "machine-learning"])
        .timezone("utc")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-12h", "now")
        .refresh("30s")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_labels("stream", "Stream", "retrigger_lumisections_delivered_total"))
        .with_variable(_labels("slot", "Slot", "retrigger_board_agrees"))
    )
    numbers = count(1)
    for title, panels in (
        ("Now", [*_world_now(), *_daemon_now(), *_people_now()]),
        ("Evidence: is the data what the model was trained for?", _evidence()),
        ("Data: does the daemon see everything?", _data()),
        ("Candidates: what is being built, and who must act?", _candidates()),
        ("Integrity: does the board run what people approved?", _integrity()),
    ):
        board = board.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            board = board.with_panel(panel.id(next(numbers)))
    return board


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


def _world_now() -> list[Panel]:
    beams = number(
        Words("Beams", "Stable beams as the beam mode feed says. Deployments happen only between fills.", "none"),
        "retrigger_stable_beams",
        absent="unknown",
    ).mappings(mapping(("0", "no stable beams", BLUE), ("1", "stable beams", GREEN)))
    return [
        beams,
        number(
            Words("Fill", "LHC fill that the beam mode speaks of.", "none"), "retrigger_fill_number", absent="unknown"
        ),
        number(
            Words("Pileup", "Mean pileup of the newest lumisection with conditions.", "none"),
            f"max(retrigger_pileup{{{STREAM}}})",
            absent="unknown",
        ).decimals(1),
    ]


def _daemon_now() -> list[Panel]:
    return [
        number(
            Words(
                "Loop last turned",
                "Seconds since the loop ended a turn. Above 3 minutes the daemon hangs: see RetriggerLoopStuck.",
                "s",
            ),
            "time() - retrigger_loop_heartbeat_timestamp_seconds",
            (None, GREEN),
            (MINUTE, AMBER),
            (3 * MINUTE, RED),
        ),
        number(
            Words("Data behind by", "Age of the newest data taken in. In stable beams it should stay minutes.", "s"),
            f"max(retrigger_lag_seconds{{{STREAM}}})",
            (None, GREEN),
            (10 * MINUTE, AMBER),
            (30 * MINUTE, RED),
            absent="no data yet",
        ),
        number(
            Words(
                "Coverage",
                "Lumisections compared with the reference, of those delivered, over the time shown. "
                "The rest was excluded, out of support or lost: see the outcomes below.",
                "percentunit",
            ),
            f"sum(increase(retrigger_lumisections_watched_total{{{STREAM}}}[$__range])) / "
            f"sum(increase(retrigger_lumisections_delivered_total{{{STREAM}}}[$__range]))",
            (None, RED),
            (0.8, AMBER),
            (0.95, GREEN),
        ).decimals(1),
    ]


def _people_now() -> list[Panel]:
    return [
        number(
            Words(
                "Detector faults open",
                "A broken detector is never trained into a model: while a fault is open nothing is retrained. "
                "Mend the detector, then close the fault on the page.",
                "none",
            ),
            f"sum(retrigger_fault_open{{{STREAM}}})",
            (None, GREEN),
            (1, RED),
        ),
        number(
            Words("Waiting for people", "Open requests for approval. The page says what is asked of whom.", "none"),
            f"sum(retrigger_approvals_pending{{{SLOT}}})",
            (None, GREEN),
            (1, AMBER),
        ),
        number(
            Words("Mismatching vectors", "Test vectors on which two forms of a candidate disagree. Must be 0.", "none"),
            f"max(retrigger_vectors_mismatching{{{SLOT}}})",
            (None, GREEN),
            (1, RED),
            absent="no candidate",
        ),
        number(
            Words("Board and record", "Whether the board was last seen to run what the record says.", "none"),
            f"min(retrigger_board_agrees{{{SLOT}}})",
            (None, RED),
            (1, GREEN),
        ).mappings(mapping(("0", "they differ", RED), ("1", "agree", GREEN))),
        number(
            Words("Forward steps", "A person can stop every forward step; rolling back stays possible.", "none"),
            "retrigger_paused + 2 * retrigger_frozen",
            (None, GREEN),
            (1, AMBER),
        ).mappings(
            mapping(
                ("0", "allowed", GREEN), ("1", "paused", AMBER), ("2", "frozen", AMBER), ("3", "paused, frozen", AMBER)
            )
        ),
        number(
            Words("Record", "Sequence number of the newest fact in the hash-chained record.", "none"),
            "retrigger_audit_head_sequence",
            (None, GREY),
        ),
    ]


def _evidence() -> list[Panel]:
    evidence = lines(
        Words(
            "Evidence against the reference, and its budget",
            "Log-evidence that the data left the reference, given the pileup. An alarm is raised where it meets the "
            "dashed line, which stands for the false alarms we accept; a line that climbs for an hour is worth a look.",
            "none",
        ),
        over_time(f"retrigger_drift_log_evidence{{{STREAM}}}", "{{stream}}"),
        over_time(f"retrigger_drift_log_evidence_budget{{{STREAM}}}", "{{stream}} alarm"),
        width=16,
    )
    return [
        dashed_red(evidence, ".* alarm"),
        bars(
            Words(
                "Alarms by verdict",
                "broken_detector: call the subsystem, do not retrain. real_shift: a candidate is being made. "
                "expected_change: declared, re-baseline it. data_gap and out_of_support: the watch was blind.",
                "none",
            ),
            over_time(
                f"sum by (verdict) (round(increase(retrigger_alarms_total{{{STREAM}}}[$__interval]))) > 0",
                "{{verdict}}",
            ),
            colours=VERDICTS,
            width=8,
        ),
    ]


def _data() -> list[Panel]:
    return [
        bars(
            Words("Lumisections by outcome", "How each lumisection ended, per interval.", "none"),
            over_time(
                f"sum by (outcome) (increase(retrigger_lumisections_total{{{STREAM}}}[$__rate_interval]))",
                "{{outcome}}",
            ),
            colours=OUTCOMES,
        ),
        lines(
            Words("Lumisections owed", "Delivered, but without an outcome yet. Growing means the daemon lags.", "none"),
            over_time(f"retrigger_lag_lumisections{{{STREAM}}}", "{{stream}}"),
            width=6,
        ).min(0),
        bars(
            Words(
                "Files by outcome",
                "Quarantined files lie in the quarantine folder, each with its reason beside it.",
                "none",
            ),
            over_time(
                f"sum by (outcome) (increase(retrigger_files_total{{{STREAM}}}[$__rate_interval]))", "{{outcome}}"
            ),
            over_time(f"sum(retrigger_files_waiting{{{STREAM}}})", "waiting"),
            colours=FILES,
            width=6,
        ),
    ]


def _candidates() -> list[Panel]:
    return [
        phases(
            Words("Newest candidate", "The phases the newest candidate of each slot went through.", "none"),
            over_time(f"retrigger_candidate_phase{{{SLOT}}} == 1", "{{slot}} {{phase}}"),
            width=10,
        ),
        lines(
            Words(
                "Request for approval",
                "How long people have been asked, and how long they may still answer. Silence means no: the model that "
                "runs stays.",
                "s",
            ),
            over_time(f"retrigger_approval_age_seconds{{{SLOT}}}", "{{slot}} waiting for"),
            over_time(f"retrigger_approval_expires_seconds{{{SLOT}}}", "{{slot}} expires in"),
            width=8,
        ).min(0),
        number(
            Words("Signatures missing", "Distinct people, in the required roles, who have not yet said yes.", "none"),
            f"sum(retrigger_approval_signatures_missing{{{SLOT}}})",
            (None, GREY),
            width=3,
        ).height(8),
        number(
            Words("Trainings", "Ended trainings, by result, since the record began.", "none"),
            f"sum by (result) (retrigger_retrain_duration_seconds_count{{{SLOT}}})",
            legend="{{result}}",
            width=3,
        ).height(8),
        lines(
            Words("Duration of trainings", "Mean wall time from the request to the bundle, by result.", "s"),
            over_time(
                f"sum by (result) (retrigger_retrain_duration_seconds_sum{{{SLOT}}}) / "
                f"(sum by (result) (retrigger_retrain_duration_seconds_count{{{SLOT}}}) > 0)",
                "{{result}}",
            ),
        ).min(0),
        lines(
            Words("Candidates by phase", "All candidates ever asked for, by where they stand now.", "none"),
            over_time(f"sum by (phase) (retrigger_candidates{{{SLOT}}}) > 0", "{{phase}}"),
        ).min(0),
    ]


def _integrity() -> list[Panel]:
    return [
        listing(
            Words("Deployed digest", "What each slot runs, as it was last read back from the board.", "none"),
            f"retrigger_deployed_info{{{SLOT}}}",
        ),
        lines(
            Words("Test vectors", "Vectors compared between PyTorch, QONNX, integers and C++, and mismatches.", "none"),
            over_time(f"retrigger_vectors_compared{{{SLOT}}}", "{{slot}} compared"),
            over_time(f"retrigger_vectors_mismatching{{{SLOT}}}", "{{slot}} mismatching"),
            width=6,
        ).min(0),
        lines(
            Words("Facts recorded", "Facts appended to the hash chain per minute.", "none"),
            over_time("60 * deriv(retrigger_audit_head_sequence[$__rate_interval])", "facts per minute"),
            width=6,
        ),
    ]
