"""A prescale column that says a model is off switches it off; nothing in a table is read as what it is not."""

import json
import re
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli import main
from daemon.menu import Rules, changed_columns, check_table, check_thresholds, parse_table, parse_thresholds
from tests.unit.daemon.page_world import example_bundle

GOOD = """Index,Name,Emergency,2p0E34,2p0E34_NoAXO,2p0E34_NoL1CICADA
0,L1_SingleMu22,0,1,1,1
1,L1_AXO_Nominal,0,1,0,1
2,L1_AXO_Tight,0,2.5,0,2.5
3,L1_CICADA_Tight,0,1,1,0
4,L1_ZeroBias,17581,70000,70000,70000
"""


def table(text=GOOD, name="menu.csv"):
    return parse_table(text.encode(), name)


def errors(text, rules=None):
    read, problems = table(text)
    return [one for one in [*problems, *check_table(read, rules or Rules())] if one.severity == "error"]


def test_a_table_that_can_switch_its_models_off_holds():
    assert errors(GOOD) == []


@pytest.mark.parametrize(
    ("column", "model", "seed"),
    [("2p0E34_NoAXO", "AXO", "L1_AXO_Tight"), ("2p0E34_NoL1CICADA", "CICADA", "L1_CICADA_Tight")],
)
def test_a_seed_left_on_where_its_model_is_to_be_off_is_named(column, model, seed):
    text = GOOD.replace("2.5,0,2.5", "2.5,1,2.5").replace("0,1,1,0", "0,1,1,3")
    found = {one.column: one for one in errors(text)}

    assert found[column].rule == "kill_switch"
    assert found[column].seeds == (seed,)
    assert f"is to switch {model} off and leaves 1 of its seeds on: {seed}" in found[column].text


def test_a_column_may_switch_several_models_off_and_do_other_things_besides():
    text = GOOD.replace("2p0E34_NoL1CICADA", "2p0E34_NoAXOL1TL_NoCICADA+ZeroBias")
    (found,) = errors(text)

    assert found.seeds == ("L1_AXO_Nominal", "L1_AXO_Tight")


def test_a_model_of_the_site_is_declared_by_name_and_pattern():
    text = GOOD.replace("L1_CICADA_Tight,0,1,1,0", "L1_HGTagger5,0,1,1,7").replace("NoL1CICADA", "NoHG")
    rules = replace(Rules(), models={"HG": ("L1_HGTag*",)})

    assert errors(text) == []
    assert [one.seeds for one in errors(text, rules)] == [("L1_HGTagger5",)]


def test_only_declared_seeds_run_in_an_emergency():
    text = GOOD.replace("L1_SingleMu22,0", "L1_SingleMu22,1").replace("Emergency", "Emergency_noBeam")
    (found,) = errors(text)

    assert (found.rule, found.seeds) == ("emergency", ("L1_SingleMu22",))
    assert [one.seeds for one in errors(GOOD, replace(Rules(), exceptions=()))] == [("L1_ZeroBias",)]


def test_an_empty_cell_means_off_in_an_emergency_and_nothing_anywhere_else():
    (found,) = errors(GOOD.replace("L1_AXO_Nominal,0,1,0,1", "L1_AXO_Nominal,,,0,1"))

    assert "L1_AXO_Nominal in 2p0E34: the cell is empty" in found.text
    assert found.line == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", ";"),
        lambda text: re.sub(r"(?m)^(Index|\d),", "", text),
        lambda text: text.replace(",1,", ",1.0,").replace("17581", "17581.0").replace("70000", "7e4"),
        lambda text: text.replace("\n", ",,\n"),
        lambda text: text.replace("L1_AXO_Tight", '"L1_AXO_Tight"').replace("Name", " Name "),
        lambda text: text + "\n\n,,,,,\n",
    ],
)
def test_the_same_table_in_another_layout_is_the_same_table(change):
    read, problems = table(change(GOOD))

    assert problems == []
    assert [(row.seed, row.cells) for row in read.rows] == [(row.seed, row.cells) for row in table()[0].rows]
    assert read.columns == table()[0].columns


def test_a_fraction_is_kept_exactly():
    assert table()[0].rows[2].cells == (0, Fraction(5, 2), 0, Fraction(5, 2))


@pytest.mark.parametrize("cell", ["-1", "x", "nan", "inf", "0.5", "1,0x", "1e99999", "0x10", "1 000", "--", "\u0661"])
def test_a_cell_that_is_no_prescale_is_an_error_that_names_row_and_column(cell):
    read, problems = table(GOOD.replace("L1_AXO_Tight,0,2.5", f'L1_AXO_Tight,0,"{cell}"'))

    (found,) = problems
    assert (found.line, found.column, found.seeds) == (4, "2p0E34", ("L1_AXO_Tight",))
    assert repr(cell) in found.text
    assert read.rows[2].cells[1] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no line"),
        ("a,b\n1,2\n", "no column called Name"),
        ("Index,Name\n0,L1_X\n", "no prescale column"),
        ("Index,Name,A,A\n0,L1_X,0,0\n", "the column A stands twice"),
        ("Index,Name,A,,B\n0,L1_X,0,0,1\n", "column 4 has no name"),
        ("Name,A\nL1_X,1\nL1_X,0\n", "L1_X: stands on line 2 already"),
        ("Name,A\nL1_X,1,1\n", "L1_X: has 3 cells, the header has 2"),
        ("Name,A\nL1_X\n", "L1_X: has 1 cells, the header has 2"),
        ("Name,A\n,1\n", "names no seed"),
        ('Name,A\n"L1_X,1\n', "mend the quotes"),
    ],
)
def test_a_table_that_cannot_be_trusted_says_where(text, words):
    assert any(words in one.text for one in errors(text))


def test_a_file_that_is_no_text_or_far_too_large_is_refused():
    assert "no UTF-8" in parse_table(b"\xff\xfe\x00", "x")[1][0].text
    assert "another file" in parse_table(b"0" * (4 * 2**20 + 1), "x")[1][0].text


@given(st.binary(max_size=200))
def test_no_bytes_whatever_break_the_parser(content):
    read, problems = parse_table(content, "x")

    assert problems or read.columns
    check_table(read, Rules())


@given(data=st.data())
def test_any_seed_of_a_model_left_on_in_any_of_its_columns_is_found(data):
    rows = GOOD.splitlines()
    at, column = data.draw(st.sampled_from([(2, 4), (3, 4), (4, 5)]))
    cells = rows[at].split(",")
    cells[column] = data.draw(st.sampled_from(["1", "1.0", "63000", "2.5", "junk", ""]))
    rows[at] = ",".join(cells)

    assert any(cells[1] in one.seeds for one in errors("\n".join(rows)))


def test_columns_and_seeds_that_vanish_are_reported():
    after, _ = table(GOOD.replace("2p0E34_NoAXO", "1p8E34").replace("L1_AXO_Tight", "L1_AXO_VTight"), "after.csv")
    found = changed_columns(table()[0], after, Rules())

    assert [one.text for one in found] == [
        "the column 2p0E34_NoAXO of menu.csv vanished; nothing here switches AXO off any more",
        "seeds of AXO in menu.csv vanished: L1_AXO_Tight",
    ]
    assert {one.severity for one in found} == {"note"}


def test_a_model_that_runs_without_a_column_of_its_own_is_noted():
    read, _ = table(GOOD.replace("2p0E34_NoAXO", "1p8E34"))
    (found,) = [one for one in check_table(read, Rules()) if "AXO runs" in one.text]

    assert found.severity == "note"


# --- thresholds ---------------------------------------------------------------------------------------------------


def cut(said, threshold=3541, seed="L1_AXO_Nominal"):
    thresholds, problems = parse_thresholds(said.encode(), "thresholds.csv", 16)
    found = check_thresholds(table()[0], thresholds, Rules(), model="AXO", seed=seed, threshold=threshold)
    return [one.text for one in [*problems, *found]]


@pytest.mark.parametrize("said", ["3541", "221.3125", "221.31"])
def test_a_menu_that_cuts_where_the_bundle_says_holds(said):
    assert cut(f"\ufeffName,Threshold\r\nL1_AXO_Nominal,{said}\r\nL1_AXO_Tight,3865\r\n") == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("L1_AXO_Nominal,3540\nL1_AXO_Tight,3865", "the menu cuts at 3540, the bundle was made for 3541"),
        ("L1_AXO_Nominal,3541", "L1_AXO_Tight: runs, and the menu's thresholds say nothing of it"),
        ("L1_AXO_Tight,3865", "L1_AXO_Nominal: the menu's thresholds say nothing of it"),
        ("L1_AXO_Nominal,3541\nL1_AXO_Tight,1\nL1_AXO_Old,1", "L1_AXO_Old: has a threshold and is no seed"),
        ("L1_AXO_Nominal,3541\nL1_AXO_Tight,1\nL1_AXO_Tight,2", "L1_AXO_Tight stands twice"),
        ("L1_AXO_Nominal,x\nL1_AXO_Tight,1", "expected a seed and a threshold"),
    ],
)
def test_a_menu_that_cuts_elsewhere_or_says_nothing_is_refused(said, words):
    assert any(words in one for one in cut(f"Name,Threshold\n{said}\n"))


def test_a_file_of_thresholds_of_another_form_is_refused():
    assert "expected the header Name,Threshold" in cut("seed,cut\nL1_AXO_Nominal,1\n")[0]
    assert "no CSV in UTF-8" in parse_thresholds(b"\xff", "x", 16)[1][0].text


# --- the verb -----------------------------------------------------------------------------------------------------


@pytest.fixture
def lint(capsys):
    def run(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["menu", "lint", *map(str, words)])
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


def test_of_the_real_tables_exactly_one_fails_and_names_its_seeds(shared, lint):
    folder = shared / "data" / "conditions" / "prescales"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: the prescale tables of CMS are not part of the repository")
    files = sorted(folder.glob("*.csv"))
    status, said, _ = lint("--json", *files)
    told = [json.loads(line) for line in said.splitlines()]
    (failed,) = [one for one in told if not one["good"]]
    wrong = [one for one in failed["findings"] if one["severity"] == "error"]

    assert len(told) == len(files) == 6
    assert status == 1
    assert failed["table"].endswith("L1Menu_Collisions2025_v1_0_0.csv")
    assert [one["column"] for one in wrong] == ["2p0E34_NoAXO", "1p8E34_NoAXO"]
    assert [one["seeds"] for one in wrong] == [["L1_AXO_Medium", "L1_AXO_VVTight", "L1_AXO_VVVTight"]] * 2


def test_a_menu_is_held_against_a_bundle(tmp_path, lint):
    bundle = example_bundle(tmp_path / "bundles", seed=1, champion=None)
    (tmp_path / "menu.csv").write_text(GOOD)
    thresholds = tmp_path / "thresholds.csv"
    asked = ["--bundle", bundle.path, "--thresholds", thresholds, "--seed", "L1_AXO_Nominal"]
    thresholds.write_text(f"Name,Threshold\nL1_AXO_Nominal,{bundle.threshold}\nL1_AXO_Tight,9999\n")
    same = lint(tmp_path / "menu.csv", *asked)
    thresholds.write_text(f"Name,Threshold\nL1_AXO_Nominal,{bundle.threshold + 1}\nL1_AXO_Tight,9999\n")
    other = lint(tmp_path / "menu.csv", *asked)

    assert (same[0], other[0]) == (0, 1)
    assert f"the menu cuts at {bundle.threshold + 1}, the bundle was made for {bundle.threshold}" in other[1]


def test_what_the_verb_lacks_it_asks_for(tmp_path, lint):
    (tmp_path / "menu.csv").write_text(GOOD)
    answers = [
        lint(tmp_path / "menu.csv", "--bundle", tmp_path),
        lint(tmp_path / "menu.csv", "--seed", "L1_AXO_Nominal"),
        lint(tmp_path / "menu.csv", "--model", "AXO"),
        lint(tmp_path / "none.csv"),
    ]

    assert [one[0] for one in answers] == [2] * 4
    assert "--thresholds (CSV: Name,Threshold)" in answers[0][2]
    assert "name it with --bundle" in answers[1][2]
    assert "expected NAME=PATTERN" in answers[2][2]
    assert "none.csv" in answers[3][2]
