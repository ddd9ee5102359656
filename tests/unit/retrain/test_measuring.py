"""A working point on events nobody learned from, beside the champion, at one rate."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from retrain import measuring
from retrain.dataset import Dataset, ListedLumisection, SeedDecisions, load
from retrain.errors import DatasetError, RecipeError
from retrain.recipe import Recipe
from retrain.signals import ListedSignal, load_signals
from tests.unit.retrain.conftest import recipe, small_program, zero_bias


def quiet(_fraction, _text):
    return None


def saved(path, array):
    np.save(path, array)
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def lively(count, seed):
    """Return events with three times the momenta of zero bias: a signal any anomaly trigger likes."""
    features = zero_bias(count, seed)
    features[::3] = np.minimum(features[::3] * 3, 500)
    return features


@pytest.fixture
def listed(tmp_path):
    """Twelve lumisections of 500 events with the decisions of three other seeds, as a job lists them."""
    rng, everything = np.random.default_rng(1), zero_bias(6000, 7)
    out = []
    for number in range(1, 13):
        features = np.ascontiguousarray(everything[:, 500 * (number - 1) : 500 * number])
        fired = rng.random((3, 500)) < np.array([[0.3], [0.5], [0.9]])
        seeds = saved(tmp_path / f"s{number}.npy", fired.astype(np.uint8))
        prescales = [["L1_SingleJet180", 1], ["L1_SingleMu7", 4], ["L1_Off", 0]]
        place = {"run": 382913, "lumisection": number, "fill": 9877, "pileup": 50.0 + number % 3, "certified": True}
        files = saved(tmp_path / f"{number}.npy", features)
        out.append(ListedLumisection.from_json({**place, **files, "seeds": {**seeds, "prescales": prescales}}))
    return out


@pytest.fixture
def player(contract):
    return measuring.Player(contract, small_program())


def asked(**changes):
    return recipe(target_rate_hz=1.2e6, minimum_passing=20, **changes)


def test_the_pure_threshold_is_lower_and_its_rate_is_what_other_seeds_leave(listed, player):
    total = measuring.working_point(asked(), player, load(listed, asked(), 57), None, quiet)
    wanted = asked(rate="pure")
    data = load(listed, wanted, 57)

    pure = measuring.working_point(wanted, player, data, None, quiet)

    held = data.mask(held_out=True)
    passed = player.scores(data.features)[held] >= pure["threshold"]
    assert sorted(set(data.pure.tolist())) == [0.0, 0.75, 1.0]
    assert pure["threshold"] < total["threshold"]
    assert pure["weight"] == pytest.approx(data.pure[held][passed].sum())
    assert pure["total"]["rate_hz"] > pure["rate_hz"]
    assert sum(row["weight"] for row in pure["strata"]) == pytest.approx(pure["weight"])


def test_a_pure_rate_without_decisions_of_other_seeds_is_refused(listed):
    blind = [*listed[:5], replace(listed[5], seeds=None), *listed[6:]]

    with pytest.raises(DatasetError, match=r"382913:6 lists no decisions of other seeds"):
        load(blind, asked(rate="pure"), 57)
    assert load(blind, asked(), 57).pure is None


def test_altered_or_misshapen_decisions_are_refused(listed, tmp_path):
    other = saved(tmp_path / "other.npy", np.zeros((2, 500), np.uint8))
    wrong = SeedDecisions.from_json({**other, "prescales": [["a", 1]]})

    with pytest.raises(DatasetError, match=r"expected zeros and ones \(1, 500\)"):
        load([replace(listed[0], seeds=wrong), *listed[1:]], asked(rate="pure"), 57)
    listed[0].seeds.path.write_bytes(b"\x93NUMPY")
    with pytest.raises(DatasetError, match="was altered"):
        load(listed, asked(rate="pure"), 57)


def test_what_other_seeds_decided_is_in_the_evidence_of_a_pure_rate_only(listed):
    pure, total = load(listed, asked(rate="pure"), 57).evidence(), load(listed, asked(), 57).evidence()

    assert len(pure["seeds"]) == 12
    assert "seeds" not in total


def test_an_event_is_found_by_run_lumisection_and_place(listed):
    data = load(listed, asked(), 57)

    assert [data.name_of(place) for place in (0, 499, 500, 5999)] == [
        (382913, 1, 0),
        (382913, 1, 499),
        (382913, 2, 0),
        (382913, 12, 499),
    ]


@pytest.fixture
def signals(tmp_path):
    """Two samples: one at two pileups, one without a pileup."""
    files = [
        ListedSignal.from_json({"name": "Lively", "pileup": 30.0, **saved(tmp_path / "a.npy", lively(1500, 3))}),
        ListedSignal.from_json({"name": "Lively", "pileup": 60.0, **saved(tmp_path / "b.npy", lively(1500, 4))}),
        ListedSignal.from_json({"name": "Dull", **saved(tmp_path / "c.npy", zero_bias(800, 5))}),
    ]
    return load_signals(files, ("Dull", "Lively"), 57)


def test_against_itself_a_network_loses_nothing_at_one_rate(listed, signals, sealed):
    wanted = asked(signals=("Dull", "Lively"), champion=sealed.digest)
    data = load(listed, wanted, 57)
    same = measuring.Player(sealed.contract, sealed.program)
    point = measuring.working_point(wanted, same, data, sealed, quiet)

    told = measuring.comparison(wanted, same, point["threshold"], data, signals, sealed, quiet)

    assert point["against_champion"]["digest"] == sealed.digest
    assert {row["pileup_from"] for row in point["against_champion"]["strata"]} == {
        row["pileup_from"] for row in point["strata"]
    }
    of_champion = point["against_champion"]["champion"]
    assert sum(row["passing"] for row in point["against_champion"]["strata"]) == of_champion["passing"]
    assert told["champion"]["threshold_at_rate"] == told["threshold"]
    assert told["champion"]["threshold"] == sealed.threshold
    assert told["champion"]["in_its_recipe"] == told["champion"]["lumisections"] == 5
    assert (told["zero_bias"]["lost"], told["zero_bias"]["gained"]) == (0, 0)
    assert [one["name"] for one in told["signals"]] == ["Dull", "Lively"]
    assert all(one["lost"] == one["gained"] == 0 for one in told["signals"])
    assert told["signals"][1]["verdict"] == "not_worse"


def test_confidence_is_shared_by_every_verdict_that_is_asked_for(listed, player, signals, sealed):
    data = load(listed, asked(), 57)

    told = measuring.comparison(asked(), player, 3000, data, signals, sealed, quiet)

    assert told["verdicts"] == 4  # Dull, Lively, and Lively at two pileups
    assert told["confidence_each"] == pytest.approx(1 - 0.05 / 4)


def test_another_network_loses_and_gains_named_events(listed, signals, sealed, contract):
    data = load(listed, asked(), 57)
    other = measuring.Player(contract, small_program(seed=9))
    point = measuring.working_point(asked(), other, data, sealed, quiet)

    told = measuring.comparison(asked(), other, point["threshold"], data, signals, sealed, quiet)

    zero = told["zero_bias"]
    assert zero["lost"] == len(zero["lost_events"]) > 0
    run, lumisection, place = zero["lost_events"][0]
    held = {one.lumisection for one, out in zip(data.lumisections, data.held_out, strict=True) if out}
    assert run == 382913
    assert lumisection in held
    features = data.features[:, 500 * (lumisection - 1) + place][:, None]
    assert sealed.program.run(sealed.contract, features)[0] >= told["champion"]["threshold_at_rate"]
    assert other.scores(features)[0] < told["threshold"]
    assert told["signals"][1]["slices"][0]["lost"] >= 0


def test_without_a_champion_efficiencies_stand_alone(listed, player, signals):
    data = load(listed, asked(), 57)

    told = measuring.comparison(asked(), player, 3000, data, signals, None, quiet)

    assert told["champion"] is None
    assert "zero_bias" not in told
    assert told["signals"][1]["candidate"]["events"] == 3000
    assert [row["pileup_from"] for row in told["signals"][1]["strata"]] == [30.0, 60.0]


@pytest.mark.parametrize(("wanted", "said"), [((), r"names \[\]"), (("Dull", "Lively", "More"), "More")])
def test_the_recipe_says_which_signals_are_judged(tmp_path, wanted, said):
    one = ListedSignal.from_json({"name": "Dull", **saved(tmp_path / "c.npy", zero_bias(10, 5))})

    with pytest.raises(DatasetError, match=said):
        load_signals([one], wanted, 57)


def test_a_signal_that_is_altered_empty_or_listed_twice_is_refused(tmp_path):
    one = ListedSignal.from_json({"name": "Dull", **saved(tmp_path / "c.npy", zero_bias(10, 5))})
    empty = ListedSignal.from_json({"name": "Dull", **saved(tmp_path / "e.npy", np.zeros((57, 0), np.int16))})

    with pytest.raises(DatasetError, match="twice"):
        load_signals([one, one], ("Dull",), 57)
    with pytest.raises(DatasetError, match="no event"):
        load_signals([empty], ("Dull",), 57)
    with pytest.raises(DatasetError, match=r"signal Dull .* was altered"):
        load_signals([replace(one, sha256="0" * 64)], ("Dull",), 57)
    with pytest.raises(DatasetError, match="expected name"):
        ListedSignal.from_json({"path": "x"})


def test_a_recipe_of_before_keeps_its_digest_and_new_wishes_change_it():
    plain = recipe()

    assert not {"rate", "signals", "margin"} & set(plain.to_json())
    for wish in ({"rate": "pure"}, {"signals": ("TTbar",)}, {"margin": 0.2}):
        changed = recipe(**wish)
        assert changed.digest != plain.digest
        assert Recipe.from_json(changed.to_json()) == changed


@pytest.mark.parametrize("wish", [{"rate": "unique"}, {"signals": ("b", "a")}, {"margin": 0.0}])
def test_a_wish_out_of_range_is_refused_by_name(wish):
    with pytest.raises(RecipeError, match=next(iter(wish))):
        recipe(**wish)


def test_an_event_belongs_to_the_lumisection_it_stands_in():
    rows = tuple(ListedLumisection(1, number, None, "") for number in (3, 5, 9))
    data = Dataset(np.zeros((1, 4), np.int16), rows, (1, 0, 3), (False, False, True))

    assert [data.name_of(place) for place in range(4)] == [(1, 3, 0), (1, 9, 0), (1, 9, 1), (1, 9, 2)]
