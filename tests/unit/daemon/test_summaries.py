"""`retrigger summarise` counts files into summaries that add to the same bits in any order, and plot as UHI."""

import json
import subprocess
import sys

import pytest

from daemon import summaries
from daemon.errors import SetupError
from drift.errors import SummaryError
from drift.profile import LumisectionSummary
from tests.l1nano import columns, write

RUN = 382913


def retrigger(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon", *map(str, words)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """Two run files of three lumisections each, counted into one folder; the answer of the verb."""
    home = tmp_path_factory.mktemp("summaries")
    assert retrigger("init", home / "home").returncode == 0
    for place, seed in ((1, 1), (4, 2)):
        flat, jagged = columns(RUN, (place, place + 1, place + 2), 40, seed)
        write(home / "incoming" / f"run{RUN}_ls{place:04d}-{place + 2:04d}.root", flat, jagged)
    answer = retrigger(
        "summarise", "--config", home / "home" / "retrigger.toml", "--output", home / "out", "--json", home / "incoming"
    )
    return home, answer


def test_every_lumisection_gets_one_small_file_by_its_name(counted):
    home, answer = counted
    report = json.loads(answer.stdout)

    assert answer.returncode == 0
    assert (report["lumisections"], report["events"], report["quarantined"]) == (6, 240, [])
    assert [path.name for path in sorted((home / "out").iterdir())] == [f"run{RUN}_ls{i:04d}.rtls" for i in range(1, 7)]


def test_merged_in_any_order_the_bytes_are_the_same(counted, tmp_path):
    home, _ = counted
    files = sorted((home / "out").iterdir())
    forth = summaries.merge(files, tmp_path / "a.rtls", uhi=False)
    summaries.merge(files[::-1], tmp_path / "b.rtls", uhi=False)
    halves = [tmp_path / "first.rtls", tmp_path / "second.rtls"]
    for half, part in zip(halves, (files[::2], files[1::2]), strict=True):
        summaries.merge(part, half, uhi=False)
    summaries.merge(halves, tmp_path / "c.rtls", uhi=False)

    assert (forth["lumisections"], forth["events"]) == (6, 240)
    assert len({(tmp_path / name).read_bytes() for name in ("a.rtls", "b.rtls", "c.rtls")}) == 1


def test_the_verb_merges_a_folder_into_uhi_json_that_reads_back(counted, tmp_path):
    home, _ = counted
    answer = retrigger("summarise", "--merge", home / "out", "--uhi", "--output", tmp_path / "all.json")
    summaries.merge([home / "out"], tmp_path / "all.rtls", uhi=False)

    assert answer.returncode == 0
    assert "Added 6 lumisections, 240 events" in answer.stdout
    assert summaries.read(tmp_path / "all.json") == LumisectionSummary.from_bytes((tmp_path / "all.rtls").read_bytes())
    assert json.loads((tmp_path / "all.json").read_text())["Jet1_pt"]["uhi_schema"] == 1


def test_a_lumisection_given_twice_is_not_counted_twice(counted, tmp_path):
    home, _ = counted
    one = home / "out" / f"run{RUN}_ls0002.rtls"

    with pytest.raises(SummaryError, match=f"run {RUN} lumisection 2 is in .* and in .*give each lumisection once"):
        summaries.merge([one, one], tmp_path / "x.rtls", uhi=False)
    assert not (tmp_path / "x.rtls").exists()


@pytest.mark.parametrize("name", ["bad.rtls", "bad.json"])
def test_a_damaged_summary_is_refused_by_its_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xfe nothing")
    answer = retrigger("summarise", "--merge", tmp_path / name, "--output", tmp_path / "x.rtls")

    assert answer.returncode == 2
    assert name in answer.stderr
    assert "Traceback" not in answer.stderr


def test_no_summaries_at_all_are_refused(tmp_path):
    with pytest.raises(SetupError, match=r"no \*\.rtls"):
        summaries.merge([tmp_path], tmp_path / "x.rtls", uhi=False)
    with pytest.raises(SetupError, match="does not exist"):
        summaries.merge([tmp_path / "y.rtls"], tmp_path / "x.rtls", uhi=False)


def test_a_run_file_that_cannot_be_read_is_told_and_leaves_with_1(counted, tmp_path):
    home, _ = counted
    flat, jagged = columns(RUN, (7,), 40, 3)
    whole = write(tmp_path / "whole.root", flat, jagged)
    (tmp_path / "broken.root").write_bytes(whole.read_bytes()[:-2000])
    answer = retrigger(
        "summarise", "--config", home / "home" / "retrigger.toml", "--output", tmp_path / "out", tmp_path
    )

    assert answer.returncode == 1
    assert "Counted 1 lumisections" in answer.stdout
    assert "broken.root" in answer.stdout


def test_a_lumisection_delivered_twice_is_counted_once(counted, tmp_path):
    home, _ = counted
    answer = retrigger(
        "summarise", "--config", home / "home" / "retrigger.toml", "--output", tmp_path / "out", "--json",
        home / "incoming", *sorted((home / "incoming").iterdir()),
    )  # fmt: skip

    assert json.loads(answer.stdout)["duplicates"] == 6
    assert sorted(path.read_bytes() for path in (tmp_path / "out").iterdir()) == sorted(
        path.read_bytes() for path in (home / "out").iterdir()
    )
