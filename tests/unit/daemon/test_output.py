"""A result is written whole or not at all, and one that cannot be is named with its place and the cause."""

import os
import resource
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from daemon.errors import SetupError
from daemon.output import folder_writable, named, saving, writable, writing
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from tests.unit.drift import conftest as toy
from tests.unit.drift.seed_counting import rate_reference


@contextmanager
def a_full_disk(octets=100):
    """No file may grow beyond so many bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_appears_whole_with_the_folders_above_it_and_nothing_beside_it(tmp_path):
    with writing(tmp_path / "a" / "b.txt", "the text") as sink:
        sink.write(b"all of it")
        assert not (tmp_path / "a" / "b.txt").exists()

    assert [one.name for one in (tmp_path / "a").iterdir()] == ["b.txt"]
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"all of it"


def test_a_full_disk_leaves_what_was_there_and_the_message_names_path_and_thing(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_bytes(b"before")
    with a_full_disk(), pytest.raises(SetupError) as told, writing(path, "the ranking") as sink:
        sink.write(b"x" * 100_000)

    assert str(told.value).startswith(f"the ranking could not be written: {path}: {os.strerror(27)}")
    assert [one.name for one in tmp_path.iterdir()] == ["kept.txt"]
    assert path.read_bytes() == b"before"


def test_an_interruption_leaves_no_part_either(tmp_path):
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "x", "the ranking"):
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "true")
    with writing(tmp_path / "link", "the ranking") as sink:
        sink.write(b"1")
    os.mkfifo(tmp_path / "pipe")
    got = []
    listening = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    listening.start()
    with writing(tmp_path / "pipe", "the ranking") as sink:
        sink.write(b"2")
    listening.join(10)

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "true").read_bytes() == b"1"
    assert got == [b"2"]
    assert (tmp_path / "pipe").is_fifo()


def test_what_cannot_be_written_is_refused_before_the_work_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    writable(tmp_path / "new" / "deep" / "x.npz", "the reference")
    writable(tmp_path / "file", "the reference")
    folder_writable(tmp_path / "new", "summaries")
    writable(tmp_path / ".." / "dots", "the reference")

    with pytest.raises(SetupError, match=f"the reference cannot be written to {tmp_path}, which is a folder"):
        writable(tmp_path, "the reference")
    with pytest.raises(SetupError, match=r"the reference cannot be written to .*Not a directory"):
        writable(tmp_path / "file" / "x.npz", "the reference")
    with pytest.raises(SetupError, match=r"summaries cannot be written to .*, which is a file"):
        folder_writable(tmp_path / "file", "summaries")
    with pytest.raises(SetupError, match="which is no plain file"):
        writable(tmp_path / "/dev/null", "the reference")
    writable(tmp_path / "/dev/null", "the ranking", pipes=True)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_room_is_asked_for_a_file_and_not_for_a_folder_so_that_a_scan_on_a_full_disk_still_tells(tmp_path):
    with a_full_disk(0):
        folder_writable(tmp_path, "explanations")
        with pytest.raises(SetupError, match=r"the ranking cannot be written to .*File too large"):
            writable(tmp_path / "x", "the ranking")


def test_only_what_the_system_refuses_is_renamed(tmp_path):
    with pytest.raises(ValueError, match="mine"), named(tmp_path, "the ranking"):
        raise ValueError("mine")
    full = pytest.raises(SetupError, match=r"the reference could not be written: .*x\.npz: No space left on device")
    with full, saving(tmp_path / "deep" / "x.npz", "the reference"):
        raise OSError(28, "No space left on device")


def retrigger(*words, octets=None):
    """Run a verb, where it is asked as if the disk were full; no verb may leave a part behind."""
    limit = None if octets is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (octets, octets))
    return subprocess.run(
        [sys.executable, "-m", "daemon", *map(str, words)], capture_output=True, text=True, check=False,
        preexec_fn=limit,
    )  # fmt: skip


ROWS = np.random.default_rng(1).random((100, 8))
TABLE = "".join(
    f"{line}\n"
    for line in ("run,a,b,c,d,e,f,g,h", *(f"{k},{','.join(map(str, row))}" for k, row in enumerate(ROWS, 1)))
)
SMALL_WEEK = ("simulate", "--fills", 1, "--lumisections", 4, "--workers", 1, "{}/week")


@pytest.mark.parametrize(
    ("octets", "words", "what"),
    [
        (300, ("init", "{}/new"), "the configuration could not be written: {}/new/retrigger.toml: "),
        (300, SMALL_WEEK, "simulated fills could not be written: {}/week: "),
        (20_000, SMALL_WEEK, "simulated fills could not be written: {}/week: "),
        (
            300,
            ("rank", "{}/table.csv", "--output", "{}/ranked.csv"),
            "the ranking could not be written: {}/ranked.csv: ",
        ),
    ],
)
def test_a_verb_on_a_full_disk_names_what_it_was_writing_and_where(tmp_path, octets, words, what):
    (tmp_path / "table.csv").write_text(TABLE)
    answer = retrigger(*(str(word).format(tmp_path) for word in words), octets=octets)

    assert answer.returncode == 2
    assert answer.stderr.startswith(f"retrigger: {what.format(tmp_path)}{os.strerror(27)}")
    assert [one for one in tmp_path.rglob("*") if ".part" in one.name] == []
    assert list(tmp_path.rglob("*.root*")) == []
    assert not (tmp_path / "ranked.csv").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("rank", "{}/none.csv", "--output", "{}"), "the ranking"),
        (("explain", "a", "--config", "{}/none.toml", "--output", "{}"), "the page"),
        (("summarise", "--merge", "{}/none.rtls", "--output", "{}"), "the summary"),
        (("reference", "rates", "--counts", "x", "--conditions", "x", "--output", "{}"), "the rate reference"),
    ],
)
def test_an_output_that_is_a_folder_is_refused_before_anything_is_read(tmp_path, words, what):
    answer = retrigger(*(str(word).format(tmp_path) for word in words))

    assert answer.returncode == 2
    assert answer.stderr == f"retrigger: {what} cannot be written to {tmp_path}, which is a folder; name a file\n"


def test_references_that_cannot_be_saved_leave_no_part(tmp_path):
    fills = list(toy.fills(11, 4, 30, 60))
    for one, name in ((Reference.fit(fills, AXOL1TL_57), "x.npz"), (rate_reference(fills), "x.json")):
        with a_full_disk(), pytest.raises(OSError, match="File too large"):
            one.save(tmp_path / name)

    assert list(tmp_path.iterdir()) == []


def test_an_init_that_failed_can_be_tried_again(tmp_path):
    (tmp_path / "ledger.db").mkdir()
    refused = retrigger("init", tmp_path)
    Path(tmp_path / "ledger.db").rmdir()
    done = retrigger("init", tmp_path)

    assert (refused.returncode, done.returncode) == (2, 0)
