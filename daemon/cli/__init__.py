"""The command line: each module brings its verbs to `app`, `main` runs one."""

from daemon.cli import (
    asking,
    audit,
    doctor,
    explain,
    menu,
    offline,
    policies,
    preflighting,
    ranking,
    rates,
    record,
    scanning,
    service,
    status,
    summarise,
    sweeping,
    voting,
)
from daemon.cli.app import app, main

__all__ = [
    "app",
    "asking",
    "audit",
    "doctor",
    "explain",
    "main",
    "menu",
    "offline",
    "policies",
    "preflighting",
    "ranking",
    "rates",
    "record",
    "scanning",
    "service",
    "status",
    "summarise",
    "sweeping",
    "voting",
]
