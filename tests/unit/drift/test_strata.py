"""A reference tells kinds of running apart, so that what belongs to one of them is neither an alarm nor an excuse."""

from dataclasses import replace

import numpy as np
import pytest

from drift.alternatives import RiverDetector
from drift.errors import ReferenceUnfitError
from drift.library import SHIPPED
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.sensitivity import sensitivities
from drift.standing import Standing
from drift.support import unfit
from drift.template import Template
from drift.watch import Watch

BUDGET = 9e-6


def fewer_jets(keep=0.93):
    """Jets lost everywhere: what a filling scheme with other trains might do to their number."""

    def fault(found, rng):
        jets = found["JET"]
        jets.pt[rng.random(jets.pt.shape) > keep] = 0

    return fault


def mixed(toy, seed, n_fills, lumisections, first=1, fault=None):
    """Fills in turn of scheme B, with fewer jets, and of scheme A; the fault, if any, on top."""
    for fill in range(first, first + n_fills):
        scheme = "B" if fill % 2 else "A"

        def both(found, rng, scheme=scheme):
            if scheme == "B":
                fewer_jets()(found, rng)
            if fault is not None:
                fault(found, rng)

        for summary, conditions in toy.fills([seed, fill], 1, lumisections, 300, fault=both, first=fill):
            yield summary, replace(conditions, filling_scheme=scheme)


def start(reference, state=None):
    return Watch(reference, false_alarms_per_lumisection=BUDGET, stream="axo", state=state)


def told(reference, pairs):
    watch = start(reference)
    return [one.alarm.verdict for one in (watch.take(*pair) for pair in pairs) if one.alarm is not None]


@pytest.fixture(scope="module")
def learnt(toy):
    return list(mixed(toy, 11, 6, 60))


@pytest.fixture(scope="module")
def stratified(learnt):
    return Reference.fit(learnt, AXOL1TL_57, strata=("filling_scheme",))


@pytest.fixture(scope="module")
def fresh(toy):
    return list(mixed(toy, 21, 4, 50, first=20))


def test_a_template_finds_what_a_stratum_adds():
    rng = np.random.default_rng(3)
    pileup, events = rng.uniform(20, 60, 600), np.full(600, 500.0)
    members = np.eye(2)[np.arange(600) % 2]
    truth = np.exp(-2 + 0.01 * pileup + 0.2 * members[:, 1])[:, None]
    found = Template.fit(rng.poisson(truth * events[:, None]).astype(float), events, pileup, 1, members)
    one, other = (found.shifted([row]).at(40.0)[0] for row in (0, 1))

    assert np.log(other / one) == pytest.approx(0.2, abs=0.02)
    assert np.log(found.at(40.0)[0]) == pytest.approx(np.log(one * other) / 2, abs=1e-4)
    assert found.shifts.sum() == pytest.approx(0.0, abs=1e-4)


def test_a_stratum_that_moves_jets_is_an_alarm_to_a_reference_of_another_and_none_with_strata(
    learnt, stratified, fresh
):
    only_a = Reference.fit([pair for pair in learnt if pair[1].filling_scheme == "A"], AXOL1TL_57)

    assert told(only_a, fresh) == ["real_shift"]
    assert told(stratified, fresh) == []


def test_strata_leave_a_reference_sharp_where_a_mixture_makes_it_blind(toy, learnt, stratified):
    blurred = Reference.fit(learnt, AXOL1TL_57)
    place = {one.name: i for i, one in enumerate(stratified.streams.labels)}["JET per event"]
    offset = {one.name: blurred.benign.offset[i] for i, one in enumerate(blurred.streams.labels)}["JET per event"]
    more_lost = list(mixed(toy, 22, 2, 50, first=20, fault=fewer_jets(0.96)))

    assert offset > 100 * stratified.benign.offset[place]
    assert told(stratified, more_lost) == ["real_shift"]
    assert told(blurred, more_lost) == []


def test_without_strata_the_view_is_the_reference_itself(toy_reference, fresh):
    assert all(toy_reference.at(conditions) is toy_reference for _, conditions in fresh)
    assert toy_reference.streams.shares.shifts.size == 0


def test_a_stratum_changes_constants_and_nothing_else(stratified, fresh):
    view = stratified.at(next(c for _, c in fresh if c.filling_scheme == "B"))
    other = stratified.at(next(c for _, c in fresh if c.filling_scheme == "A"))
    jets = stratified.streams.objects.index("JET")

    assert view.streams.rates.at(50.0)[jets] / other.streams.rates.at(50.0)[jets] == pytest.approx(0.93, abs=0.01)
    assert np.array_equal(view.streams.shares.coefficients[1:], stratified.streams.shares.coefficients[1:])
    assert view.streams.labels == stratified.streams.labels
    assert view.digest == stratified.digest
    assert (view.benign.offset >= stratified.benign.offset).all()
    assert stratified.under(Standing("filling scheme B")) is view


def test_a_reference_with_strata_comes_back_from_disk(stratified, fresh, tmp_path):
    stratified.save(tmp_path / "ref.npz")
    back = Reference.load(tmp_path / "ref.npz")
    summary, conditions = fresh[0]

    assert back.digest == stratified.digest
    assert back.strata == stratified.strata
    assert np.array_equal(
        back.at(conditions).residuals(summary, conditions.pileup),
        stratified.at(conditions).residuals(summary, conditions.pileup),
    )


def test_a_stratum_of_a_single_fill_is_left_out_and_said_so(toy, learnt):
    lonely = [(s, replace(c, filling_scheme="C")) for s, c in toy.fills(12, 1, 60, 300, first=9)]
    reference = Reference.fit([*learnt, *lonely], AXOL1TL_57, strata=("filling_scheme",))

    assert reference.strata.names == ("filling scheme A", "filling scheme B")
    assert 9 not in reference.fills
    assert any("fewer than 2 fills: filling scheme C" in one for one in reference.advice)
    assert "only a single fill of it" in unfit(reference, *lonely[30]).reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"filling_scheme": "Z"}, "filling scheme Z is a stratum that the reference does not have"),
        ({"filling_scheme": None}, "filling scheme unknown"),
    ],
)
def test_a_stratum_that_the_reference_lacks_is_out_of_support_and_named(stratified, fresh, change, words):
    summary, conditions = fresh[10]
    decision = start(stratified).take(summary, replace(conditions, **change))

    assert decision.state == "out_of_support"
    assert words in decision.reason


def test_bunches_never_stand_in_for_a_filling_scheme(toy):
    with pytest.raises(ReferenceUnfitError, match="stratum unknown"):
        Reference.fit(toy.fills(1, 3, 30, 60), AXOL1TL_57, strata=("filling_scheme",))


@pytest.mark.parametrize("columns", [("bunches",), ("filling_scheme", "filling_scheme")])
def test_columns_that_tell_nothing_apart_are_refused(toy, columns):
    with pytest.raises(ReferenceUnfitError, match="known are prescale_column, filling_scheme"):
        Reference.fit([], AXOL1TL_57, strata=columns)


def test_a_column_that_changes_within_a_fill_adds_no_evidence(toy):
    """Every tenth lumisection another prescale column with other jets, as nothing in zero bias does."""

    def stepped(seed, n_fills, first=1):
        for fill in range(first, first + n_fills):
            rng = np.random.default_rng([seed, fill])
            gain = 1 + 0.002 * rng.normal()
            for number in range(1, 61):
                column = number // 10 % 3
                pileup = 58 * np.exp(-0.5 * number / 60) + rng.normal(0, 0.2)
                fault = fewer_jets(1 - 0.06 * column)
                events = toy.events(1000 + fill, number, pileup, 300, rng, fault, gain)
                base = next(iter(toy.fills(1, 1, 1, 60)))[1]
                at = replace(base, run=1000 + fill, lumisection=number, fill=fill, pileup=pileup)
                yield toy.Summariser(AXOL1TL_57).fill(events), replace(at, prescale_column=f"column{column}")

    reference = Reference.fit(stepped(31, 5), AXOL1TL_57, strata=("prescale_column",))
    watch = start(reference)
    decisions = [watch.take(*pair) for pair in stepped(32, 4, first=20)]

    assert reference.strata.names == tuple(f"prescale column column{i}" for i in range(3))
    assert {one.state for one in decisions} <= {"quiet", "out_of_support"}


def test_strata_of_two_columns_are_their_combinations(learnt):
    halves = [(s, replace(c, prescale_column=f"p{c.lumisection % 2}")) for s, c in learnt]
    reference = Reference.fit(halves, AXOL1TL_57, strata=("prescale_column", "filling_scheme"))

    assert reference.strata.names[0] == "prescale column p0, filling scheme A"
    assert len(reference.strata.names) == 4


def test_a_restored_watch_remembers_under_which_stratum_it_saw(stratified, toy):
    pairs = list(mixed(toy, 23, 3, 40, first=20, fault=fewer_jets(0.9)))
    whole, stopped = start(stratified), start(stratified)
    expected = [whole.take(*pair) for pair in pairs]
    for pair in pairs[:41]:
        stopped.take(*pair)
    restored = start(stratified, stopped.save())

    assert [restored.take(*pair) for pair in pairs[41:]] == expected[41:]
    assert restored.save() == whole.save()


def test_rivers_detectors_and_sensitivity_look_through_the_stratum(stratified, toy, fresh):
    river = RiverDetector(stratified, detector="page_hinkley", false_alarms_per_lumisection=BUDGET, stream="axo")
    b = [one for one in fresh if one[1].filling_scheme == "B"]
    rng = np.random.default_rng(5)
    events = [toy.events(1, i + 1, 50.0, 1000, rng, fewer_jets()) for i in range(4)]
    asked = {
        name: sensitivities(
            reference,
            events,
            50.0,
            false_alarms_per_lumisection=BUDGET,
            rng=np.random.default_rng(1),
            modes=[one for one in SHIPPED if one.name == "gain_jet"],
        )[0].least[10]
        for name, reference in (("plain", stratified), ("view", stratified.at(b[0][1])))
    }

    assert [one.state for one in (river.take(*pair) for pair in b[:40])].count("alarm") == 0
    assert asked["view"] is not None
    assert asked["view"] == pytest.approx(asked["plain"], rel=0.2)
