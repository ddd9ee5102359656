"""How delays are counted, and that stored streams and what was said of them come back as they were."""

import numpy as np
import pytest

from benchmarks.detectors import OURS, Trace, kswin_least, river_alarms, trace
from benchmarks.drift_peers import POINTS, fault_row, fault_seed, quietest
from benchmarks.drift_store import StreamPlan, read, write
from benchmarks.peers_fair import Shewhart
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from tests.unit.benchmarks.toy import embedding, stream
from tests.unit.drift.conftest import events


def said(index):
    length = len(index)
    return Trace(np.array(index), np.ones(length, dtype=bool), {OURS: np.zeros(length)}, [(6, "transient", "EG", "x")])


def test_a_delay_counts_lumisections_that_arrived_since_the_onset():
    plan = StreamPlan("gain:0.05", 1, 1, 1, onset=10)
    # number 11 is missing, 12 came twice
    trace_ = said([8, 9, 10, 12, 12, 13, 14])

    row = fault_row(plan, trace_, {"early": [0, 3], "first": [2], "blind": [], "late": [6]})

    assert row["delay"] == {"early": 2, "first": 1, "blind": None, "late": 5}
    assert row["early"] == {"early": 1, "first": 0, "blind": 0, "late": 0}
    assert row["told"] == ("transient", "EG", "x")


def test_what_is_seen_after_the_time_allowed_is_missed():
    plan = StreamPlan("gain:0.05", 1, 1, 1, onset=0)
    index = list(range(200))

    assert fault_row(plan, said(index), {"a": [89], "b": [90]})["delay"] == {"a": 90, "b": None}


def test_a_recurrent_fault_counts_in_how_many_fills_it_was_seen():
    plan = StreamPlan("recur:0.005", 1, 4, 1, onset=460)
    index = list(range(340, 1600))
    at = {"twice": [475 - 340, 480 - 340, 1262 - 340], "between": [700 - 340]}

    row = fault_row(plan, said(index), at)

    assert row["seen"] == {"twice": 2, "between": 0}
    assert row["delay"] == {"twice": 16, "between": None}


def test_the_quietest_setting_is_the_first_that_is_silent_and_none_when_none_is():
    ladder = [0.1, 0.01, 0.001, 1e-4, 1e-5]

    assert quietest(ladder, lambda delta: delta > 0.002) == 0.001
    assert quietest(ladder, lambda _: False) == 0.1
    assert quietest(ladder, lambda _: True) is None


def test_no_two_faults_share_a_seed():
    seeds = [fault_seed(6000, point, k) for point in POINTS for k in range(10)]

    assert len(set(seeds)) == len(seeds)


def test_a_stored_stream_comes_back_bit_for_bit(tmp_path):
    lumisections = stream(11, 1, embedding())
    found = events(1001, 1, 50.0, 80, np.random.default_rng(2))
    made = [(found, lumisections[0].conditions, 7), (found, lumisections[1].conditions, 8)]
    path = tmp_path / "stream.npz"

    write(path, {"seed": 1}, made, sample=5, embed=False)
    back = list(read(path))

    assert [one.index for one in back] == [7, 8]
    assert [one.conditions for one in back] == [lumisections[0].conditions, lumisections[1].conditions]
    assert back[0].summary.events == 80
    with np.load(path) as raw:
        assert np.array_equal(raw["features"][:5], found.features[:, :5].T)


def test_a_trace_comes_back_bit_for_bit(tmp_path):
    one = Trace(
        np.arange(3), np.array([True, False, True]), {OURS: np.array([1.0, -np.inf, 3.0])}, [(2, "a", "b", "c")]
    )

    one.save(tmp_path / "trace.npz")
    back = Trace.load(tmp_path / "trace.npz")

    assert np.array_equal(back.scores[OURS], one.scores[OURS])
    assert (back.told, back.index.tolist(), back.spoke.tolist()) == (one.told, [0, 1, 2], [True, False, True])


@pytest.fixture(scope="module")
def watched():
    features = embedding()
    certified = stream(11, 6, features)
    reference = Reference.fit(((one.summary, one.conditions) for one in certified), AXOL1TL_57)
    return reference, [*stream(21, 1, features, first=20), *stream(33, 1, features, gain=1.2, first=42)]


def test_retrigger_and_memoryless_peers_say_something_of_every_lumisection(watched):
    reference, broken = watched

    found = trace(broken, 1, reference, {"Shewhart": Shewhart(reference)})

    assert found.index.tolist() == [one.index for one in broken]
    assert found.scores[OURS][found.spoke].max() > 11.6
    assert next(verdict for place, verdict, _, _ in found.told if place >= 60) == "real_shift"
    assert min(place for place, *_ in found.told) >= 60
    assert ((found.scores["Shewhart"] > -np.inf) == found.spoke).all()


def test_river_speaks_after_the_change_and_not_below_the_least_p_value_it_met(watched):
    reference, broken = watched
    quick = {"window_size": 28, "stat_size": 10}
    least = kswin_least(broken, reference, 28, 10)

    def alarms(name, parameters):
        return list(river_alarms(name, parameters, broken, reference))

    assert min(alarms("Page-Hinkley", {"threshold": 20.0})) >= 60
    assert alarms("KSWIN", {**quick, "alpha": least * 0.999}) == []
    assert alarms("KSWIN", {**quick, "alpha": least * 1.001}) != []
