"""*Daemon*: does it turn, does it see everything, do its disks and its ways to people hold?"""

from grafana_foundation_sdk.builders import dashboard

from dashboards.frame import MINUTE, STREAM, board
from dashboards.panels import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    Panel,
    Words,
    bars,
    in_a_row,
    lines,
    listing,
    number,
    over_time,
)

OUTCOMES = {"watched": GREEN, "excluded": GREY, "late": GREY, "data_gap": AMBER, "out_of_support": AMBER}
FILES = {"accepted": GREEN, "quarantined": RED, "duplicate": GREY, "waiting": BLUE}


def service() -> dashboard.Dashboard:
    """Return the dashboard; `dashboards.build` writes it as JSON."""
    return board(
        "daemon",
        "Daemon",
        "Does the daemon turn, does it see everything, and do its disks and its ways to people hold?",
        (("The process", _process()), ("What it sees", _seen()), ("What it needs", _needs())),
    )


def _process() -> list[Panel]:
    return [
        number(
            Words("Loop last turned", "Seconds since the loop ended a turn. Above 3 minutes the daemon hangs.", "s"),
            "time() - retrigger_loop_heartbeat_timestamp_seconds",
            (None, GREEN),
            (MINUTE, AMBER),
            (3 * MINUTE, RED),
        ),
        number(
            Words("Running for", "How long this process has run.", "s"),
            "time() - retrigger_start_timestamp_seconds",
        ),
        listing(
            Words("Version", "Which retrigger runs, on which Python.", "none"), "retrigger_build_info", width=6
        ).height(4),
        number(
            Words("Memory", "Resident memory of the daemon's own process, without its children.", "bytes"),
            "retrigger_process_resident_memory_bytes",
            width=5,
        ),
        number(
            Words("CPU", "Cores that the daemon's own process uses, without its children.", "percentunit"),
            "rate(retrigger_process_cpu_seconds_total[$__rate_interval])",
            width=5,
        ).decimals(1),
    ]


def _seen() -> list[Panel]:
    return [
        bars(
            Words("Lumisections by outcome", "How each lumisection ended, per interval.", "none"),
            over_time(
                f"sum by (outcome) (increase(retrigger_lumisections_total{{{STREAM}}}[$__rate_interval]))",
                "{{outcome}}",
            ),
            colours=OUTCOMES,
        ),
        in_a_row(
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
            )
        ),
        lines(
            Words(
                "Coverage, last hour", "Lumisections compared, of those delivered; below 80 % is blind.", "percentunit"
            ),
            over_time(f"retrigger:coverage:ratio1h{{{STREAM}}}", "{{stream}}"),
            width=6,
        )
        .min(0)
        .max(1)
        .decimals(0),
        lines(
            Words("Data behind by", "Age of the newest data taken in.", "s"),
            over_time(f"retrigger_lag_seconds{{{STREAM}}}", "{{stream}}"),
            width=8,
        ).min(0),
        lines(
            Words("Lumisections owed", "Delivered, but without an outcome yet. Growing means the daemon lags.", "none"),
            over_time(f"retrigger_lag_lumisections{{{STREAM}}}", "{{stream}}"),
            width=8,
        ).min(0),
        number(
            Words("Quarantined, by reason", "Files in quarantine since the record began, by why.", "none"),
            f"sum by (reason) (retrigger_quarantined_files_total{{{STREAM}}})",
            (None, GREY),
            legend="{{reason}}",
            width=8,
            absent="none",
        ).height(8),
    ]


def _needs() -> list[Panel]:
    return [
        in_a_row(
            lines(
                Words(
                    "Disk free",
                    "Share of the disk that is free where each folder lies. Below 5 % it stops.",
                    "percentunit",
                ),
                over_time("retrigger:disk_free:ratio", "{{folder}}"),
                width=6,
            )
        )
        .min(0)
        .max(1)
        .decimals(0),
        lines(
            Words("Messages owed", "Messages to people that wait to be delivered, by channel.", "none"),
            over_time("retrigger_messages_owed", "{{channel}}"),
            width=6,
        ).min(0),
        number(
            Words("Messages sent", "Messages to people that were delivered, by channel.", "none"),
            "sum by (channel) (retrigger_messages_sent_total)",
            legend="{{channel}}",
            absent="no channel",
        ).height(8),
        number(
            Words("Work queued", "Work that is queued and not yet done, by kind.", "none"),
            "sum by (kind) (retrigger_work_open)",
            legend="{{kind}}",
            absent="nothing",
        ).height(8),
        number(
            Words(
                "Reports of fills",
                "Reports written and failed within the time shown; `retrigger report` says why one failed.",
                "none",
            ),
            'sum by (kind) (round(increase(retrigger_facts_total{kind=~"fill_report.*"}[$__range])))',
            legend="{{kind}}",
            absent="none yet",
        ).height(8),
    ]
