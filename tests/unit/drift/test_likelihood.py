"""A step is measured against what wanders, and laid to the mode whose pattern it has."""

from dataclasses import replace

import numpy as np
import pytest

from drift.benign import Benign, Swell
from drift.ladder import AGEING, BROKEN
from drift.likelihood import Step, step_of, usable, weigh
from drift.signatures import Signatures
from drift.streams import StreamLabel

STREAMS = 12


def benign(noise=1.0, wander=0.05, offset=0.3):
    one = np.ones(STREAMS)
    return Benign(noise * one, wander * one, offset * one, 1.2 * one, Swell.none(STREAMS), 0.3 * one)


def library(lines, causes, *, families=None, least=0.0, power=1.0):
    n = len(lines)
    names = tuple(f"mode{k}" for k in range(n))
    shift = np.array(lines, dtype=float)[:, None, :]
    return Signatures(
        names, names, families or names, ("JET",) * n, tuple(causes), np.array([50.0]), shift,
        np.tile([least, 50.0], (n, 1)), np.full(n, 0.02), np.full(n, power), np.array([4000.0]),
    )  # fmt: skip


def lines():
    gain, loss = np.zeros(STREAMS), np.zeros(STREAMS)
    gain[:4], loss[2:6] = (1.0, 0.8, 0.6, 0.1), (0.1, -0.6, -1.0, -0.5)
    return gain, loss


def seen(line, size, seed=1, spread=0.3):
    rng = np.random.default_rng(seed)
    return Step(size * line + rng.normal(0, spread, STREAMS), np.full(STREAMS, spread**2))


def weighed(step, signatures):
    return weigh(step, np.eye(STREAMS), np.ones(STREAMS, dtype=bool), signatures, 50.0)


def test_a_step_within_a_fill_is_known_far_better_than_the_spread_between_fills():
    rng = np.random.default_rng(3)
    clock, offset = np.arange(60), rng.normal(0, np.sqrt(0.3), STREAMS)
    values = offset + rng.normal(0, 1, (60, STREAMS)) + np.where(clock >= 40, 3.0, 0.0)[:, None]
    within = step_of(values, clock >= 40, clock, np.ones(60, dtype=int), np.ones(60), benign())
    across = step_of(values, clock >= 40, clock, (clock >= 40).astype(int), np.ones(60), benign())

    assert within.size == pytest.approx(3.0, abs=4 * np.sqrt(within.variance[0]))
    assert within.variance[0] < 0.6 * across.variance[0]
    assert across.variance[0] > 0.3


def test_short_lumisections_count_less():
    clock, since = np.arange(40), np.arange(40) >= 38
    values = np.zeros((40, STREAMS))
    values[38], values[39] = 4.0, 0.0
    few, many = (np.where(clock == k, 25.0, 1.0) for k in (38, 39))
    one, other = (step_of(values, since, clock, np.ones(40, dtype=int), f, benign()).size[0] for f in (few, many))

    assert one < 0.5
    assert other > 3.5


@pytest.mark.parametrize("which", [0, 1])
def test_a_change_is_laid_to_the_mode_whose_pattern_it_has_and_sized(which):
    found = weighed(seen(lines()[which], 3.0), library(lines(), (AGEING, BROKEN)))

    assert found.modes[0].name == f"mode{which}"
    assert found.modes[0].probability > 0.99
    assert found.modes[0].size == pytest.approx(3.0 * 0.02, rel=0.25)
    assert found.share > 0.9
    assert not found.unforeseen


def test_a_mode_cannot_have_a_size_outside_its_range():
    signatures = library(lines(), (AGEING, BROKEN))
    capped = replace(signatures, range=np.tile([0.0, 1.0], (2, 1)))
    backwards = weighed(seen(lines()[0], -4.0), signatures)

    assert weighed(seen(lines()[0], 6.0), capped).modes[0].size == pytest.approx(0.02)
    assert next(one for one in backwards.modes if one.name == "mode0").size == 0.0


def test_a_quadratic_mode_is_told_in_its_own_size():
    found = weighed(seen(lines()[0], 4.0, spread=0.05), library(lines(), (AGEING, BROKEN), power=2.0))

    assert found.modes[0].size == pytest.approx(0.02 * 2.0, rel=0.05)


def test_having_looked_at_many_places_has_its_price():
    gain, loss = lines()
    alone = weighed(seen(loss, 3.0), library([gain, loss], (AGEING, BROKEN)))
    places = [gain, loss, *(np.roll(loss, k) for k in range(1, 12))]
    many = weighed(seen(loss, 3.0), library(places, (AGEING, *[BROKEN] * 12), families=("gain", *["sector"] * 12)))

    cost = alone.best(broken=True).log_likelihood - many.best(broken=True).log_likelihood
    assert cost == pytest.approx(np.log(12))


def test_what_no_mode_explains_is_unforeseen():
    odd = np.zeros(STREAMS)
    odd[8:] = (1.0, -1.0, 1.0, 1.0)
    found = weighed(seen(odd, 4.0), library(lines(), (AGEING, BROKEN)))

    assert found.unforeseen
    assert found.share < 0.2


def test_a_prediction_is_not_trusted_beyond_ten_percent():
    """Eighty times its noise and ten percent off in single streams, a mode still explains its own fault."""
    bent = lines()[0] * np.where(np.arange(STREAMS) % 2, 1.1, 0.9)
    found = weighed(seen(bent, 24.0), library(lines(), (AGEING, BROKEN)))

    assert found.modes[0].name == "mode0"
    assert not found.unforeseen


def test_streams_that_failed_their_check_or_answer_quadratically_take_no_part():
    labels = tuple(StreamLabel(family, "JET", 0, family) for family in ("scale", "chi2", "rate", "t2", "pc"))

    assert usable(labels, np.array([True, True, False, True, True])).tolist() == [True, False, False, False, True]
