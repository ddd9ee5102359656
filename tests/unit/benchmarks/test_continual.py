"""What the continual-learning campaign draws, scores and concludes."""

import json

import numpy as np
import pytest

from benchmarks.continual_scores import (
    best_possible,
    by_seed,
    estimate,
    forgetting,
    in_tolerance,
    kept,
    matrix_of,
    now,
    old,
    paired,
)

# river, brevitas and torch warn about each other's deprecations at import and first use
pytestmark = pytest.mark.filterwarnings("ignore")


def row(learner="naive", seed=1, last=(0.5, 0.6, 0.7), **more):
    matrix = [[0.8, None, None], [0.6, 0.7, None], list(last)]
    return {"degradation": "pileup", "learner": learner, "seed": seed, "efficiency": matrix, **more}


def test_forgetting_is_the_fall_from_the_best_on_each_earlier_fill():
    assert forgetting(row()) == pytest.approx(((0.8 - 0.5) + (0.7 - 0.6)) / 2)


def test_a_learner_that_was_not_asked_everywhere_has_no_forgetting():
    assert forgetting(row(last=(0.5, None, 0.7))) is None


def test_now_is_the_last_fill_and_old_the_first():
    assert (now(row()), old(row())) == (0.7, 0.5)
    assert kept(row()) == pytest.approx(0.5 / 0.8 - 1)


def test_a_difference_is_taken_seed_by_seed():
    rows = [row("a", 1, (0, 0, 0.5)), row("b", 1, (0, 0, 0.4)), row("a", 2, (0, 0, 0.9)), row("b", 2, (0, 0, 0.8))]

    found = paired(rows, "pileup", "a", "b", now)

    assert found.mean == pytest.approx(0.1)
    assert found.half == pytest.approx(0.0, abs=1e-9)
    assert found.surely_positive


def test_an_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)

    covered = [abs(one.mean) <= one.half for one in (estimate(rng.normal(size=5)) for _ in range(2000))]

    assert 0.93 < np.mean(covered) < 0.97


def test_one_seed_proves_nothing():
    found = estimate([0.3])

    assert not found.surely_positive
    assert "?" in found.text()


def test_intervals_are_counted_against_the_tolerance():
    rates = [{"events": [1000, 1000], "fixed": [10, 13], "follows": [10, 12]}]

    assert in_tolerance({"rates": rates}, "fixed", 0.01) == 0.5
    assert in_tolerance({"rates": rates}, "follows", 0.01) == 1.0


def test_counting_alone_sets_a_ceiling():
    rng = np.random.default_rng(1)
    share = (np.abs(rng.binomial(4000, 0.01, 20_000) / 40 - 1) <= 0.25).mean()

    assert best_possible(4000, 0.01) == pytest.approx(share, abs=0.01)


def test_a_matrix_is_the_mean_over_seeds():
    rows = [row(seed=1), row(seed=2, last=(0.7, 0.6, 0.7))]

    assert matrix_of(by_seed(rows, "pileup", "naive"))[2][0] == pytest.approx(0.6)
    assert matrix_of(by_seed(rows, "pileup", "naive"))[0][1] is None


EACH = 200


@pytest.fixture(scope="module")
def tiny():
    from benchmarks.continual_streams import make_fill

    return [make_fill("gain_loss", index, 7, EACH, 40) for index in range(3)]


def test_a_fill_is_its_seeds_and_the_healthy_one_is_the_same_for_all(tiny):
    from benchmarks.continual_streams import LUMISECTIONS, make_fill

    other = make_fill("pileup", 0, 7, EACH, 40)
    assert np.array_equal(other.measuring, tiny[0].measuring)

    assert len(tiny[1].parts) == LUMISECTIONS
    assert len(tiny[0].parts) == 2 * LUMISECTIONS
    assert tiny[1].parts[0].features.shape == (57, EACH)
    assert set(tiny[1].signals) == {"HToTauTau", "TTbar", "ZToEE", "ZToMuMu"}


def test_what_teaches_does_not_measure(tiny):
    taught = {part.number for part in tiny[1].teaching}

    assert taught == {1, 3, 5, 7, 9, 11}
    assert tiny[1].measuring.shape == (57, 6 * EACH)


def test_lost_gain_lowers_momenta(tiny):
    assert tiny[2].measuring[0].mean() < tiny[0].measuring[0].mean()


@pytest.mark.parametrize("degradation", ["dead_sectors", "gain_loss", "smearing"])
def test_a_detector_gets_worse_from_fill_to_fill(degradation):
    from benchmarks.continual_streams import detector_at

    changed = [np.abs(np.log(np.maximum(detector_at(degradation, n, 3).em_gain, 0.1))).mean() for n in range(6)]

    assert changed[0] == 0
    assert changed == sorted(changed)
    assert changed[5] > changed[1]


def test_dead_cards_stay_dead_and_are_other_cards_for_another_seed():
    from benchmarks.continual_streams import detector_at

    two, three, other = (detector_at("dead_sectors", n, seed).em_gain == 0 for n, seed in ((2, 1), (3, 1), (3, 2)))

    assert (three & two).sum() == two.sum() > 0
    assert (three != other).any()


def test_ties_count_half_in_the_area_under_the_curve():
    from benchmarks.continual import auc

    assert auc(np.array([1, 2, 3]), np.array([2])) == pytest.approx(0.5)
    assert auc(np.array([1, 2, 3]), np.array([4, 4])) == 1.0


def test_every_learner_learns_and_scores_a_tiny_stream(tiny):
    from benchmarks import continual, continual_learners

    champion = continual_learners.Champion.of(tiny[0], 7)
    ends = {}
    for name, make in continual_learners.line_up(champion, 7).items():
        learner = make()
        learner.learn(tiny[0] if name.startswith("river") else tiny[1])
        scores = learner.scores(tiny[1].measuring)
        assert scores.shape == (6 * EACH,)
        ends[name] = scores.tobytes()
        efficiency, area, by_signal = continual.measure(learner, tiny[1], None)
        assert 0 <= efficiency <= 1
        assert 0 <= area <= 1
        assert len(by_signal) == 4

    assert len(set(ends.values())) == len(ends)


def test_a_campaign_goes_on_where_it_was_stopped(tmp_path):
    from benchmarks.continual import done

    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"degradation": "pileup", "seed": 1, "learner": "EWC"}) + "\n")

    assert done(path) == {("pileup", 1, "EWC")}
    assert done(tmp_path / "none.jsonl") == set()
