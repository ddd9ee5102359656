"""Gates say pass, fail or inconclusive, and only pass opens."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.policy_file import load_policy
from retrain import gates
from retrain.verify import GATES, VERDICTS, GateResult, judge, overall, reason

verdicts = st.lists(st.sampled_from(VERDICTS), max_size=12)


def efficiency(fraction):
    return {"events": 1000, "passing": int(1000 * fraction), "fraction": fraction}


def signal(name, said, *, strata=()):
    """One signal as `measuring.comparison` tells it, with strata from pileup 30 on."""
    row = {"events": 1000, "candidate": efficiency(0.3), "champion": efficiency(0.4), "lost": 140, "gained": 40}
    inside = [{"pileup_from": 30.0 + 5 * place, **row, "verdict": one} for place, one in enumerate(strata)]
    return {"name": name, **row, "verdict": said, "strata": inside}


def moved(by, *, area=0.6):
    """What a fault does to one model, as `replays.effect` tells it."""
    return {"area": area, "low": area - 0.01, "high": area + 0.01, "shift": by, "shift_low": by, "shift_high": by}


def fault(name, said, *, ours=0.6, theirs=0.6):
    """One fault as `replays.seen` tells it, judged by the area."""
    both = {"candidate": moved(0.01, area=ours), "champion": moved(0.02, area=theirs)}
    return {"name": name, **both, "judged": {"area": said, "shift": "unseen"}, "verdict": said}


def measure(name, said, *, candidate=0.1, champion=0.3):
    """One measure as `gain.Played` tells it."""
    after = {"gain_after": 9 if said == "gain" else None, "harm_after": 7 if said == "harm" else None}
    games = {"steps": 20, "gain_log10_e": 1.5, "harm_log10_e": 1.7, **after}
    return {"name": name, "verdict": said, "candidate": candidate, "champion": champion, **games}


GOOD = {
    "dataset": {"lumisections": 12, "events": 9000, "certified": 12, "rejected": [], "unspoken": [], "digest": "d"},
    "preflight": {"findings": [], "contract_digest": "c" * 64, "events": 9000},
    "proof": {
        "engines": ["pytorch", "qonnx", "integer", "onnx", "cpp", "rtl"],
        "vectors": 100_000,
        "classes": {},
        "mismatching_vectors": {"cpp": 0},
        "mismatching_total": 0,
        "structure": [],
        "rails": {},
        "first_difference": None,
        "accumulators": {"exact_in_float32": True, "worst_case": 1000, "too_narrow": []},
    },
    "resources": {"lut": 30_000, "ff": 2000, "dsp": 0, "stages": 9, "latency_ticks": 2},
    "budget": {"lut": 60_000, "ff": 40_000, "dsp": 0, "clock_mhz": 240.0, "latency_ticks": 2},
    "working_point": {
        "threshold": 300,
        "passing": 150,
        "events": 20_000,
        "fraction": 0.0075,
        "rate_hz": 1.5e5,
        "low_hz": 1.2e5,
        "high_hz": 1.8e5,
        "target_rate_hz": 1.5e5,
        "one_below_hz": 1.51e5,
        "confidence": 0.95,
        "minimum_passing": 100,
        "stability": {"tested": True, "p_value": 0.4, "cells": 6},
        "training": {"p_value": 0.5, "fraction": 0.0074, "held_out_fraction": 0.0075},
        "strata": [
            {"pileup_from": 50.0, "passing": 150, "rate_hz": 1.5e5, "low_hz": 1.2e5, "high_hz": 1.8e5},
        ],
    },
    "training": {"first_epoch": "a", "first_epoch_again": "a", "graph_again": True},
    "comparison": {
        "champion": {"digest": "c" * 64, "same_network": False},
        "margin": 0.1,
        "confidence": 0.95,
        "confidence_each": 0.99,
        "verdicts": 3,
        "signals": [signal("TTbar", "not_worse", strata=("not_worse", "better"))],
    },
    "faults": {
        "champion": {"digest": "c" * 64, "kind": "bundle", "same_network": False},
        "kept": 0.5,
        "events": 20_000,
        "faults": [fault("gain_jet=0.1", "kept"), fault("met_mixed=1", "unseen")],
    },
    "gain": {
        "champion": {"digest": "c" * 64, "kind": "bundle", "same_network": False},
        "needed": True,
        "margin": 0.1,
        "measures": [measure("rate", "gain"), measure("TTbar", "open")],
    },
}


def changed(piece, **changes):
    return judge({**GOOD, piece: {**GOOD[piece], **changes}})


def verdict(results, name):
    return next(one.verdict for one in results if one.name == name)


@given(verdicts)
def test_a_list_passes_only_when_it_is_not_empty_and_every_gate_passes(chosen):
    gates = [GateResult(number, "g", one, "") for number, one in enumerate(chosen, 1)]

    assert (overall(gates) == "pass") == (len(chosen) > 0 and set(chosen) == {"pass"})
    assert (overall(gates) == "fail") == ("fail" in chosen)


def test_an_empty_list_never_passes():
    assert overall([]) == "inconclusive"
    assert "never passes" in reason([])


def test_good_evidence_passes_twelve_numbered_gates():
    results = judge(GOOD)

    assert [one.number for one in results] == list(range(1, 13))
    assert overall(results) == "pass"


def test_every_gate_has_a_file_of_its_name_and_stands_in_the_list_once():
    files = {path.stem for path in Path(gates.__path__[0]).glob("*.py")} - {"__init__", "result"}

    assert {gate.name for gate in GATES} == files
    assert [gate.number for gate in GATES] == list(range(1, len(files) + 1))
    assert set(load_policy().required_gates) == files


@pytest.mark.parametrize("piece", sorted(GOOD))
def test_a_gate_without_its_evidence_fails(piece):
    results = judge({name: value for name, value in GOOD.items() if name != piece})

    assert overall(results) == "fail"


@pytest.mark.parametrize(
    ("piece", "changes", "gate", "expected"),
    [
        ("dataset", {"rejected": ["1:2"]}, "data_certified", "fail"),
        ("dataset", {"unspoken": ["1:2"]}, "data_certified", "inconclusive"),
        ("preflight", {"findings": ["Jet1_pt.shift: found 62"]}, "contract", "fail"),
        ("proof", {"mismatching_total": 1}, "bit_exact", "fail"),
        ("proof", {"structure": ["w63 differs"]}, "bit_exact", "fail"),
        ("proof", {"vectors": 99_999}, "bit_exact", "inconclusive"),
        ("resources", {"lut": 50_000}, "resources", "inconclusive"),
        ("resources", {"lut": 90_000}, "resources", "fail"),
        ("resources", {"dsp": 1}, "resources", "fail"),
        ("resources", {"latency_ticks": 3}, "latency", "fail"),
        ("working_point", {"passing": 99}, "threshold_interval", "inconclusive"),
        ("working_point", {"high_hz": 1.4e5}, "threshold_interval", "fail"),
        ("working_point", {"rate_hz": 1.3e5, "one_below_hz": 3e5}, "threshold_interval", "fail"),
        (
            "working_point",
            {"training": {"p_value": 1e-6, "fraction": 0.02, "held_out_fraction": 0.01}},
            "rate_stability",
            "fail",
        ),
        ("working_point", {"stability": {"tested": True, "p_value": 1e-9, "cells": 6}}, "rate_stability", "fail"),
        ("training", {"first_epoch_again": "b"}, "reproducibility", "fail"),
        ("training", {"graph_again": False}, "reproducibility", "fail"),
    ],
)
def test_each_gate_answers_for_its_own_fault(piece, changes, gate, expected):
    results = changed(piece, **changes)

    assert verdict(results, gate) == expected
    assert f" {gate}: " in reason(results)


@pytest.mark.parametrize(
    "bound",
    [
        {"exact_in_float32": False, "worst_case": 2**25, "too_narrow": []},
        {"exact_in_float32": True, "worst_case": 10, "too_narrow": ["Dense_0 accumulates in ap_fixed<8,4>"]},
    ],
)
def test_an_accumulator_that_may_overflow_fails(bound):
    assert verdict(changed("proof", accumulators=bound), "accumulator_bound") == "fail"


def test_estimates_are_called_estimates():
    results = judge(GOOD)

    assert all("ESTIMATE" in one.summary for one in results if one.name in {"resources", "latency"})


def test_a_result_survives_its_json_and_an_unknown_verdict_is_no_pass():
    result = judge(GOOD)[0]

    assert GateResult.from_json(result.to_json()) == result
    assert GateResult.from_json({**result.to_json(), "verdict": "PASS"}).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("signals", "expected", "said"),
    [
        ([signal("TTbar", "worse")], "fail", "TTbar 0.300 is worse than 0.400 (140 lost, 40 gained of 1000"),
        ([signal("A", "better"), signal("B", "inconclusive")], "inconclusive", "B 0.300 cannot be told from"),
        ([signal("A", "better", strata=("better", "worse"))], "fail", "1 of 3: A at pileup 35.0"),
        ([signal("A", "inconclusive"), signal("B", "worse")], "fail", "B"),
        ([signal("A", "better", strata=("inconclusive",))], "pass", "1 verdicts, 1 better"),
        ([], "pass", "no signal; nothing but rates was compared"),
    ],
)
def test_a_candidate_must_keep_every_signal_in_every_stratum(signals, expected, said):
    result = next(one for one in changed("comparison", signals=signals) if one.name == "non_inferiority")

    assert result.verdict == expected
    assert said in result.summary


def test_without_a_champion_there_is_nothing_to_be_worse_than_and_the_gate_says_so():
    row = {"events": 1000, "candidate": efficiency(0.3)}
    alone = [{"name": "TTbar", **row, "strata": []}]

    results = changed("comparison", champion=None, signals=alone)

    assert verdict(results, "non_inferiority") == "pass"
    told = next(one for one in results if one.name == "non_inferiority")
    assert "no champion" in told.summary
    assert told.evidence["efficiencies"] == {"TTbar": efficiency(0.3)}


def only(results, name):
    return next(one for one in results if one.name == name)


@pytest.mark.parametrize(
    ("rows", "expected", "said"),
    [
        (
            [fault("a", "kept"), fault("b", "unseen")],
            "pass",
            "1 of 2 faults are seen by the champion, and none is seen",
        ),
        ([fault("a", "kept"), fault("b", "open")], "inconclusive", "b may be seen less than by the champion (area"),
        (
            [fault("a", "open"), fault("b", "less", ours=0.51, theirs=0.58)],
            "fail",
            "1 of 2: b is seen less than by the champion (area 0.5100, champion 0.5800; 0.5 is unmoved)",
        ),
        (
            [fault("a", "kept"), fault("b", "faint", ours=0.52, theirs=0.53)],
            "pass",
            "1 seen by both, too faintly to say how much is kept: b (area 0.5200, champion 0.5300",
        ),
        (
            [fault("a", "kept"), fault("b", "faint", ours=0.501, theirs=0.53)],
            "inconclusive",
            "not surely by the candidate, in 20000 events that tell no more: b (area 0.5010, champion 0.5300",
        ),
        (
            [fault("a", "unseen"), fault("b", "faint")],
            "inconclusive",
            "20000 events are too few to hold any of 2 faults",
        ),
        ([fault("a", "unseen")], "pass", "surely sees none of 1 faults in 20000 events"),
        ([], "pass", "the recipe names no fault"),
    ],
)
def test_a_fault_that_the_champion_sees_must_be_seen(rows, expected, said):
    result = only(changed("faults", faults=rows), "fault_sensitivity")

    assert result.verdict == expected
    assert said in result.summary


def test_every_fault_that_is_seen_less_is_named_with_both_figures():
    by_share = {**fault("c", "less"), "judged": {"area": "unseen", "shift": "less"}}

    result = only(changed("faults", faults=[fault("a", "less"), by_share]), "fault_sensitivity")

    assert "a is seen less than by the champion (area 0.6000, champion 0.6000" in result.summary
    assert "c is seen less than by the champion (pass share moved by +1.000%, champion +2.000%)" in result.summary


@pytest.mark.parametrize(
    ("changes", "expected", "said"),
    [
        ({"events": 999}, "inconclusive", "999 replayed events; at least 1000"),
        ({"champion": None}, "pass", "no champion to compare with; 2 of 2 faults move the score"),
        ({"champion": {"kind": "bundle", "same_network": True}}, "pass", "the champion's own network"),
        (
            {"champion": {"kind": "adopted library", "same_network": False}},
            "pass",
            "1 of 2 faults are seen by the adopted library",
        ),
    ],
)
def test_what_the_verdict_on_faults_rests_on_is_said(changes, expected, said):
    result = only(changed("faults", **changes), "fault_sensitivity")

    assert result.verdict == expected
    assert said in result.summary


@pytest.mark.parametrize(
    ("rows", "needed", "expected", "said"),
    [
        ([measure("rate", "gain")], True, "pass", "gain shown in 1 of 1: rate off its target by 0.100, champion 0.300"),
        ([measure("rate", "open")], True, "inconclusive", "no gain shown yet"),
        ([measure("rate", "open")], False, "pass", "none was asked for"),
        (
            [measure("rate", "gain"), measure("TTbar", "harm")],
            True,
            "fail",
            "harm shown, more than the margin of 10%: TTbar",
        ),
        ([measure("rate", "harm")], False, "fail", "known after 7 of 20 blocks"),
    ],
)
def test_a_gain_opens_harm_refuses_and_neither_is_a_choice(rows, needed, expected, said):
    result = only(changed("gain", measures=rows, needed=needed), "new_data_gain")

    assert result.verdict == expected
    assert said in result.summary


def test_without_a_champion_there_is_nothing_to_gain_on():
    assert only(changed("gain", champion=None, measures=[]), "new_data_gain").verdict == "pass"
