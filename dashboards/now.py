"""*Now*: what the machine does, what runs, how fresh the data are, and whether anybody has to act."""

from grafana_foundation_sdk.builders import dashboard

from dashboards.frame import DAY, HOUR, MINUTE, SLOT, STREAM, board
from dashboards.panels import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    Panel,
    Words,
    dashed_red,
    lines,
    listing,
    mapping,
    number,
    over_time,
)

ABSENT = "unknown"
TO_E34 = 11_245.8 / 80e-27 / 1e34
"""Pileup times bunches to 1e34 / (cm2 s): revolution frequency over 80 mb, as RateMon counts pileup."""


def now() -> dashboard.Dashboard:
    """Return the dashboard; `dashboards.build` writes it as JSON."""
    return board(
        "now",
        "Now",
        "Is the model that runs still right for the detector that is, and does anybody have to act?",
        (
            ("The machine", _machine()),
            ("The model", _model()),
            ("The watch", _watch()),
            ("People", _people()),
        ),
    )


def _machine() -> list[Panel]:
    beams = number(
        Words("Beams", "Stable beams as the beam mode feed says. Deployments happen only between fills.", "none"),
        "retrigger_stable_beams",
        absent=ABSENT,
    ).mappings(mapping(("0", "no stable beams", BLUE), ("1", "stable beams", GREEN)))
    fill = Words("Fill", "LHC fill that the beam mode speaks of.", "none")
    run = Words("Run", "Run of the newest lumisection that was compared with the reference.", "none")
    section = Words("Lumisection", "Newest lumisection that was compared with the reference.", "none")
    pileup = Words("Pileup", "Mean pileup of the newest lumisection with conditions.", "none")
    bunches = Words("Bunches", "Colliding bunches of the newest lumisection that was compared.", "none")
    mode = Words("Beam mode", "LHC beam mode as its feed says; unknown when the feed is silent.", "none")
    column = Words("Prescale column", "The prescale column in force at the newest lumisection.", "none")
    luminosity = Words(
        "Luminosity, 10³⁴ cm⁻² s⁻¹", "From pileup and bunches of the newest lumisection, at 80 mb inelastic.", "none"
    )
    dead = Words(
        "Dead time", "Share of the newest lumisection's luminosity that was not recorded; from 20 % on not compared.",
        "percentunit",
    )  # fmt: skip
    filled = f"max(retrigger_pileup{{{STREAM}}} * on (stream) retrigger_bunches{{{STREAM}}}) * {TO_E34:.6g}"
    return [
        beams,
        number(mode, "retrigger_beam_mode_info", legend="{{mode}}", absent=ABSENT, width=6, name_only=True),
        number(fill, "retrigger_fill_number", absent=ABSENT, width=3),
        number(run, f"max(retrigger_run_number{{{STREAM}}})", absent=ABSENT, width=4),
        number(section, f"max(retrigger_lumisection_number{{{STREAM}}})", absent=ABSENT, width=3),
        number(
            column,
            f"retrigger_prescale_column_info{{{STREAM}}}",
            legend="{{column}}",
            absent=ABSENT,
            width=4,
            name_only=True,
        ),
        number(pileup, f"max(retrigger_pileup{{{STREAM}}})", absent=ABSENT, width=6).decimals(1),
        number(bunches, f"max(retrigger_bunches{{{STREAM}}})", absent=ABSENT, width=6),
        number(luminosity, filled, absent=ABSENT, width=6).decimals(2),
        number(
            dead,
            f"max(retrigger_dead_time_ratio{{{STREAM}}})",
            (None, GREEN),
            (0.1, AMBER),
            (0.2, RED),
            absent="nobody says",
            width=6,
        ).decimals(1),
    ]


def _model() -> list[Panel]:
    agree = number(
        Words("Board and record", "Whether the board was last seen to run what the record says.", "none"),
        f"min(retrigger_board_agrees{{{SLOT}}})",
        (None, RED),
        (1, GREEN),
    ).mappings(mapping(("0", "they differ", RED), ("1", "agree", GREEN)))
    return [
        listing(
            Words(
                "Model on the board", "What each slot runs by the record, named by the digest of its bundle.", "none"
            ),
            f"retrigger_deployed_info{{{SLOT}}}",
            width=12,
        ).height(4),
        agree,
        number(
            Words("In force for", "How long the digest that runs has been in force.", "s"),
            f"time() - max(retrigger_deployed_timestamp_seconds{{{SLOT}}})",
            absent="no model",
        ),
        number(
            Words("Threshold", "Integer score at which the trigger fires, as the watch counts it.", "none"),
            f"max by (threshold) (retrigger_score_threshold{{{STREAM}}})",
            legend="{{threshold}}",
            absent="no scores",
        ),
    ]


def _watch() -> list[Panel]:
    spent = dashed_red(
        lines(
            Words(
                "Evidence against the reference, and its budget",
                "Log-evidence that the data left the reference, given the pileup. An alarm is raised where it meets "
                "the dashed line; a line that climbs for an hour is worth a look at *Drift*.",
                "none",
            ),
            over_time(f"retrigger_drift_log_evidence{{{STREAM}}}", "{{stream}}"),
            over_time(f"retrigger_drift_log_evidence_budget{{{STREAM}}}", "{{stream}} alarm"),
        ),
        ".* alarm",
    )
    return [
        number(
            Words("Data behind by", "Age of the newest data taken in. In stable beams it should stay minutes.", "s"),
            f"max(retrigger_lag_seconds{{{STREAM}}})",
            (None, GREEN),
            (10 * MINUTE, AMBER),
            (30 * MINUTE, RED),
            absent="no data yet",
        ).height(8),
        number(
            Words("Lumisections behind", "Delivered, and without an outcome yet.", "none"),
            f"max(retrigger_lag_lumisections{{{STREAM}}})",
            (None, GREEN),
            (20, AMBER),
            (80, RED),
        ).height(8),
        number(
            Words(
                "Coverage",
                "Lumisections compared with the reference, of those delivered, over the time shown. The rest was "
                "excluded, out of support or lost: see *Daemon*.",
                "percentunit",
            ),
            f"sum(increase(retrigger_lumisections_watched_total{{{STREAM}}}[$__range])) / "
            f"sum(increase(retrigger_lumisections_delivered_total{{{STREAM}}}[$__range]))",
            (None, RED),
            (0.8, AMBER),
            (0.95, GREEN),
        )
        .decimals(1)
        .height(8),
        spent,
    ]


def _people() -> list[Panel]:
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
            Words("Alerts firing", "Alerts of retrigger that fire now, without the dead man's switch.", "none"),
            'count(ALERTS{alertname=~"Retrigger.*",alertname!="RetriggerWatchdog",alertstate="firing"}) or vector(0)',
            (None, GREEN),
            (1, RED),
        ),
        number(
            Words("Last alarm", "How long ago the newest alarm of any verdict was told.", "s"),
            f"time() - max(retrigger_alarm_timestamp_seconds{{{STREAM}}})",
            (None, AMBER),
            (HOUR, GREEN),
            (30 * DAY, GREY),
            absent="none yet",
        ),
        number(
            Words("Messages owed", "Messages to people that could not be delivered yet.", "none"),
            "sum(retrigger_messages_owed) or vector(0)",
            (None, GREEN),
            (1, AMBER),
        ),
    ]
