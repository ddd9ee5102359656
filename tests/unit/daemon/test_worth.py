"""A retrain is asked for when it surely pays, and an alarm alone never pays."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.lifecycle.worth import Interval, Prospect, WorthError, worth

NONE = Interval(0.0, 0.0)
CLEAR = Prospect(
    loss_per_hour=Interval(2.0, 3.0),
    threshold_share=Interval(0.2, 0.4),
    model_share=Interval(0.5, 0.8),
    hours_to_model=Interval(10.0, 20.0),
    hours_of_use=Interval(500.0, 800.0),
    cost=Interval(50.0, 100.0),
)

shares = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).map(lambda pair: Interval(*pair))
amounts = st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)).map(sorted).map(lambda pair: Interval(*pair))
losses = st.tuples(st.floats(-10, 100), st.floats(-10, 100)).map(sorted).map(lambda pair: Interval(*pair))
prospects = st.builds(Prospect, losses, shares, shares, amounts, amounts, amounts)


def test_a_retrain_that_surely_pays_is_asked_for():
    said = worth(CLEAR)

    assert said.answer == "act"
    assert said.benefit.low == pytest.approx(2.0 * 0.6 * 0.5 * 480)
    assert said.benefit.high == pytest.approx(3.0 * 0.8 * 0.8 * 790)
    assert "costs 50 to 100" in said.reason


def test_an_alarm_without_a_proven_loss_is_not_a_retrain():
    said = worth(replace(CLEAR, loss_per_hour=Interval(-0.5, 30.0)))

    assert said.answer == "wait"
    assert "not known that anything is lost" in said.reason
    assert said.look_again_hours == 1.0


def test_a_threshold_that_cures_it_makes_a_retrain_needless():
    said = worth(replace(CLEAR, threshold_share=Interval(0.99, 1.0)))

    assert said.answer == "nothing"
    assert "threshold" in said.reason


def test_a_model_that_would_come_too_late_is_not_made():
    said = worth(replace(CLEAR, hours_of_use=Interval(5.0, 9.0)))

    assert said.answer == "nothing"
    assert "replaced" in said.reason


def test_overlapping_intervals_wait():
    said = worth(replace(CLEAR, cost=Interval(300.0, 400.0)))

    assert said.answer == "wait"
    assert "overlap" in said.reason


@given(prospects)
def test_it_acts_only_when_the_least_benefit_exceeds_the_largest_cost(prospect):
    said = worth(prospect)

    assert (said.answer == "act") == (
        prospect.benefit.low > prospect.cost.high and prospect.hours_of_use.high > prospect.hours_to_model.low
    )
    assert (said.look_again_hours is not None) == (said.answer == "wait")


@given(prospects, st.floats(0, 1e4))
def test_more_cost_never_turns_nothing_into_a_retrain(prospect, more):
    dearer = replace(prospect, cost=Interval(prospect.cost.low + more, prospect.cost.high + more))
    order = ["nothing", "wait", "act"]

    assert order.index(worth(dearer).answer) <= order.index(worth(prospect).answer)


@given(prospects, st.floats(0, 50))
def test_more_loss_never_turns_a_retrain_into_nothing(prospect, more):
    worse = replace(
        prospect, loss_per_hour=Interval(prospect.loss_per_hour.low + more, prospect.loss_per_hour.high + more)
    )
    order = ["nothing", "wait", "act"]

    assert order.index(worth(worse).answer) >= order.index(worth(prospect).answer)


@given(prospects)
def test_a_wait_ends_because_the_hours_of_use_run_out(prospect):
    over = replace(prospect, hours_of_use=NONE)

    assert worth(over).answer == "nothing"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_share": Interval(0.5, 1.5)}, "model_share"),
        ({"threshold_share": Interval(-0.1, 0.5)}, "threshold_share"),
        ({"cost": Interval(-1.0, 0.5)}, "cost"),
    ],
)
def test_what_cannot_be_is_refused_by_name(change, named):
    with pytest.raises(WorthError, match=named):
        replace(CLEAR, **change)


def test_an_interval_runs_upwards():
    with pytest.raises(WorthError, match="ascending"):
        Interval(2.0, 1.0)


def test_waiting_for_no_time_is_refused():
    with pytest.raises(WorthError, match="look_again_hours"):
        worth(CLEAR, 0.0)
