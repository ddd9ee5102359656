"""Lines that grow by the lumisection: fair while nothing ages, and seen where the filter would follow."""

import numpy as np
import pytest

from drift.benign import RHO, SLOW_RHO, Benign, FillFilter, Swell
from drift.ramps import EVERY, SLOPES, Ramps, ramp_places
from drift.streams import StreamLabel

SEED = 20_261_124
LABELS = (StreamLabel("scale", "JET", 0, "JET pt scale"), StreamLabel("phi", "JET", 0, "JET azimuth 0 to 30 deg"))


def spreads(streams):
    one = np.ones(streams)
    return Benign(0.8 * one, 0.2 * one, 0.4 * one, 1.2 * one, Swell.none(streams), 0 * one)


def watched(benign, values, fills=()):
    """Run a filter and the lines over values, shape (n_lumisections, n_streams); return them at the end."""
    ramps, state = Ramps.fresh(np.arange(values.shape[1])), FillFilter.fresh(benign)
    for clock, value in enumerate(values):
        if clock in fills:
            state = FillFilter.fresh(benign)
            ramps.new_fill()
        innovation, spread, gain = state.step(benign, value, 1.0)
        ramps.update(clock, benign, innovation / benign.kappa, spread, gain)
    return ramps


def healthy(benign, n, streams, rng):
    fast, slow = np.sqrt(benign.wander) * rng.normal(size=streams), np.sqrt(benign.offset) * rng.normal(size=streams)
    out = np.empty((n, streams))
    for row in out:
        row[:] = fast + slow + np.sqrt(benign.noise) * rng.normal(size=streams)
        fast = RHO * fast + np.sqrt((1 - RHO**2) * benign.wander) * rng.normal(size=streams)
        slow = SLOW_RHO * slow + np.sqrt((1 - SLOW_RHO**2) * benign.offset) * rng.normal(size=streams)
    return out


def test_only_scales_and_rates_are_asked():
    assert ramp_places(LABELS).tolist() == [0]


def test_the_mean_e_value_of_a_line_is_at_most_one_while_nothing_ages():
    trials, rng = 4000, np.random.default_rng(SEED)
    benign = spreads(trials)
    ramps = watched(benign, healthy(benign, 65, trials, rng))
    mean = np.exp(ramps.ratio[0]).mean(axis=-1)  # the line that began first, by slope and sign
    assert mean.max() <= 1.1
    assert mean[-1].max() < 1.0  # widened predictions make steep lines unlikely, not likely


def test_a_slow_line_is_seen_with_its_sign_and_its_start():
    rng = np.random.default_rng(SEED + 1)
    benign = spreads(1)
    values = healthy(benign, 400, 1, rng)
    values[128:, 0] -= 0.03 * np.arange(272)
    level, sign, start = watched(benign, values).strongest(0)
    assert level > 20
    assert sign == -1
    assert abs(start - 128) <= 5 * EVERY


def test_what_grew_in_earlier_fills_shows_at_once_in_a_new_one():
    benign = spreads(1)
    values = np.zeros((210, 1))
    values[:, 0] = 0.024 * np.arange(1, 211)
    before = watched(benign, values[:200]).strongest(0)[0]
    followed = watched(benign, values).strongest(0)[0] - before
    anew = watched(benign, values, fills={200}).strongest(0)[0] - before
    assert anew > 2 * followed


def test_a_line_is_forgotten_when_the_cause_is_known():
    benign = spreads(1)
    ramps = watched(benign, np.full((64, 1), 3.0))
    ramps.forget()
    assert ramps.by_stream(np.ones(1)).max() < 1e-100


def test_the_weight_of_a_stream_is_shared_by_slopes_and_signs():
    ramps = Ramps.fresh(np.arange(1))
    ramps.ratio[0] = 0.0
    assert ramps.by_stream(np.array([0.06])) == pytest.approx(0.06)
    assert ramps.ratio[0].shape == (len(SLOPES), 2, 1)
