"""Which of the ways to run jobs the configuration chooses."""

from daemon.clusters import cluster_of
from daemon.config import Settings
from daemon.dask_runner import DaskRunner
from daemon.training import JobRunner, SubprocessRunner


def runner_of(settings: Settings) -> JobRunner:
    """Return the runner of `executor.kind`; workers of a batch system are asked for at once.

    Raises:
        SetupError: Dask is asked for and not installed, or cannot be set up.
    """
    executor, stalled_s = settings.executor, settings.retrain.stalled_s
    if executor.kind == "subprocess":
        return SubprocessRunner(stalled_s=stalled_s, gpus=executor.gpus)
    if executor.scheduler:
        return DaskRunner(None, stalled_s=stalled_s, starts=executor.starts, address=executor.scheduler)
    cluster = cluster_of(executor, settings.state)
    if executor.kind != "dask":
        cluster.scale(executor.workers)
    return DaskRunner(cluster, stalled_s=stalled_s, starts=executor.starts, gpus=executor.gpus)
