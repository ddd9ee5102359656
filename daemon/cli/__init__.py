"""The command line: each module brings its verbs to `app`, `main` runs one."""

from daemon.cli import offline, record, service
from daemon.cli.app import app, main

__all__ = ["app", "main", "offline", "record", "service"]
