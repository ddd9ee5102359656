"""Every cause, verdict and step of an alarm is said in words, and only what is likely takes the reader's time."""

from daemon.web import explained
from daemon.web.words import ALARMS, CAUSES, RUNGS, likenesses
from drift.diagnose import SHIFT
from drift.ladder import CAUSES as ALL_CAUSES
from drift.ladder import Rung


def mode(words, probability):
    return {"words": words, "size": 0.0213, "probability": probability}


def test_every_cause_is_a_verdict_in_words_or_has_its_own():
    verdicts = {cause for cause in ALL_CAUSES if cause not in CAUSES} | {SHIFT}

    assert verdicts <= set(ALARMS)
    assert set(CAUSES) < set(ALL_CAUSES)


def test_every_step_of_the_ladder_is_said():
    assert set(RUNGS) == {one.word for one in Rung}


def test_only_likely_modes_are_told_but_the_likeliest_always():
    told = likenesses({"modes": [mode("gain of e/gamma alone", 0.991), mode("noise", 0.008), mode("loss", 0.001)]})
    none_is_likely = likenesses({"modes": [mode("gain of e/gamma alone", 0.004), mode("noise", 0.003)]})

    assert told == ["gain of e/gamma alone, size 0.0213, probability 99 %"]
    assert len(none_is_likely) == 1
    assert likenesses({}) == []


def test_a_region_that_wraps_is_shown_in_azimuths_that_are_on_the_map():
    box = {"object": "MU", "eta": [-1.2, 0.0], "phi": [2.62, 3.67]}

    assert explained.where({"alarm": {"box": box}}) == "MU: η -1.20 to 0.00, φ 2.62 through π to -2.61"
