"""The events that a candidate must see faults in: drawn once, replayed alike, written beside the job."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from daemon import fault_samples
from daemon.config import RetrainSettings
from daemon.errors import RefusedError
from drift.library import SHIPPED
from drift.schema import AXOL1TL_57, NANOAOD_BITS
from retrain.dataset import ListedLumisection, split
from retrain.errors import DatasetError
from retrain.recipe import Recipe
from retrain.replays import in_order
from retrain.signals import ListedSignal, load_signals
from tests.unit.retrain.conftest import recipe, zero_bias

FAULTS = ("gain_jet=0.1", "hot_tower=0.05", "swapped_jet=1")


def rows(folder, *, events=300, certified=True):
    """Return twelve lumisections as a job lists them."""
    out = []
    for number in range(1, 13):
        path = folder / f"{number}.npy"
        np.save(path, zero_bias(events, number))
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        place = {"run": 382913, "lumisection": number, "fill": 1, "pileup": 50.0, "certified": certified}
        out.append({**place, "path": str(path), "sha256": sha256})
    return out


def asked(**changes) -> Recipe:
    return recipe(**{"faults": FAULTS, **changes})


def test_the_configured_faults_are_known_modes_at_sizes_they_have():
    shipped = fault_samples.names(RetrainSettings().faults)

    assert {name.split("=")[0] for name in shipped} <= {mode.name for mode in SHIPPED}
    assert shipped == RetrainSettings().faults


def test_names_come_in_one_spelling_and_order_each_once():
    assert fault_samples.names(["met_noise=20.0", "gain=0.10", "gain=1e-1"]) == ("gain=0.1", "met_noise=20")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gain_jets=0.1", "did you mean 'gain_jet'"),
        ("gain_jet", "expected MODE=SIZE"),
        ("gain_jet=much", "sizes of gain_jet are -0.5 to 0.5 without 0"),
        ("gain_jet=0", "without 0"),
        ("loss_jet=1.5", "0 to 1"),
        ("luminosity=0.1", "changes no event"),
    ],
)
def test_a_fault_that_cannot_be_replayed_is_refused_by_name(name, said):
    with pytest.raises(RefusedError, match=said):
        fault_samples.names([name])


def test_the_job_reads_what_was_written_healthy_first(tmp_path):
    listed = fault_samples.written(tmp_path / "faults", asked(), rows(tmp_path), AXOL1TL_57)

    files = [ListedSignal.from_json(one) for one in listed]
    samples = load_signals(files, in_order(FAULTS), 57, "fault")
    healthy = samples[0].features
    assert [one.name for one in samples] == ["healthy", *FAULTS]
    assert healthy.shape == (57, 5 * 300)
    assert all(one.features.shape == healthy.shape for one in samples)
    assert all((one.features != healthy).any() for one in samples[1:])
    assert np.array_equal(samples[3].features[28], healthy[29])  # Jet1 eta is where its phi was


def test_healthy_events_are_those_kept_from_training_and_unaltered(tmp_path):
    jobs = rows(tmp_path)
    listed = fault_samples.written(tmp_path / "faults", asked(), jobs, AXOL1TL_57)

    out = split([ListedLumisection.from_json(one) for one in jobs], 0.4, 1)
    held = np.concatenate([np.load(one["path"]) for one, kept in zip(jobs, out, strict=True) if kept], axis=1)
    healthy = np.load(listed[0]["path"])
    assert {event.tobytes() for event in healthy.T} == {event.tobytes() for event in held.T}


def test_the_same_recipe_draws_and_spoils_the_same_events_and_another_seed_others(tmp_path):
    jobs = rows(tmp_path)

    one = fault_samples.written(tmp_path / "a", asked(), jobs, AXOL1TL_57)
    two = fault_samples.written(tmp_path / "b", asked(), list(reversed(jobs)), AXOL1TL_57)
    other = fault_samples.written(tmp_path / "c", asked(seed=2), jobs, AXOL1TL_57)

    assert [row["sha256"] for row in one] == [row["sha256"] for row in two]
    assert not {row["sha256"] for row in one} & {row["sha256"] for row in other}


def test_a_faults_copy_does_not_depend_on_what_else_is_asked_for(tmp_path):
    jobs = rows(tmp_path)

    alone = fault_samples.written(tmp_path / "a", asked(faults=FAULTS[1:2]), jobs, AXOL1TL_57)
    among = fault_samples.written(tmp_path / "b", asked(), jobs, AXOL1TL_57)

    assert alone[1]["sha256"] == among[2]["sha256"]


def test_many_events_are_drawn_up_to_a_limit(tmp_path):
    listed = fault_samples.written(tmp_path / "faults", asked(), rows(tmp_path), AXOL1TL_57, most=1000)

    assert np.load(listed[0]["path"]).shape == (57, 1000)


def test_without_faults_nothing_is_written(tmp_path):
    assert fault_samples.written(tmp_path / "faults", asked(faults=()), rows(tmp_path), AXOL1TL_57) == []
    assert not (tmp_path / "faults").exists()


@pytest.mark.parametrize("certified", [None, False])
def test_events_that_nobody_certified_are_not_called_healthy(tmp_path, certified):
    with pytest.raises(RefusedError, match="none of 12 lumisections is certified"):
        fault_samples.written(tmp_path / "f", asked(), rows(tmp_path, certified=certified), AXOL1TL_57)


def test_altered_events_and_data_without_objects_are_refused(tmp_path):
    jobs = rows(tmp_path)

    with pytest.raises(RefusedError, match=r"no missing momentum.*retrain\.faults = \[\]"):
        fault_samples.written(tmp_path / "f", asked(), _without_rows(jobs), NANOAOD_BITS)
    for one in jobs:
        Path(one["path"]).write_bytes(b"\x93NUMPY")
    with pytest.raises(DatasetError, match="was altered"):
        fault_samples.written(tmp_path / "f", asked(), jobs, AXOL1TL_57)


def _without_rows(jobs):
    """Return the same lumisections with events that have no input at all."""
    out = []
    for one in jobs:
        path = Path(one["path"]).with_suffix(".bits.npy")
        np.save(path, np.zeros((0, 300), np.int16))
        out.append({**one, "path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    return out
