"""Counters come twice, late, corrected and half written; what is wrong is said with file and line."""

import json

import numpy as np
import pytest

from drift.counters import CounterTable, SeedCount
from drift.errors import CountersError

HEADER = "run,lumisection,seed,counts,prescale,dead_time"


def write(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def oms(path, *attributes):
    tree = {"data": [{"id": str(k), "type": "l1algorithmtriggers", "attributes": a} for k, a in enumerate(attributes)]}
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


def test_a_table_is_read_by_the_names_in_its_header(tmp_path):
    path = write(tmp_path / "c.csv", "LS, Seed ,Run,counts,ps", "7,L1_A,400,12,3", "8,L1_A,400,13,3")
    table = CounterTable.load([path])

    assert list(table) == [(400, 7, {"L1_A": SeedCount(12, 3.0)}), (400, 8, {"L1_A": SeedCount(13, 3.0)})]
    assert table.tally == type(table.tally)()


def test_a_byte_order_mark_and_whole_numbers_written_as_floats_survive(tmp_path):
    path = tmp_path / "c.csv"
    path.write_bytes(("\ufeff" + HEADER + "\r\n400.0,7.0,L1_A,12.0,1.0,0.05\r\n400,8,L1_A,0.0,0.0,\r\n").encode())
    table = CounterTable.load([path])

    assert [one for _, _, one in table] == [{"L1_A": SeedCount(12, 1.0, 0.05)}, {"L1_A": SeedCount(0, 0.0)}]
    assert table.faults == ()


def test_counts_before_prescale_need_no_correction(tmp_path):
    path = write(tmp_path / "c.csv", "run,ls,seed,counts,pre_counts,prescale", "400,1,L1_A,10,1000,100")

    assert CounterTable.load([path]).at(0) == {"L1_A": SeedCount(1000, 1.0, 0.0)}


def test_a_missing_prescale_column_is_told(tmp_path):
    path = write(tmp_path / "c.csv", "run,ls,seed,counts", "400,1,L1_A,10")

    assert "no prescale column" in CounterTable.load([path]).faults[0]


def test_zero_bias_counts_say_how_many_crossings_they_are_of(tmp_path):
    path = write(tmp_path / "c.csv", "run,ls,seed,counts,crossings,prescale", "400,1,L1_A,2,3497,1")

    assert CounterTable.load([path]).at(0) == {"L1_A": SeedCount(2, 1.0, 0.0, 3497.0)}


def test_a_repeated_row_counts_once_and_of_two_that_disagree_the_later_holds(tmp_path):
    one = write(tmp_path / "1.csv", HEADER, "400,1,L1_A,10,1,0", "400,2,L1_A,11,1,0", "400,3,L1_A,12,1,0")
    two = write(tmp_path / "2.csv", HEADER, "400,2,L1_A,11,1,0", "400,3,L1_A,15,1,0")
    table = CounterTable.load([one, two])

    assert [c["L1_A"].counts for _, _, c in table] == [10, 11, 15]
    assert (table.tally.duplicates, table.tally.conflicts) == (1, 1)


def test_gaps_silent_seeds_and_late_rows_are_counted(tmp_path):
    path = write(
        tmp_path / "c.csv", HEADER,
        "400,1,L1_A,1,1,0", "400,1,L1_B,1,1,0", "400,5,L1_A,1,1,0", "400,4,L1_A,1,1,0", "401,1,L1_A,1,1,0",
    )  # fmt: skip
    table = CounterTable.load([path])

    assert list(table.places) == [(400, 1), (400, 4), (400, 5), (401, 1)]
    assert (table.tally.gaps, table.tally.silent, table.tally.late) == (2, 2, 1)


def test_the_order_of_rows_does_not_change_the_table(tmp_path):
    rows = [f"400,{ls},{seed},{10 * ls},1,0.01" for ls in range(1, 30) for seed in ("L1_B", "L1_A")]
    shuffled = [rows[k] for k in np.random.default_rng(1).permutation(len(rows))]
    one = CounterTable.load([write(tmp_path / "1.csv", HEADER, *rows)])
    two = CounterTable.load([write(tmp_path / "2.csv", HEADER, *shuffled)])

    assert one.places == two.places
    assert one.seeds == two.seeds == ("L1_A", "L1_B")
    assert np.array_equal(one.values, two.values, equal_nan=True)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("400,x,L1_A,10,1,0", "lumisection is 'x', expected a whole number from 1"),
        ("400,2,L1_A,1.5,1,0", "counts is '1.5'"),
        ("400,2,L1_A,-1,1,0", "counts is '-1'"),
        ("400,2,L1_A,10,0.5,0", "prescale 0.5 is neither 0 nor at least 1"),
        ("400,2,L1_A,10,0,0", "prescale 0 switches off"),
        ("400,2,L1_A,10,1,3.5", "dead time 3.5 is no fraction"),
        ("400,2,,10,1,0", "the seed has no name"),
        ("400,2,L1", "found 3 cells, the header names 6"),
    ],
)
def test_a_row_that_cannot_be_understood_is_passed_over_with_file_and_line(tmp_path, row, said):
    path = write(tmp_path / "c.csv", HEADER, "400,1,L1_A,10,1,0", row)
    table = CounterTable.load([path])

    assert len(table.places) == table.tally.malformed == 1
    assert f"{path} line 3" in table.faults[0]
    assert said in table.faults[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "lacks run, lumisection, seed, counts or pre_counts"),
        ("", "line 1: the header is ''"),
        (f"{HEADER}\n", "no row below the header"),
        (f"{HEADER}\n400,x,L1_A,10,1,0\n", "line 2 .*expected a whole number"),
    ],
)
def test_a_file_without_a_single_count_is_refused(tmp_path, text, said):
    path = tmp_path / "c.csv"
    path.write_text(text)

    with pytest.raises(CountersError, match=said):
        CounterTable.load([path])


def test_a_file_that_is_missing_or_binary_is_refused(tmp_path):
    (tmp_path / "c.csv").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(CountersError, match="No such file"):
        CounterTable.load([tmp_path / "absent.csv"])
    with pytest.raises(CountersError, match="not UTF-8"):
        CounterTable.load([tmp_path / "c.csv"])


def test_oms_answers_by_lumisection_are_read(tmp_path):
    both = {
        "run_number": 400,
        "first_lumisection_number": 3,
        "last_lumisection_number": 3,
        "bit": 421,
        "name": "L1_AXO",
    }
    path = oms(
        tmp_path / "o.json",
        both | {"pre_dt_before_prescale_counter": 23310.0, "pre_dt_before_prescale_rate": 999.0},
        both | {"first_lumisection_number": 4, "last_lumisection_number": 4, "pre_dt_before_prescale_rate": 1000.0},
    )
    table = CounterTable.load([path])

    assert list(table) == [
        (400, 3, {"L1_AXO": SeedCount(23310, 1.0, 0.0)}),
        (400, 4, {"L1_AXO": SeedCount(23310, 1.0, 0.0)}),
    ]


def test_an_oms_answer_that_sums_a_run_or_holds_no_counter_is_not_believed(tmp_path):
    good = {
        "run_number": 400, "first_lumisection_number": 3, "last_lumisection_number": 3, "name": "L1_A",
        "pre_dt_before_prescale_counter": 5,
    }  # fmt: skip
    whole = good | {"first_lumisection_number": 1, "last_lumisection_number": 900}
    after = {k: v for k, v in good.items() if k != "pre_dt_before_prescale_counter"} | {"post_dt_counter": 5}
    table = CounterTable.load([oms(tmp_path / "o.json", good, whole, after)])

    assert table.places == ((400, 3),)
    assert "data[1]: spans lumisections 1 to 900" in table.faults[0]
    assert "data[2]: lacks 'pre_dt_before_prescale_rate'" in table.faults[1]


def test_a_web_page_in_place_of_an_oms_answer_is_refused(tmp_path):
    (tmp_path / "o.json").write_text("<html>sign in</html>")

    with pytest.raises(CountersError, match=r"is no OMS response .*granularity"):
        CounterTable.load([tmp_path / "o.json"])
