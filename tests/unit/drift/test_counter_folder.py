"""Counter files of a folder, read again only when they change."""

import pytest

from drift.counter_folder import CounterFolder
from drift.counters import SeedCount
from drift.errors import CountersError

HEADER = "run,lumisection,seed,counts,prescale,dead_time"


def write(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_files_of_a_folder_complete_one_another_and_what_is_no_counter_file_is_left_alone(tmp_path):
    write(tmp_path / "a.csv", HEADER, "400,1,L1_A,12,1,0.05")
    write(tmp_path / "b.csv", HEADER, "400,1,L1_B,7,1,0.05", "400,2,L1_B,8,1,0.05")
    write(tmp_path / "notes.txt", "nothing")
    write(tmp_path / ".c.csv.part", "half")
    folder = CounterFolder.load([tmp_path])

    assert folder.at(400, 1) == {"L1_A": SeedCount(12, 1.0, 0.05), "L1_B": SeedCount(7, 1.0, 0.05)}
    assert folder.at(400, 2) == {"L1_B": SeedCount(8, 1.0, 0.05)}
    assert folder.at(400, 3) is None
    assert folder.faults == ()


def test_only_what_changed_is_read_again(tmp_path):
    write(tmp_path / "a.csv", HEADER, "400,1,L1_A,12,1,0.05")
    first = CounterFolder.load([tmp_path])
    assert CounterFolder.load([tmp_path]) is first

    write(tmp_path / "b.csv", HEADER, "400,2,L1_A,13,1,0.05")
    second = CounterFolder.load([tmp_path])

    assert second.at(400, 2) == {"L1_A": SeedCount(13, 1.0, 0.05)}
    assert second.tables[0] is first.tables[0]


def test_a_file_that_becomes_unreadable_keeps_its_last_good_reading_and_is_told(tmp_path):
    path = write(tmp_path / "a.csv", HEADER, "400,1,L1_A,12,1,0.05")
    CounterFolder.load([tmp_path])
    path.write_text("run,lumi")
    folder = CounterFolder.load([tmp_path])

    assert folder.at(400, 1) == {"L1_A": SeedCount(12, 1.0, 0.05)}
    assert "a.csv" in folder.faults[0]


def test_a_handful_of_zero_bias_events_never_stands_in_for_a_hardware_counter(tmp_path):
    write(tmp_path / "seeds.csv", HEADER, "400,1,L1_A,31000,1,0.05")
    write(tmp_path / "zero_bias.csv", "run,lumisection,seed,counts,crossings", "400,1,L1_A,2,3497", "400,1,L1_B,1,3497")
    found = CounterFolder.load([tmp_path]).at(400, 1)

    assert found["L1_A"] == SeedCount(31000, 1.0, 0.05)
    assert found["L1_B"].crossings == 3497


def test_a_path_that_is_not_there_is_one_readable_line(tmp_path):
    with pytest.raises(CountersError, match=r"absent cannot be read as seed counts: No such file .* or a folder"):
        CounterFolder.load([tmp_path / "absent"])
