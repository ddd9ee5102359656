"""The heartbeat is the progress."""

import json
from datetime import UTC, datetime, timedelta

from retrain.progress import Progress, read_whole, write_whole

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


class SteppingClock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


def test_a_beat_says_stage_fraction_text_and_time(tmp_path):
    progress = Progress(tmp_path / "progress.json", SteppingClock())

    progress.stage("train")

    told = json.loads((tmp_path / "progress.json").read_bytes())
    assert (told["stage"], told["fraction"], told["at"]) == ("train", 0, "2026-05-01T12:00:00.000Z")


def test_beats_are_written_at_most_twice_a_second_and_never_go_silent(tmp_path):
    clock = SteppingClock()
    progress = Progress(tmp_path / "progress.json", clock)
    progress.stage("train")

    progress.beat(0.1, "too soon")
    assert read_whole(tmp_path / "progress.json")["fraction"] == 0
    clock.now += timedelta(seconds=1)
    progress.beat(0.2, "epoch 1")

    assert read_whole(tmp_path / "progress.json")["text"] == "epoch 1"


def test_a_clock_set_back_does_not_silence_the_heart(tmp_path):
    clock = SteppingClock()
    progress = Progress(tmp_path / "progress.json", clock)
    progress.stage("train")
    clock.now -= timedelta(hours=1)

    progress.beat(0.5, "after the clock was set back")

    assert read_whole(tmp_path / "progress.json")["fraction"] == 0.5


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    write_whole(tmp_path / "x.json", {"a": 1})
    write_whole(tmp_path / "x.json", {"a": 2})

    assert read_whole(tmp_path / "x.json") == {"a": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_half_a_file_and_no_file_are_nothing(tmp_path):
    (tmp_path / "half.json").write_text('{"a": ')

    assert read_whole(tmp_path / "half.json") is None
    assert read_whole(tmp_path / "none.json") is None
