"""The databases a ledger can live on: SQLite, and a real PostgreSQL that the tests start themselves."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from daemon.ledger import Ledger

BINARIES = Path("/usr/lib/postgresql/15/bin")


def as_postgres(*argv):
    """Debian's PostgreSQL refuses root: run it as its own user."""
    prefix = []
    if os.geteuid() == 0:
        prefix = [shutil.which("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run([*prefix, *argv], check=True, capture_output=True, cwd="/")


@contextmanager
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.fixture(scope="session")
def postgresql():
    if not (BINARIES / "pg_ctl").exists():
        pytest.skip("PostgreSQL 15 of Debian is not installed (apt install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="retrigger-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    with free_port() as port:
        pass
    data = str(folder / "data")
    as_postgres(
        str(BINARIES / "initdb"), "-D", data, "-U", "retrigger", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"
    )
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    as_postgres(str(BINARIES / "pg_ctl"), "-D", data, "-o", options, "-w", "-l", str(folder / "log"), "start")
    try:
        yield f"postgresql://retrigger@127.0.0.1:{port}/postgres"
    finally:
        as_postgres(str(BINARIES / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    server = request.getfixturevalue("postgresql")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return server


@pytest.fixture
def ledger(url):
    with Ledger.open(url) as opened:
        yield opened
