"""The score has streams of its own: still while all is well, loud when it moves, silent when it is another model's."""

from dataclasses import replace

import numpy as np
import pytest

from drift.detect import CELL_WEIGHT, FAMILY_WEIGHTS, RAMP_WEIGHT
from drift.errors import ReferenceUnfitError, SummaryError
from drift.profile import LumisectionSummary, Summariser
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.score_bins import SCORE_CELLS, bins_of
from drift.score_streams import score_scale_direction
from drift.streams import SILENT
from drift.watch import Watch
from tests.unit.drift.scored import MODEL, Network, scored_fills, without_scores

BUDGET = 9e-6
OURS = "SCORE"


@pytest.fixture(scope="module")
def reference():
    return Reference.fit(scored_fills(11, 6, 60, 300), AXOL1TL_57)


@pytest.fixture(scope="module")
def healthy():
    return list(scored_fills(21, 2, 50, 300))


def start(reference, state=None):
    return Watch(reference, false_alarms_per_lumisection=BUDGET, stream="axo", state=state)


def decide(watch, pairs):
    return [watch.take(summary, conditions) for summary, conditions in pairs]


def streams_of(reference, pairs, name):
    place = [one.name for one in reference.streams.labels].index(name)
    return np.array([reference.streams.standard(summary, at.pileup)[place] for summary, at in pairs])


def ours(reference):
    return np.array([one.object == OURS for one in reference.streams.labels])


def test_a_reference_with_scores_names_its_model_and_what_it_watches(reference):
    names = [one.name for one in reference.streams.labels if one.object == OURS]

    assert reference.scorer == MODEL.digest
    assert names[:3] == ["score scale", "score upper tail", "OFTEN passes per event"]
    assert "score" in names
    assert reference.check.sound[ours(reference)].all()


def test_a_threshold_with_too_few_passes_is_called_inconclusive_not_watched(reference):
    said = [one for one in reference.advice if "inconclusive" in one]

    assert len(said) == 1
    assert said[0].startswith("the pass rate of SELDOM is inconclusive at 300 events a lumisection: ")
    assert not any("SELDOM" in one.name for one in reference.streams.labels)


def test_the_streams_of_healthy_lumisections_scatter_about_nothing(reference, healthy):
    for name in ("score scale", "score upper tail", "OFTEN passes per event"):
        seen = streams_of(reference, healthy, name)
        assert abs(seen.mean()) < 0.5
        assert 0.7 < seen.std() < 1.3


def test_healthy_fills_raise_no_alarm(reference, healthy):
    decisions = decide(start(reference), healthy)

    assert [one.alarm for one in decisions if one.alarm] == []
    assert {one.note for one in decisions} == {""}


def test_another_pass_rate_shows_in_the_passes_by_as_much_as_counting_allows(reference):
    more = list(scored_fills(22, 1, 50, 300, broken=Network(1.3)))
    before = [summary.scores.passed[0] for summary, _ in scored_fills(22, 1, 50, 300)]
    after = [summary.scores.passed[0] for summary, _ in more]
    seen = streams_of(reference, more, "OFTEN passes per event")
    sigma = (np.mean(after) - np.mean(before)) / np.sqrt(np.mean(before))

    assert sigma > 0.5
    assert seen.mean() == pytest.approx(sigma, abs=0.4)


def test_the_scale_stream_reads_the_factor_of_the_score(reference):
    model, label = reference.streams.score, [one.name for one in reference.streams.labels].index("score scale")
    unit = model.effect(reference.streams.spread[label], 300)
    moved = streams_of(reference, list(scored_fills(22, 1, 50, 300, broken=Network(1.05))), "score scale")
    still = streams_of(reference, list(scored_fills(22, 1, 50, 300)), "score scale")

    assert (moved.mean() - still.mean()) * unit == pytest.approx(0.05, rel=0.2)


def test_a_score_that_moves_by_itself_is_a_broken_model_and_not_a_shift(reference):
    pairs = scored_fills(23, 2, 40, 300, broken=Network(1.3), from_lumisection=45)
    (alarm,) = [one.alarm for one in decide(start(reference), pairs) if one.alarm]

    assert alarm.verdict == "broken_detector"
    assert alarm.action == "compare firmware with emulator; do not retrain"
    assert alarm.text.startswith("the score moved while its inputs did not (score ")
    assert alarm.contributors[0].object == OURS
    assert alarm.box is None
    assert alarm.onset[0] == 1002


def test_an_alarm_of_the_score_shows_its_pulls_and_how_far_it_moved(reference):
    pairs = scored_fills(23, 2, 40, 300, broken=Network(1.3), from_lumisection=45)
    (alarm,) = [one.alarm for one in decide(start(reference), pairs) if one.alarm]
    told = alarm.explanation.to_json()
    curves = {one["name"]: one for one in told["curves"]}

    assert told["curves"][0]["name"] == alarm.contributors[0].name
    assert {"score scale", "score upper tail", "OFTEN passes per event"} <= set(curves)
    assert max(curves["score scale"]["pulls"][told["onset_place"] :]) > 2
    assert any(one["words"].startswith("score scale up, +") for one in told["contributors"])


def test_a_shift_of_the_inputs_stays_a_shift_although_the_score_follows(toy, reference):
    fault = toy.scaled(("JET", "EG"), 0.92)
    pairs = scored_fills(24, 2, 40, 300, fault=fault, from_lumisection=45)
    told = [one.alarm.verdict for one in decide(start(reference), pairs) if one.alarm]

    assert told == ["real_shift"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: replace(one, scores=None), "without scores"),
        (
            lambda one: replace(one, scores=replace(one.scores, scorer="b" * 64)),
            "model bbbbbbbbbbbb, the reference's of",
        ),
        (lambda one: replace(one, scores=replace(one.scores, thresholds=())), "other thresholds"),
    ],
)
def test_without_the_references_scores_its_streams_are_silent_and_say_so_once(reference, healthy, change, words):
    changed = [(change(summary), at) for summary, at in healthy]
    watch = start(reference)
    decisions = decide(watch, changed)
    values = reference.streams.standard(changed[3][0], changed[3][1].pileup)

    (note,) = [one.note for one in decisions if one.note]
    assert note.startswith("the score's streams are silent: ")
    assert words in note
    assert (values[ours(reference)] == SILENT).all()
    assert (values[~ours(reference)] != SILENT).all()
    assert [one.alarm for one in decisions if one.alarm] == []


def test_silence_leaves_the_inputs_streams_and_evidence_as_they_are(reference, healthy):
    loud, silent = start(reference), start(reference)
    decide(loud, healthy)
    decide(silent, without_scores(healthy))
    mine = ~ours(reference)

    assert np.array_equal(loud._evidence.ratio[..., mine], silent._evidence.ratio[..., mine])
    assert np.array_equal(loud._evidence.filter.state[:, mine], silent._evidence.filter.state[:, mine])


def test_evidence_stands_still_while_the_score_is_silent_and_goes_on_afterwards(reference, healthy):
    watch = start(reference)
    decide(watch, healthy[:30])
    clock = watch._evidence.clock
    kept = watch._evidence.start < clock
    before = watch._evidence.ratio[..., ours(reference)][kept].copy()
    first, *others = decide(watch, without_scores(healthy[30:34]))
    older = kept & (watch._evidence.start < clock)
    after = watch._evidence.ratio[..., ours(reference)][older]
    again = decide(watch, healthy[34:36])

    assert np.allclose(after, before[older[kept]], atol=1e-6)
    assert "silent" in first.note
    assert [one.note for one in others] == ["", "", ""]
    assert [one.note for one in again] == ["the score's streams speak again", ""]


def test_a_filter_that_saw_nothing_knows_less_but_never_less_than_at_the_start(reference, healthy):
    watch = start(reference)
    told = start(reference)
    place = ours(reference)
    decide(watch, healthy[:40] + without_scores(healthy[40:50]))
    decide(told, healthy[:50])
    later, known = (one._evidence.filter.covariance[0, 0, place] for one in (watch, told))
    fresh = (reference.benign.wander * reference.benign.swell.at(healthy[49][1].pileup)[0])[place]

    assert (later > known).all()
    assert (later <= fresh * 1.3).all()


def test_scores_are_nothing_to_a_reference_without_them(toy_reference, healthy):
    with_scores, without = start(toy_reference), start(toy_reference)

    assert decide(with_scores, healthy) == decide(without, without_scores(healthy))
    assert toy_reference.scorer == ""


def test_a_reference_with_scores_has_the_same_input_streams_as_one_without(reference, healthy):
    plain = Reference.fit(without_scores(scored_fills(11, 6, 60, 300)), AXOL1TL_57)
    summary, at = healthy[5]
    values = reference.streams.standard(summary, at.pileup)[~ours(reference)]

    assert np.allclose(values, plain.streams.standard(summary, at.pileup), atol=1e-12)


def test_saved_and_loaded_it_expects_the_same_and_its_header_names_the_model(reference, healthy, tmp_path):
    reference.save(tmp_path / "reference.npz")
    loaded = Reference.load(tmp_path / "reference.npz")

    assert (loaded.digest, loaded.scorer) == (reference.digest, MODEL.digest)
    assert loaded.parts()[0]["scorer"] == MODEL.digest
    assert decide(start(loaded), healthy[:30]) == decide(start(reference), healthy[:30])


@pytest.mark.parametrize("cut", [5, 21, 33])
def test_a_watch_restored_amid_silence_decides_and_notes_as_if_it_had_never_stopped(reference, healthy, cut):
    pairs = healthy[:20] + without_scores(healthy[20:30]) + healthy[30:40]
    whole, stopped = start(reference), start(reference)
    expected = decide(whole, pairs)
    decide(stopped, pairs[:cut])
    restored = start(reference, stopped.save())

    assert decide(restored, pairs[cut:]) == expected[cut:]
    assert restored.save() == whole.save()


def test_scores_of_two_models_or_of_some_lumisections_only_fit_no_reference(healthy):
    certified = list(scored_fills(11, 4, 20, 100))
    mixed = certified[:40] + list(scored_fills(12, 2, 20, 100, model=Network(digest="b" * 64)))[:40]

    with pytest.raises(ReferenceUnfitError, match="of 2 models"):
        Reference.fit(mixed, AXOL1TL_57)
    with pytest.raises(ReferenceUnfitError, match="50 of 80 lumisections have scores"):
        Reference.fit(certified[:50] + without_scores(certified[50:]), AXOL1TL_57)


def test_a_model_that_says_the_same_of_every_event_is_fitted_and_has_no_shape_to_watch():
    class Mute(Network):
        def scores(self, features):
            return np.zeros(features.shape[1], dtype=np.int64)

    reference = Reference.fit(scored_fills(11, 4, 20, 100, model=Mute()), AXOL1TL_57)

    assert reference.scorer == MODEL.digest
    assert [one.name for one in reference.streams.labels if one.object == OURS] == []


def test_the_scale_direction_is_the_derivative_of_the_merged_shares():
    rng = np.random.default_rng(5)
    scores = (np.exp(rng.normal(6.0, 1.0, 400_000))).astype(np.int64)
    merged = np.minimum(np.arange(SCORE_CELLS) // 80, 19)

    def shares(values):
        cells = bins_of(np.minimum(values, 2**18 - 1)).astype(np.int64) + 1
        return np.bincount(merged[cells], minlength=20) / len(values)

    counts = np.bincount(bins_of(scores).astype(np.int64) + 1, minlength=SCORE_CELLS).astype(np.float64)
    exact = scores + rng.random(len(scores))
    up, down = (shares((exact * factor).astype(np.int64)) for factor in (1.04, 0.96))
    change = (up - down) / 0.08
    slope = score_scale_direction(counts, merged, 20)

    assert slope.sum() == pytest.approx(0.0, abs=1e-9)
    assert np.allclose(slope, change, atol=0.03 * np.abs(change).max())


def test_weights_of_the_families_add_to_at_most_one():
    assert sum(FAMILY_WEIGHTS.values()) + CELL_WEIGHT + RAMP_WEIGHT <= 1.0


def test_a_summary_keeps_whose_scores_it_has_and_adds_to_none_of_another_model(healthy):
    summary = healthy[0][0]
    again = LumisectionSummary.from_bytes(summary.to_bytes())

    assert again.scores.scorer == MODEL.digest
    assert LumisectionSummary.from_boost(summary.to_boost()) == summary
    with pytest.raises(SummaryError, match="scores of model aaaaaaaaaaaa and of bbbbbbbbbbbb"):
        summary + replace(summary, scores=replace(summary.scores, scorer="b" * 64))


def test_scores_that_are_given_are_taken_in_place_of_the_models_own(toy):
    events = toy.events(1, 1, 50.0, 40, np.random.default_rng(1))
    given = Summariser(AXOL1TL_57, scorer=MODEL).fill(events, np.full(40, 7)).scores

    assert given.quantile(1.0) == (7, 7)
    assert given.scorer == MODEL.digest
