"""The name, type, labels and meaning of every metric; `daemon.metrics` fills them.

docs/metrics.md is held to this list by a test, and so is everything that dashboards and alert rules name.
"""

from dataclasses import dataclass

PREFIX = "retrigger_"
DURATION_BUCKETS_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0)

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"


@dataclass(frozen=True)
class Declared:
    """One metric as it is documented: its name without the prefix, its type, its labels, and what it says."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


DECLARED: tuple[Declared, ...] = (
    Declared("build_info", GAUGE, ("version", "python"), "Always 1; carries which retrigger runs."),
    Declared("start_timestamp_seconds", GAUGE, (), "When the daemon started, in Unix time."),
    Declared("loop_heartbeat_timestamp_seconds", GAUGE, (), "When the loop last ended a turn, in Unix time."),
    Declared("paused", GAUGE, (), "1 while a person has stopped every forward step."),
    Declared("frozen", GAUGE, (), "1 while a person has forbidden deployments."),
    Declared("audit_head_sequence", GAUGE, (), "Sequence number of the newest fact in the record."),
    Declared("record_exported_sequence", GAUGE, (), "Newest fact that every place outside this host has."),
    Declared("record_export_failures_total", COUNTER, (), "Exports of the record that failed, to any place."),
    Declared("record_place_sequence", GAUGE, ("place",), "Newest fact that a place outside this host has."),
    Declared("stable_beams", GAUGE, (), "1 in stable beams, 0 outside, absent while the beam mode is unknown."),
    Declared("beam_mode_info", GAUGE, ("mode",), "Always 1; carries the LHC beam mode, absent while it is unknown."),
    Declared("fill_number", GAUGE, (), "LHC fill that the beam mode speaks of."),
    Declared("facts_total", COUNTER, ("kind",), "Facts in the record, by kind."),
    Declared("fact_timestamp_seconds", GAUGE, ("kind",), "When the newest fact of each kind happened, in Unix time."),
    Declared("work_open", GAUGE, ("kind",), "Work that is queued and not yet done, by kind."),
    Declared("audit_intact", GAUGE, (), "1 if the hash chain was whole when last checked; absent before."),
    Declared("audit_checked_timestamp_seconds", GAUGE, (), "When the whole chain was last checked, in Unix time."),
    Declared("audit_checked_sequence", GAUGE, (), "Sequence number up to which it was checked."),
    Declared("audit_exported_timestamp_seconds", GAUGE, (), "When the record was last exported, in Unix time."),
    Declared("audit_exported_sequence", GAUGE, (), "Sequence number up to which it was exported."),
    Declared("messages_sent_total", COUNTER, ("channel",), "Messages to people that were delivered."),
    Declared("messages_given_up_total", COUNTER, ("channel",), "Messages to people that could not be delivered."),
    Declared("messages_owed", GAUGE, ("channel",), "Messages to people that wait to be delivered."),
    Declared("message_oldest_age_seconds", GAUGE, (), "Age of the oldest message that is owed; 0 when none is."),
    Declared("disk_free_bytes", GAUGE, ("folder",), "Room left where a folder of the daemon lies."),
    Declared("disk_size_bytes", GAUGE, ("folder",), "Size of the disk on which it lies."),
    Declared("input_faults", GAUGE, ("input",), "Files of conditions or counters that cannot be understood."),
    Declared("declared_changes", GAUGE, (), "Declared changes in force at the newest lumisection."),
    Declared("lumisections_total", COUNTER, ("stream", "outcome"), "Lumisections that ended, by outcome."),
    Declared("lumisections_delivered_total", COUNTER, ("stream",), "Lumisections that the data say exist."),
    Declared("lumisections_watched_total", COUNTER, ("stream",), "Lumisections compared with the reference."),
    Declared("lag_seconds", GAUGE, ("stream",), "Age of the newest data taken in."),
    Declared("lag_lumisections", GAUGE, ("stream",), "Lumisections delivered whose outcome is still owed."),
    Declared("pileup", GAUGE, ("stream",), "Mean pileup of the newest lumisection with conditions."),
    Declared("run_number", GAUGE, ("stream",), "Run of the newest lumisection that was compared."),
    Declared("lumisection_number", GAUGE, ("stream",), "Number of the newest lumisection that was compared."),
    Declared("bunches", GAUGE, ("stream",), "Colliding bunches in the newest lumisection that was compared."),
    Declared(
        "dead_time_ratio", GAUGE, ("stream",), "Share of the luminosity of that lumisection that was not recorded."
    ),
    Declared("prescale_column_info", GAUGE, ("stream", "column"), "Always 1; carries the prescale column in force."),
    Declared("files_total", COUNTER, ("stream", "outcome"), "Files that ended, by outcome."),
    Declared("files_waiting", GAUGE, ("stream",), "Files that are there but not yet whole."),
    Declared("quarantined_files_total", COUNTER, ("stream", "reason"), "Quarantined files, by why."),
    Declared("drift_log_evidence", GAUGE, ("stream",), "Natural log of the evidence for a change, now."),
    Declared("drift_log_evidence_budget", GAUGE, ("stream",), "Log-evidence at which an alarm is raised."),
    Declared("drift_scores_watched", GAUGE, ("stream",), "1 while scores are watched, 0 while silent, else absent."),
    Declared("feature_residual_sigma", GAUGE, ("stream", "feature"), "Misfit of a feature at its pileup, now."),
    Declared("part_residual_sigma", GAUGE, ("stream", "part"), "Deviation of a scale or number at its pileup, now."),
    Declared("empty_events_ratio", GAUGE, ("stream", "object"), "Share of events without any object of a type."),
    Declared(
        "occupancy_pull_sigma",
        GAUGE,
        ("stream", "object", "eta", "phi"),
        "Objects in a coarse cell against those due there, over the last 16 lumisections.",
    ),
    Declared("score_value", GAUGE, ("stream", "share"), "Score below which that share of recent events lies."),
    Declared("score_threshold", GAUGE, ("stream", "threshold"), "Score at which the trigger fires."),
    Declared("score_passing_ratio", GAUGE, ("stream", "threshold"), "Share of recent events that pass a threshold."),
    Declared("score_saturated_ratio", GAUGE, ("stream",), "Share of recent events with the largest score there is."),
    Declared(
        "seed_rate_hertz", GAUGE, ("stream", "seed", "own"), "Rate of a seed, corrected for dead time and prescale."
    ),
    Declared("seed_rate_predicted_hertz", GAUGE, ("stream", "seed", "own"), "Rate that its pileup makes expected."),
    Declared("seed_rate_low_hertz", GAUGE, ("stream", "seed", "own"), "Lower end of its 95 % band, one measurement."),
    Declared("seed_rate_high_hertz", GAUGE, ("stream", "seed", "own"), "Upper end of its 95 % band, one measurement."),
    Declared(
        "seed_deviation_sigma", GAUGE, ("stream", "seed", "own"), "Observed less predicted, in standard deviations."
    ),
    Declared("seeds_missing", GAUGE, ("stream",), "Watched seeds that nobody counts: renamed or off the menu."),
    Declared("rates_log_evidence", GAUGE, ("stream",), "Natural log of the part that seed rates have in it."),
    Declared("rates_deviation_median_sigma", GAUGE, ("stream",), "Median deviation of seed rates, now."),
    Declared("rates_deviation_farthest_sigma", GAUGE, ("stream",), "Deviation of the farthest seed rate, now."),
    Declared("alarms_total", COUNTER, ("stream", "verdict"), "Alarms raised, by verdict."),
    Declared("alarm_timestamp_seconds", GAUGE, ("stream", "verdict"), "When the newest alarm was told, in Unix time."),
    Declared(
        "faults_open", GAUGE, ("stream", "verdict"), "Faults that nobody closed, by the verdict that opened them."
    ),
    Declared("fault_open", GAUGE, ("stream",), "1 while the detector counts as broken and nothing is retrained."),
    Declared("retrain_duration_seconds", HISTOGRAM, ("slot", "result"), "Ended trainings, by result."),
    Declared("candidates", GAUGE, ("slot", "phase"), "Candidates, by the phase they stand in."),
    Declared("candidate_phase", GAUGE, ("slot", "phase"), "1 for the phase of the newest candidate, else 0."),
    Declared("candidate_phase_timestamp_seconds", GAUGE, ("slot",), "When the newest candidate came into its phase."),
    Declared("candidate_gates", GAUGE, ("slot", "verdict"), "Gates of the newest candidate that was judged."),
    Declared("candidate_threshold", GAUGE, ("slot",), "Score at which the newest candidate fires."),
    Declared("candidate_target_rate_hertz", GAUGE, ("slot",), "Rate that the newest candidate was made for."),
    Declared("candidate_rate_hertz", GAUGE, ("slot", "model"), "Rate on held-out events, of candidate and champion."),
    Declared("candidate_rate_low_hertz", GAUGE, ("slot", "model"), "Lower end of its interval."),
    Declared("candidate_rate_high_hertz", GAUGE, ("slot", "model"), "Upper end of its interval."),
    Declared("candidate_rate_is_pure", GAUGE, ("slot",), "1 if that rate is what no other seed of the menu takes."),
    Declared("candidate_events", GAUGE, ("slot", "decision"), "Held-out events that both, or only one of them, take."),
    Declared("candidate_resources", GAUGE, ("slot", "kind"), "Estimated use of the device, and latency in ticks."),
    Declared("candidate_signal_efficiency_ratio", GAUGE, ("slot", "signal", "model"), "Efficiency for a signal."),
    Declared("retrain_running_seconds", GAUGE, ("slot",), "How long the training that goes on has taken."),
    Declared("deployments_total", COUNTER, ("slot", "outcome"), "Writes of the board, by outcome."),
    Declared("rollback_timestamp_seconds", GAUGE, ("slot",), "When the slot was last rolled back, in Unix time."),
    Declared("vectors_compared", GAUGE, ("slot",), "Test vectors of the newest verified candidate."),
    Declared("vectors_mismatching", GAUGE, ("slot",), "Of these, vectors on which two forms disagree; must be 0."),
    Declared("approvals_pending", GAUGE, ("slot",), "Open requests for approval."),
    Declared("approval_age_seconds", GAUGE, ("slot",), "Age of the open request; absent when there is none."),
    Declared("approval_expires_seconds", GAUGE, ("slot",), "Time left to the open request; absent without one."),
    Declared("approval_signatures_missing", GAUGE, ("slot",), "Signatures that the open request still needs."),
    Declared("deployed_info", GAUGE, ("slot", "digest"), "Always 1; carries the digest the slot runs."),
    Declared("deployed_timestamp_seconds", GAUGE, ("slot",), "When that digest came into force, in Unix time."),
    Declared("board_agrees", GAUGE, ("slot",), "1 if the board was last seen to run what the record says."),
    Declared("board_events_compared", GAUGE, ("slot",), "Events of the board that its emulator was asked about."),
    Declared("board_events_differing", GAUGE, ("slot",), "Of these, events in which any bit differed; must be 0."),
    Declared("board_events_unreadable", GAUGE, ("slot",), "Events of the board that could not be compared."),
    Declared("board_mismatch_high_ratio", GAUGE, ("slot",), "Share of differing events that is surely not exceeded."),
    Declared("waivers", GAUGE, ("slot",), "Waived gates on which an open candidate rests."),
    Declared("reviews_owed", GAUGE, ("slot",), "Times the glass was broken that nobody looked into yet."),
    Declared("rollback_rehearsal_seconds", GAUGE, ("slot",), "How long the last rehearsal of the way back took."),
    Declared("drill_answers_total", COUNTER, ("outcome",), "Answers to drills: caught, or missed by a yes."),
    Declared("answer_yes_ratio", GAUGE, (), "Share of yes among the last 20 answers to real requests."),
    Declared("answer_reading_seconds", GAUGE, (), "Median time on the page before one of the last 20 answers."),
    Declared("approvers_out_of_limits", GAUGE, (), "People whose answers are too quick, always yes, or miss drills."),
)
