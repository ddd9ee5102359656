"""Debian's docker-registry, started on loopback and stopped again."""

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress

import pytest

CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_registry(folder):
    """Yield host:port of an empty registry that keeps its blobs in a folder."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.fail("docker-registry is not installed; apt-get install docker-registry, or make debian-test")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "config.yml"
    config.write_text(CONFIG.format(folder=folder / "store", port=port))
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        wait_for(port, child)
        yield f"127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(10)


def wait_for(port, child):
    until = time.monotonic() + 20
    while time.monotonic() < until and child.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    pytest.fail("docker-registry did not start")
