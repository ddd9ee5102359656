import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.errors import QuarantineError
from drift.source import Quarantined
from drift.source.naming import Block, block_of, is_run_file, sidecar_names
from drift.source.quarantine import quarantine, records

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
BAD = Quarantined("out_of_range", "x.root: JET hardware pt lies outside 0..2047")


@pytest.fixture
def incoming(tmp_path):
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


def put(folder, name="x.root", content=b"content", sidecar=True):
    path = folder / name
    path.write_bytes(content)
    if sidecar:
        path.with_name(name + ".sha256").write_text("00")
    return path


def test_a_refused_file_moves_with_its_sidecar_and_its_reason(incoming, tmp_path):
    path = put(incoming)
    record = quarantine(path, BAD, folder=tmp_path / "q", now=NOON)

    said = json.loads(record.read_text())
    assert sorted(one.name for one in (tmp_path / "q").iterdir()) == ["x.root", "x.root.reason.json", "x.root.sha256"]
    assert list(incoming.iterdir()) == []
    assert (said["code"], said["bytes"], said["source"], said["when"]) == (
        "out_of_range",
        7,
        str(path),
        "2026-07-01T12:00:00+00:00",
    )
    assert said["sha256"] == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    assert records(tmp_path / "q") == [said]


def test_another_file_of_the_same_name_is_kept_beside_the_first(incoming, tmp_path):
    for content in (b"one", b"two", b"three"):
        quarantine(put(incoming, content=content), BAD, folder=tmp_path / "q", now=NOON)

    kept = {one.read_bytes() for one in (tmp_path / "q").glob("x.root*") if one.suffix not in {".json", ".sha256"}}
    assert kept == {b"one", b"two", b"three"}
    assert len(records(tmp_path / "q")) == 3


def test_quarantining_again_finds_the_same_record(incoming, tmp_path):
    path = put(incoming)
    first = quarantine(path, BAD, folder=tmp_path / "q", now=NOON)

    assert quarantine(path, BAD, folder=tmp_path / "q", now=NOON) == first


def test_a_crash_after_the_record_is_finished_by_doing_it_again(incoming, tmp_path):
    path = put(incoming)
    record = quarantine(path, BAD, folder=tmp_path / "q", now=NOON)
    (tmp_path / "q" / "x.root").rename(path)

    again = quarantine(path, BAD, folder=tmp_path / "q", now=NOON)

    assert again == record
    assert (tmp_path / "q" / "x.root").read_bytes() == b"content"
    assert not path.exists()


def test_a_crash_between_copy_and_removal_leaves_one_file_after_doing_it_again(incoming, tmp_path):
    path = put(incoming)
    quarantine(path, BAD, folder=tmp_path / "q", now=NOON)
    path.write_bytes(b"content")

    quarantine(path, BAD, folder=tmp_path / "q", now=NOON)

    assert not path.exists()
    assert [one.name for one in (tmp_path / "q").iterdir() if one.name.startswith("x.root.1")] == []


@pytest.mark.skipif(
    not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == Path("/tmp").stat().st_dev,
    reason="no second filesystem here",
)
def test_a_file_moves_to_another_filesystem_whole(tmp_path_factory):
    folder = Path("/dev/shm") / tmp_path_factory.mktemp("other").name
    folder.mkdir(exist_ok=True)
    path = put(folder, content=b"x" * 100_000)
    target = tmp_path_factory.mktemp("q")
    try:
        quarantine(path, BAD, folder=target, now=NOON)
        left = list(folder.iterdir())
    finally:
        for one in folder.iterdir():
            one.unlink()
        folder.rmdir()

    assert (target / "x.root").read_bytes() == b"x" * 100_000
    assert left == []
    assert not list(target.glob(".*"))


def test_a_remote_file_is_recorded_and_not_moved(incoming, tmp_path):
    path = put(incoming)
    record = quarantine(path, BAD, folder=tmp_path / "q", now=NOON, origin="root://eos.example//x.root")

    assert path.exists()
    assert json.loads(record.read_text())["source"] == "root://eos.example//x.root"
    assert [one.name for one in (tmp_path / "q").iterdir()] == ["x.root.reason.json"]


def test_a_file_that_cannot_be_set_aside_stays(incoming, tmp_path):
    (tmp_path / "q").write_text("a file where the folder should be")
    path = put(incoming)

    with pytest.raises(QuarantineError, match="still where it was"):
        quarantine(path, BAD, folder=tmp_path / "q", now=NOON)
    assert path.exists()


def test_a_file_that_never_was_cannot_be_set_aside(incoming, tmp_path):
    with pytest.raises(QuarantineError):
        quarantine(incoming / "x.root", BAD, folder=tmp_path / "q", now=NOON)


@settings(max_examples=25, deadline=None)
@given(contents=st.lists(st.binary(max_size=8), min_size=1, max_size=6))
def test_whatever_is_quarantined_can_be_found_again(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("law")
    for content in contents:
        quarantine(put(folder, content=content, sidecar=False), BAD, folder=folder / "q", now=NOON)

    kept = sorted(one.read_bytes() for one in (folder / "q").iterdir() if not one.name.endswith(".json"))
    assert set(kept) == set(contents)
    assert all((folder / "q" / one["kept_as"]).exists() for one in records(folder / "q"))


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("run382913_ls0001-0020.root", Block(382913, 1, 20)),
        ("run1_ls0001-12345.root", Block(1, 1, 12345)),
        ("run382913.root", None),
        ("run382913_ls0001-0020.root.part", None),
        ("nano_dimuon.root", None),
    ],
)
def test_a_name_claims_a_run_and_lumisections_or_nothing(name, block):
    assert block_of(name) == block


def test_a_checksum_may_be_named_after_the_file_or_its_stem():
    assert sidecar_names("a.root") == ("a.root.sha256", "a.sha256", "a.root.adler32", "a.adler32")
    assert is_run_file("a.root")
    assert not is_run_file("a.root.sha256")
