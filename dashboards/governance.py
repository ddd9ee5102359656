"""*Governance*: who is asked for what, until when, and what became of what was asked."""

from grafana_foundation_sdk.builders import dashboard

from dashboards.frame import DAY, HOUR, MINUTE, SLOT, board
from dashboards.panels import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    Panel,
    Words,
    bars,
    lines,
    mapping,
    number,
    over_time,
)

SAID = {"approved": GREEN, "rejected": AMBER, "revoked": AMBER, "expired": GREY, "staled": GREY}


def governance() -> dashboard.Dashboard:
    """Return the dashboard; `dashboards.build` writes it as JSON."""
    return board(
        "governance",
        "Governance",
        "Who is asked for what, until when, can the board be written now, and is the way back known to work?",
        (("Asked now", _asked()), ("The board", _board()), ("Watched over", _watched()), ("What people said", _said())),
    )


def _asked() -> list[Panel]:
    return [
        number(
            Words("Open requests", "Open requests for approval. The page says what is asked of whom.", "none"),
            f"sum(retrigger_approvals_pending{{{SLOT}}})",
            (None, GREEN),
            (1, AMBER),
        ).height(7),
        number(
            Words("Signatures missing", "Distinct people, in the required roles, who have not yet said yes.", "none"),
            f"sum(retrigger_approval_signatures_missing{{{SLOT}}})",
            (None, GREY),
        ).height(7),
        number(
            Words("Asked for", "How long people have been asked. Silence means no: the model that runs stays.", "s"),
            f"max(retrigger_approval_age_seconds{{{SLOT}}})",
            (None, GREEN),
            (4 * HOUR, AMBER),
            absent="nothing is asked",
        ).height(7),
        number(
            Words("Expires in", "Time left to the open request.", "s"),
            f"min(retrigger_approval_expires_seconds{{{SLOT}}})",
            (None, RED),
            (HOUR, AMBER),
            (4 * HOUR, GREEN),
            absent="nothing is asked",
        ).height(7),
        lines(
            Words("Request over time", "How long people have been asked, and how long they may still answer.", "s"),
            over_time(f"retrigger_approval_age_seconds{{{SLOT}}}", "{{slot}} asked for"),
            over_time(f"retrigger_approval_expires_seconds{{{SLOT}}}", "{{slot}} expires in"),
            width=8,
        )
        .height(7)
        .min(0),
    ]


def _board() -> list[Panel]:
    window = number(
        Words(
            "Board may be written",
            "Only outside stable beams, and while nobody has paused or frozen it.",
            "none",
        ),
        "(1 - retrigger_stable_beams) * (1 - retrigger_paused) * (1 - retrigger_frozen)",
        (None, BLUE),
        (1, GREEN),
        absent="beam mode unknown",
    )
    return [
        window.mappings(mapping(("0", "not now", BLUE), ("1", "yes", GREEN))),
        number(
            Words("Last rollback", "How long ago a slot was last rolled back in earnest.", "s"),
            f"time() - max(retrigger_rollback_timestamp_seconds{{{SLOT}}})",
            absent="never",
        ),
        number(
            Words("Way back tried", "How long ago going back was last tried, in earnest or as a rehearsal.", "s"),
            "time() - retrigger:rollback_tried:timestamp_seconds",
            (None, GREEN),
            (30 * DAY, AMBER),
            absent="never",
        ),
        number(
            Words("Last deployment", "How long ago a board was last written.", "s"),
            f"time() - max(retrigger_deployed_timestamp_seconds{{{SLOT}}})",
            absent="never",
        ),
        number(
            Words("Writes of the board", "Writes since the record began, by how they ended.", "none"),
            f"sum by (outcome) (retrigger_deployments_total{{{SLOT}}})",
            legend="{{outcome}}",
            width=8,
        ),
    ]


def _watched() -> list[Panel]:
    return [
        number(
            Words(
                "Guards tripped",
                "How often the daemon went back by itself, within the time shown: board and emulator differed, rate or "
                "latency was off, drift, a doubt that time did not end. The candidate's page says which.",
                "none",
            ),
            'sum(round(increase(retrigger_facts_total{kind="guard_tripped"}[$__range])))',
            (None, GREEN),
            (1, RED),
        ),
        number(
            Words("Gates waived", "Inconclusive gates that two people let count as passed, for now.", "none"),
            f"sum(retrigger_waivers{{{SLOT}}})",
            (None, GREEN),
            (1, AMBER),
        ),
        number(
            Words(
                "Break-glass without review",
                "Boards written in mid fill without a quorum, and not looked into yet. Overdue, all stands still.",
                "none",
            ),
            f"sum(retrigger_reviews_owed{{{SLOT}}})",
            (None, GREEN),
            (1, RED),
        ),
        number(
            Words("Way back took", "From the order to the digest read back, in the last rehearsal.", "s"),
            f"max(retrigger_rollback_rehearsal_seconds{{{SLOT}}})",
            (None, GREEN),
            (5 * MINUTE, AMBER),
            absent="not rehearsed",
        ),
        number(
            Words(
                "Drills so far", "Answers to seeded bad candidates that are over: caught, or missed by a yes.", "none"
            ),
            "sum by (outcome) (retrigger_drill_answers_total)",
            legend="{{outcome}}",
        ),
        number(
            Words(
                "Answers out of limits",
                "People whose answers come within half a minute, are always yes, or miss drills. The page names them "
                "to coordinators.",
                "none",
            ),
            "retrigger_approvers_out_of_limits",
            (None, GREEN),
            (1, AMBER),
        ),
    ]


def _said() -> list[Panel]:
    kinds = "|".join(SAID)
    return [
        bars(
            Words("Decisions", "What people said to requests, and requests that time or a change ended.", "none"),
            over_time(
                f'sum by (kind) (round(increase(retrigger_facts_total{{kind=~"{kinds}"}}[$__interval]))) > 0',
                "{{kind}}",
            ),
            colours=SAID,
            width=8,
        ),
        number(
            Words("Decisions so far", "All decisions since the record began.", "none"),
            f'sum by (kind) (retrigger_facts_total{{kind=~"{kinds}"}})',
            legend="{{kind}}",
            width=4,
            absent="none yet",
        ).height(8),
        number(
            Words(
                "Share of yes",
                "Among the last 20 answers to real requests. Always yes may be good candidates, or nobody reads.",
                "percentunit",
            ),
            "retrigger_answer_yes_ratio",
            (None, GREEN),
            (1.0, AMBER),
            absent="none yet",
        )
        .decimals(0)
        .height(8),
        number(
            Words("Time on the page", "Median time between opening the page and one of the last 20 answers.", "s"),
            "retrigger_answer_reading_seconds",
            (None, RED),
            (0.5 * MINUTE, AMBER),
            (MINUTE, GREEN),
            absent="none known",
        ).height(8),
        number(
            Words("Messages owed", "Messages to people that could not be delivered yet, by channel.", "none"),
            "sum by (channel) (retrigger_messages_owed)",
            (None, GREEN),
            (1, AMBER),
            legend="{{channel}}",
            width=4,
            absent="no channel",
        ).height(8),
    ]
