"""A folder of the daemon as a user would make it, and the verbs as a user would call them."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FAST = {"poll_s = 5.0": "poll_s = 0.1", "stable_s = 5.0": "stable_s = 0.0", "127.0.0.1:9108": ""}
NONE: Mapping[str, str] = {}


def retrigger(*words: object, status: int | None = 0, stdin: str | None = None) -> list[dict[str, Any]]:
    answer = subprocess.run(
        [sys.executable, "-m", "daemon", *map(str, words), "--json"],
        capture_output=True,
        text=True,
        check=False,
        input=stdin,
    )
    assert status is None or answer.returncode == status, answer.stderr + answer.stdout
    return [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]


def home_with_reference(
    base: Path, conditions: Path | None = None, *, bundle: Path | None = None, changed: Mapping[str, str] = NONE
) -> tuple[Path, dict[str, Any]]:
    """Make ``base/home`` with the reference of ``base/healthy``; return it and what the fit said.

    The configuration waits for nothing, and for whatever ``changed`` says; the conditions are those of a live fill.
    """
    home, healthy = base / "home", base / "healthy"
    retrigger("init", home)
    config = home / "retrigger.toml"
    text = config.read_text()
    for before, after in {**FAST, **changed}.items():
        assert before in text
        text = text.replace(before, after)
    config.write_text(text)
    scored = () if bundle is None else ("--bundle", bundle)
    asked = ("--config", config, "--output", home / "reference.npz", "--conditions", healthy / "conditions", *scored)
    (report,) = retrigger("reference", "fit", *asked, healthy / "incoming")
    for source in () if conditions is None else conditions.iterdir():
        shutil.copy(source, home / "conditions" / source.name)
    return home, report


def deliver(home: Path, *files: Path) -> None:
    for file in files:
        for one in (file.with_name(file.name + ".sha256"), file):
            shutil.copy(one, home / "incoming" / one.name)


def run_once(home: Path, status: int = 0, *, reports: bool = False) -> None:
    made = () if reports else ("--no-reports",)
    retrigger("run", "--config", home / "retrigger.toml", "--once", "--no-page", *made, status=status)


def outcomes(home: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(home / "ledger.db") as base:
        return base.execute(
            "select run, lumisection, result, reason, events, events_sha256 from outcomes order by run, lumisection"
        ).fetchall()


def watch_state(home: Path) -> bytes:
    with sqlite3.connect(home / "ledger.db") as base:
        return bytes(base.execute("select state from watch_states").fetchone()[0])
