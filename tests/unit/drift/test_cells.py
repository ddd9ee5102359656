"""Cells and strips of a map: what they sum, and what they say of a lost sector."""

import numpy as np
import pytest

from drift.cells import CellModel, pyramid, rectangle

SEED = 20_261_124

SHAPES = ((26, 36), (128, 72), (7, 36))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_place_of_the_pyramid_is_the_sum_over_its_rectangle(shape):
    one = np.random.default_rng(SEED).poisson(3.0, shape).astype(float)
    flat = np.concatenate(pyramid(one))
    for place in np.random.default_rng(SEED + 1).choice(len(flat), 300):
        first, last, column, width = rectangle(int(place), *shape)
        inside = one[first:last, (column + np.arange(width)) % shape[1]]
        assert flat[place] == pytest.approx(inside.sum())


def test_a_place_beyond_the_pyramid_is_named():
    with pytest.raises(IndexError, match="beyond the pyramid of a 26 x 36 map"):
        rectangle(10**6, 26, 36)


def test_a_muon_sector_of_forty_muons_that_is_lost_is_seen_at_once_in_its_strip():
    rng = np.random.default_rng(SEED)
    usual = np.full((26, 36), 480 / (26 * 36))
    sample = rng.poisson(usual, (2000, 26, 36))
    model = CellModel.fit("MU", sample.sum(axis=2), sample.sum(axis=0), rng.uniform(30, 60, 2000), 1)
    healthy, lost = rng.poisson(usual), rng.poisson(usual)
    lost[:, [35, 0, 1]] = 0
    factors = [model.log_factors(one, 45.0).max(axis=0) for one in (healthy, lost)]
    best = int(factors[1].argmax())
    assert factors[0].max() < 8
    assert factors[1][best] > 25
    first, last, column, width = rectangle(best, 26, 36)
    assert (first, last, column, width) == (0, 26, 35, 3)


def test_a_healthy_strip_has_a_mean_e_value_of_at_most_one():
    rng = np.random.default_rng(SEED)
    usual = np.full((26, 36), 480 / (26 * 36))
    sample = rng.poisson(usual, (2000, 26, 36))
    model = CellModel.fit("MU", sample.sum(axis=2), sample.sum(axis=0), rng.uniform(30, 60, 2000), 1)
    values = np.exp([model.log_factors(rng.poisson(usual), 45.0) for _ in range(400)])
    mild = values.mean(axis=0)[2:4, -(36 + 72) :]  # 0.75 and 1.35; the others are too heavy-tailed for 400 trials
    assert mild.mean() <= 0.95
    assert np.median(mild, axis=1).max() <= 1.0
