"""The whole way from simulated run files to a verdict: reading, counting, conditions, reference, watch."""

import json
from pathlib import Path

import pytest

from drift.boxes import Box
from drift.conditions import Conditions, ConditionsTable
from drift.profile import LumisectionSummary, Summariser
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.simulate.stream import simulate
from drift.source import Accepted, read_file
from drift.watch import Watch

BUDGET = 9e-6
EVENTS = 200


def counted(folder: Path, scenario, fills, lumisections, seed, events=EVENTS, first_fill=10_001):
    """Simulate a stream and return its summaries with their conditions, and its truth."""
    stream = simulate(
        scenario,
        fills,
        seed,
        folder,
        lumisections_per_fill=lumisections,
        events_per_lumisection=events,
        first_fill=first_fill,
    )
    table = ConditionsTable.load(stream.conditions)
    summariser = Summariser(AXOL1TL_57)
    found: list[tuple[LumisectionSummary, Conditions]] = []
    for path in stream.files:
        outcome = read_file(path, AXOL1TL_57)
        assert isinstance(outcome, Accepted), outcome
        found.extend(
            (summariser.fill(one), table.at(one.run, one.lumisection) or Conditions(one.run, one.lumisection))
            for one in outcome.contents.lumisections
        )
    found.sort(key=lambda pair: pair[0].lumisections)
    return found, json.loads(stream.truth.read_text())


def alarms(reference, pairs):
    watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream="axo")
    told = [watch.take(summary, conditions).alarm for summary, conditions in pairs] + [watch.conclude()]
    return [one for one in told if one is not None]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    pairs, _ = counted(tmp_path_factory.mktemp("quiet"), "none", 4, 40, seed=41, first_fill=9_001)
    return Reference.fit(pairs, AXOL1TL_57)


def test_pileup_steps_and_prescale_columns_raise_no_alarm(reference, tmp_path):
    pairs, truth = counted(tmp_path, "pu_step,ps_column", 4, 25, seed=42)

    assert {one["name"] for one in truth["changes"]} == {"pu_step", "ps_column"}
    assert alarms(reference, pairs) == []


def test_two_dead_sectors_of_the_hadron_calorimeter_raise_one_alarm_with_their_box(reference, tmp_path):
    pairs, truth = counted(tmp_path, "hem1516", 4, 25, seed=43)
    told = alarms(reference, pairs)
    onset, box = truth["changes"][0]["onset"], truth["changes"][0]["box"]

    assert [one.verdict for one in told] == ["broken_detector"]
    assert told[0].box.overlap(Box("JET", tuple(box["eta"]), tuple(box["phi"]))) >= 0.5
    assert told[0].onset[0] == onset["run"]
    assert abs(told[0].onset[1] - onset["lumisection"]) <= 2


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", [51, 52, 53])
def test_crystals_that_lose_light_are_a_real_shift_and_never_a_broken_detector(tmp_path, seed):
    quiet, _ = counted(tmp_path / "quiet", "none", 6, 60, seed=seed + 100, events=300, first_fill=9_001)
    pairs, _ = counted(tmp_path / "ageing", "ecal_transparency", 6, 60, seed=seed, events=300)
    told = alarms(Reference.fit(quiet, AXOL1TL_57), pairs)

    assert {one.verdict for one in told} <= {"real_shift"}
    assert len(told) == 1
