"""A glance shows what one lumisection says, and leaves out what it cannot say."""

import json
from itertools import islice

import numpy as np
import pytest

from drift.conditions import Conditions
from drift.glance import COLUMNS, MOST_SEEDS, RECENT, ROWS, Glance, glance
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from tests.unit.drift.scored import scored_fills
from tests.unit.drift.seed_counting import SEEDS, counted, rate_reference


def pairs(toy, seed, n=RECENT, **changes):
    return list(islice(toy.fills(seed, 1, 60, 300, **changes), n))


def shown(reference, found):
    return glance(reference, [summary for summary, _ in found], found[-1][1])


def test_every_feature_that_is_not_too_rare_has_a_residual_and_a_healthy_one_is_small(toy, toy_reference):
    seen = shown(toy_reference, pairs(toy, 31))

    silent = set(AXOL1TL_57.names) - set(seen.features)

    assert all(name == "MET_eta" or name.startswith("Mu") for name in silent)  # always 0, or too rare for a shape
    assert np.median(np.abs(list(seen.features.values()))) < 1.5
    assert seen.empty.keys() == {"EG", "MU", "JET"}
    assert seen.prescale_column == "2p0E34"


def test_a_dead_region_is_the_deepest_cell_of_the_coarse_map(toy, toy_reference):
    seen = shown(toy_reference, pairs(toy, 32, fault=toy.dead_box("JET")))
    cells = {(row, column): pull for row, line in enumerate(seen.occupancy["JET"]) for column, pull in enumerate(line)}
    deepest = min((pull, place) for place, pull in cells.items() if pull is not None)

    assert len(cells) == ROWS * COLUMNS
    assert deepest[0] < -5
    assert deepest[1][1] in {9, 10}  # phi of 108 to 124 steps of 144


def test_a_map_of_too_few_objects_says_nothing_where_little_is_expected(toy, toy_reference):
    seen = shown(toy_reference, pairs(toy, 33, n=1))

    assert any(pull is None for row in seen.occupancy["MU"] for pull in row)


def test_quantiles_rise_and_those_without_events_above_them_are_left_out():
    found = [(summary, at) for summary, at, *_ in scored_fills(34, 3, 30, 300)]
    reference = Reference.fit(iter(found), AXOL1TL_57)
    seen = glance(reference, [summary for summary, _ in found[:RECENT]], found[RECENT - 1][1])

    assert list(seen.quantiles) == ["0.5", "0.9", "0.99", "0.999"] or list(seen.quantiles) == ["0.5", "0.9", "0.99"]
    assert list(seen.quantiles.values()) == sorted(seen.quantiles.values())
    assert seen.thresholds == {"SELDOM": 3000, "OFTEN": 300}
    assert 0 <= seen.passing["SELDOM"] <= seen.passing["OFTEN"] <= 1
    assert seen.saturated is not None


def test_seeds_stand_beside_their_prediction(toy, toy_reference):
    rates = rate_reference(toy.fills(35, 4, 40, 1))
    *_, (summary, at, counts) = counted(pairs(toy, 36), 3, factor={"L1_AXO_Tight": 1.5})
    seen = {one.seed: one for one in glance(toy_reference, [summary], at, rates, counts).seeds}

    assert seen.keys() == SEEDS.keys()
    assert len(seen) <= MOST_SEEDS
    assert seen["L1_AXO_Tight"].sigma > 5
    assert seen["L1_AXO_Tight"].observed_hz > seen["L1_AXO_Tight"].high_hz
    assert seen["L1_SingleMu22"].low_hz < seen["L1_SingleMu22"].predicted_hz < seen["L1_SingleMu22"].high_hz


def test_a_glance_comes_back_whole_from_json(toy, toy_reference):
    rates = rate_reference(toy.fills(35, 4, 40, 1))
    *_, (summary, at, counts) = counted(pairs(toy, 36), 3)
    seen = glance(toy_reference, [summary], at, rates, counts)

    assert Glance.from_json(json.loads(json.dumps(seen.to_json()))) == seen


def test_nothing_is_shown_of_an_unknown_pileup(toy, toy_reference):
    ((summary, _),) = pairs(toy, 37, n=1)

    with pytest.raises(ValueError, match="known pileup"):
        glance(toy_reference, [summary], Conditions(1, 1))
