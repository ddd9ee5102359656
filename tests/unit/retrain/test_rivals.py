"""Candidate and champion on the same replayed faults and the same held-out lumisections."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from retrain import gain, measuring, rivals
from retrain.adopted import Adopted
from retrain.dataset import ListedLumisection, load
from retrain.errors import DatasetError, RecipeError
from retrain.recipe import Recipe, ranges
from retrain.replays import in_order
from retrain.signals import ListedSignal, load_signals
from tests.unit.retrain.conftest import recipe, small_program, zero_bias

FAULTS = ("louder=0.2", "mute=1")


def quiet(_fraction, _text):
    return None


def saved(path, array):
    np.save(path, array)
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def asked(**changes):
    spans = ranges((382913, number) for number in range(1, 121))
    return recipe(lumisections=spans, target_rate_hz=1.2e6, minimum_passing=20, **changes)


@pytest.fixture
def data(tmp_path):
    """A hundred and twenty lumisections of 250 events, ten or eleven of which should pass in each."""
    everything = zero_bias(30_000, 7)
    out = []
    for number in range(1, 121):
        features = np.ascontiguousarray(everything[:, 250 * (number - 1) : 250 * number])
        place = {"run": 382913, "lumisection": number, "fill": 9877, "pileup": 50.0, "certified": True}
        out.append(ListedLumisection.from_json({**place, **saved(tmp_path / f"{number}.npy", features)}))
    return load(out, asked(), 57)


def listed_faults(folder):
    healthy = zero_bias(3000, 21)
    louder, mute = healthy.copy(), healthy.copy()
    louder[::3] = (louder[::3] * 1.2).astype(np.int16)
    mute[3:] = 0
    samples = {"healthy": healthy, "louder=0.2": louder, "mute=1": mute}
    return [
        ListedSignal.from_json({"name": name, **saved(folder / f"{name}.npy", one)}) for name, one in samples.items()
    ]


@pytest.fixture
def samples(tmp_path):
    return load_signals(listed_faults(tmp_path), in_order(FAULTS), 57, "fault")


def against(sealed, data, *, seed=0, same=False):
    """Return a candidate beside the sealed champion, both cut at one rate on the held-out events."""
    candidate = measuring.Player(sealed.contract, small_program(seed))
    held = np.ascontiguousarray(data.features[:, data.mask(held_out=True)])
    cuts = [measuring.threshold_point(asked(), one.scores(held), None)["threshold"] for one in (candidate, sealed)]
    return rivals.Rivals(candidate, cuts[0], sealed, cuts[1], same_network=same)


def test_the_champions_own_network_sees_what_it_sees(sealed, data, samples):
    told = rivals.faults(asked(), against(sealed, data), samples, quiet)

    assert told["champion"] == {"digest": sealed.digest, "kind": "bundle", "same_network": False}
    assert [row["name"] for row in told["faults"]] == list(FAULTS)
    assert {row["verdict"] for row in told["faults"]} <= {"kept", "faint", "unseen"}
    assert all(row["candidate"] == row["champion"] for row in told["faults"])


def test_without_champion_and_without_faults_there_is_nothing_to_tell(sealed):
    alone = rivals.Rivals(measuring.Player(sealed.contract, small_program()), 2000)

    assert rivals.faults(asked(), alone, (), quiet)["faults"] == []
    assert rivals.new_data(asked(), alone, None, (), 0.01, quiet)["measures"] == []


def test_an_adopted_champion_is_called_what_it_is(sealed, tmp_path):
    library = Adopted(tmp_path, "d" * 64, {"threshold": 1})

    told = rivals.Rivals(measuring.Player(sealed.contract, small_program()), 1, library, 1).told()

    assert told["kind"] == "adopted library"


def test_a_champion_that_is_cut_wrongly_is_gained_on_and_at_its_right_cut_is_not(sealed, data):
    same = against(sealed, data)
    everything = sealed.scores(data.features)
    fraction = measuring.threshold_point(asked(), everything, None)["target_fraction"]
    wide, right = (
        replace(same.champion, manifest={**sealed.manifest, "threshold": int(np.quantile(everything, 1 - share))})
        for share in (3 * fraction, fraction)
    )

    told = [
        rivals.new_data(asked(), replace(same, champion=one), data, (), fraction, quiet)["measures"]
        for one in (wide, right)
    ]

    assert [[row["name"] for row in rows] for rows in told] == [["rate"], ["rate"]]
    assert [rows[0]["verdict"] for rows in told] == ["gain", "open"]
    assert told[0][0]["steps"] == told[1][0]["steps"] >= 20


def test_signals_are_judged_at_one_rate_unless_the_network_is_the_same(sealed, data, tmp_path):
    listed = [ListedSignal.from_json({"name": "Lively", **saved(tmp_path / "l.npy", zero_bias(800, 3))})]
    signals = load_signals(listed, ("Lively",), 57)
    fraction = measuring.threshold_point(asked(), np.arange(100), None)["target_fraction"]

    other = rivals.new_data(asked(), against(sealed, data, seed=4), data, signals, fraction, quiet)
    same = rivals.new_data(asked(), against(sealed, data, same=True), data, signals, fraction, quiet)

    assert [row["name"] for row in other["measures"]] == ["rate", "Lively"]
    assert [row["name"] for row in same["measures"]] == ["rate"]
    assert other["error_each"] == pytest.approx(0.025)
    assert other == rivals.new_data(asked(), against(sealed, data, seed=4), data, signals, fraction, quiet)


def test_faults_that_the_recipe_does_not_name_are_refused(tmp_path):
    listed = listed_faults(tmp_path)

    with pytest.raises(DatasetError, match=r"lists faults .*'mute=1'.* the recipe names \['healthy', 'louder=0\.2'\]"):
        load_signals(listed, in_order(FAULTS[:1]), 57, "fault")
    with pytest.raises(DatasetError, match=r"fault mute=1 .*altered"):
        load_signals([*listed[:2], replace(listed[2], sha256="0" * 64)], in_order(FAULTS), 57, "fault")


def test_a_recipe_of_before_keeps_its_digest_and_names_no_fault():
    plain = recipe()

    assert not {"faults", "needs_gain"} & set(plain.to_json())
    for wish in ({"faults": FAULTS}, {"needs_gain": True}):
        changed = recipe(**wish)
        assert changed.digest != plain.digest
        assert Recipe.from_json(changed.to_json()) == changed
    with pytest.raises(RecipeError, match="faults"):
        recipe(faults=("b", "a"))


def test_where_each_is_cut_is_told_and_no_played_block_moves_the_cut(sealed, data):
    both = against(sealed, data, seed=4)
    fraction = measuring.threshold_point(asked(), np.arange(100), None)["target_fraction"]
    counts = [count for count, out in zip(data.counts, data.held_out, strict=True) if out]
    block = np.repeat(gain.blocks(counts, fraction), counts)
    held = np.flatnonzero(data.mask(held_out=True))
    played, cutting = held[(block >= 0) & ~gain.calibrates(block)], held[gain.calibrates(block)]
    others = [data.features.copy(), data.features.copy()]
    for features, changed in zip(others, (played, cutting), strict=True):
        features[:, changed] = 0

    told = [
        rivals.new_data(asked(), both, replace(data, features=features), (), fraction, quiet)
        for features in (data.features, *others)
    ]

    assert told[0]["cut"] == told[1]["cut"] != told[2]["cut"]
    assert cutting.max() > played.min()  # so nothing may call the cut earlier than what is played for
    assert told[0]["cut_from"] == "every third block, between those that are played for and not before them"
    assert (told[0]["cut_champion"], told[0]["cut_champion_from"]) == (sealed.threshold, "the threshold it runs with")
