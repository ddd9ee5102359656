"""What a classifier learns from a sample is never what it is judged on."""

import hashlib

import numpy as np
import pytest

from retrain.errors import DatasetError
from retrain.signals import ListedSignal, judged_on, learned_from, load_signals, taught


@pytest.fixture
def samples(make_events, tmp_path):
    """Two samples; the second file of the first one holds some of its events again."""
    everything = make_events(3000, seed=5)
    listed = []
    for name, pileup, part in (
        ("Dull", 40.0, everything[:, :1200]),
        ("Dull", 60.0, everything[:, 1000:2000]),
        ("Lively", None, everything[:, 2000:]),
    ):
        path = tmp_path / f"{name}{len(listed)}.npy"
        np.save(path, np.ascontiguousarray(part))
        listed.append(ListedSignal(name, path, hashlib.sha256(path.read_bytes()).hexdigest(), pileup))
    return load_signals(listed, ("Dull", "Lively"), 57)


def rows(features):
    return {column.tobytes() for column in np.ascontiguousarray(features.T)}


def test_halves_share_no_event_even_when_files_do(samples):
    learned, judged = learned_from(samples, ["Dull"])[0], judged_on(samples, ["Dull"])[0]

    assert rows(learned.features).isdisjoint(rows(judged.features))
    assert learned.features.shape[1] + judged.features.shape[1] == 2200
    assert 0.45 < learned.features.shape[1] / 2200 < 0.55
    assert sum(count for _, count in learned.files) == learned.features.shape[1]
    assert [name for name, _ in learned.files] == [name for name, _ in samples[0].files]
    assert set(np.unique(judged.pileup)) == {40.0, 60.0}


def test_a_sample_that_is_not_learned_from_is_judged_whole(samples):
    assert judged_on(samples, ["Dull"])[1] is samples[1]
    assert [one.name for one in learned_from(samples, ["Dull"])] == ["Dull"]


def test_one_changed_integer_is_another_draw(make_events):
    events = make_events(2000, seed=9)
    changed = events.copy()
    changed[56] += 1

    differs = taught(events) != taught(changed)

    assert 0.4 < differs.mean() < 0.6


def test_a_half_without_events_is_refused(samples):
    few = np.ascontiguousarray(samples[0].features[:, taught(samples[0].features)])
    only = type(samples[0])("Dull", few, np.zeros(few.shape[1]), (("a" * 64, few.shape[1]),))

    with pytest.raises(DatasetError, match="judged"):
        only.half(learned=False)
