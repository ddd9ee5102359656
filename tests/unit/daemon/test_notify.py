"""The daemon speaks to systemd over a real datagram socket."""

import os
import socket

import pytest

from daemon.notify import READY, STOPPING, WATCHDOG, notify, status, watchdog_period_s


@pytest.fixture
def supervisor():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(2)
        yield channel


def test_systemd_hears_that_the_daemon_is_ready(supervisor, tmp_path):
    supervisor.bind(str(tmp_path / "notify"))

    assert notify(READY, status("watching ZeroBias"), environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert supervisor.recv(4096) == b"READY=1\nSTATUS=watching ZeroBias"


def test_an_abstract_socket_is_reached_as_well(supervisor):
    name = f"retrigger-test-{os.getpid()}"
    supervisor.bind("\0" + name)

    assert notify(WATCHDOG, environment={"NOTIFY_SOCKET": "@" + name})
    assert supervisor.recv(4096) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_sent():
    assert not notify(READY, environment={})
    assert not notify(READY, environment={"NOTIFY_SOCKET": "tcp:somewhere"})


def test_a_supervisor_that_is_gone_does_not_stop_the_daemon(tmp_path):
    assert not notify(STOPPING, environment={"NOTIFY_SOCKET": str(tmp_path / "gone")})


def test_a_line_break_in_a_status_cannot_forge_another_message():
    assert status("all well\nREADY=1") == "STATUS=all well READY=1"


def test_the_watchdog_is_fed_twice_in_its_time():
    assert watchdog_period_s({"WATCHDOG_USEC": "30000000"}) == 15.0
    assert watchdog_period_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}) == 15.0


def test_a_watchdog_of_another_process_is_not_fed():
    assert watchdog_period_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) is None
    assert watchdog_period_s({}) is None
