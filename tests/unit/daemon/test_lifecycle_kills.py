"""A kill at every instant of every path leaves the same facts and the same writes of the board."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from daemon.lifecycle import Phase
from tests.unit.daemon import lifecycle_people as people_say
from tests.unit.daemon.lifecycle_examples import NOON, OLD, POLICY, WATCHED_POLICY
from tests.unit.daemon.lifecycle_experiment import Experiment

CRASHES = ("before facts", "before effect", "after effect")
BACK = f"back to {OLD}"


@dataclass(frozen=True)
class Path:
    """How an experiment is set up, what people say whenever it stands still, and where it must end."""

    ends: Phase
    writes: tuple[str, ...] = ("c-0001",)
    set_up: dict = field(default_factory=dict)
    verdict: str = "pass"
    say: tuple = (people_say.a_quorum_approves, people_say.fiona_confirms)
    goes_bad: tuple = ()  # (phase, behaviour): from then on
    beam_mode: str = "NO BEAM"


def waiving(experiment):
    for candidate in experiment.candidates():
        people_say.waives(experiment, candidate, "mila", "ml_expert")
        people_say.waives(experiment, experiment.folded[candidate.id], "fiona", "firmware_expert")


def breaking(experiment):
    for candidate in experiment.candidates():
        people_say.breaks_glass(experiment, candidate, "timo", "trigger_oncall")
        people_say.breaks_glass(experiment, experiment.folded[candidate.id], "both", "coordinator")


def rolling_back(experiment):
    for candidate in experiment.candidates():
        if candidate.phase is Phase.LIVE and candidate.rollback is None:
            people_say.asks_rollback(experiment, candidate, "timo")


def refusing(experiment):
    for candidate in experiment.candidates():
        people_say.rejects(experiment, candidate, "both", "coordinator")


YES = people_say.a_quorum_approves
PATHS = {
    "as shipped": Path(Phase.LIVE),
    "threshold alone": Path(Phase.LIVE, set_up={"tier": "T0"}),
    "another architecture": Path(Phase.LIVE, set_up={"tier": "T2"}),
    "watched": Path(Phase.LIVE, set_up={"policy": WATCHED_POLICY}),
    "watched, another architecture": Path(Phase.LIVE, set_up={"policy": WATCHED_POLICY, "tier": "T2"}),
    "signed": Path(Phase.LIVE, set_up={"policy": replace(POLICY, unsigned_approvals=False)}),
    "rehearsed": Path(Phase.LIVE, set_up={"policy": replace(POLICY, rehearsal_days=30.0), "rehearsed_at": NOON}),
    "never rehearsed": Path(Phase.EXPIRED, (), set_up={"policy": replace(POLICY, rehearsal_days=30.0)}),
    "not confirmed": Path(Phase.ROLLED_BACK, ("c-0001", BACK), set_up={"tier": "T2"}, say=(YES,)),
    "waived": Path(Phase.LIVE, verdict="inconclusive", say=(waiving, YES)),
    "doubted": Path(Phase.EXPIRED, (), verdict="inconclusive"),
    "refused by a gate": Path(Phase.AUTO_REJECTED, (), verdict="fail", say=(waiving, YES)),
    "rejected": Path(Phase.REJECTED, (), say=(refusing,)),
    "silence": Path(Phase.EXPIRED, (), say=()),
    "stable beams": Path(Phase.EXPIRED, (), beam_mode="STABLE BEAMS"),
    "glass": Path(Phase.ROLLED_BACK, ("c-0001", BACK), say=(breaking,), beam_mode="STABLE BEAMS"),
    "rolled back by a person": Path(Phase.ROLLED_BACK, ("c-0001", BACK), say=(YES, rolling_back)),
    "mismatch in shadow": Path(
        Phase.ROLLED_BACK, ("c-0001", BACK), {"policy": WATCHED_POLICY}, goes_bad=(Phase.SHADOW, "mismatching")
    ),
    "unseen in shadow": Path(
        Phase.ROLLED_BACK, ("c-0001", BACK), {"policy": WATCHED_POLICY}, goes_bad=(Phase.SHADOW, "unseen")
    ),
    "rate on probation": Path(
        Phase.ROLLED_BACK, ("c-0001", BACK), {"policy": WATCHED_POLICY}, goes_bad=(Phase.LIVE_PROBATION, "too high")
    ),
    "slow on probation": Path(
        Phase.ROLLED_BACK, ("c-0001", BACK), {"policy": WATCHED_POLICY}, goes_bad=(Phase.LIVE_PROBATION, "slow")
    ),
    "drill": Path(Phase.EXPIRED, ()),
}


def walk(name, crash_in_turn=None, crash=""):
    """Lead the only candidate to its end; time passes and people speak only when the daemon stands still."""
    path = PATHS[name]
    experiment = Experiment(beam_mode=path.beam_mode, keys=dict(people_say.KEYS), **path.set_up)
    experiment.request(drill=name == "drill")
    experiment.verdicts += [path.verdict] * 4
    for number in range(150):
        candidate = experiment.folded["c-0001"]
        if path.goes_bad and candidate.phase is path.goes_bad[0]:
            experiment.behaviour = path.goes_bad[1]
        if experiment.turn(crash if number == crash_in_turn else ""):
            continue
        if candidate.phase is path.ends and candidate.review_overdue is candidate.review_owed:
            break
        for speak in path.say:
            speak(experiment)
        experiment.now += timedelta(hours=1)
    return experiment, number


@pytest.mark.parametrize("name", PATHS)
def test_every_path_ends_where_it_must_and_a_kill_at_any_instant_changes_nothing(name):
    undisturbed, turns = walk(name)
    assert undisturbed.folded["c-0001"].phase is PATHS[name].ends
    assert undisturbed.writes == list(PATHS[name].writes)

    for turn in range(min(turns, 40)):
        for crash in CRASHES:
            killed, _ = walk(name, turn, crash)

            assert killed.facts == undisturbed.facts, (turn, crash)
            assert killed.writes == undisturbed.writes, (turn, crash)
