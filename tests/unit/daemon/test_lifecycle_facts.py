"""Facts as canonical JSON, folding of whatever comes, and the small states of slot, stream and daemon."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.errors import FactError
from daemon.lifecycle import Phase, champion_at, champions, evolve, fold, fold_daemon, open_faults
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import canonical, digest, parse, time_text
from daemon.lifecycle.facts import KINDS, from_json, to_json
from tests.unit.daemon.lifecycle_examples import NOON, OLD, SLOT, Course, gate, requested, sha, trained

text = st.text(st.characters(codec="utf-8"), max_size=30)
numbers = st.integers(-(2**53) + 1, 2**53 - 1)
plain_json = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
times = st.integers(0, 10**15).map(lambda us: NOON + timedelta(microseconds=us))
gates = st.builds(f.GateOutcome, number=numbers, name=text, verdict=st.sampled_from(["pass", "fail"]), summary=text)
BY_TYPE = {
    bool: st.booleans(),
    datetime: times,
    float: st.floats(0, 1e6, allow_nan=False),
    int: numbers,
    str: text,
    int | None: st.none() | numbers,
    Mapping[str, Any]: st.dictionaries(text, plain_json, max_size=3),
    f.Signature | None: st.none() | st.builds(f.Signature, kind=text, key_id=text, value=text),
    tuple[f.GateOutcome, ...]: st.lists(gates, max_size=3).map(tuple),
    tuple[str, ...]: st.lists(text, max_size=3).map(tuple),
}


def values_of(hint):
    return st.sampled_from(get_args(hint)) if get_origin(hint) is Literal else BY_TYPE[hint]


def any_of(kind):
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: values_of(hints[field.name]) for field in fields(kind)})


any_fact = st.sampled_from(sorted(KINDS.values(), key=lambda kind: kind.kind)).flatmap(any_of)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(max_examples=20)
@given(drawn=st.data())
def test_every_fact_comes_back_from_its_json_as_it_was(kind, drawn):
    fact = drawn.draw(any_of(kind))
    text_form = canonical(to_json(fact))
    back = from_json(parse(text_form))

    assert canonical(to_json(back)) == text_form
    assert type(back) is type(fact)
    assert back.at == fact.at


def test_there_is_a_strategy_for_every_kind_that_the_lifecycle_knows():
    assert len(KINDS) >= 46
    assert all(kind == made.kind for kind, made in KINDS.items())


@pytest.mark.parametrize("number", [2.0**53, -(2.0**60), 1e21, 1e300, 2**53 - 1, 0.1, 5e-324, -0.0])
def test_every_finite_number_comes_back_with_the_same_bytes(number):
    written = canonical({"log_evidence": number})

    assert canonical(parse(written)) == written
    assert parse(written)["log_evidence"] == number


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(any_fact, max_size=8))
def test_folding_is_total_and_forged_facts_carry_nobody_forward(facts):
    candidate = fold([requested(), *facts])

    assert candidate.phase not in {Phase.READY, Phase.APPROVED, Phase.ARMED, Phase.DEPLOYING, Phase.LIVE}
    assert candidate.id == "c-0001"


@given(any_fact)
def test_a_fact_that_does_not_fit_changes_nothing_but_is_told(fact):
    before = Course().to(Phase.APPROVED).candidate
    after = evolve(before, fact)

    if after.oddities:
        assert after.phase is before.phase
        assert after.approvals == before.approvals
        assert after.latest_at == before.latest_at


def test_a_fact_needs_an_aware_time():
    with pytest.raises(FactError, match="time zone"):
        f.Paused(at=NOON.replace(tzinfo=None), actor="timo", reason="x")


def test_a_time_is_written_in_utc_so_that_text_sorts_as_time_does():
    zurich = datetime(2026, 7, 1, 14, tzinfo=timezone(timedelta(hours=2)))

    assert time_text(zurich) == "2026-07-01T12:00:00.000000Z"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {1: "a"}, object(), "\ud800"])
def test_what_json_cannot_say_exactly_is_refused(value):
    with pytest.raises(FactError):
        canonical({"value": value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "teleported"}, "newer"),
        ({"surprise": 1}, "surprise"),
        ({"reason": None}, "reason"),
        ({"attempt": "1"}, "attempt"),
        ({"attempt": True}, "attempt"),
        ({"at": "yesterday"}, "ISO 8601"),
        ({"at": "2026-07-01T12:00:00"}, "time zone"),
        ({"at": 7}, "at"),
    ],
)
def test_a_damaged_fact_is_refused_by_name(change, words):
    whole = to_json(f.TrainingFailed(at=NOON, actor="daemon", reason="killed", attempt=1))

    with pytest.raises(FactError, match=words):
        from_json(whole | change)


def test_a_fact_that_lacks_a_field_is_refused_by_name():
    body = to_json(f.TrainingFailed(at=NOON, actor="daemon", reason="killed", attempt=1))
    del body["reason"]

    with pytest.raises(FactError, match="lacks the field 'reason'"):
        from_json(body)


def test_a_gate_with_a_fourth_verdict_is_refused():
    body = to_json(Course().to(Phase.READY).facts[-1])
    body["gates"][0]["verdict"] = "probably"

    with pytest.raises(FactError, match="probably"):
        from_json(body)


def test_equal_values_have_equal_digests_whatever_the_order_of_their_keys():
    assert digest({"a": 1, "b": [1.5, "é"]}) == digest({"b": [1.5, "é"], "a": 1})


def test_a_training_of_another_recipe_is_not_this_candidates():
    candidate = fold([requested(1), trained(2)])

    assert candidate.phase is Phase.BUILDING
    assert "training_finished does not fit" in candidate.oddities[0]


def test_gates_are_worst_first():
    course = Course([requested(), trained()])
    course.facts.append(
        f.GatesEvaluated(
            at=NOON,
            actor="daemon",
            bundle_digest=trained().bundle_digest,
            gates=(gate(), gate("fail", 2, "rate")),
            evidence_root=sha("e"),
            tier="T1",
            running_digest=OLD,
            certification_digest=sha("c"),
        )
    )

    assert course.candidate.closing == "gate 2 rate: rate: fail"


# --- slot, stream, daemon -----------------------------------------------------------------------------------------


def deployed(digest_, run, lumisection, slot=SLOT):
    return f.Deployed(
        at=NOON,
        actor="daemon",
        slot=slot,
        request_id="r",
        digest=digest_,
        read_back=digest_,
        effective_run=run,
        effective_lumisection=lumisection,
    )


def test_a_lumisection_belongs_to_the_champion_that_was_live_for_it():
    back = f.RolledBack(
        at=NOON,
        actor="daemon",
        slot=SLOT,
        from_digest="b",
        to_digest="a",
        by="timo",
        reason="rate",
        effective_run=5,
        effective_lumisection=30,
    )
    line = champions(
        [
            f.ChampionImported(at=NOON, actor="root", slot=SLOT, digest="a", bundle_path="/a"),
            deployed("b", 4, 10),
            deployed("other slot", 4, 11, slot="L1_CICADA"),
            back,
        ],
        SLOT,
    )

    live = {
        (run, ls): champion_at(line, run, ls).digest for run, ls in [(1, 1), (4, 9), (4, 10), (5, 29), (5, 30), (9, 1)]
    }
    assert live == {(1, 1): "a", (4, 9): "a", (4, 10): "b", (5, 29): "b", (5, 30): "a", (9, 1): "a"}
    assert champion_at((), 1, 1) is None


def test_a_fault_is_open_until_a_person_closes_that_very_alarm():
    def fault(name):
        return f.FaultOpened(
            at=NOON, actor="daemon", stream="zb", alarm_id=name, alarm={}, onset_run=1, onset_lumisection=1
        )

    closed = f.FaultClosed(at=NOON, actor="timo", stream="zb", alarm_id="one", person="timo", reason="HEM is back")

    assert [one.alarm_id for one in open_faults([fault("one"), fault("two"), fault("one"), closed])] == ["two"]


def test_pause_and_freeze_are_facts_and_say_who_and_why():
    words = {"at": NOON, "actor": "timo", "reason": "access"}

    assert fold_daemon([f.Paused(**words), f.FreezeStarted(**words)]).paused == "timo: access"
    assert fold_daemon([f.Paused(**words), f.FreezeStarted(**words), f.Resumed(**words)]).paused == ""
    assert fold_daemon([f.FreezeStarted(**words)]).frozen == "timo: access"
    assert fold_daemon([f.FreezeStarted(**words), f.FreezeEnded(**words)]).frozen == ""


def test_the_lifecycle_imports_neither_disk_nor_database_nor_clock():
    code = (
        "import daemon.lifecycle, sys; "
        "print([m for m in ('sqlalchemy', 'torch', 'numpy', 'uproot', 'logging.config') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)

    assert answer.stdout.strip() == "[]"
