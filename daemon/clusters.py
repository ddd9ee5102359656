"""Which Dask cluster runs the jobs: workers on this machine, or workers that a batch system starts for us.

Dask and its batch systems are an extra of the package; whoever asks for them without it is told so.  Nothing is
submitted before workers are asked for, so that the text of a submission can be looked at first.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from daemon.errors import SetupError
from daemon.training_settings import ExecutorSettings

NEVER = 1_000_000
"""Workers that may die under a job before Dask itself gives up: we count, and only those that had begun it."""
NAME = "retrigger"


def needed(module: str) -> Any:
    """Return a module of the extra ``dask``.

    Raises:
        SetupError: The extra is not installed; the message names it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise SetupError(
            f"executor.kind needs {error.name}, which is not installed; install the extra with: "
            "pip install 'retrigger[dask]', or set executor.kind = \"subprocess\""
        ) from error


def cluster_of(executor: ExecutorSettings, state: Path) -> Any:
    """Return the cluster of the settings; its workers run one job each.

    A scheduler runs whatever a client sends it, so it speaks TLS only, with certificates that are made for this
    cluster and known to its own client and workers.

    A batch system's cluster has no workers yet: `cluster.job_script()` is what would be submitted, `cluster.scale(n)`
    submits it.

    Args:
        executor: What to make.
        state: A folder that workers of a batch system see as well; certificates are kept there while it lives.

    Raises:
        SetupError: The extra is not installed, or Dask refuses the settings.
    """
    distributed, dask = needed("distributed"), needed("dask")
    with dask.config.set({"distributed.scheduler.allowed-failures": NEVER}):
        try:
            if executor.kind == "dask":
                return distributed.LocalCluster(
                    n_workers=executor.workers,
                    threads_per_worker=1,
                    processes=True,
                    host="tls://127.0.0.1",
                    security=True,
                    dashboard_address="127.0.0.1:0",
                    memory_limit=0,  # a job is a child of its worker; Dask would see the worker's own memory alone
                )
            return _batch(executor, state)
        except (ValueError, OSError) as error:
            raise SetupError(f"executor.kind {executor.kind!r} cannot be set up: {error}") from error


def _batch(executor: ExecutorSettings, state: Path) -> Any:
    queues = needed("dask_jobqueue")
    state.mkdir(parents=True, exist_ok=True)
    common = {
        "cores": executor.cores,
        "processes": 1,
        "protocol": "tls://",
        "security": True,
        "shared_temp_directory": str(state),
        "memory": executor.memory,
        "job_name": NAME,
        "job_script_prologue": list(executor.prologue),
        "worker_extra_args": ["--nthreads", "1"],  # whatever cores it has, a worker runs one job
        "scheduler_options": {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    }
    if executor.kind == "htcondor":
        directives = {
            name.strip(): value.strip() for name, _, value in (one.partition("=") for one in _asked(executor))
        }
        return queues.HTCondorCluster(disk=executor.disk, job_extra_directives=directives, **common)
    return queues.SLURMCluster(
        queue=executor.queue or None,
        account=executor.account or None,
        walltime=executor.walltime,
        job_extra_directives=_asked(executor),
        **common,
    )


def _asked(executor: ExecutorSettings) -> list[str]:
    """Return the directives of the settings, and what a GPU, an account and a limit of time take beside them."""
    slurm = executor.kind == "slurm"
    extra = list(executor.directives)
    if executor.device == "cuda":
        extra.append("--gres=gpu:1" if slurm else "request_GPUs = 1")
    if not slurm:
        hours, minutes, seconds = (int(part) for part in executor.walltime.split(":"))
        extra.append(f"+MaxRuntime = {hours * 3600 + minutes * 60 + seconds}")
        if executor.account:
            extra.append(f'+AccountingGroup = "{executor.account}"')
    return extra
