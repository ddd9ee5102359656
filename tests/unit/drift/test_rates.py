"""Rates follow pileup by a curve that data choose; what deviates becomes evidence, and a handful of counts does not."""

import csv
import gzip
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from drift.conditions import Conditions, DeclaredChange
from drift.counters import SeedCount
from drift.diagnose import Diagnosis
from drift.errors import RatesUnfitError, StateError
from drift.expected_rates import foreseen
from drift.growth import RatePoints
from drift.rate_evidence import RateEvidence
from drift.rate_reference import REVOLUTION_HZ, RateReference
from drift.rate_rule import Ruling
from drift.rate_watch import RateWatch
from drift.rates import RateModel

BUNCHES = 2340
BUDGET = 9e-6
SEEDS = {
    "L1_SingleMu22": lambda pu: 0.07 * pu,
    "L1_HTT360er": lambda pu: 0.2 + 0.0012 * pu**2,
    "L1_ETMHF100": lambda pu: 0.02 * np.sinh(0.09 * pu),
    "L1_AXO_Tight": lambda pu: 0.008 * pu,
}
"""Hz a colliding bunch; in sum 11 kHz, 12 kHz, 4 kHz and 1 kHz at pileup 60."""


def shifts(seed, n_fills, lumisections, *, lost=None, factor=0.95, onset=0, prescale=1.0, start=60.0):
    """Conditions and counts of fills whose luminosity is off by 0.4 % a fill and 0.2 % a lumisection."""
    rng = np.random.default_rng(seed)
    for fill in range(n_fills):
        off = rng.normal(0, 0.004)
        for number in range(1, lumisections + 1):
            pileup = start * np.exp(-0.6 * number / lumisections)
            conditions = Conditions(
                400_000 + fill, number, 9000 + fill, pileup, BUNCHES, "2p0E34", "STABLE BEAMS", True, True, 0.03
            )
            true = pileup * (1 + off + rng.normal(0, 0.002))
            counts = {}
            for name, rate in SEEDS.items():
                broken = factor if name == lost and fill * lumisections + number > onset else 1.0
                mean = rate(true) * BUNCHES * 23.3104 * 0.97 / prescale * broken
                counts[name] = SeedCount(int(rng.poisson(mean)), prescale)
            yield conditions, counts


def points(rate, rng, n=300, fills=6, spread=0.003, bunch_s=50_000.0):
    fill = np.arange(n) % fills
    pileup = rng.uniform(20, 62, n)
    mean = rate(pileup) * bunch_s * (1 + rng.normal(0, spread, n) + rng.normal(0, spread, fills)[fill])
    return RatePoints(rng.poisson(mean).astype(float), np.full(n, bunch_s), pileup, fill)


@pytest.fixture(scope="module")
def reference():
    return RateReference.fit(shifts(1, 6, 120))


@pytest.mark.parametrize(
    ("shape", "families"),
    [
        (lambda pu: 0.07 * pu + 0.1, {"linear"}),
        (lambda pu: 0.3 + 0.002 * (pu - 10) ** 2, {"quadratic"}),
        (lambda pu: 0.02 * np.sinh(0.06 * pu), {"sinh"}),
        (lambda pu: 0.001 * np.exp(0.13 * pu), {"sinh", "exponential"}),
    ],
)
def test_the_family_that_made_the_counts_is_chosen_and_predicts_them(shape, families):
    """Twenty fits each; where sinh and exponential are the same curve, either is right."""
    found = Counter()
    for seed in range(20):
        model = RateModel.fit("L1_X", points(shape, np.random.default_rng(seed), bunch_s=1e6))
        found[model.family] += 1

        assert model.chosen_by == "held-out fills"
        assert model.hz_per_bunch(50.0)[0] == pytest.approx(shape(50.0), rel=0.01)
        assert model.spread == pytest.approx(0.0042, abs=0.002)
    assert sum(found[one] for one in families) >= 16, found


def test_intervals_of_predictions_cover_new_measurements_of_new_fills():
    """30 fits, seed 5, 300 new points each of which six share a fill: 95 % intervals hold 93 to 97.5 %."""
    rng, inside = np.random.default_rng(5), []

    def shape(pu):
        return 0.2 + 0.0012 * pu**2

    for _ in range(30):
        model = RateModel.fit("L1_X", points(shape, rng))
        fresh = points(shape, rng)
        for count, bunch_s, pileup in zip(fresh.counts, fresh.bunch_s, fresh.pileup, strict=True):
            expected = model.predict(pileup, BUNCHES, bunch_s / BUNCHES)
            inside.append(expected.low_hz <= count / bunch_s * BUNCHES <= expected.high_hz)

    assert 0.93 < np.mean(inside) < 0.975


def test_four_standard_deviations_away_is_left_out_of_the_fit():
    clean = points(lambda pu: 0.07 * pu, np.random.default_rng(2))
    counts = clean.counts.copy()
    counts[:12] *= 3.0
    model = RateModel.fit("L1_X", RatePoints(counts, clean.bunch_s, clean.pileup, clean.fill))

    assert 12 <= model.rejected <= 14
    assert model.hz_per_bunch(40.0)[0] == pytest.approx(2.8, rel=0.01)


def test_a_model_speaks_only_where_two_fills_have_been():
    base = points(lambda pu: 0.07 * pu, np.random.default_rng(3))
    lonely = RatePoints(
        base.counts, base.bunch_s, np.where(base.fill == 0, base.pileup, 25 + base.pileup / 2), base.fill
    )
    model = RateModel.fit("L1_X", lonely)

    assert not model.speaks(22.0)
    assert model.speaks(40.0)


def test_too_few_counts_to_fit_are_inconclusive():
    with pytest.raises(RatesUnfitError, match=r"inconclusive: .* 400"):
        RateModel.fit("L1_Rare", points(lambda pu: 2e-6 * pu / 50, np.random.default_rng(1)))


def test_a_model_comes_back_from_json_the_same(reference):
    again = RateModel.from_json(json.loads(json.dumps(reference.models[0].to_json())))

    assert again == reference.models[0]


def test_a_reference_comes_back_from_json_with_its_digest_and_notices_a_change(reference):
    tree = json.loads(json.dumps(reference.to_json()))

    assert RateReference.from_json(tree).digest == reference.digest
    assert RateReference.from_json(tree).to_json() == reference.to_json()
    tree["lumisections"] += 1
    with pytest.raises(RatesUnfitError, match="altered"):
        RateReference.from_json(tree)


def test_a_reference_comes_back_from_its_file_and_a_damaged_one_says_what_to_do(reference, tmp_path):
    path = tmp_path / "rates.json"
    reference.save(path)

    assert RateReference.load(path).to_json() == reference.to_json()
    assert [one.name for one in tmp_path.iterdir()] == ["rates.json"]
    for damaged in (path.read_text()[:-40], path.read_text().replace("linear", "sinh"), "[]", '{"version": 1}'):
        path.write_text(damaged)
        with pytest.raises(RatesUnfitError, match=r"rates.json.* make one with: retrigger reference rates"):
            RateReference.load(path)
    with pytest.raises(RatesUnfitError, match="No such file"):
        RateReference.load(tmp_path / "absent.json")


def test_rates_are_not_fitted_from_two_fills():
    with pytest.raises(RatesUnfitError, match=r"3 fills and 60 .* found 2 fills and 80"):
        RateReference.fit(shifts(1, 2, 40))


def test_a_seed_without_known_dead_time_is_inconclusive_and_says_so():
    pairs = [
        (Conditions(c.run, c.lumisection, c.fill, c.pileup, c.bunches, None, "STABLE BEAMS", True, True), counts)
        for c, counts in shifts(1, 3, 40)
    ]

    with pytest.raises(RatesUnfitError, match="dead time is unknown"):
        RateReference.fit(pairs)


def test_a_fill_that_leaves_the_pileups_of_all_others_makes_nothing_benign_that_is_not():
    """Its held-out curve is extrapolated to where no other fill was; what that misses is no wander."""
    near = [pair for pair in shifts(1, 4, 80) if pair[0].pileup > 52]
    far = [(replace(at, run=at.run + 50, fill=at.fill + 50), counts) for at, counts in shifts(2, 1, 80, start=55.0)]
    reference, without = RateReference.fit([*near, *far]), RateReference.fit(near)
    spread = [np.sqrt(one.benign.wander + one.benign.offset).max() for one in (reference, without)]

    assert spread[0] < 1.5 * spread[1]


def test_dead_time_and_prescale_are_corrected_before_a_rate_is_told(reference):
    watch = RateWatch(reference, false_alarms_per_lumisection=BUDGET)
    conditions, counts = next(iter(shifts(4, 1, 1, prescale=20.0, start=80.0)))
    decision = watch.take(conditions, counts)
    shown = {one.seed: one for one in decision.seeds}
    true = 0.07 * conditions.pileup * BUNCHES

    assert shown["L1_SingleMu22"].observed_hz == pytest.approx(true, rel=0.05)
    assert shown["L1_SingleMu22"].predicted_hz == pytest.approx(true, rel=0.01)


def test_luminosity_that_is_off_for_a_fill_is_no_alarm(reference):
    """40 streams (seeds 100 to 139) of 4 fills of 120 lumisections, 19 200 in all, at 9e-6 a lumisection: none."""
    alarms = lumisections = 0
    for seed in range(100, 140):
        watch = RateWatch(reference, false_alarms_per_lumisection=BUDGET)
        for conditions, counts in shifts(seed, 4, 120):
            decision = watch.take(conditions, counts)
            alarms += decision.onset is not None
            lumisections += decision.state in {"quiet", "warn", "alarm"}

    assert lumisections > 15_000
    assert alarms == 0


def test_a_seed_that_loses_a_twentieth_of_its_rate_is_named_within_minutes(reference):
    delays = []
    for seed in range(200, 220):
        watch = RateWatch(reference, false_alarms_per_lumisection=BUDGET)
        taken = (watch.take(*pair) for pair in shifts(seed, 1, 120, lost="L1_AXO_Tight", onset=20))
        place, decision = next((k, one) for k, one in enumerate(taken) if one.onset is not None)

        assert decision.contributors[0].object == "L1_AXO_Tight"
        assert decision.contributors[0].sign == -1
        assert abs(decision.onset[1] - 21) <= 3
        delays.append(place - 19)

    assert np.median(delays) <= 6


def test_an_alarm_is_told_once_until_it_is_acknowledged(reference):
    watch = RateWatch(reference, false_alarms_per_lumisection=BUDGET)
    decisions = [watch.take(*pair) for pair in shifts(7, 1, 120, lost="L1_HTT360er", factor=1.2)]

    assert sum(one.onset is not None for one in decisions) == 1
    assert decisions[90].state == "alarm"
    watch.acknowledge()
    assert watch.take(*list(shifts(7, 2, 120))[150]).state == "quiet"


def test_a_restored_watch_goes_on_bit_for_bit(reference):
    pairs = list(shifts(8, 2, 60, lost="L1_ETMHF100", factor=0.97, onset=30))
    whole = RateWatch(reference, false_alarms_per_lumisection=BUDGET)
    parts = RateWatch(reference, false_alarms_per_lumisection=BUDGET)
    for place, pair in enumerate(pairs):
        assert parts.take(*pair) == whole.take(*pair)
        if place % 17 == 0:
            parts = RateWatch(reference, false_alarms_per_lumisection=BUDGET, state=parts.save())

    assert parts.save() == whole.save()


def test_a_damaged_or_foreign_state_is_refused(reference):
    blob = RateWatch(reference, false_alarms_per_lumisection=BUDGET).save()
    other = RateReference.fit(shifts(2, 4, 60))

    with pytest.raises(StateError, match="checksum"):
        RateWatch(reference, false_alarms_per_lumisection=BUDGET, state=blob[:-1])
    with pytest.raises(StateError, match="belongs to reference"):
        RateWatch(other, false_alarms_per_lumisection=BUDGET, state=blob)


def test_a_seed_that_is_silent_for_a_while_keeps_its_evidence(reference):
    """Other seeds go on; what was gathered about the silent one neither grows nor fades, save starts that pass."""
    watch = RateWatch(reference, false_alarms_per_lumisection=BUDGET)
    pairs = list(shifts(9, 1, 120, lost="L1_AXO_Tight", factor=0.97, onset=24))
    for pair in pairs[:30]:
        watch.take(*pair)
    before = watch.by_seed()
    assert before["L1_AXO_Tight"] > 3
    for conditions, counts in pairs[30:40]:
        watch.take(conditions, {seed: one for seed, one in counts.items() if seed != "L1_AXO_Tight"})
    after = watch.by_seed()

    assert after["L1_AXO_Tight"] == pytest.approx(before["L1_AXO_Tight"], abs=0.7)
    assert after["L1_SingleMu22"] != before["L1_SingleMu22"]


def test_a_lower_prescale_does_not_turn_benign_wander_into_an_alarm():
    """Fitted at prescale 200, watched at 1: the reference could not see 0.4 %, so 0.4 % is not held against it."""
    coarse = RateReference.fit(shifts(1, 6, 120, prescale=200.0))
    for seed in range(10):
        watch = RateWatch(coarse, false_alarms_per_lumisection=BUDGET)
        assert all(watch.take(*pair).onset is None for pair in shifts(300 + seed, 3, 120))


def test_where_nothing_was_learnt_nothing_is_said(reference):
    watch = RateWatch(reference, false_alarms_per_lumisection=BUDGET)
    conditions, counts = next(iter(shifts(4, 1, 1, start=190.0)))
    cosmic = Conditions(1, 1, 1, 40.0, BUNCHES, None, "NO BEAM", True, True, 0.01)
    off = {seed: SeedCount(0, 0.0) for seed in counts}
    inside = next(iter(shifts(4, 1, 1, start=80.0)))[0]

    assert watch.take(conditions, counts).state == "out_of_support"
    assert watch.take(cosmic, counts).state == "excluded"
    assert watch.take(inside, off).state == "data_gap"
    assert watch.take(inside, {}).state == "data_gap"


def zero_bias(shared):
    path = shared / "data/conditions/dqm/L1seed_counts_vs_pileup_ZeroBias.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent: the real table of zero-bias counts is not part of the repository")
    table: dict[str, list[tuple[float, float, float]]] = {}
    with gzip.open(path, "rt", encoding="utf-8-sig") as text:
        for row in csv.DictReader(text):
            pileup, total, prescale, fired = (float(row[k]) for k in ("PileUp", "Total", "Prescale0", "Fired0"))
            if pileup > 0:
                table.setdefault(row["L1Seed"], []).append((pileup, total / prescale if prescale else 0.0, fired))
    return table


def test_seeds_of_the_real_zero_bias_table_choose_the_families_that_the_docs_quote(shared):
    families, half = Counter(), []
    for seed, rows in zero_bias(shared).items():
        pileup, crossings, fired = np.array(sorted(rows)).T
        of = RatePoints(fired, crossings / REVOLUTION_HZ, pileup, np.zeros(len(fired), dtype=int))
        try:
            families[RateModel.fit(seed, of).family] += 1
        except RatesUnfitError:
            families["inconclusive"] += 1
            continue
        if fired[::2].sum() >= 400:
            model = RateModel.fit(seed, of.where(np.arange(len(fired)) % 2 == 0))
            apart = model.deviation(fired[1::2], of.bunch_s[1::2], pileup[1::2])
            half += [bool(one) for one, at in zip(np.abs(apart) < 1.96, pileup[1::2], strict=True) if model.speaks(at)]

    assert families == {"linear": 54, "quadratic": 20, "sinh": 3, "inconclusive": 268}
    assert 0.93 < np.mean(half) < 0.99


def test_a_seed_that_the_menu_lost_is_named_once(reference):
    """Renamed from Tight to Medium: its evidence stands still, and somebody must know that nothing watches it."""
    rates, notes = RateEvidence(reference), []
    for conditions, counts in shifts(12, 1, 60, start=55.0):
        renamed = {one.replace("Tight", "Medium"): count for one, count in counts.items()}
        heard = rates.take(conditions, renamed if conditions.lumisection > 20 else counts)
        notes += [(conditions.lumisection, heard.note)] if heard.note else []

    assert [place for place, _ in notes] == [30]
    assert "seed L1_AXO_Tight is not among the counts of 10 lumisections" in notes[0][1]


def test_counts_that_come_again_are_not_counted_again(reference):
    rates = RateEvidence(reference)
    pair = next(iter(shifts(13, 1, 30, start=50.0)))
    assert rates.take(*pair).state == ""
    assert rates.take(*pair).state == "excluded"
    assert rates.clock == 1


def test_a_rate_that_moves_with_a_declared_menu_is_expected(reference):
    """A menu moves no input, so it silences nothing; it is what moves a rate, so it explains one."""
    rates = RateEvidence(reference)
    for conditions, counts in shifts(14, 1, 70, lost="L1_AXO_Tight", factor=1.3, onset=40):
        rates.take(conditions, counts)
    menu = DeclaredChange("menu-1.1", "menu", (400_000, 41), None, (), None, "AXO_Tight threshold lowered", "menu team")
    found = Diagnosis("broken_detector", "L1_AXO_Tight", 0, None, "the rate moved", "inputs did not", 0.0)
    ruling = Ruling(found, (400_000, 42), "call the trigger expert")

    told = foreseen(ruling, rates, [menu])

    assert told.found.verdict == "expected_change"
    assert "menu menu-1.1 was declared then (AXO_Tight threshold lowered, by menu team)" in told.found.text
    assert "retrigger reference rates" in told.action
    assert foreseen(ruling, rates, [replace(menu, first=(400_000, 20))]) is ruling


def test_evidence_that_an_earlier_version_packed_is_refused_in_words(reference):
    head, arrays = RateEvidence(reference).pack()
    del head["version"]

    with pytest.raises(StateError, match=r"has version 1, this program reads 2; start the watch anew"):
        RateEvidence(reference).unpack(head, arrays)
