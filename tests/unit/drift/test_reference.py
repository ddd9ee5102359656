"""A reference says what is expected at each pileup, refuses too little, and comes back from disk the same."""

from dataclasses import replace

import numpy as np
import pytest

from drift.benign import FillFilter, check_streams, fill_doubt, fit_benign
from drift.boxes import Box
from drift.cells import CellModel, halve
from drift.detect import Evidence, Weights
from drift.errors import ReferenceUnfitError
from drift.profile import layout_of
from drift.reference import Reference
from drift.schema import AXOL1TL_57, NANOAOD_BITS
from drift.streams import StreamLabel, Template, scale_direction, wilson_hilferty


def test_a_reference_from_two_fills_is_refused_with_what_is_missing(toy):
    with pytest.raises(ReferenceUnfitError, match=r"3 fills and 60 usable.*found 2 fills and 80"):
        Reference.fit(toy.fills(1, 2, 40, 60), AXOL1TL_57)


def test_uncertified_and_unusable_lumisections_do_not_count(toy):
    pairs = [
        (summary, replace(conditions, certified=None) if i % 2 else replace(conditions, beam_mode="ADJUST"))
        for i, (summary, conditions) in enumerate(toy.fills(1, 3, 30, 60))
    ]

    with pytest.raises(ReferenceUnfitError, match="not certified"):
        Reference.fit(pairs, AXOL1TL_57)


def test_a_schema_without_features_cannot_be_watched():
    with pytest.raises(ReferenceUnfitError, match="no features"):
        Reference.fit([], NANOAOD_BITS)


def test_a_small_reference_says_what_would_make_it_better(toy_reference):
    assert any("6 fills" in one for one in toy_reference.advice)
    assert toy_reference.fills == (1, 2, 3, 4, 5, 6)
    assert toy_reference.pileup_low < toy_reference.pileup_high


def test_a_saved_reference_comes_back_with_its_digest(toy_reference, tmp_path):
    toy_reference.save(tmp_path / "ref.npz")
    back = Reference.load(tmp_path / "ref.npz")

    assert back.digest == toy_reference.digest
    assert np.array_equal(back.benign.offset, toy_reference.benign.offset)
    assert back.streams.labels == toy_reference.streams.labels


def test_an_altered_reference_is_refused(toy_reference, tmp_path):
    toy_reference.save(tmp_path / "ref.npz")
    with np.load(tmp_path / "ref.npz") as stored:
        arrays = dict(stored)
    arrays["counts"] = arrays["counts"] + 1
    np.savez_compressed(tmp_path / "other.npz", **arrays)

    with pytest.raises(ReferenceUnfitError, match="digest"):
        Reference.load(tmp_path / "other.npz")
    with pytest.raises(ReferenceUnfitError, match=r"absent\.npz does not exist: fit one with"):
        Reference.load(tmp_path / "absent.npz")


def test_the_order_in_which_lumisections_come_does_not_change_the_digest(toy):
    pairs = list(toy.fills(2, 3, 30, 80))
    shuffled = [pairs[i] for i in np.random.default_rng(1).permutation(len(pairs))]

    assert Reference.fit(pairs, AXOL1TL_57).digest == Reference.fit(shuffled, AXOL1TL_57).digest


def test_held_out_lumisections_scatter_by_one_in_every_stream(toy, toy_reference):
    streams = np.stack([toy_reference.streams.standard(summary, c.pileup) for summary, c in toy.fills(77, 3, 40, 300)])
    families = np.array([one.family for one in toy_reference.streams.labels])

    for family in ("scale", "chi2", "phi", "eta"):
        assert 0.85 < streams[:, families == family].std(axis=0).mean() < 1.15
    assert np.abs(streams).max() < 7


def test_a_template_follows_pileup_where_the_counts_do():
    rng = np.random.default_rng(3)
    pileup = rng.uniform(20, 60, 400)
    truth = np.stack([0.1 + 0.004 * pileup, 0.5 * np.exp(-pileup / 20)], axis=1)
    events = np.full(400, 500.0)
    template = Template.fit(rng.poisson(truth * events[:, None]).astype(float), events, pileup, 2)

    assert template.at(30.0) == pytest.approx([0.22, 0.5 * np.exp(-1.5)], rel=0.03)
    assert (template.at(75.0) > 0).all()


def test_scaling_recorded_integers_predicts_what_a_scale_does_to_the_bins():
    one = next(h for h in layout_of(AXOL1TL_57).histograms if h.name == "Jet1_pt")
    counts = np.zeros(layout_of(AXOL1TL_57).size)
    rng = np.random.default_rng(1)
    pt = 20 + rng.exponential(60, 400_000)
    counts[one.regular] = np.bincount(np.minimum(pt.astype(int), 2047), minlength=one.width)
    merged = np.full(counts.size, -1)
    merged[one.bins] = np.minimum(np.arange(one.width + 2) // 50, 5)
    slope = scale_direction(one, counts, merged, 6)
    before, after = (np.bincount(np.minimum((pt * k).astype(int) + 1, 299) // 50, minlength=6) for k in (1.0, 1.03))
    measured = (after - before)[:5] / pt.size / 0.03

    assert slope[:5] == pytest.approx(measured, abs=0.05)
    assert slope.sum() == pytest.approx(0, abs=1e-9)


def test_a_wilson_hilferty_score_is_nearly_standard_normal():
    chi2 = np.random.default_rng(1).chisquare(12, 50_000)
    score = wilson_hilferty(chi2, 12.0)

    assert abs(score.mean()) < 0.02
    assert abs(score.std() - 1) < 0.02


def test_the_e_values_of_cells_have_mean_at_most_one_under_their_own_expectation():
    rng = np.random.default_rng(5)
    truth = np.exp(-((np.arange(20) - 10) ** 2) / 30)[:, None] * np.ones(36)
    maps = rng.poisson(truth * 3, (300, 20, 36))
    model = CellModel.fit("JET", maps.sum(axis=2), maps.sum(axis=0), rng.uniform(50, 60, 300), 1)
    fresh = rng.poisson(truth * 3, (1500, 20, 36))
    mean = np.mean([np.exp(model.log_factors(one, 55.0)) for one in fresh], axis=0)

    assert mean[:, model.active[0].size :].mean() <= 1.02
    assert (mean.mean(axis=1) <= 1.02).all()


def test_a_wander_and_an_offset_are_told_from_noise():
    rng = np.random.default_rng(8)
    fills, length = 30, 200
    offset = np.repeat(rng.normal(0, 0.5, fills), length)
    wander = np.zeros(fills * length)
    for i in range(1, wander.size):
        wander[i] = (0.9 * wander[i - 1] if i % length else 0) + rng.normal(0, 0.4 * np.sqrt(1 - 0.81))
    values = (offset + wander + rng.normal(0, 1, wander.size))[:, None]
    benign = fit_benign(
        values, np.repeat(np.arange(fills), length), np.tile(np.linspace(60, 30, length), fills), ["one"], 1
    )

    assert 0.25 < benign.offset[0] < 0.9
    assert 0.12 < benign.wander[0] < 0.35
    assert benign.noise[0] == pytest.approx(1.0, abs=0.15)


def test_fewer_fills_widen_the_allowance_for_the_next(toy):
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (3000, 1))
    pileup = np.tile(np.linspace(60, 30, 100), 30)
    few = fit_benign(values[:300], np.repeat(np.arange(3), 100), pileup[:300], ["one"], 1)
    many = fit_benign(values, np.repeat(np.arange(30), 100), pileup, ["one"], 1)

    assert few.offset[0] > 2 * many.offset[0]


def breathing(rng, fills, length, rho, size, at_low=1.0):
    """One stream that wanders with a correlation over noise of one; the wander may be larger at low pileup."""
    pileup = np.tile(np.linspace(60, 30, length), fills)
    wander = np.zeros(fills * length)
    for i in range(wander.size):
        before = wander[i - 1] if i % length else rng.normal(0, 1)
        wander[i] = rho * before + rng.normal(0, np.sqrt(1 - rho**2))
    values = size * np.linspace(1.0, at_low, length)[np.arange(wander.size) % length] * wander
    return (values + rng.normal(0, 1, wander.size))[:, None], np.repeat(np.arange(fills), length), pileup


def test_a_wander_over_an_hour_is_told_from_one_over_minutes():
    slow = fit_benign(*breathing(np.random.default_rng(3), 20, 600, 0.99, 0.6), ["one"], 1)
    fast = fit_benign(*breathing(np.random.default_rng(3), 20, 600, 0.90, 0.6), ["one"], 1)

    assert slow.offset[0] > 4 * slow.wander[0]
    assert fast.wander[0] > 2 * fast.offset[0]


def test_what_wanders_in_short_fills_may_do_so_for_an_hour_in_long_ones():
    """Fills of sixty lumisections cannot tell, so the slow allowance holds all that was seen."""
    short = fit_benign(*breathing(np.random.default_rng(4), 12, 60, 0.90, 0.6), ["one"], 1)

    assert short.offset[0] > 0.36


def test_an_hour_of_breathing_adds_no_evidence_in_a_week_of_long_fills():
    """Five weeks; a constant fill offset in place of the slow wander gives evidence of exp(11.6) and more."""
    benign = fit_benign(*breathing(np.random.default_rng(5), 6, 60, 0.90, 0.6), ["one"], 1)
    highest = []
    for seed in range(5):
        values, fill, pileup = breathing(np.random.default_rng([6, seed]), 8, 1500, 0.993, 0.6)
        labels = (StreamLabel("scale", "JET", 0, "JET pt scale"),)
        evidence, weights = Evidence.fresh(benign, ()), Weights.of(labels, ())
        for i, value in enumerate(values):
            if i and fill[i] != fill[i - 1]:
                evidence.new_fill(benign)
            evidence.update(benign, value, 1.0, [], float(pileup[i]))
            highest.append(evidence.log_total(weights))

    assert max(highest) < 10.0


def test_wander_that_is_larger_at_low_pileup_is_allowed_for_there():
    benign = fit_benign(*breathing(np.random.default_rng(7), 12, 400, 0.99, 0.3, at_low=3.0), ["one"], 1)

    assert benign.swell.at(32.0)[1, 0] > 3 * benign.swell.at(58.0)[1, 0]


def test_an_expectation_that_one_fill_shaped_is_doubted_there():
    fill = np.repeat(np.arange(6), 100)
    pileup = np.concatenate([np.linspace(60, 45, 100)] * 5 + [np.linspace(60, 25, 100)])
    doubt = fill_doubt(np.stack([np.ones(600), (pileup - 42.5) / 17.5, ((pileup - 42.5) / 17.5) ** 2], axis=1), fill)
    powers = {at: ((at - 42.5) / 17.5) ** np.arange(3) for at in (25.0, 52.0)}

    assert powers[25.0] @ doubt @ powers[25.0] > 0.8
    assert powers[52.0] @ doubt @ powers[52.0] < 0.3


def test_a_pileup_at_which_a_single_fill_has_been_is_out_of_support(toy):
    usual = list(toy.fills(1, 5, 40, 100))
    deep = list(toy.fills(2, 1, 40, 100, first=9, start=40.0))
    reference = Reference.fit(usual + deep, AXOL1TL_57)

    assert min(one.pileup for _, one in deep) < 26
    assert 33 < reference.pileup_low < 37


def test_a_stream_that_lies_about_its_spread_is_off_and_said_so():
    rng = np.random.default_rng(9)
    values, fill, pileup = (
        rng.normal(0, 1, (3000, 2)),
        np.repeat(np.arange(10), 300),
        np.tile(np.linspace(60, 30, 300), 10),
    )
    benign = fit_benign(values, fill, pileup, ["one", "two"], 1)
    grown = np.stack([values[:, 0], 1.3 * values[:, 1]], axis=1)
    check = check_streams(benign, grown, fill, pileup)
    labels = tuple(StreamLabel("scale", "JET", i, f"scale{i}") for i in range(2))
    weights = Weights.of(labels, (), check.sound)

    assert check.sound.tolist() == [True, False]
    assert weights.streams[:, 0].sum() > 0
    assert weights.streams[:, 1].sum() == 0


def cut(blob):
    return blob[: len(blob) // 2]


def flipped(blob):
    changed = bytearray(blob)
    changed[len(blob) // 3] ^= 8
    return bytes(changed)


@pytest.mark.parametrize("damage", [cut, flipped, lambda _: b"", lambda _: b"run,score", lambda _: b"PK\x03\x04"])
def test_a_damaged_reference_is_refused_in_words_and_never_with_a_trace(toy_reference, tmp_path, damage):
    path = tmp_path / "reference.npz"
    toy_reference.save(path)
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(ReferenceUnfitError, match=r"is (empty|no reference: it begins with|a damaged reference)"):
        Reference.load(path)


def test_a_reference_that_lacks_a_part_is_refused(toy_reference, tmp_path):
    path = tmp_path / "reference.npz"
    toy_reference.save(path)
    with np.load(path) as stored:
        kept = {name: stored[name] for name in stored.files if name != "benign.kappa"}
    np.savez(path, **kept)

    with pytest.raises(ReferenceUnfitError, match="damaged reference"):
        Reference.load(path)


def test_a_fill_that_begins_where_wander_is_large_begins_with_a_large_allowance():
    benign = fit_benign(*breathing(np.random.default_rng(7), 12, 400, 0.99, 0.3, at_low=3.0), ["one"], 1)

    assert FillFilter.fresh(benign, 32.0).variance[0] > 3 * FillFilter.fresh(benign, 58.0).variance[0]


def test_halving_a_map_keeps_every_count():
    one = np.random.default_rng(1).poisson(2, (43, 36)).astype(float)

    assert halve(one).shape == (22, 18)
    assert halve(one).sum() == one.sum()


def test_the_overlap_of_boxes_goes_around_the_circle():
    one = Box("JET", (0.0, 1.0), (3.0, 3.4))
    same = Box("JET", (0.0, 1.0), (3.0 - 2 * np.pi, 3.4 - 2 * np.pi))

    assert one.overlap(same) == pytest.approx(1.0)
    assert one.overlap(Box("JET", (2.0, 3.0), (3.0, 3.4))) == 0.0


def test_what_stays_all_fill_is_told_from_what_breathes():
    rng = np.random.default_rng(5)
    stays = rng.normal(0, 0.6, 20).repeat(600)[:, None] + rng.normal(0, 1, (12_000, 1))
    fill, pileup = np.repeat(np.arange(20), 600), np.tile(np.linspace(60, 30, 600), 20)
    fixed = fit_benign(stays, fill, pileup, ["one"], 1)
    breathes = fit_benign(*breathing(np.random.default_rng(3), 20, 600, 0.99, 0.6), ["one"], 1)

    assert fixed.still[0] > 0.7
    assert breathes.still[0] < 0.3


def test_a_filter_holds_what_stays_and_forgets_what_breathes():
    benign = fit_benign(*breathing(np.random.default_rng(3), 20, 600, 0.99, 0.6), ["one"], 1)
    far = {}
    for still in (0.0, 1.0):
        model = replace(benign, still=np.array([still]))
        state = FillFilter.fresh(model)
        for _ in range(300):
            state.step(model, np.array([0.0]), 1.0)
        far[still] = abs(float(state.step(model, np.array([2.0]), 1.0)[0][0]))
    assert far[1.0] > far[0.0]
