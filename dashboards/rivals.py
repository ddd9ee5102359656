"""*Candidate and champion*: what is being built, and what would change if it were approved."""

from grafana_foundation_sdk.builders import dashboard

from dashboards.frame import HOUR, SLOT, board
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
    number,
    over_time,
    phases,
    ranked,
)


def rivals() -> dashboard.Dashboard:
    """Return the dashboard; `dashboards.build` writes it as JSON."""
    return board(
        "rivals",
        "Candidate and champion",
        "What is being built, and what would the trigger gain and lose if people approved it?",
        (("On its way", _way()), ("Beside the champion", _beside()), ("What it costs", _costs())),
    )


def _way() -> list[Panel]:
    return [
        phases(
            Words("Newest candidate", "The phases the newest candidate of each slot went through.", "none"),
            over_time(f"retrigger_candidate_phase{{{SLOT}}} == 1", "{{slot}} {{phase}}"),
            width=8,
        ),
        number(
            Words("Waived gates", "Inconclusive gates that two people let count as passed, for now.", "none"),
            f"sum(retrigger_waivers{{{SLOT}}})",
            (None, GREEN),
            (1, AMBER),
        ).height(8),
        number(
            Words("In this phase for", "How long the newest candidate has stood in its phase.", "s"),
            f"time() - max(retrigger_candidate_phase_timestamp_seconds{{{SLOT}}})",
            absent="no candidate",
        ).height(8),
        number(
            Words("Training for", "How long the training that goes on has taken. Above six hours look at it.", "s"),
            f"max(retrigger_retrain_running_seconds{{{SLOT}}})",
            (None, GREEN),
            (3 * HOUR, AMBER),
            (6 * HOUR, RED),
            absent="none runs",
        ).height(8),
        number(
            Words("Gates", "Gates of the newest candidate that was judged, by verdict.", "none"),
            f"sum by (verdict) (retrigger_candidate_gates{{{SLOT}}})",
            legend="{{verdict}}",
            absent="none judged",
        ).height(8),
    ]


def _beside() -> list[Panel]:
    return [
        lines(
            Words(
                "Rate on the same held-out events",
                "Candidate and champion, each at its own threshold, and the rate that was asked for.",
                "hertz",
            ),
            over_time(f"retrigger_candidate_rate_hertz{{{SLOT}}}", "{{slot}} {{model}}"),
            over_time(f"retrigger_candidate_target_rate_hertz{{{SLOT}}}", "{{slot}} target"),
            width=10,
        )
        .min(0)
        .height(11),
        number(
            Words(
                "Events that both take, or only one",
                "both: taken by candidate and champion. gained: by the candidate alone. lost: by the champion alone.",
                "none",
            ),
            f"sum by (decision) (retrigger_candidate_events{{{SLOT}}})",
            legend="{{decision}}",
            absent="no champion",
            width=5,
        ).height(11),
        ranked(
            Words(
                "Efficiency for signals",
                "Share of each kept signal sample that candidate and champion take at one rate.",
                "percentunit",
            ),
            f"retrigger_candidate_signal_efficiency_ratio{{{SLOT}}}",
            (None, BLUE),
            legend="{{signal}} {{model}}",
            width=9,
            span=1.0,
        )
        .min(0)
        .decimals(0)
        .height(11),
    ]


def _costs() -> list[Panel]:
    trainings = f"retrigger_retrain_duration_seconds_sum{{{SLOT}}}"
    counted = f"retrigger_retrain_duration_seconds_count{{{SLOT}}}"
    return [
        number(
            Words("Resources", "Estimated look-up tables, flip-flops and DSPs, and latency in clock ticks.", "short"),
            f"max by (kind) (retrigger_candidate_resources{{{SLOT}}})",
            legend="{{kind}}",
            width=8,
            absent="no candidate",
        ).height(8),
        number(
            Words("Trainings", "Ended trainings, by result, since the record began.", "none"),
            f"sum by (result) ({counted})",
            legend="{{result}}",
            width=4,
        ).height(8),
        lines(
            Words("Duration of trainings", "Mean wall time from the request to the bundle, by result.", "s"),
            over_time(f"sum by (result) ({trainings}) / (sum by (result) ({counted}) > 0)", "{{result}}"),
            width=4,
        ).min(0),
        number(
            Words("Last trained", "How long ago a training last ended with a bundle, of any slot.", "s"),
            'time() - max(retrigger_fact_timestamp_seconds{kind="training_finished"})',
            absent="never",
            width=3,
        ).height(8),
        in_a_row(
            bars(
                Words("Candidates by phase", "All candidates ever asked for, by where they stand now.", "none"),
                over_time(f"sum by (phase) (retrigger_candidates{{{SLOT}}}) > 0", "{{phase}}"),
                colours={"live": GREEN, "rejected": AMBER, "failed": RED, "superseded": GREY, "rolled_back": RED},
                width=5,
            )
        ),
    ]
