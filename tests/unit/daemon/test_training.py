"""How a training job is started beside the loop, and what is seen of it."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from daemon.errors import JobError
from daemon.training import SubprocessRunner, write_job

BROKEN = {"recipe": {"slot": ""}, "lumisections": [], "champion": None, "out": "/nowhere", "exclude_reasons": {}}


def now() -> datetime:
    return datetime.now(tz=UTC)


@pytest.fixture
def runner():
    one = SubprocessRunner(stalled_s=600.0)
    yield one
    one.stop()


def until(runner: SubprocessRunner, folder, *phases: str):
    deadline = time.monotonic() + 60
    while (state := runner.look(folder, now())).phase not in phases and time.monotonic() < deadline:
        time.sleep(0.1)
    return state


def test_a_job_is_written_once_and_never_changed(tmp_path):
    write_job(tmp_path / "job", {"recipe": 1})
    write_job(tmp_path / "job", {"recipe": 1})

    with pytest.raises(JobError, match="another job"):
        write_job(tmp_path / "job", {"recipe": 2})
    assert json.loads((tmp_path / "job" / "job.json").read_text()) == {"recipe": 1}


def test_a_job_that_nobody_started_is_absent_even_if_a_killed_daemon_left_its_progress(tmp_path, runner):
    write_job(tmp_path, BROKEN)
    (tmp_path / "progress.json").write_text('{"stage": "train"}')

    assert runner.look(tmp_path, now()).phase == "absent"


def test_a_description_that_is_wrong_ends_in_a_result_that_says_so(tmp_path, runner):
    write_job(tmp_path, BROKEN)
    runner.start(tmp_path)
    state = until(runner, tmp_path, "finished", "dead")

    assert state.phase == "finished"
    assert state.result is not None
    assert state.result["verdict"] == "refused"
    assert "lumisections" in state.result["reason"]


def test_a_finished_job_is_not_started_again(tmp_path, runner):
    write_job(tmp_path, BROKEN)
    (tmp_path / "result.json").write_text('{"verdict": "refused"}')
    runner.start(tmp_path)

    assert not (tmp_path / "log.txt").exists()
    assert runner.look(tmp_path, now()).phase == "finished"


def test_a_job_without_a_sign_of_life_is_killed_and_called_dead(tmp_path):
    impatient = SubprocessRunner(stalled_s=0.0)
    write_job(tmp_path, BROKEN)
    old = (now() - timedelta(hours=1)).timestamp()
    os.utime(tmp_path / "job.json", (old, old))
    impatient.start(tmp_path)
    state = impatient.look(tmp_path, now())

    assert state.phase in {"dead", "finished"}
    impatient.stop()
