"""A Dask scheduler that others own: it may be down, go away and come back, and only jobs wait for it."""

import socket
import time
from datetime import UTC, datetime

import dask
import pytest
from distributed import LocalCluster
from distributed.security import Security

from daemon.config import Settings
from daemon.dask_runner import LONGEST_PAUSE_S, PAUSE_S, DaskRunner
from daemon.errors import JobError
from daemon.executors import runner_of
from daemon.training_settings import ExecutorSettings

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Stopwatch:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def certificates():
    return Security.temporary()


@pytest.fixture
def security(certificates):
    """Certificates of a site, which Dask's own configuration names."""
    made = certificates
    tls = {"ca-file": made.tls_ca_file, "client": {"cert": made.tls_client_cert, "key": made.tls_client_key}}
    with dask.config.set({"distributed.comm.tls": {**dask.config.get("distributed.comm.tls"), **tls}}):
        yield made


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def scheduler(security, port):
    """Starts a scheduler without workers at the same address each time."""
    running = []

    def start() -> LocalCluster:
        cluster = LocalCluster(
            n_workers=0, host="tls://127.0.0.1", scheduler_port=port, security=security, dashboard_address=None
        )
        running.append(cluster)
        return cluster

    yield start
    for one in running:
        one.close()


@pytest.fixture
def watch():
    return Stopwatch()


@pytest.fixture
def runner(port, watch):
    address = f"tls://127.0.0.1:{port}"
    made = DaskRunner(None, stalled_s=60.0, starts=2, address=address, clock=watch, connect_s=1.0)
    yield made
    made.stop()


def until(runner: DaskRunner, folder, phase: str) -> str:
    end = time.monotonic() + 20
    while (said := runner.look(folder, NOON)).phase != phase and time.monotonic() < end:
        time.sleep(0.05)
    return said.phase


def test_a_scheduler_that_is_down_is_named_by_its_key_and_holds_up_nothing_else(runner, port, security, tmp_path):
    with pytest.raises(JobError, match=rf"executor.scheduler tls://127.0.0.1:{port} takes no job: .*tried again"):
        runner.start(tmp_path)

    assert runner.look(tmp_path, NOON).phase == "absent"
    assert not runner.busy


def test_a_scheduler_that_is_down_is_asked_again_after_growing_pauses(runner, watch, scheduler, tmp_path):
    with pytest.raises(JobError):
        runner.start(tmp_path)
    scheduler()

    watch.seconds = PAUSE_S - 1.0
    with pytest.raises(JobError, match="takes no job"):
        runner.start(tmp_path)
    watch.seconds = PAUSE_S
    runner.start(tmp_path)
    assert runner.look(tmp_path, NOON).phase == "running"


def test_pauses_end_at_ten_minutes(security, watch, tmp_path):
    runner = DaskRunner(None, stalled_s=60.0, starts=2, address="tls:nowhere", clock=watch)
    pauses = []
    for _ in range(8):
        with pytest.raises(JobError):
            runner.start(tmp_path)
        pauses.append(runner._refused_until - watch.seconds)
        watch.seconds = runner._refused_until
    runner.stop()

    assert pauses[:3] == [PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_job_whose_scheduler_went_away_is_started_again_when_it_is_back(runner, watch, scheduler, tmp_path):
    first = scheduler()
    runner.start(tmp_path)
    first.close()
    lost = until(runner, tmp_path, "absent")
    closed = time.monotonic() + 20
    while runner._client.status != "closed" and time.monotonic() < closed:
        time.sleep(0.05)
    with pytest.raises(JobError, match=r"executor\.scheduler"):
        runner.start(tmp_path)
    scheduler()
    watch.seconds = PAUSE_S
    runner.start(tmp_path)

    assert lost == "absent"
    assert runner.look(tmp_path, NOON).phase == "running"


def test_a_job_under_which_the_scheduler_is_lost_too_often_is_dead(runner, scheduler, tmp_path):
    seen = []
    for _ in range(3):
        one = scheduler()
        runner.start(tmp_path)
        one.close()
        seen.append("dead" if until(runner, tmp_path, "dead" if len(seen) == 2 else "absent") == "dead" else "absent")
        runner._client.close()

    assert seen == ["absent", "absent", "dead"]


def test_without_certificates_the_message_says_where_they_come_from(watch, tmp_path):
    runner = DaskRunner(None, stalled_s=60.0, starts=2, address="tls://127.0.0.1:1", clock=watch, connect_s=0.5)
    with pytest.raises(JobError, match=r"TLS .*certificates in Dask's configuration"):
        runner.start(tmp_path)
    runner.stop()


def test_the_daemon_begins_to_watch_while_its_scheduler_is_down(port):
    settings = Settings(executor=ExecutorSettings(kind="dask", scheduler=f"tls://127.0.0.1:{port}"))
    runner = runner_of(settings)

    assert not runner.busy
    runner.stop()
