"""The command line: each module brings its verbs to `app`, `main` runs one."""

from daemon.cli import explain, offline, ranking, rates, record, scanning, service, summarise
from daemon.cli.app import app, main

__all__ = ["app", "explain", "main", "offline", "ranking", "rates", "record", "scanning", "service", "summarise"]
