"""Whether a candidate still sees the faults that its champion sees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.errors import DatasetError
from retrain.replays import KEPT, Judge, effect, held_against, in_order, seen, together
from retrain.signals import Signal

EVENTS = 4000


def sample(name, features):
    return Signal(name, features, np.full(features.shape[1], np.nan), ((name * 8, features.shape[1]),))


@pytest.fixture
def samples():
    """Events of two inputs, and two faults: one that lifts the first by a tenth, one that lifts the second."""
    rng = np.random.default_rng(4)
    healthy = rng.exponential(100, (2, EVENTS)).astype(np.int16)
    lifted = [healthy.copy(), healthy.copy()]
    for row, one in enumerate(lifted):
        one[row] = (one[row] * 1.1).astype(np.int16)
    return [sample("healthy", healthy), sample("first", lifted[0]), sample("second", lifted[1])]


def judge(first, second):
    """A model that weighs the two inputs so, cut where five percent pass."""

    def scores(features):
        return (first * features[0].astype(np.int64)) + second * features[1].astype(np.int64)

    rng = np.random.default_rng(5)
    reference = rng.exponential(100, (2, 20_000)).astype(np.int16)
    return Judge(scores, int(np.quantile(scores(reference), 0.95)))


def verdicts(told):
    return {row["name"]: row["verdict"] for row in told["faults"]}


def test_a_model_keeps_what_it_sees_itself(samples):
    told = seen(samples, judge(1, 1), judge(1, 1), 0.95)

    assert verdicts(told) == {"first": "kept", "second": "kept"}
    assert told["events"] == EVENTS
    assert told["confidence_each"] == pytest.approx(1 - 0.05 / 8)


def test_a_model_that_is_blind_to_an_input_sees_its_fault_less(samples):
    told = seen(samples, judge(1, 0), judge(1, 1), 0.95)

    assert verdicts(told) == {"first": "kept", "second": "less"}
    assert told["faults"][1]["candidate"]["area"] == 0.5
    assert told["faults"][1]["champion"]["low"] > 0.5


def test_what_the_champion_is_blind_to_need_not_be_seen(samples):
    told = seen(samples, judge(1, 0), judge(1, 0), 0.95)

    assert verdicts(told)["second"] == "unseen"


def test_a_fault_that_moves_scores_the_other_way_is_seen_as_well(samples):
    told = seen(samples, judge(-1, -1), judge(1, 1), 0.95)

    assert told["faults"][0]["candidate"]["area"] < 0.5
    assert verdicts(told)["first"] == "kept"


def test_few_events_leave_open_what_many_decide(samples):
    few = [sample(one.name, np.ascontiguousarray(one.features[:, :150])) for one in samples]

    told = seen(few, judge(15, 1), judge(1, 1), 0.95)

    assert verdicts(told)["second"] == "open"
    assert verdicts(seen(samples, judge(15, 1), judge(1, 1), 0.95))["second"] == "less"


def test_without_a_champion_effects_stand_alone(samples):
    told = seen(samples, judge(1, 1), None, 0.95)

    assert all("verdict" not in row and "champion" not in row for row in told["faults"])
    assert told["faults"][0]["candidate"]["shift"] > 0


def test_the_shift_counts_the_events_that_pass_only_with_or_only_without_the_fault():
    healthy, faulty = np.array([5, 10, 15, 20]), np.array([12, 3, 16, 30])

    told = effect(healthy, faulty, 10, 0.9)

    assert (told["lost"], told["gained"], told["shift"]) == (1, 1, 0.0)
    assert (told["healthy_passing"], told["faulty_passing"]) == (3, 3)


def test_other_events_than_the_healthy_ones_are_refused(samples):
    short = sample("second", np.ascontiguousarray(samples[2].features[:, 1:]))

    with pytest.raises(DatasetError, match="replay the same events"):
        seen([samples[0], short], judge(1, 1), None, 0.95)


ends = st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)).map(lambda two: (min(two), max(two)))


@given(ends, ends)
def test_a_verdict_is_wrong_only_where_an_interval_is(candidate, champion):
    said = held_against(candidate, champion)

    for ours in np.linspace(*candidate, 5):
        for theirs in np.linspace(*champion, 5):
            if said == "kept":
                assert abs(ours) >= KEPT * abs(theirs) - 1e-12
            if said == "less":
                assert abs(ours) < KEPT * abs(theirs) + 1e-12
    assert held_against(champion, champion) in {"kept", "unseen", "faint"}
    assert (said == "unseen") == (champion[0] <= 0.0 <= champion[1])


@pytest.mark.parametrize(
    ("judged", "verdict"),
    [
        (("kept", "less"), "kept"),
        (("open", "less"), "less"),
        (("less", "unseen"), "less"),
        (("open", "kept"), "kept"),
        (("unseen", "open"), "open"),
        (("faint", "open"), "open"),
        (("unseen", "faint"), "faint"),
        (("unseen", "unseen"), "unseen"),
    ],
)
def test_one_measure_that_keeps_a_fault_will_do_and_without_it_one_that_sees_less_decides(judged, verdict):
    assert together(judged) == verdict


def test_the_healthy_sample_comes_first_and_only_with_faults():
    assert in_order(("gain=0.1",)) == ("healthy", "gain=0.1")
    assert in_order(()) == ()
