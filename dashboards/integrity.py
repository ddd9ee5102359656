"""*Integrity*: does the board run what people approved, is the record whole, and do model and menu fit together?"""

from grafana_foundation_sdk.builders import dashboard

from dashboards.frame import DAY, SLOT, STREAM, board
from dashboards.panels import (
    AMBER,
    GREEN,
    GREY,
    RED,
    Panel,
    Words,
    in_a_row,
    lines,
    listing,
    mapping,
    number,
    over_time,
)


def integrity() -> dashboard.Dashboard:
    """Return the dashboard; `dashboards.build` writes it as JSON."""
    return board(
        "integrity",
        "Integrity",
        "Does the board run what people approved, do model and menu fit together, and is the record whole?",
        (
            ("Bits", _bits()),
            ("Board against emulator", _emulated()),
            ("Model and menu", _menu()),
            ("Record", _record()),
        ),
    )


def _bits() -> list[Panel]:
    return [
        listing(
            Words("Deployed digest", "What each slot runs by the record; it was read back from the board.", "none"),
            f"retrigger_deployed_info{{{SLOT}}}",
            width=10,
        ).height(6),
        number(
            Words("Board and record", "Whether the board was last seen to run what the record says.", "none"),
            f"min(retrigger_board_agrees{{{SLOT}}})",
            (None, RED),
            (1, GREEN),
        )
        .mappings(mapping(("0", "they differ", RED), ("1", "agree", GREEN)))
        .height(6),
        number(
            Words("Mismatching vectors", "Test vectors on which two forms of a candidate disagree. Must be 0.", "none"),
            f"max(retrigger_vectors_mismatching{{{SLOT}}})",
            (None, GREEN),
            (1, RED),
            absent="no candidate",
        ).height(6),
        in_a_row(
            lines(
                Words(
                    "Test vectors", "Compared between PyTorch, QONNX, integers, C++ and RTL; and mismatches.", "short"
                ),
                over_time(f"retrigger_vectors_compared{{{SLOT}}}", "{{slot}} compared"),
                over_time(f"retrigger_vectors_mismatching{{{SLOT}}}", "{{slot}} mismatching"),
                width=6,
            )
        )
        .min(0)
        .height(6),
    ]


def _emulated() -> list[Panel]:
    absent = "no board read out"
    return [
        number(
            Words(
                "Differing events",
                "Events for which the board gave another score or decision than the emulator of its digest, since that "
                "digest is on it. Must be 0: the bits that run are not those that were proven.",
                "none",
            ),
            f"sum(retrigger_board_events_differing{{{SLOT}}})",
            (None, GREEN),
            (1, RED),
            absent=absent,
            width=5,
        ).height(6),
        number(
            Words(
                "Mismatch rate is at most",
                "Upper end of the Clopper-Pearson interval, kept for every look; it falls as events are compared.",
                "percentunit",
            ),
            f"max(retrigger_board_mismatch_high_ratio{{{SLOT}}})",
            (None, GREEN),
            (0.001, AMBER),
            absent=absent,
            width=5,
        )
        .decimals(4)
        .height(6),
        number(
            Words("Events compared", "Events of the board that its emulator was asked about.", "short"),
            f"sum(retrigger_board_events_compared{{{SLOT}}})",
            absent=absent,
        ).height(6),
        number(
            Words("Unreadable events", "Events that were there and could not be compared; they never count.", "short"),
            f"sum(retrigger_board_events_unreadable{{{SLOT}}})",
            (None, GREEN),
            (1, AMBER),
            absent=absent,
        ).height(6),
        in_a_row(
            lines(
                Words(
                    "Differing and unreadable over time", "A step is a lumisection or a run in which it began.", "short"
                ),
                over_time(f"retrigger_board_events_differing{{{SLOT}}}", "{{slot}} differing"),
                over_time(f"retrigger_board_events_unreadable{{{SLOT}}}", "{{slot}} unreadable"),
                width=6,
            )
        )
        .min(0)
        .height(6),
    ]


def _menu() -> list[Panel]:
    return [
        number(
            Words("Seeds missing", "Watched seeds that nobody counts: renamed, or off the menu.", "none"),
            f"max(retrigger_seeds_missing{{{STREAM}}})",
            (None, GREEN),
            (1, RED),
            absent="no counters",
        ),
        number(
            Words(
                "Scores watched",
                "Whether the model that the board runs is the one that the reference was fitted with.",
                "none",
            ),
            f"min(retrigger_drift_scores_watched{{{STREAM}}})",
            (None, RED),
            (1, GREEN),
            absent="no scores",
        ).mappings(mapping(("0", "silent", AMBER), ("1", "watched", GREEN))),
        number(
            Words("Threshold now", "Score at which the model on the board fires.", "none"),
            f"max(retrigger_score_threshold{{{STREAM}}})",
            absent="no scores",
        ),
        number(
            Words("Candidate's threshold", "Score at which the newest candidate would fire.", "none"),
            f"max(retrigger_candidate_threshold{{{SLOT}}})",
            absent="no candidate",
        ),
        number(
            Words("Unreadable inputs", "Files of conditions or counters that cannot be understood.", "none"),
            "sum(retrigger_input_faults)",
            (None, GREEN),
            (1, RED),
        ),
        number(
            Words("Declared changes", "Changes that somebody declared and that are in force now.", "none"),
            "max(retrigger_declared_changes)",
            (None, GREY),
        ),
    ]


def _record() -> list[Panel]:
    return [
        number(
            Words("Hash chain", "Whether the whole chain was intact when it was last checked.", "none"),
            "retrigger_audit_intact",
            (None, RED),
            (1, GREEN),
            absent="not yet checked",
        )
        .mappings(mapping(("0", "broken", RED), ("1", "whole", GREEN)))
        .height(6),
        number(
            Words("Checked", "How long ago the whole chain was checked.", "s"),
            "time() - retrigger_audit_checked_timestamp_seconds",
            (None, GREEN),
            (2 * DAY, AMBER),
            absent="not yet",
        ).height(6),
        number(
            Words("Exported", "How long ago the record was written somewhere else.", "s"),
            "time() - retrigger_audit_exported_timestamp_seconds",
            (None, GREEN),
            (8 * DAY, AMBER),
            absent="never",
        ).height(6),
        number(
            Words("Failed exports", "Exports of the record that failed, to any place, within the time shown.", "none"),
            "increase(retrigger_record_export_failures_total[$__range])",
            (None, GREEN),
            (1, AMBER),
            (20, RED),
        )
        .decimals(0)
        .height(6),
        number(
            Words("Facts not exported", "Facts that stand in this database alone.", "none"),
            "retrigger_audit_head_sequence - (retrigger_record_exported_sequence or retrigger_audit_exported_sequence "
            "or retrigger_audit_head_sequence * 0)",
            (None, GREY),
        ).height(6),
        lines(
            Words("Facts recorded", "Facts appended to the hash chain per minute.", "none"),
            over_time("60 * deriv(retrigger_audit_head_sequence[$__rate_interval])", "facts per minute"),
            width=4,
        )
        .height(6)
        .min(0),
        number(
            Words(
                "Each place lacks",
                "Facts that each place outside this host does not have yet. One that stays behind the others is not "
                "reached: `retrigger status` says why.",
                "none",
            ),
            "scalar(max(retrigger_audit_head_sequence)) - retrigger_record_place_sequence",
            (None, GREEN),
            (5_000, AMBER),
            legend="{{place}}",
            width=20,
            absent="no place is configured",
        ).height(5),
        number(
            Words("Head signed", "How long ago the record key last signed the head of the record.", "s"),
            'time() - max(retrigger_fact_timestamp_seconds{kind="head_signed"})',
            (None, GREEN),
            (2 * DAY, AMBER),
            absent="never",
        ).height(5),
    ]
