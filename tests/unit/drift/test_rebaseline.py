"""A declared interval gets constants of its own; outside it, and of other objects, a reference stays bit for bit."""

from dataclasses import replace

import numpy as np
import pytest

from drift.errors import ReferenceUnfitError
from drift.rebaseline import rebaseline, shift
from drift.reference import Reference
from tests.unit.drift.test_declared import LUT, MASK, UNSCOPED, both, decide, holed, under, verdicts


@pytest.fixture(scope="module")
def inside(toy):
    """Two fills and a half under the new jet table, from run 1021 lumisection 10 on."""
    pairs = toy.fills(31, 4, 50, 300, fault=toy.scaled(("JET",), 1.06), from_lumisection=59, first=20)
    return under(pairs, LUT)


@pytest.fixture(scope="module")
def renewed(toy_reference, inside):
    return rebaseline(toy_reference, LUT, inside)


def test_declared_objects_speak_again_inside_the_interval(toy, renewed):
    usual = under(toy.fills(131, 3, 50, 300, fault=toy.scaled(("JET",), 1.06), first=30), LUT)
    fault = both(toy.scaled(("JET",), 1.06), toy.scaled(("JET",), 0.93))
    moved = under(toy.fills(231, 2, 50, 300, fault=fault, first=30), LUT)

    assert renewed.at(usual[0][1]).quiet.streams.sum() == 0
    assert verdicts(renewed, usual) == []
    assert verdicts(renewed, moved) == ["real_shift"]


def said(reference, pairs):
    """Every decision, without the digest of the reference that an explanation names."""
    alone = [
        (one, one.alarm and (one.alarm.to_json(), one.alarm.explanation.to_json())) for one in decide(reference, pairs)
    ]
    return [
        (one.state, one.reason, one.log_evidence, told and (told[0], told[1] | {"reference": ""}))
        for one, told in alone
    ]


def test_outside_the_interval_every_decision_is_bit_for_bit_as_before(toy, toy_reference, renewed):
    faulty = list(toy.fills(33, 3, 50, 300, fault=toy.scaled(("JET",), 1.03), from_lumisection=70, first=17))
    healthy = list(toy.fills(34, 3, 50, 300, first=17))

    assert all(not LUT.holds((c.run, c.lumisection)) for _, c in faulty + healthy)
    for pairs in (faulty, healthy):
        assert said(renewed, pairs) == said(toy_reference, pairs)


def test_before_the_interval_begins_in_the_same_stream_nothing_differs(toy_reference, renewed, inside):
    first = next(i for i, (_, c) in enumerate(inside) if LUT.holds((c.run, c.lumisection)))

    assert first == 59
    assert said(renewed, inside[:first]) == said(toy_reference, inside[:first])


def test_after_the_interval_jets_start_anew_and_the_old_expectation_holds(toy, toy_reference):
    """The table is taken back; under the old reference the same fills raise no alarm either."""

    def for_a_while(found, rng):
        for_a_while.count += 1
        if for_a_while.count <= 100:
            toy.scaled(("JET",), 1.06)(found, rng)

    for_a_while.count = 0
    change = replace(LUT, last=(1023, 9))
    pairs = under(toy.fills(35, 5, 50, 300, fault=for_a_while, from_lumisection=59, first=20), change)
    renewed = rebaseline(toy_reference, change, pairs)

    assert not change.holds((1023, 10))
    assert verdicts(renewed, pairs) == []
    assert verdicts(toy_reference, pairs) == []


def test_only_constants_of_the_declared_objects_are_new(toy_reference, renewed, inside):
    view, streams = renewed.at(inside[-1][1]), toy_reference.streams
    moved = {
        streams.objects[i]
        for i, (old, new) in enumerate(zip(streams.rates.at(50.0), view.streams.rates.at(50.0), strict=True))
        if old != new
    }
    same = [i for i, one in enumerate(toy_reference.cells) if one.object != "JET"]

    assert moved == {"JET"}
    assert np.array_equal(view.streams.shares.coefficients[1:], streams.shares.coefficients[1:])
    for i in same:
        assert np.array_equal(view.cells[i].expected(9.0, 50.0), toy_reference.cells[i].expected(9.0, 50.0))
        assert all(map(np.array_equal, view.cells[i].error, toy_reference.cells[i].error))
    assert renewed.streams.shares.at(50.0).tolist() == streams.shares.at(50.0).tolist()


def test_a_rebaselined_reference_names_its_parent_and_comes_back_from_disk(toy_reference, renewed, inside, tmp_path):
    renewed.save(tmp_path / "new.npz")
    back = Reference.load(tmp_path / "new.npz")
    summary, conditions = inside[-1]

    assert renewed.parent == toy_reference.digest
    assert back.digest == renewed.digest != toy_reference.digest
    assert back.rebaselined == renewed.rebaselined
    assert back.rebaselined[0].fills == (21, 22, 23)
    assert np.array_equal(
        back.at(conditions).residuals(summary, conditions.pileup),
        renewed.at(conditions).residuals(summary, conditions.pileup),
    )


def test_the_same_lumisections_in_any_order_give_the_same_digest(toy_reference, renewed, inside):
    shuffled = [inside[i] for i in np.random.default_rng(1).permutation(len(inside))]
    sums = rebaseline(toy_reference, LUT, shuffled)

    assert np.allclose(sums.streams.shares.shifts, renewed.streams.shares.shifts, atol=1e-9)


def test_a_mask_is_rebaselined_around_its_region(toy, toy_reference):
    pairs = under(holed(toy), MASK)
    renewed = rebaseline(toy_reference, MASK, pairs)
    before, after = (one.at(pairs[-1][1]).quiet for one in (toy_reference, renewed))
    spectra = [one.family in {"scale", "chi2", "pc"} for one in toy_reference.streams.labels]

    assert before.streams[spectra].any()
    assert not after.streams[spectra].any()
    assert after.outside.keys() == before.outside.keys()
    assert verdicts(renewed, pairs) == []


def test_a_change_of_unknown_scope_gets_constants_for_every_object(toy, toy_reference):
    pairs = under(toy.fills(31, 4, 50, 300, fault=toy.scaled(("JET",), 1.06), from_lumisection=59, first=20), UNSCOPED)
    renewed = rebaseline(toy_reference, UNSCOPED, pairs)

    assert renewed.rebaselined[0].objects == ("MET", "EG", "MU", "JET")
    assert verdicts(renewed, pairs) == []


def test_a_second_change_builds_on_the_first(toy, renewed):
    second = replace(LUT, id="lut-2", first=(1040, 1), objects=("EG",))
    fault = both(toy.scaled(("JET",), 1.06), toy.scaled(("EG",), 1.08))
    pairs = under(toy.fills(36, 3, 50, 300, fault=fault, first=40), LUT, second)
    both_known = rebaseline(renewed, second, pairs)

    assert both_known.parent == renewed.digest
    assert both_known.standing(pairs[0][1]).rebaselined == ("lut-1", "lut-2")
    assert verdicts(both_known, pairs) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replace(LUT, first=(1023, 1)), "found 1 fills and 50 lumisections|found 1 fills and 4. lumisections"),
        (replace(LUT, last=(1022, 9)), "needs 2 fills and 60 usable"),
        (replace(UNSCOPED, kind="menu"), "declares no objects"),
    ],
)
def test_too_little_to_fit_from_is_refused_with_what_is_missing(toy_reference, inside, change, words):
    with pytest.raises(ReferenceUnfitError, match=words):
        rebaseline(toy_reference, change, inside)


def test_uncertified_lumisections_do_not_count(toy_reference, inside):
    with pytest.raises(ReferenceUnfitError, match="found 0 fills"):
        rebaseline(toy_reference, LUT, [(s, replace(c, certified=None)) for s, c in inside])


def test_what_is_known_already_is_not_fitted_again(renewed, inside):
    with pytest.raises(ReferenceUnfitError, match="start from its parent"):
        rebaseline(renewed, LUT, inside)


def test_a_shift_is_the_most_likely_constant_and_tame_where_nothing_is_expected():
    found = shift(np.array([2000.0, 500.0, 0.0, 0.0]), np.array([1000.0, 1000.0, 0.0, 3.0]))

    assert found[:2] == pytest.approx(np.log([2.0, 0.5]), abs=2e-3)
    assert found[2] == 0.0
    assert -1.5 < found[3] < -0.5
