"""The peers a competent user would build: what they see, and that the dummies are worth what they should be."""

import numpy as np
import pytest

from benchmarks.drift_peers import places_of, threshold_of
from benchmarks.peers_fair import (
    Always,
    BetaBinomial,
    KolmogorovSmirnov,
    Never,
    Random,
    RandomFeatureMmd,
    Shewhart,
)
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from tests.unit.benchmarks.toy import embedding, stream

AT_PILEUP = {
    "shewhart": lambda reference, _: Shewhart(reference),
    "ks": lambda reference, certified: KolmogorovSmirnov(reference, certified, pileup=True),
    "pull": BetaBinomial,
    "chi2": lambda reference, certified: BetaBinomial(reference, certified, chi2=True),
    "mmd": lambda reference, certified: RandomFeatureMmd(reference, certified, pileup=True),
}


@pytest.fixture(scope="module")
def features():
    return embedding()


@pytest.fixture(scope="module")
def certified(features):
    return stream(11, 6, features)


@pytest.fixture(scope="module")
def reference(certified):
    return Reference.fit(((one.summary, one.conditions) for one in certified), AXOL1TL_57)


@pytest.fixture(scope="module")
def healthy(features):
    return stream(21, 3, features, first=20)


def scores(peer, lumisections):
    return np.array([peer.score(one) for one in lumisections])


@pytest.mark.parametrize("name", AT_PILEUP)
def test_a_peer_that_knows_pileup_finds_a_gain_of_five_percent_odder_than_health(
    name, reference, certified, healthy, features
):
    peer = AT_PILEUP[name](reference, certified)
    usual, odd = scores(peer, healthy), scores(peer, stream(31, 1, features, gain=1.05, first=40))

    above = (odd[odd > -np.inf][:, None] > usual[usual > -np.inf]).mean()

    assert above > 0.55


@pytest.mark.parametrize("name", AT_PILEUP)
def test_at_a_threshold_that_health_keeps_a_gain_of_a_fifth_is_seen_soon(name, reference, certified, healthy, features):
    peer = AT_PILEUP[name](reference, certified)
    threshold = threshold_of(scores(peer, healthy))

    told = places_of(scores(peer, stream(33, 1, features, gain=1.2, first=42)), threshold)

    assert places_of(scores(peer, healthy), threshold) == []
    assert told[0] < 5


@pytest.mark.parametrize("kind", [KolmogorovSmirnov, RandomFeatureMmd])
def test_a_peer_that_does_not_know_pileup_takes_pileup_for_a_change(kind, reference, certified, healthy):
    blind, seeing = kind(reference, certified, pileup=False), kind(reference, certified, pileup=True)

    assert np.median(scores(blind, healthy)) > 1.5 * np.median(scores(seeing, healthy))


def test_the_threshold_of_a_peer_is_the_smallest_that_is_silent(reference, certified, healthy):
    said = scores(KolmogorovSmirnov(reference, certified, pileup=True), healthy)
    threshold = threshold_of(said)

    assert places_of(said, threshold) == []
    assert places_of(said, np.nextafter(threshold, -np.inf)) == [int(said.argmax())]


def test_the_dummies_alarm_always_never_and_at_their_rate(reference, healthy):
    listened = sum(score > -np.inf for score in scores(Shewhart(reference), healthy))
    dice = Random(reference, np.random.default_rng(5), 0.25)

    assert sum(Always(reference).alarms(one) for one in healthy) == listened
    assert not any(Never(reference).alarms(one) for one in healthy)
    assert sum(dice.alarms(one) for one in healthy) == pytest.approx(listened / 4, rel=0.35)


def test_no_threshold_silences_what_always_alarms_and_none_makes_never_speak(reference, healthy):
    always, never = scores(Always(reference), healthy), scores(Never(reference), healthy)

    assert len(places_of(always, threshold_of(always))) == (always > -np.inf).sum()
    assert places_of(never, threshold_of(never)) == []


def test_what_the_reference_may_not_speak_of_has_no_score(reference, certified, features):
    few = stream(41, 1, features, n=20, first=50)

    assert set(scores(KolmogorovSmirnov(reference, certified, pileup=True), few)) == {-np.inf}
