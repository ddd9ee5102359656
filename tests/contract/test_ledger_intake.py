"""Files, lumisections, work, lead and figures of a ledger, on SQLite and on a real PostgreSQL."""

from datetime import timedelta

import pytest

from daemon.errors import LeadershipTakenError, LeaseLostError
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from tests.contract.ledger_examples import STREAM, file, lumisection
from tests.unit.daemon.lifecycle_examples import NOON, SLOT, sha

# --- files and lumisections ---------------------------------------------------------------------------------------


def test_a_file_is_taken_once_with_all_that_follows_from_it(ledger):
    alarm = f.AlarmRaised(at=NOON, actor="daemon", stream=STREAM, alarm_id="a", alarm={"verdict": "broken_detector"})
    first = ledger.take_file(file(), [lumisection(1), lumisection(2)], b"after", [(STREAM, alarm)])
    again = ledger.take_file(file(), [lumisection(1), lumisection(2)], b"twice", [(STREAM, alarm)])

    assert (first, again) == (True, False)
    assert ledger.watch_state(STREAM) == b"after"
    assert len(ledger.facts(subject=STREAM)) == 1
    assert ledger.outcome(STREAM, 1, 2) == lumisection(2)
    assert ledger.outcome(STREAM, 1, 3) is None
    assert ledger.latest(STREAM) == (1, 2)
    assert ledger.file_taken(file().sha256) == file()
    assert ledger.verify() == []


def test_the_same_bytes_under_another_name_are_a_duplicate_once_per_name(ledger):
    copy = {"path": "/in/copy.root", "outcome": "duplicate", "code": "same_bytes", "reason": "as /in/1.root"}
    ledger.take_file(file(), [lumisection(1)], None, [])

    assert ledger.take_file(file(path="/in/copy.root"), [lumisection(1)], None, []) is False
    assert [ledger.take_file(file(**copy), [], None, []) for _ in range(2)] == [True, False]
    assert ledger.figures().files == {(STREAM, "accepted"): 1, (STREAM, "duplicate"): 1}
    assert ledger.verify() == []


def test_a_lumisection_of_a_second_file_is_told_and_not_counted_twice(ledger):
    ledger.take_file(file(1), [lumisection(1), lumisection(2)], None, [])
    ledger.take_file(file(2), [lumisection(n, from_file=2, events=7) for n in (2, 3)], None, [])

    (overlap,) = ledger.overlaps(STREAM)
    assert (overlap.lumisection, overlap.events) == (2, 7)
    assert overlap.first_file_sha256 == sha("file 1")
    assert ledger.outcome(STREAM, 1, 2).events == 100
    assert ledger.recorded(STREAM, [(1, n) for n in range(1, 6)]) == {(1, 1), (1, 2), (1, 3)}
    assert ledger.figures().outcomes == {(STREAM, "watched"): 3}
    assert ledger.figures().events == {(STREAM, "watched"): 207}
    assert ledger.figures().overlaps == {STREAM: 1}
    assert ledger.verify() == []


def test_one_file_that_says_a_lumisection_twice_is_an_overlap_of_itself(ledger):
    ledger.take_file(file(), [lumisection(1), lumisection(1, events=7), lumisection(1, events=8)], None, [])

    assert ledger.outcome(STREAM, 1, 1).events == 100
    assert len(ledger.overlaps(STREAM)) == 1
    assert ledger.verify() == []


def test_a_quarantined_file_is_counted_by_its_code(ledger):
    ledger.take_file(file(outcome="quarantined", code="truncated", reason="ends early"), [], None, [])

    assert ledger.figures().quarantined == {(STREAM, "truncated"): 1}
    assert [one.reason for one in ledger.files("quarantined")] == ["ends early"]
    assert ledger.files("accepted") == []


def test_files_in_any_order_give_the_same_outcomes(url, ledger, tmp_path):
    files = {n: [lumisection(ls, from_file=n) for ls in range(10 * n, 10 * n + 3)] for n in range(1, 6)}
    for number in (3, 1, 5, 5, 2, 4, 1):
        ledger.take_file(file(number), files[number], None, [])

    assert ledger.outcomes(STREAM) == [outcome for number in sorted(files) for outcome in files[number]]


def test_certification_comes_later_and_the_last_word_counts(ledger):
    ledger.take_file(file(), [lumisection(n) for n in range(1, 5)], None, [])
    assert ledger.certify([(1, 1, True), (1, 2, True), (1, 3, False)], NOON) == 3
    assert ledger.certify([(1, 1, True), (1, 2, False)], NOON) == 1

    assert [outcome.certified for outcome in ledger.outcomes(STREAM)] == [True, False, False, None]
    assert [outcome.lumisection for outcome in ledger.outcomes(STREAM, certified=False)] == [2, 3]
    assert ledger.outcome(STREAM, 1, 2).certified is False
    assert ledger.verify() == []


def test_outcomes_are_asked_for_by_result_range_and_number(ledger):
    results = ["watched", "excluded", "late", "watched"]
    rows = [lumisection(n, run, result=results[n]) for run in (1, 2) for n in range(4)]
    ledger.take_file(file(), rows, None, [])

    assert [(o.run, o.lumisection) for o in ledger.outcomes(STREAM, between=((1, 3), (2, 1)))] == [
        (1, 3),
        (2, 0),
        (2, 1),
    ]
    assert len(ledger.outcomes(STREAM, results=["watched", "late"])) == 6
    assert [(o.run, o.lumisection) for o in ledger.outcomes(STREAM, limit=2)] == [(2, 2), (2, 3)]
    assert ledger.outcomes("another stream") == []


def test_a_file_of_many_lumisections_is_one_transaction(ledger):
    ledger.take_file(file(), [lumisection(n) for n in range(1, 1001)], None, [])

    assert len(ledger.recorded(STREAM, [(1, n) for n in range(1, 2001)])) == 1000
    assert ledger.verify() == []


# --- work, lead, status -------------------------------------------------------------------------------------------


def test_work_is_queued_once_for_its_time(ledger):
    assert ledger.add_work("retrain", NOON, {"slot": SLOT})
    assert not ledger.add_work("retrain", NOON, {"slot": SLOT})
    assert ledger.add_work("retrain", NOON + timedelta(hours=1), {})

    assert ledger.figures().work_open == {"retrain": 2}


def test_work_is_claimed_by_one_and_again_when_its_lease_runs_out(url, ledger):
    ledger.add_work("retrain", NOON, {"slot": SLOT})
    with Ledger.open(url) as other:
        first = ledger.claim_work(NOON, 60, "one")
        assert other.claim_work(NOON, 60, "two") is None
        second = other.claim_work(NOON + timedelta(seconds=60), 60, "two")

        assert (first.attempt, second.attempt) == (1, 2)
        assert second.token > first.token
        assert first.payload == {"slot": SLOT}
        with pytest.raises(LeaseLostError, match="drop the result"):
            ledger.finish_work(first, NOON)
        other.finish_work(second, NOON)
    assert ledger.claim_work(NOON + timedelta(days=1), 60, "one") is None
    assert not ledger.add_work("retrain", NOON, {})


def test_work_that_fails_comes_back_when_told_or_never(ledger):
    ledger.add_work("retrain", NOON, {})
    later = NOON + timedelta(minutes=5)
    ledger.fail_work(ledger.claim_work(NOON, 60, "one"), "disk full", NOON, retry_at=later)

    assert ledger.claim_work(NOON, 60, "one") is None
    again = ledger.claim_work(later, 60, "one")
    ledger.fail_work(again, "disk full", later)
    assert again.attempt == 2
    assert ledger.claim_work(later + timedelta(days=1), 60, "one") is None
    assert ledger.figures().work_open == {}


def test_a_renewed_lease_is_kept_and_a_lost_one_is_not(ledger):
    ledger.add_work("retrain", NOON, {})
    mine = ledger.claim_work(NOON, 60, "one")
    ledger.renew_work(mine, NOON, 600)

    assert ledger.claim_work(NOON + timedelta(seconds=599), 60, "two") is None
    ledger.claim_work(NOON + timedelta(seconds=601), 60, "two")
    with pytest.raises(LeaseLostError):
        ledger.renew_work(mine, NOON, 60)


def test_work_is_claimed_by_kind_and_oldest_first(ledger):
    ledger.add_work("tick", NOON + timedelta(seconds=1), {})
    ledger.add_work("retrain", NOON + timedelta(seconds=2), {})
    ledger.add_work("tick", NOON, {})
    now = NOON + timedelta(minutes=1)

    claimed = [ledger.claim_work(now, 60, "one", kinds=["tick"]) for _ in range(3)]
    assert [one and one.scheduled_for for one in claimed] == [NOON, NOON + timedelta(seconds=1), None]


def test_one_daemon_leads_and_the_next_has_a_larger_token(url, ledger):
    with Ledger.open(url) as other:
        with ledger.lead("one", NOON) as first:
            assert first.held()
            with pytest.raises(LeadershipTakenError, match="another daemon leads"), other.lead("two", NOON):
                pass
        with other.lead("two", NOON) as second:
            assert second.held()
            assert second.token > first.token


def test_a_process_says_how_it_is_outside_the_chain(ledger):
    ledger.put_status("loop", {"cycle": 1}, NOON)
    ledger.put_status("loop", {"cycle": 2}, NOON + timedelta(seconds=5))

    assert ledger.status()["loop"].body == {"cycle": 2}
    assert ledger.status()["loop"].at == NOON + timedelta(seconds=5)
    assert ledger.head().sequence == 0


def test_figures_count_what_was_said(ledger):
    for verdict in ("broken_detector", "real_shift", "broken_detector"):
        alarm = f.AlarmRaised(at=NOON, actor="daemon", stream=STREAM, alarm_id="a", alarm={"verdict": verdict})
        ledger.append(STREAM, [alarm])

    figures = ledger.figures()
    assert figures.alarms == {(STREAM, "broken_detector"): 2, (STREAM, "real_shift"): 1}
    assert figures.facts == {"alarm_raised": 3}
    assert (figures.head_sequence, figures.head_hash) == (3, ledger.head().hash)
