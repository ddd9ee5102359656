"""*Trigger coordinator*: rates against prediction and pileup, score quantiles with thresholds, pure rate."""

from grafana_foundation_sdk.builders import dashboard

from dashboards.frame import SLOT, STREAM, board
from dashboards.panels import (
    AMBER,
    BLUE,
    GREEN,
    RED,
    Panel,
    Words,
    dashed_red,
    dotted,
    lines,
    mapping,
    number,
    on_the_right,
    over_time,
    ranked,
)

YES_NO = mapping(("0", "total rate", BLUE), ("1", "pure", GREEN))
SEED = 'own="yes"'


def coordinator() -> dashboard.Dashboard:
    """Return the dashboard; `dashboards.build` writes it as JSON."""
    return board(
        "coordinator",
        "Trigger coordinator",
        "Is every rate what its pileup makes expected, and does the score still cut where it should?",
        (("Rates", _rates()), ("Score", _score()), ("Rate of candidate and champion", _pure())),
    )


def _rates() -> list[Panel]:
    own = lines(
        Words(
            "Seeds of the slot: observed, predicted, pileup",
            "Rate of this model's seeds, corrected for dead time and prescale, between the dotted ends of the 95 % "
            "band that the pileup makes expected. Outside on one side for minutes: look at the other seeds first.",
            "hertz",
        ),
        over_time(f"retrigger_seed_rate_hertz{{{STREAM},{SEED}}}", "{{seed}}"),
        over_time(f"retrigger_seed_rate_predicted_hertz{{{STREAM},{SEED}}}", "{{seed}} predicted"),
        over_time(f"retrigger_seed_rate_high_hertz{{{STREAM},{SEED}}}", "{{seed}} high"),
        over_time(f"retrigger_seed_rate_low_hertz{{{STREAM},{SEED}}}", "{{seed}} low"),
        over_time(f"retrigger_pileup{{{STREAM}}}", "pileup {{stream}}"),
        width=16,
    )
    deviations = ranked(
        Words(
            "Deviation of each seed",
            "Observed less predicted rate in standard deviations of one measurement, the farthest first. All off "
            "alike: luminosity. One off: that seed.",
            "none",
        ),
        f"topk(12, abs(retrigger_seed_deviation_sigma{{{STREAM}}})) * 0 + retrigger_seed_deviation_sigma{{{STREAM}}}",
        (None, RED),
        (-5, AMBER),
        (-3, GREEN),
        (3, AMBER),
        (5, RED),
        legend="{{seed}}",
        width=8,
    )
    ratio = lines(
        Words(
            "Observed over predicted",
            "The same as a ratio, for every seed that is shown one by one; 1 is as expected at this pileup.",
            "none",
        ),
        over_time(
            f"retrigger_seed_rate_hertz{{{STREAM}}} / retrigger_seed_rate_predicted_hertz{{{STREAM}}}", "{{seed}}"
        ),
        width=12,
    ).decimals(2)
    spread = lines(
        Words(
            "All seeds: median and farthest deviation",
            "Over the whole menu. A median far from 0 is luminosity or dead time; only the farthest moves: one seed.",
            "none",
        ),
        over_time(f"retrigger_rates_deviation_median_sigma{{{STREAM}}}", "median {{stream}}"),
        over_time(f"retrigger_rates_deviation_farthest_sigma{{{STREAM}}}", "farthest {{stream}}"),
        width=8,
    )
    missing = number(
        Words("Seeds missing", "Watched seeds that nobody counts any more: renamed, or off the menu.", "none"),
        f"max(retrigger_seeds_missing{{{STREAM}}})",
        (None, GREEN),
        (1, RED),
        absent="no counters",
    ).height(8)
    return [
        on_the_right(dotted(own.height(10), "/.* (low|high)/"), "/pileup .*/"),
        deviations,
        ratio,
        spread,
        missing,
    ]


def _score() -> list[Panel]:
    quantiles = dashed_red(
        lines(
            Words(
                "Score quantiles and threshold",
                "Score below which that share of the last 16 lumisections' events lies. The dashed line is where the "
                "trigger fires; a quantile that nears it means a rate that rises.",
                "none",
            ),
            over_time(f"retrigger_score_value{{{STREAM}}}", "{{share}}"),
            over_time(f"retrigger_score_threshold{{{STREAM}}}", "threshold {{threshold}}"),
            width=12,
        ),
        "/threshold .*/",
    )
    distance = lines(
        Words(
            "Distance to the threshold",
            "Each quantile over the threshold: 1 is where the trigger fires.",
            "percentunit",
        ),
        over_time(
            f"retrigger_score_value{{{STREAM}}} / on (stream) group_left max by (stream) "
            f"(retrigger_score_threshold{{{STREAM}}})",
            "{{share}}",
        ),
        width=6,
    ).min(0)
    passing = lines(
        Words(
            "Share of events that pass",
            "Of the watched events, before prescale; times bunches and revolution frequency it is a rate.",
            "percentunit",
        ),
        over_time(f"retrigger_score_passing_ratio{{{STREAM}}}", "{{threshold}}"),
        over_time(f"retrigger_score_saturated_ratio{{{STREAM}}}", "largest score there is"),
        width=6,
    ).min(0)
    return [quantiles, distance.decimals(0), passing.decimals(3)]


def _pure() -> list[Panel]:
    rates = lines(
        Words(
            "Rate of candidate and champion on the same events",
            "On events that neither was trained on, with the interval of the candidate. It is a pure rate where "
            "*Rate is pure* says so: what no other seed of the menu would take.",
            "hertz",
        ),
        over_time(f"retrigger_candidate_rate_hertz{{{SLOT}}}", "{{slot}} {{model}}"),
        over_time(f'retrigger_candidate_rate_high_hertz{{{SLOT},model="candidate"}}', "{{slot}} high"),
        over_time(f'retrigger_candidate_rate_low_hertz{{{SLOT},model="candidate"}}', "{{slot}} low"),
        over_time(f"retrigger_candidate_target_rate_hertz{{{SLOT}}}", "{{slot}} target"),
        width=16,
    ).min(0)
    pure = number(
        Words("Rate is pure", "Whether the rates beside are pure ones.", "none"),
        f"max(retrigger_candidate_rate_is_pure{{{SLOT}}})",
        absent="no candidate",
    )
    from_now = number(
        Words(
            "Rate against target",
            "The newest candidate's rate over the rate it was made for, less one.",
            "percentunit",
        ),
        f'max(retrigger_candidate_rate_hertz{{{SLOT},model="candidate"}} / ignoring (model) '
        f"retrigger_candidate_target_rate_hertz{{{SLOT}}}) - 1",
        (None, AMBER),
        (-0.1, GREEN),
        (0.1, AMBER),
        (0.3, RED),
        absent="no candidate",
    )
    return [
        dotted(rates, "/.* (low|high)/"),
        pure.mappings(YES_NO).height(8),
        from_now.decimals(0).height(8),
    ]
