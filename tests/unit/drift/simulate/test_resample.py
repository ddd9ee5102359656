"""Long streams from a pool look like simulated ones: the same truth, drawn a hundred times faster."""

import numpy as np
import pytest

from drift.simulate.detector import Detector
from drift.simulate.kernels import cross
from drift.simulate.resample import CrossingPool, State, recorded_of
from drift.simulate.stream import tables


@pytest.fixture(scope="module")
def pool():
    return CrossingPool.make(30_000, 4)


def test_a_draw_has_as_many_objects_as_a_simulated_lumisection(pool):
    drawn = pool.draw(45.0, 20_000, np.random.default_rng(1))
    made = recorded_of(cross(tables(Detector().beam_spot), Detector(), 45.0, 20_000, np.random.default_rng(2)))

    for kind, tolerance in (("JET", 0.02), ("EG", 0.03), ("MU", 0.15)):
        seen, want = ((one.objects[kind].pt > 0).sum() for one in (drawn, made))
        assert seen / want == pytest.approx(1.0, abs=tolerance), kind
    assert np.median(drawn.met_pt) == pytest.approx(np.median(made.met_pt), abs=1.5)


def test_more_pileup_gives_more_jets(pool):
    counts = [(pool.draw(mu, 4000, np.random.default_rng(1)).objects["JET"].pt > 0).sum() for mu in (20.0, 60.0)]

    assert counts[1] > 1.3 * counts[0]


def test_a_draw_prefers_no_azimuth_and_no_side(pool):
    jets = pool.draw(45.0, 20_000, np.random.default_rng(3)).objects["JET"]
    there = jets.pt > 0
    sectors = np.bincount(jets.phi[there] // 12, minlength=12)

    assert ((sectors - sectors.mean()) ** 2 / sectors.mean()).sum() < 40
    assert abs(np.sign(jets.eta[there]).mean()) < 0.02


def test_the_same_seed_draws_the_same_events(pool):
    one, other = (pool.draw(45.0, 500, np.random.default_rng(9), State(1.01, 0.02, 0.01, 1.0)) for _ in range(2))

    assert all(np.array_equal(one.objects[kind].pt, other.objects[kind].pt) for kind in one.objects)
    assert np.array_equal(one.met_phi, other.met_phi)


def test_gain_and_losses_of_a_moment_show_and_keep_falling_pt(pool):
    plain = pool.draw(45.0, 20_000, np.random.default_rng(5)).objects["JET"]
    state = State(gain=1.05, loss=0.1, depth=0.2, phase=np.pi)
    moved = pool.draw(45.0, 20_000, np.random.default_rng(5), state).objects["JET"]
    near = [((one.pt > 0) & (np.abs(one.phi - 72) < 12)).sum() for one in (plain, moved)]
    far = [((one.pt > 0) & (np.abs((one.phi + 72) % 144 - 72) < 12)).sum() for one in (plain, moved)]

    assert (np.diff(moved.pt.astype(int), axis=1) <= 0).all()
    assert near[1] / near[0] == pytest.approx(0.7, abs=0.04)
    assert far[1] / far[0] == pytest.approx(0.9, abs=0.04)
    assert moved.pt[moved.pt > 0].mean() > 1.03 * plain.pt[plain.pt > 0].mean()
