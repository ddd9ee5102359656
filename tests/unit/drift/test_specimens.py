"""Events for replay are bounded, drawn alike from all pileups, and whole: every candidate with its own event."""

import numpy as np
import pytest

from drift.events import LumisectionEvents, ObjectColumns
from drift.faults import Recorded
from drift.schema import AXOL1TL_57
from drift.specimens import EVENTS, GROUP, STRATUM, Specimens, with_owners


def counts(one: Recorded, kind: str) -> np.ndarray:
    return (one.objects[kind].pt > 0).sum(axis=1)


def test_candidates_beyond_the_inputs_find_their_event_again(toy):
    events = toy.events(1, 1, 55.0, 600, np.random.default_rng(3))
    whole = with_owners(events, AXOL1TL_57, 600)
    back = whole.as_events(AXOL1TL_57, 1, 1)

    assert np.array_equal(back.features, events.features)
    assert counts(whole, "EG").max() > 4
    for kind, flat in events.objects.items():
        lost = flat.pt.size - back.objects[kind].pt.size
        assert 0 <= lost <= 8, kind  # of the last event nobody knows where it ends
        assert np.array_equal(back.objects[kind].pt[: -8 or None], flat.pt[: back.objects[kind].pt.size - 8])


def test_columns_that_do_not_fit_the_inputs_leave_the_inputs_alone(toy):
    events = toy.events(1, 1, 55.0, 50, np.random.default_rng(3))
    shuffled = {
        kind: ObjectColumns(flat.pt[::-1].copy(), flat.eta[::-1].copy(), flat.phi[::-1].copy())
        for kind, flat in events.objects.items()
    }
    found = with_owners(LumisectionEvents(1, 1, events.features, shuffled), AXOL1TL_57, 50)

    assert counts(found, "EG").max() == 4


def test_what_is_kept_is_bounded_whatever_comes(toy):
    rng = np.random.default_rng(4)
    specimens = Specimens(AXOL1TL_57, rng)
    for number in range(60):
        specimens.add(toy.events(1, number + 1, 50.0, 40, rng), 50.5)

    assert [len(one) for one in specimens.strata.values()] == [STRATUM]
    assert all(recorded.events <= EVENTS for _, recorded in specimens.strata[25])


def test_groups_lie_low_in_the_middle_and_high_and_are_bounded(toy):
    rng = np.random.default_rng(5)
    specimens = Specimens(AXOL1TL_57, rng)
    for number, pileup in enumerate(np.linspace(30, 60, 46)):
        specimens.add(toy.events(1, number + 1, float(pileup), 600, rng), float(pileup))
    groups = specimens.groups(30.0, 60.0)

    assert [one.pileup for one in groups] == pytest.approx([34.5, 45.0, 55.5], abs=1.5)
    assert all(one.recorded.events < GROUP + EVENTS for one in groups)


def test_too_few_events_make_no_group(toy):
    specimens = Specimens(AXOL1TL_57, np.random.default_rng(6))
    specimens.add(toy.events(1, 1, 50.0, 100, np.random.default_rng(6)), 50.0)

    assert specimens.groups(40.0, 60.0) == ()
