"""The command line: each module brings its verbs to `app`, `main` runs one."""

from daemon.cli import (
    doctor,
    explain,
    menu,
    offline,
    preflighting,
    ranking,
    rates,
    record,
    scanning,
    service,
    status,
    summarise,
)
from daemon.cli.app import app, main

__all__ = [
    "app",
    "doctor",
    "explain",
    "main",
    "menu",
    "offline",
    "preflighting",
    "ranking",
    "rates",
    "record",
    "scanning",
    "service",
    "status",
    "summarise",
]
