"""What cannot be read is said in plain words with its line, and ends nothing but itself."""

import os
import re

import pytest

from drift.conditions import ConditionsTable
from drift.conditions.formats import parse_certificate, parse_declared, parse_lumi_csv, parse_oms
from drift.counter_folder import CounterFolder
from drift.counters import CounterTable, SeedCount
from drift.errors import CountersError, RatesUnfitError
from drift.rate_reference import RateReference
from drift.text_forms import json_of

DEEP = "\n\n" + "[" * 100_000
HEADER = "run,lumisection,seed,counts,prescale,dead_time"
PYTHON = re.compile(r"Expecting|Errno|Error:|could not convert|invalid literal|codec|Traceback")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("{", "line 1 column 2: a name in double quotes is missing"),
        ('{"a":\n}', "line 2 column 1: a value is missing"),
        ('{"a" 1}', "line 1 column 6: a colon is missing"),
        ("[1 2]", "line 1 column 4: a comma or a closing bracket is missing"),
        ("1 2", "line 1 column 3: more text follows after its end"),
        ('["a', "line 1 column 2: a text in quotes is not closed"),
        (DEEP, "line 3: brackets stand in brackets more than 100 deep"),
        ("9" * 5000, "a number has too many digits"),
    ],
)
def test_json_that_is_none_says_what_is_wrong_where(text, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        json_of(text)


@pytest.mark.parametrize("parse", [parse_certificate, parse_declared, parse_oms])
@pytest.mark.parametrize("text", [DEEP, '{"a":' * 100_000, "{", "[", '{"data": 3}', '{"data": [3]}', "[[3]]"])
def test_conditions_that_are_no_json_are_a_fault_in_plain_words(parse, text):
    faults = parse(text).faults

    assert faults
    assert not any(PYTHON.search(one) for one in faults)


def test_one_unclosed_quote_loses_only_its_own_row_of_luminosity():
    rows = "".join(f"9500,400000,{k},50.0\n" for k in range(1, 30_000))
    read = parse_lumi_csv(f'9500,400000,30000,"50.0\n{rows}')

    assert len(read.rows) == 29_999
    assert read.faults == ("line 1 ('9500,400000,30000,\"50.0'): a quote is opened and not closed",)


def test_one_unclosed_quote_loses_only_its_own_row_of_counts(tmp_path):
    rows = "".join(f"400,{k},L1_A,12,1,0.05\n" for k in range(1, 10_000))
    (tmp_path / "c.csv").write_text(f'{HEADER}\n400,10000,"L1_A,12,1,0.05\n{rows}')
    table = CounterTable.load([tmp_path / "c.csv"])

    assert len(table.places) == 9_999
    assert table.tally.malformed == 1
    assert 'c.csv line 2 (400,10000,"L1_A,12,1,0.05): a quote is opened and not closed' in table.faults[0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("400,1,L1_A,12,many,0.05", "prescale is 'many', expected 0 or a number from 1"),
        ("400,1,L1_A,12,1,none", "dead_time is 'none', expected a fraction from 0 to below 1"),
    ],
)
def test_a_cell_that_is_no_number_is_named_by_its_column(tmp_path, row, said):
    (tmp_path / "c.csv").write_text(f"{HEADER}\n{row}\n400,2,L1_A,12,1,0.05\n")

    assert f"line 2 ({row}): {said}" in CounterTable.load([tmp_path / "c.csv"]).faults[0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("9500,400000,1,fifty", "pileup is 'fifty', expected a number"),
        ("9500,run,1,50.0", "'run' is no run, fill or lumisection number"),
        ("400000:9500:1,1:1,t,STABLE BEAMS,6800,1,1,50,x", "run:fill is '400000:9500:1', expected two numbers"),
        ("400000:9500,1:1,t,STABLE BEAMS,6800,much,1,50,x", "delivered is 'much', expected a number"),
    ],
)
def test_a_luminosity_that_is_no_number_is_named_by_its_column(row, said):
    read = parse_lumi_csv(f"9500,400000,2,50.0\n{row}\n9500,400000,3,50.0\n")

    assert len(read.rows) == 2
    assert read.faults == (f"line 2 ({row!r}): {said}",)


@pytest.mark.parametrize("text", [DEEP, "{", '{"data": 3}', "[]"])
def test_counters_and_rate_references_that_are_no_json_are_refused_in_plain_words(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(CountersError) as counters:
        CounterTable.load([path])
    with pytest.raises(RatesUnfitError) as reference:
        RateReference.load(path)

    assert not PYTHON.search(str(counters.value))
    assert not PYTHON.search(str(reference.value))


def test_a_folder_in_place_of_a_rate_reference_is_called_one(tmp_path):
    with pytest.raises(RatesUnfitError, match=r"cannot be read as a rate reference \(Is a directory\)"):
        RateReference.load(tmp_path)


def test_a_folder_of_conditions_survives_every_damaged_file(tmp_path):
    (tmp_path / "a.csv").write_text("9500,400000,1,50.0\n")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("golden.json", "dcs.json", "oms.json", "declared.json"):
        (tmp_path / name).write_text(DEEP)
    table = ConditionsTable.load(tmp_path)

    assert table.lumisections(400000) == (1,)
    assert len(table.faults) >= 5
    assert not any(PYTHON.search(one) for one in table.faults)


def test_of_two_files_that_disagree_the_one_changed_later_holds_and_both_are_named(tmp_path):
    for name, counts, changed in (("z.csv", 10, 1_000), ("a.csv", 11, 2_000), ("m.csv", 12, 1_500)):
        (tmp_path / name).write_text(f"{HEADER}\n400,1,L1_A,{counts},1,0.05\n400,{counts},L1_A,7,1,0.05\n")
        os.utime(tmp_path / name, (changed, changed))
    folder = CounterFolder.load([tmp_path])

    assert folder.at(400, 1) == {"L1_A": SeedCount(11, 1.0, 0.05)}
    assert [one.split(" in ")[0] for one in folder.faults] == [
        f"{tmp_path / 'm.csv'} contradicts {tmp_path / 'z.csv'}",
        f"{tmp_path / 'a.csv'} contradicts {tmp_path / 'm.csv'}",
    ]
    assert "in 1 counts, first of L1_A in 400:1" in folder.faults[0]
