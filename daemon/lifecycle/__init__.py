"""From facts to the next step, and nothing else.

Pure: no clock, no disk, no network, no database, no randomness.  `fold` says where a candidate stands, `decide` what
to do next given the world, `voices` what a person may say.  What to do is decided here and done elsewhere.
"""

from daemon.lifecycle import drill_facts as drill_facts  # likewise
from daemon.lifecycle import key_facts as key_facts  # a record is read only if every kind is known
from daemon.lifecycle.alarm_facts import AlarmAcknowledged, AlarmSilenced
from daemon.lifecycle.decide import decide
from daemon.lifecycle.decision import Act, Decision, Done, Wait
from daemon.lifecycle.facts import Fact, GateOutcome
from daemon.lifecycle.fold import Candidate, Phase, evolve, fold
from daemon.lifecycle.policy import Policy, Tier, parse_policy
from daemon.lifecycle.rarer_voices import break_glass, confirm, review, waive
from daemon.lifecycle.record_facts import BundleAttested, HeadSigned
from daemon.lifecycle.report_facts import FillReported, FillReportFailed
from daemon.lifecycle.request import candidate_id, request_candidate
from daemon.lifecycle.states import Champion, champion_at, champions, fold_daemon, open_faults
from daemon.lifecycle.voices import approve, ask_rollback, reject, revoke
from daemon.lifecycle.world import World

__all__ = [
    "Act",
    "AlarmAcknowledged",
    "AlarmSilenced",
    "BundleAttested",
    "Candidate",
    "Champion",
    "Decision",
    "Done",
    "Fact",
    "FillReportFailed",
    "FillReported",
    "GateOutcome",
    "HeadSigned",
    "Phase",
    "Policy",
    "Tier",
    "Wait",
    "World",
    "approve",
    "ask_rollback",
    "break_glass",
    "candidate_id",
    "champion_at",
    "champions",
    "confirm",
    "decide",
    "evolve",
    "fold",
    "fold_daemon",
    "open_faults",
    "parse_policy",
    "reject",
    "request_candidate",
    "review",
    "revoke",
    "waive",
]
