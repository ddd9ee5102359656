"""What would be submitted to a batch system, and what is said where Dask is missing."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.clusters import cluster_of, needed
from daemon.dask_runner import STARTS, beginnings, work_on
from daemon.errors import SetupError
from daemon.training import SubprocessRunner
from daemon.training_settings import ExecutorSettings


@pytest.fixture
def script(tmp_path):
    def text(**settings) -> str:
        cluster = cluster_of(ExecutorSettings(**settings), tmp_path / "state")
        try:
            return cluster.job_script()
        finally:
            cluster.close()

    return text


def test_a_submission_to_slurm_asks_for_what_the_settings_say(script):
    text = script(
        kind="slurm",
        queue="gpu",
        account="atlas",
        cores=2,
        memory="6 GiB",
        walltime="02:30:00",
        device="cuda",
        directives=("--constraint=avx2",),
        prologue=("source /opt/retrigger/bin/activate",),
    )

    wanted = ("-J retrigger", "-p gpu", "-A atlas", "--cpus-per-task=2", "--mem=6G", "-t 02:30:00")
    assert [line for line in wanted if f"#SBATCH {line}\n" not in text] == []
    assert "#SBATCH --gres=gpu:1\n#SBATCH --constraint" not in text
    assert "#SBATCH --constraint=avx2\n#SBATCH --gres=gpu:1\nsource /opt/retrigger/bin/activate\n" in text
    assert f"{sys.executable} -m distributed.cli.dask_worker tls://" in text
    assert "--nthreads 1 --protocol tls://" in text


def test_a_submission_to_htcondor_asks_for_what_the_settings_say(script, tmp_path):
    text = script(
        kind="htcondor",
        account="group_cms.l1",
        memory="3 GiB",
        disk="5 GiB",
        walltime="01:00:00",
        device="cuda",
        directives=('requirements = (OpSysAndVer == "AlmaLinux9")', '+JobFlavour = "longlunch"'),
        prologue=("source /opt/retrigger/bin/activate",),
    )

    wanted = (
        "MY.DaskWorkerCores = 1",
        f"MY.DaskWorkerMemory = {3 * 2**30}",
        f"MY.DaskWorkerDisk = {5 * 2**30}",
        'requirements = (OpSysAndVer == "AlmaLinux9")',
        '+JobFlavour = "longlunch"',
        "request_GPUs = 1",
        "+MaxRuntime = 3600",
        '+AccountingGroup = "group_cms.l1"',
        "Executable = /bin/sh",
        "Queue",
    )
    lines = text.splitlines()
    assert [line for line in wanted if line not in lines] == []
    assert "source /opt/retrigger/bin/activate; " in text
    assert str(tmp_path / "state") in text  # its certificates lie where the workers see them


def test_without_a_gpu_none_is_asked_for(script):
    assert "--gres" not in script(kind="slurm")
    assert "request_GPUs" not in script(kind="htcondor")


def test_a_state_folder_that_cannot_be_is_a_mistake_of_the_setup(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(SetupError, match="cannot be set up"):
        cluster_of(ExecutorSettings(kind="slurm"), tmp_path / "file")


def test_what_is_not_installed_is_named_with_its_extra():
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from daemon.clusters import needed\n"
        "from daemon.errors import SetupError\n"
        "try: needed('distributed')\n"
        "except SetupError as error: print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "retrigger[dask]" in answer.stdout
    assert needed("dask").__name__ == "dask"


def test_a_job_that_took_its_workers_with_it_is_not_begun_again(tmp_path):
    line = {"token": "one", "host": "here", "pid": 1, "at": datetime(2026, 5, 1, tzinfo=UTC).isoformat()}
    (tmp_path / STARTS).write_text(f"{json.dumps(line)}\n{json.dumps(line)}\n" + '{"token": "one", "ho')

    end = work_on(str(tmp_path), "one", 60.0, starts=1)

    assert end == {"losses": 1, "text": "1 workers were lost while they ran it; the job is not begun again"}


def test_a_beginning_after_a_torn_line_counts(tmp_path):
    (tmp_path / STARTS).write_text('{"token": "one"}\n{"token": "one", "ho')
    (tmp_path / "job.json").write_text("{}")
    (tmp_path / "result.json").write_text('{"verdict": "refused"}')

    end = work_on(str(tmp_path), "one", 60.0, starts=2)

    assert end == {"losses": 1, "result": {"verdict": "refused"}}
    assert [one["token"] for one in beginnings(tmp_path)] == ["one", "one"]


def test_beginnings_of_another_submission_do_not_count(tmp_path):
    (tmp_path / STARTS).write_text('{"token": "before"}\n')
    (tmp_path / "job.json").write_text("{}")
    (tmp_path / "result.json").write_text('{"verdict": "refused"}')

    end = work_on(str(tmp_path), "now", 60.0, starts=1)

    assert end == {"losses": 0, "result": {"verdict": "refused"}}
    assert [one["token"] for one in beginnings(tmp_path)] == ["before", "now"]


def device_of(runner: SubprocessRunner, folder: Path) -> str:
    """Return which device the child of a job sees; right after its birth the kernel may not show it yet."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for entry in Path(f"/proc/{runner._children[folder].pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(b"CUDA_VISIBLE_DEVICES="):
                return entry.decode().partition("=")[2]
        time.sleep(0.01)
    return "none"


def test_jobs_share_the_named_gpus_evenly(tmp_path):
    runner = SubprocessRunner(stalled_s=60.0, gpus=("4", "7"))
    seen = []
    try:
        for name in "abc":
            (tmp_path / name).mkdir()
            runner.start(tmp_path / name)
            seen.append(device_of(runner, tmp_path / name))
    finally:
        runner.stop()

    assert seen == ["4", "7", "4"]
