"""A result is written whole or not at all, and one that cannot be is named with its place and the cause."""

import os
import resource
import threading
from contextlib import contextmanager

import pytest

from daemon.errors import SetupError
from daemon.output import folder_writable, named, saving, writable, writing


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


def test_only_what_the_system_refuses_is_renamed(tmp_path):
    with pytest.raises(ValueError, match="mine"), named(tmp_path, "the ranking"):
        raise ValueError("mine")
    full = pytest.raises(SetupError, match=r"the reference could not be written: .*x\.npz: No space left on device")
    with full, saving(tmp_path / "deep" / "x.npz", "the reference"):
        raise OSError(28, "No space left on device")
