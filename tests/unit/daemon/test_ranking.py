"""What `retrigger rank` reads and writes, and what it says to a person who hands it something else."""

import csv
import gzip
import json

import numpy as np
import pytest

from daemon.cli import main

HEADER = ["run_number", "year", "algo", *(f"L1T/muons/h{k}_chi2prime" for k in range(8)), "L1T/muons/h0_integral"]
BAD_RUN = 357_020


@pytest.fixture
def season(tmp_path):
    """A CSV of forty runs of which one has three bad histograms."""
    rng = np.random.default_rng(4)
    path = tmp_path / "season.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        for run in range(357_000, 357_040):
            cells = np.exp(rng.normal(-3, 0.2, 8)) * np.where(run == BAD_RUN, [9, 9, 9, 1, 1, 1, 1, 1], 1)
            writer.writerow([run, 2022, "pca", *map(repr, cells.tolist()), 5000])
    return path


def rank(capsys, *words):
    capsys.readouterr()  # what plugins printed before
    with pytest.raises(SystemExit) as leave:
        main(["rank", *map(str, words)])
    told = capsys.readouterr()
    return leave.value.code, told.out, told.err


def test_a_table_of_runs_becomes_run_and_score_with_the_bad_run_first(season, tmp_path, capsys):
    status, out, _ = rank(capsys, season, "--output", tmp_path / "out.csv")

    rows = list(csv.reader((tmp_path / "out.csv").read_text().splitlines()))
    assert status == 0
    assert rows[0] == ["run", "score"]
    assert len(rows) == 41
    assert rows[1][0] == str(BAD_RUN)
    assert [float(score) for _, score in rows[1:]] == sorted((float(score) for _, score in rows[1:]), reverse=True)
    assert "Ranked 40 runs by 8 histograms" in out


def test_without_output_the_csv_goes_to_standard_output_and_gzip_makes_no_difference(season, tmp_path, capsys):
    packed = tmp_path / "season.csv.gz"
    packed.write_bytes(gzip.compress(season.read_bytes()))

    plain, zipped = rank(capsys, season), rank(capsys, packed)

    assert plain == zipped
    assert plain[1].startswith(f"run,score\n{BAD_RUN},")


def test_a_machine_is_told_which_histograms_spoke_against_a_run(season, capsys):
    _, out, _ = rank(capsys, season, "--json")

    *lines, summary = map(json.loads, out.splitlines())
    assert [lines[0]["run"], lines[0]["place"]] == [BAD_RUN, 1]
    assert {one["column"] for one in lines[0]["suspects"]} == {f"L1T/muons/h{k}_chi2prime" for k in range(3)}
    assert [summary["runs"], summary["columns"], summary["entries"]] == [40, 8, True]


def test_a_label_is_never_looked_at(season, tmp_path, capsys):
    labelled = tmp_path / "labelled.csv"
    lines = season.read_text().splitlines()
    labels = ["label", *("bad" if k % 3 else "good" for k in range(40))]
    labelled.write_text("\n".join(f"{line},{label}" for line, label in zip(lines, labels, strict=True)))

    assert rank(capsys, labelled) == rank(capsys, season)


def edited(old, new):
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: "", "has 0 line(s); expected a header and one line a run"),
        (lambda text: text.splitlines()[0], "has 1 line(s)"),
        (edited("run_number", "number"), "has no column run or run_number; its header begins with 'number, year"),
        (edited("\n357001,", "\n357000,"), "run 357000 stands on lines 2 and 3"),
        (edited("\n357001,", "\nlast,"), "line 3, column 'run_number': found 'last'"),
        (edited("\n357001,", "\n0.5,"), "line 3: '0.5' is no run number"),
        (edited("pca,", "pca,oops"), "line 2, column 'L1T/muons/h0_chi2prime': found 'oops"),
        (edited("pca,", "pca,-"), "expected a number of zero or more"),
        (edited("pca,", "pca,1,"), "line 2 has 13 cells, the header 12"),
        (edited("h1_chi2prime", "h0_chi2prime"), "two columns named 'L1T/muons/h0_chi2prime'"),
        (lambda text: "\n".join(text.splitlines()[:9]), "8 runs are too few"),
        (lambda text: text.replace(",", ";"), "line 1 has one column"),
        (edited("pca", '"pca"x'), "is no CSV"),
    ],
)
def test_a_file_that_is_no_table_of_runs_gets_one_line_that_says_what_to_mend(season, capsys, spoil, words):
    season.write_text(spoil(season.read_text()))

    status, out, err = rank(capsys, season)

    assert status == 2
    assert out == ""
    assert words in err
    assert str(season) in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n\x00\xff", b"\x1f\x8bno gzip after all", gzip.compress(b"a,b\n", mtime=0)[:-6]],
    ids=["a picture", "no gzip", "gzip that was cut"],
)
def test_bytes_that_are_no_text_are_refused(tmp_path, capsys, content):
    path = tmp_path / "season.csv.gz"
    path.write_bytes(content)

    status, _, err = rank(capsys, path)

    assert status == 2
    assert f"{path} is no CSV" in err


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    status, _, err = rank(capsys, tmp_path / "nothing.csv")

    assert status == 2
    assert "nothing.csv" in err


def test_the_season_of_2022_is_ranked_whole_and_not_by_length(shared, capsys):
    path = shared / "data/conditions/dqm/AutoDQM_L1T_2022_308runs_chi2prime.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent: the shared data are not part of the repository")

    status, out, _ = rank(capsys, path)

    scores = {int(row["run"]): float(row["score"]) for row in csv.DictReader(out.splitlines())}
    with gzip.open(path, "rt") as stream:
        table = list(csv.DictReader(stream))
    entries = [float(row["L1T//Run summary/L1TStage2uGMT/ugmtMuonPt_integral"]) for row in table]
    ordered = [scores[int(row["run_number"])] for row in table]
    assert status == 0
    assert len(scores) == 308
    assert abs(np.corrcoef(np.argsort(np.argsort(ordered)), np.argsort(np.argsort(entries)))[0, 1]) < 0.15
