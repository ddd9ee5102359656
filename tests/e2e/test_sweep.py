"""A sweep on real workers of Dask, which are killed under it."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from daemon import sweep as sweeping
from daemon.cli import main
from daemon.clusters import cluster_of
from daemon.dask_runner import DaskRunner, beginnings
from daemon.sweep_plan import read_plan
from daemon.training import SubprocessRunner
from daemon.training_settings import ExecutorSettings
from retrain.contract import Budget, axol1tl_contract
from retrain.preflight import derive
from retrain.recipe import Recipe
from tests.e2e.jobs import unit_conftest

pytestmark = pytest.mark.timeout(600)


def now():
    return datetime.now(tz=UTC)


@pytest.fixture
def base(tmp_path):
    """A job whose networks train and are then found too large: its end comes before the compiler."""
    conftest = unit_conftest()
    job = conftest.write_job(tmp_path / "base", events=200)
    socket = derive(axol1tl_contract("L1_AXO"), conftest.zero_bias(2400, seed=7))
    contract = replace(socket, budget=Budget(lut=200))
    small = {"hidden": [4], "latent": 2, "epochs": 1, "batch_size": 100, "tries": 1, "contract": contract.digest}
    return {**job, "recipe": {**job["recipe"], **small}, "contract": contract.to_json()}


def sweep_of(base, out, seeds):
    (out.parent / "plan.json").write_text(json.dumps({"grid": {"seed": seeds}}))
    entries = read_plan(out.parent / "plan.json", Recipe.from_json(base["recipe"]))
    return sweeping.Sweep(entries, base, out, failures=3)


@pytest.fixture
def dask(tmp_path):
    settings = ExecutorSettings(kind="dask", workers=2)
    runner = DaskRunner(cluster_of(settings, tmp_path), stalled_s=120.0, starts=3)
    yield runner
    runner.stop()


class Killing:
    """A runner that kills the worker of one job, at each of its first beginnings."""

    def __init__(self, runner, folder, times):
        self.runner, self.folder, self.times, self.killed = runner, folder, times, 0

    def start(self, folder):
        self.runner.start(folder)

    def look(self, folder, at):
        begun = beginnings(self.folder)
        stage = (self.folder / "stages").exists()
        if self.killed < min(self.times, len(begun)) and (stage or self.killed):
            os.kill(begun[self.killed]["pid"], signal.SIGKILL)
            self.killed += 1
        return self.runner.look(folder, at)

    def stop(self):
        self.runner.stop()

    @property
    def busy(self):
        return self.runner.busy


def test_a_sweep_ends_in_the_same_weights_when_a_worker_is_killed_under_it(base, dask, tmp_path):
    sweep = sweep_of(base, tmp_path / "disturbed", [1, 2, 3, 4])
    hit = sweep.entries[1]
    killing = Killing(dask, sweep.folder(hit), times=1)

    rows = sweeping.run(sweep, killing, width=2, clock=now, say=lambda row: None)

    alone = sweep_of(base, tmp_path / "undisturbed", [2])
    plain = SubprocessRunner(stalled_s=120.0)
    expected = sweeping.run(alone, plain, width=1, clock=now, say=lambda row: None)
    plain.stop()
    weights = "stages/3-export/weights.safetensors"
    assert killing.killed == 1
    assert [row["verdict"] for row in rows] == ["refused"] * 4
    assert [row["gates"] for row in rows] == [{"resources": "fail"}] * 4
    assert [row["losses"] for row in rows] == [0, 1, 0, 0]
    assert rows[1]["resources"] == expected[0]["resources"]
    assert (sweep.folder(hit) / weights).read_bytes() == (alone.folder(alone.entries[0]) / weights).read_bytes()


def test_a_recipe_that_takes_every_worker_with_it_is_given_up_and_the_others_end(base, dask, tmp_path):
    sweep = sweep_of(base, tmp_path / "poison", [1, 2])
    killing = Killing(dask, sweep.folder(sweep.entries[0]), times=3)

    rows = sweeping.run(sweep, killing, width=2, clock=now, say=lambda row: None)

    assert [row["verdict"] for row in rows] == ["given_up", "refused"]
    assert "3 workers were lost" in rows[0]["reason"]
    assert rows[1]["failures"] == 0


def test_what_was_given_up_after_its_dataset_was_whole_ends_when_it_is_tried_again(base, tmp_path):
    sweep = replace(sweep_of(base, tmp_path / "again", [1]), failures=1)
    folder = sweep.folder(sweep.entries[0])
    blocked = folder / "stages" / "2-train"
    blocked.mkdir(parents=True)  # a stage that counts as done and holds nothing: the one after it fails
    runners = [SubprocessRunner(stalled_s=120.0) for _ in range(2)]  # one a start of the verb

    first = sweeping.run(sweep, runners[0], width=1, clock=now, say=lambda row: None)
    kept = (folder / "stages/1-dataset/features.npy").exists()
    blocked.rmdir()
    sweeping.forgive(sweep.out)
    second = sweeping.run(sweep, runners[1], width=1, clock=now, say=lambda row: None)
    for runner in runners:
        runner.stop()

    assert [row["verdict"] for row in first] == ["given_up"]
    assert kept
    assert [row["verdict"] for row in second] == ["refused"]
    assert not (folder / "stages/1-dataset/features.npy").exists()


def test_the_verb_sweeps_on_the_job_of_a_candidate_and_does_nothing_twice(base, tmp_path):
    (tmp_path / "base.json").write_text(json.dumps(base))
    (tmp_path / "plan.toml").write_text("[[recipes]]\nweight_bits = 4\n")
    (tmp_path / "retrigger.toml").write_text("")
    words = ["sweep", str(tmp_path / "plan.toml"), "--job", str(tmp_path / "base.json"), "--json"]
    words += ["--config", str(tmp_path / "retrigger.toml"), "--out", str(tmp_path / "out")]

    answers = [
        subprocess.run([sys.executable, "-m", "daemon", *words], capture_output=True, text=True, check=False)
        for _ in range(2)
    ]

    told = [[json.loads(line) for line in answer.stdout.splitlines()] for answer in answers]
    assert [answer.returncode for answer in answers] == [0, 0], answers[0].stderr
    assert [[one["type"] for one in lines] for lines in told] == [["recipe", "sweep"], ["sweep"]]
    assert (told[0][0]["verdict"], told[0][0]["changes"]) == ("refused", {"weight_bits": 4})
    assert told[1][0]["refused"] == 1


def test_a_sweep_needs_data_from_one_place(tmp_path, capsys):
    (tmp_path / "retrigger.toml").write_text("")

    with pytest.raises(SystemExit) as left:
        main(["sweep", "plan.toml", "--out", str(tmp_path / "out"), "--config", str(tmp_path / "retrigger.toml")])
    assert left.value.code == 2
    assert "run files, or --job" in capsys.readouterr().err
