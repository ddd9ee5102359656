"""*Drift*: evidence against its budget, what contributes, and where in the detector."""

from grafana_foundation_sdk.builders import dashboard

from dashboards.frame import STREAM, board
from dashboards.panels import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    RED,
    Panel,
    Words,
    bars,
    dashed_red,
    eta_phi,
    lines,
    number,
    over_time,
    ranked,
    unnamed,
)

VERDICTS = {
    "broken_detector": RED,
    "contract": PURPLE,
    "real_shift": BLUE,
    "transient": GREY,
    "expected_change": GREY,
    "data_gap": AMBER,
    "out_of_support": AMBER,
}
PULLS = ((None, RED), (-5, AMBER), (-3, GREEN), (3, AMBER), (5, RED))


def drifting() -> dashboard.Dashboard:
    """Return the dashboard; `dashboards.build` writes it as JSON."""
    return board(
        "drift",
        "Drift",
        "Did the data leave what the model was trained for: how surely, in which quantity, and where in the detector?",
        (
            ("Evidence", _evidence()),
            ("What moves", _contributors()),
            ("Where: objects seen against expected, last 16 lumisections", _maps()),
        ),
    )


def _evidence() -> list[Panel]:
    evidence = dashed_red(
        lines(
            Words(
                "Evidence and its budget",
                "Log-evidence that the data left the reference, given the pileup, and the part that seed rates have in "
                "it. The dashed line stands for the false alarms we accept.",
                "none",
            ),
            over_time(f"retrigger_drift_log_evidence{{{STREAM}}}", "{{stream}}"),
            over_time(f"retrigger_rates_log_evidence{{{STREAM}}}", "{{stream}} rates alone"),
            over_time(f"retrigger_drift_log_evidence_budget{{{STREAM}}}", "{{stream}} alarm"),
            width=14,
        ),
        ".* alarm",
    )
    return [
        evidence,
        number(
            Words("Budget spent", "Evidence over its budget, now; an alarm is told at 100 %.", "percentunit"),
            f"max(clamp_min(retrigger:evidence:budget_ratio{{{STREAM}}}, 0))",
            (None, GREEN),
            (0.6, AMBER),
            (1.0, RED),
        )
        .decimals(0)
        .height(8),
        bars(
            Words(
                "Alarms by verdict",
                "broken_detector: call the subsystem, do not retrain. contract: an input column is broken. real_shift: "
                "a candidate is being made. data_gap, out_of_support: the watch was blind.",
                "none",
            ),
            over_time(
                f"sum by (verdict) (round(increase(retrigger_alarms_total{{{STREAM}}}[$__interval]))) > 0",
                "{{verdict}}",
            ),
            colours=VERDICTS,
            width=6,
        ),
    ]


def _contributors() -> list[Panel]:
    top = "topk(10, abs({0}))*0 + {0}"
    features, parts = f"retrigger_feature_residual_sigma{{{STREAM}}}", f"retrigger_part_residual_sigma{{{STREAM}}}"
    return [
        ranked(
            Words(
                "Ten features farthest off",
                "Misfit of each feature's histogram at its pileup, in standard deviations; the farthest ten, now.",
                "none",
            ),
            top.format(features),
            *PULLS,
            legend="{{feature}}",
            width=8,
        ),
        ranked(
            Words(
                "Scales and numbers",
                "Momentum scales and objects per event of each object type against what the pileup makes expected.",
                "none",
            ),
            top.format(parts),
            *PULLS,
            legend="{{part}}",
            width=8,
        ),
        lines(
            Words(
                "Scales and numbers over time",
                "One that leaves 0 for good is a calibration or a loss; all together point at pileup or beam spot.",
                "none",
            ),
            over_time(parts, "{{part}}"),
            width=8,
        ).height(10),
        lines(
            Words(
                "Events without any object",
                "Share of events in which an object type is absent altogether; a jump is a dead link or a new seed.",
                "percentunit",
            ),
            over_time(f"retrigger_empty_events_ratio{{{STREAM}}}", "{{object}}"),
        )
        .decimals(1)
        .min(0),
        unnamed(
            lines(
                Words(
                    "Residual of every feature",
                    "All features over time; a band of a few sigma around 0 is health, one line leaving it is not.",
                    "none",
                ),
                over_time(features, "{{feature}}"),
            )
        ),
    ]


def _maps() -> list[Panel]:
    asked = "Pull of each coarse cell: eta rises upwards, phi to the right, from 0 on. Blue lacks objects, red has "
    return [
        eta_phi(
            Words(f"{kind}: eta-phi", f"{asked}too many. A cell beyond 5 is a region for the {whom} on-call.", "none"),
            f'retrigger_occupancy_pull_sigma{{{STREAM},object="{kind}"}}',
        )
        for kind, whom in (("EG", "ECAL"), ("JET", "HCAL"), ("MU", "muon"))
    ]
