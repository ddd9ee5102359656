"""What is published as the least visible fault is what the detector then sees."""

import numpy as np
import pytest

from drift.conditions import Conditions
from drift.errors import ReferenceUnfitError
from drift.library import SHIPPED
from drift.profile import Summariser
from drift.schema import AXOL1TL_57
from drift.sensitivity import sensitivities
from drift.watch import Watch

BUDGET = 9e-6


@pytest.fixture(scope="module")
def events(toy):
    rng = np.random.default_rng(5)
    return [toy.events(1, n, 50.0, 1500, rng) for n in range(1, 5)]


def asked(reference, events, *names):
    modes = [one for one in SHIPPED if not names or one.name in names]
    found = sensitivities(
        reference, events, 50.0, false_alarms_per_lumisection=BUDGET, rng=np.random.default_rng(1), modes=modes
    )
    return {one.mode: one for one in found}


def test_a_fault_that_lasts_is_seen_at_a_smaller_size(toy_reference, events):
    found = asked(toy_reference, events, "gain", "gain_eg", "met_mixed", "loss_region")

    for one in found.values():
        sizes = [np.inf if size is None else size for size in one.least.values()]
        assert sizes == sorted(sizes, reverse=True), one
    assert found["gain"].least[10] < 0.2
    assert "scale" in found["gain"].leads


def test_the_size_published_for_ten_lumisections_is_told_after_about_ten(toy, toy_reference, events):
    """Twelve trials: of the published size, the median delay is within a factor of two of ten lumisections."""
    size = asked(toy_reference, events, "gain")["gain"].least[10]
    delays = []
    for seed in range(12):
        rng = np.random.default_rng([31, seed])
        watch = Watch(toy_reference, false_alarms_per_lumisection=BUDGET, stream="x")
        summariser, delay = Summariser(AXOL1TL_57), 40
        for n in range(1, 65):
            one = toy.events(1, n, 50.0, 300, rng, gain=1 + size if n > 24 else 1.0)
            conditions = Conditions(1, n, 1, 50.0, 2340, "2p0E34", "STABLE BEAMS", True, True, 0.02)
            decision = watch.take(summariser.fill(one), conditions)
            if n > 24 and decision.log_evidence >= -np.log(BUDGET):
                delay = n - 24
                break
        delays.append(delay)

    assert 4 <= np.median(delays) <= 20


def test_too_few_events_or_a_foreign_pileup_are_refused(toy_reference, events):
    with pytest.raises(ReferenceUnfitError, match="too few to replay"):
        asked(toy_reference, events[:1])
    with pytest.raises(ReferenceUnfitError, match="outside the reference"):
        sensitivities(toy_reference, events, 5.0, false_alarms_per_lumisection=BUDGET, rng=np.random.default_rng(1))
