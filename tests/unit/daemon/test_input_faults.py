"""What was not understood in the inputs is logged once, counted while it lasts, and its end is told."""

import logging

from daemon.input_faults import InputFaults
from daemon.seed_counts import SeedCounts
from drift.rate_reference import RateReference


def test_a_fault_is_logged_once_and_its_end_once_more(caplog):
    heard = InputFaults("conditions")
    with caplog.at_level(logging.INFO, "retrigger.inputs"):
        for found in (["a: bad"], ["a: bad"], ["a: bad", "b: worse"], ["a: bad", "b: worse"], [], []):
            heard.hear(found)

    assert [one.getMessage() for one in caplog.records] == [
        "conditions: a: bad", "conditions: b: worse", "conditions: no fault any more",
    ]  # fmt: skip


def test_the_newest_fault_is_the_one_that_came_last_wherever_it_is_listed():
    heard = InputFaults("conditions")
    heard.hear(["b: old"])
    heard.hear(["a: new", "b: old"])

    assert (heard.count, heard.newest) == (2, "a: new")
    assert heard.clause("of the conditions files") == "; of the conditions files, 2 faults, the newest: a: new"
    heard.hear(["b: old"])
    assert (heard.count, heard.newest) == (1, "b: old")


def test_a_thousand_bad_rows_are_five_lines_and_a_number(caplog):
    InputFaults("seed counters").hear([f"row {number}" for number in range(1000)])

    assert len(caplog.records) == 6
    assert caplog.records[-1].getMessage() == "seed counters: 995 more faults came with these"


def test_a_counter_file_that_never_could_be_read_stays_a_fault_when_others_come(tmp_path):
    (tmp_path / "bad.csv").write_text("what is this")
    counts = SeedCounts(RateReference((), None, (), 0, 0, ""), [tmp_path])
    counts.look()
    first = counts.faults.newest
    (tmp_path / "other.json").write_text("{}")
    counts.look()

    assert "bad.csv" in first
    assert counts.faults.count == 2


def test_a_missing_counters_folder_is_a_fault(tmp_path):
    counts = SeedCounts(RateReference((), None, (), 0, 0, ""), [tmp_path / "absent"])
    counts.look()

    assert f"{tmp_path}/absent cannot be read as seed counts" in counts.faults.newest
