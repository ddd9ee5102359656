"""What a mode does to the streams is learnt from events, belongs to the reference and travels with it."""

import numpy as np
import pytest

from drift.library import SHIPPED
from drift.reference import NO_LIBRARY, Reference
from drift.signatures import correlation_of


def place(signatures, name, sign=1):
    return next(
        row
        for row, (one, trial) in enumerate(zip(signatures.names, signatures.trial, strict=True))
        if one == name and np.sign(trial) == sign
    )


def stream(reference, name):
    return [one.name for one in reference.streams.labels].index(name)


def test_a_mode_moves_the_streams_that_its_words_name(toy_library):
    found = toy_library.signatures
    at = found.at(50.0)

    assert at[place(found, "gain_jet"), stream(toy_library, "JET pt scale")] > 0.5
    assert abs(at[place(found, "gain_jet"), stream(toy_library, "EG pt scale")]) < 0.05
    assert at[place(found, "loss_eg"), stream(toy_library, "EG per event")] < -0.5
    sector = at[place(found, "sector_jet_4")]
    phi = [stream(toy_library, f"JET azimuth {30 * k} to {30 * k + 30} deg") for k in range(12)]
    assert int(np.argmin(sector[phi])) == 3


def test_either_sign_is_there_as_replayed_and_as_the_mirror_image_of_the_other(toy_library):
    found = toy_library.signatures
    rows = [row for row, one in enumerate(found.names) if one == "gain"]
    up, down, mirrored_down, mirrored_up = (found.shift[row] for row in rows)

    assert [np.sign(found.trial[row]) for row in rows] == [1, -1, -1, 1]
    assert np.array_equal(mirrored_down, -up)
    assert np.array_equal(mirrored_up, -down)
    assert (found.range[rows, 0] == 0).all()


def test_between_pileups_the_shift_is_between_its_neighbours(toy_library):
    found = toy_library.signatures
    low, high = found.pileups[0], found.pileups[-1]

    assert np.array_equal(found.at(low - 5), found.shift[:, 0])
    assert np.array_equal(found.at(high + 5), found.shift[:, -1])
    assert found.at((found.pileups[0] + found.pileups[1]) / 2) == pytest.approx(found.shift[:, :2].mean(axis=1))


def test_a_reference_without_events_says_that_it_has_no_library(toy_reference, toy_library):
    assert toy_reference.signatures is None
    assert NO_LIBRARY in toy_reference.advice
    assert NO_LIBRARY not in toy_library.advice
    assert toy_reference.digest != toy_library.digest
    assert toy_reference.with_library((), np.random.default_rng(1)) is toy_reference


def test_a_library_comes_back_from_disk_bit_for_bit(toy_library, tmp_path):
    toy_library.save(tmp_path / "reference.npz")
    back = Reference.load(tmp_path / "reference.npz")

    assert back.digest == toy_library.digest
    assert np.array_equal(back.signatures.shift, toy_library.signatures.shift)
    assert back.signatures.names == toy_library.signatures.names
    assert np.array_equal(back.correlation, toy_library.correlation)


def test_a_family_can_be_left_out_as_if_nobody_had_thought_of_it(toy_library):
    left = toy_library.signatures.without(("gain", "ageing"))

    assert not {"gain", "gain_eg", "ageing_eg"} & set(left.names)
    assert left.shift.shape[0] == len(left.names) < len(toy_library.signatures.names)
    assert {one.name for one in SHIPPED if not one.placed} == set(toy_library.signatures.names)


def test_a_correlation_of_few_lumisections_is_shrunk_so_far_that_it_can_be_inverted():
    rng = np.random.default_rng(2)
    common = rng.normal(size=(60, 1))
    values = 0.8 * common + 0.6 * rng.normal(size=(60, 100))
    found = correlation_of(values)

    assert np.linalg.eigvalsh(found).min() > 0.1
    assert np.diag(found) == pytest.approx(1.0)
    assert 0.1 < found[0, 1:].mean() < 0.64
